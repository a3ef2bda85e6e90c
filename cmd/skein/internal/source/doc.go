// Package source finds the files of a load and reads them, with DuckDB in this
// process, as one stream of Arrow batches.
//
// It owns file patterns, the formats' options and the union of the files'
// columns. It does not know where the rows go.
package source
