// Package boltmeta keeps the catalog of one machine in one file.
//
// It owns the file's layout and its lock: one process at a time. It does not
// know what the tables mean or where their data files are. A change is durable
// when its method returns (fsync).
//
//	tables/NAME         table and statistics, JSON; schemas as in package evolution
//	index/NAME/version  Listing.Version, 8 bytes big endian
//	index/NAME/files    path -> file, JSON
//	index/NAME/oldest   least time of a file, space, path
//	index/NAME/newest   greatest time of a file, space, path
//	index/NAME/units    committed unit -> time of its commit
//	index/NAME/open     open unit -> node
//	nodes/ID            node, JSON
//	cluster/ring        ring, JSON
//	cluster/format      version of this layout
//	cluster/version     version of the catalog
//	history/N           change, JSON; N is 8 bytes big endian
//	locks/OPERATION     owner, end and token, JSON
//	staged/STAGE/NAME   as index/NAME, not yet in service; forgotten when the file is opened
package boltmeta
