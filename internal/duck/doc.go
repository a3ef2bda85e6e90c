// Package duck opens DuckDB and streams its results as Arrow batches.
//
// It goes below database/sql to the bindings, because the Arrow interface
// above them holds a whole result in memory before it gives the first batch.
// It owns connections, interruption, the classing of DuckDB's errors and the
// loading of Arrow data. It does not know what any statement is for.
package duck
