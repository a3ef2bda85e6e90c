// Package meta is the catalog: tables and their schemas, the index of data
// files, the nodes and the hash ring. Every other package learns what exists
// from here.
//
// It owns one interface, Store, its sentinel errors and one acceptance suite
// (metatest) that every driver passes: redismeta for a cluster, boltmeta for
// one machine. It does not read or write data files, run queries, or know
// which protocol asked.
package meta
