// Package meta is the catalog: tables and their schemas, the index of data
// files, the nodes and the hash ring. Every other package learns what exists
// from here.
//
// It owns one interface, Store, its sentinel errors and one acceptance suite
// (metatest) that every driver passes: redismeta for a cluster, boltmeta for
// one machine. It also owns the version of the whole catalog, the history of its
// changes, and locks whose tokens fence writes; packages below it keep
// a node's place in the cluster (member), stand for election (lead), write and
// restore snapshots (snapshot), end old days (retention), make the index anew
// from data files (rebuild) and compare it with them (check). It does not read
// or write data files, run queries, or know which protocol asked.
package meta
