// Package wire writes a stream of record batches as a Flight stream. The
// client door and the node transport share it.
//
// It does not know what the batches mean or where they come from.
package wire
