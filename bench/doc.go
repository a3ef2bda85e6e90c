// Package bench measures a running server through its public protocols, beside
// DuckDB in this process on the same data, and checks every answer.
//
// It owns the suites, their peers, and the report. It knows the server as any
// client does: Flight SQL through ADBC, and REST. It neither starts nor
// configures one.
package bench
