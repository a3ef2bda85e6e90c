// Package clickbench holds the 43 ClickBench queries, the table hits that they
// read, and a generator of such data.
//
// It owns the texts and the shape of the data, which is random but the same
// for the same options. It does not run anything.
package clickbench
