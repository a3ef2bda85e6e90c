// Package pool makes one objstore.Store of several: a primary set of
// endpoints and, if there is one, a backup set that stands in for it.
//
// It owns which endpoint serves a request (latency, load, circuit breakers,
// hedged reads, deadlines of single tries), the state that nodes agree on
// (primary, backup, returning), and the way back. It does not know how the
// endpoints keep objects, what is in them, or who fills the backup in good
// times: package transfer does.
package pool
