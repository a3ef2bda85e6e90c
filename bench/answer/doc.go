// Package answer compares the results of two engines row by row.
//
// It owns what counts as the same value. It does not know which engines they
// are or what they were asked.
package answer
