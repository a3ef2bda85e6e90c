// Package catalog looks after the catalog: its snapshots, the way back from a
// lost or damaged one, old days, and what one leader of all nodes does for the
// rest. It tells each node when the catalog was restored behind its back.
//
// It owns where snapshots are kept and when they are made, the queue of objects
// that are to be deleted later, and who may restore. It does not know what the
// stores are, how a snapshot looks (package snapshot does), what the index is
// made of (package rebuild does), or who asks.
package catalog
