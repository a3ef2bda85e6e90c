// Package sqlgen draws random tables and random SELECTs in DuckDB's dialect,
// the same ones for the same seed, as test material.
//
// Every statement has one right answer whatever the order of the rows: LIMIT
// comes only with a total order, list() only with ORDER BY inside, and so on.
// It owns that promise and the names of the features that it draws. It runs
// nothing, and does not know how answers are compared.
package sqlgen
