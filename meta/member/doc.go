// Package member keeps a node a member of the cluster: it beats, takes nodes
// that fell silent out of service, and keeps the hash ring to the workers that
// are alive.
//
// It owns when that happens. It does not know what nodes do, which of them
// leads, or how the catalog keeps them. Every node does all of it: each step
// may be repeated, and a ring that a slow node stored too late is put right
// with the next beat of any other.
package member
