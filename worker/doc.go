// Package worker executes fragments in DuckDB and takes in rows.
//
// Rows of the Write API go to a log, are acknowledged once they are on disk,
// and wait in units until they become Parquet files; DESIGN.md tells why each
// appears exactly once, also where rows are on a second node until then. Bulk loads become files at once. The package does not
// parse SQL, choose which worker owns a row, or create and drop tables.
package worker
