// Package planner turns SQL into a plan: which workers run what over which
// files, and how their answers become one.
//
// It is pure: no clock, network or randomness, and the same input gives the
// same plan. DuckDB reads the statement (through the Engine it is given), so
// the dialect is DuckDB's; the shape is then read from the TiDB parser's tree,
// and whatever the two might read differently is not divided but gathered.
// It knows nothing of stores, connections or protocols, and imports no other
// package of this module.
package planner
