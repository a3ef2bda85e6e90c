// Package cache keeps copies of objects in a bounded directory, so that DuckDB
// reads them by path.
//
// It owns its directory, downloads, checksums and eviction. It does not know
// what is in an object, and it takes objects for immutable: a key of a size
// has one content. DESIGN.md tells the rules.
package cache
