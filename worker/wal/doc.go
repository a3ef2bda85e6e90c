// Package wal is an append-only log: a record that was appended is on disk.
//
// It owns segment files, grouped fsync and what is found in them after a
// crash. It does not know what a record means or when it is no longer needed.
//
// A segment is a header and then frames. A frame holds the records of one
// fsync and is written only after the frame before it is durable, so a crash
// can damage the last frame alone: that one is cut off. Damage anywhere else
// is an error that names the place. Each header tells how long the segment
// before it is, so that a segment abandoned after a failed fsync ends where
// its last acknowledged frame does, whatever the disk made of the rest.
package wal
