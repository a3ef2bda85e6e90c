// Package planner turns SQL into a plan: which workers run what over which
// files, and how their answers become one.
//
// It is pure: no clock, network or randomness, and the same input gives the
// same plan. DuckDB reads the statement (through the Engine it is given), so
// the dialect is DuckDB's; what cannot be shown to mean the same in parts is
// not divided. DESIGN.md has the rules. It knows nothing of stores,
// connections or protocols, and imports no other package of this module.
package planner
