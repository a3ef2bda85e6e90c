// Package evolution is the stored form of a table's schema versions: of each
// version only what it changed. A table whose columns come one by one would
// else store, and read on every write, the square of their number.
//
// It does not know where the form is stored, and merges no types.
package evolution
