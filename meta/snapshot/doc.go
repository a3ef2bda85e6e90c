// Package snapshot writes the whole catalog to a stream, reads it back, and
// puts it in the place of what a catalog has.
//
// It owns the form of snapshots and the rules of restoring. It does not know
// where snapshots are kept, when they are made, or who may restore one, and it
// touches no data files: a restore only changes which of them the catalog names.
//
// # Form
//
// A snapshot is one JSON object, perhaps compressed by zstd, with its members
// in this order:
//
//	format    1
//	version   of the catalog when the snapshot was begun
//	at, who   when and by whom
//	nodes, ring, pool, history
//	tables    for each: table, schemas, index_version, units, open, count, files
//	totals    tables, files, rows, bytes
//	checksum  sha256 of all bytes before its comma
//
// It is written and read as a stream: of the index, a page is in memory at a
// time. Each table is as of one moment, but different tables of different ones.
//
// # Restoring
//
// A snapshot is verified to its end before the first change. Then the new index
// of each table is written beside the old one and takes its place in one step,
// so a restore that fails leaves each table as it was or as it should be, and
// repeating it goes on. What a restore does with what nodes hold meanwhile:
//
//   - Units that are open stay open, as their rows are in the logs of nodes.
//   - Schema versions only grow: files are written with versions of them.
//   - A table made anew since gets back the incarnation of the snapshot.
//   - Nodes and the ring are not restored: nodes tell that they live.
//   - Files that the index loses are not deleted.
package snapshot
