// Package server puts a node together from its parts and runs it: catalog,
// object store, DuckDB, worker, coordinator and the doors.
//
// It owns the order in which parts start and stop. It reads no flags and no
// environment, and does no work of its own.
package server
