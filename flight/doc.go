// Package flight is the Flight SQL door: ADBC, JDBC and other Flight SQL
// clients talk to the coordinator through it, and tickets of fragments pass
// through it to the worker of the same process.
//
// It owns the Flight SQL protocol: prepared statements, metadata in the shapes
// that drivers expect, bulk ingest, status codes, the signed tickets by which
// clients read parts of a result, and the types that Java clients read right.
// It does not parse or plan SQL, know where rows are kept, or decide who may do
// what.
package flight
