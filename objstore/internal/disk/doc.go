// Package disk holds what the local driver and the cache both need of a file
// system: error classes, durable directories and locks.
//
// It does not know keys or objects.
package disk
