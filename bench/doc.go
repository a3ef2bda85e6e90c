// Package bench measures Skein through its public protocols and checks every
// answer against DuckDB in this process.
//
// It owns the suites, their peers, and the report. It knows a server as any
// client does: Flight SQL through ADBC, REST, and what /metrics counts. Some
// suites measure a running server, which they neither start nor configure;
// others start clusters of their own by package cluster, in a network by
// package netlab. The only thing it writes past a server is an index of files
// that are not there, to plan on.
package bench
