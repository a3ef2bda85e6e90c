// Package check compares the catalog with the object stores, and mends what it
// finds.
//
// It owns which kinds of damage there are, how each is found and proved, what
// may be done about it, the quarantine, and the log of what was done. It does
// not know what the stores are, how Parquet is read, or who leads: those come
// in, and a leader calls with a context that is meta.Fenced.
//
// # How damage is found
//
// The index of a table is read as of one moment, sorted on disk, and joined
// with the listings of the primary store and of the backup, all ordered by key;
// a page of it is in memory. What looks wrong there may only have changed
// meanwhile, so it is looked at again before it is told: the index is read
// anew, then the objects are asked for one by one, then the index must still
// say the same. An object without an entry must be older than Options.MinAge,
// must not wait for its deletion, and must not have a number that a unit still
// open may have given it.
//
// # What a repair may do
//
// The default is to report. A Policy says for each kind what else. Nothing is
// deleted: an object that has to go is copied to quarantine/YYYY-MM-DD/ and its
// old path, with a note beside it, and only then taken away. Entries of the
// index change only if they still are what was looked at: the table's index is
// staged with the changes and takes the place of the old one if that has not
// changed in the meantime; else it is read again. Repeating a repair is
// harmless, and one that was broken off goes on where it was.
//
// Before anything is changed, what is to be done is written below
// metadata/checks/ of the primary store, and what came of it afterwards.
package check
