// Package tpcds finds the TPC-DS tables and queries that scripts/tpcds.sh
// wrote into a directory.
//
// It owns the names of the tables and the form of that directory. It does not
// hold the queries' texts, and does not run anything.
package tpcds
