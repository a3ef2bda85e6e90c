// Package client talks to a Skein server over its gRPC port: SQL and bulk loads
// by Flight SQL, the rest by OlapService.
//
// It owns the connection, the credentials on it and the words for a server that
// does not answer. It does not print.
package client
