// Package sim runs the cluster's protocol in a simulation: membership and the
// ring, locks and the leader's terms, commits of units, compaction and
// retention under a lock, snapshots of readers, and the object pool's switch.
//
// The real code runs against the real embedded catalog, in virtual time. What
// stands between is a network that delays and loses requests and answers, and
// nodes that are cut off, stop for longer than their locks last, crash and come
// back with their disks. A seed decides all of it: goroutines of nodes meet
// only in the network, and that lets them go on one at a time.
//
// It has no product code. Of the worker it models the log and the order of
// steps that worker/DESIGN.md fixes, not Parquet or DuckDB.
package sim
