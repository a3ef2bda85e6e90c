// Package realtest starts the real servers that tests talk to: redis-server
// and MinIO, each on a free loopback port and stopped at test cleanup.
//
// It owns the processes, their directories and their output, which a failing
// test prints. It does not know what the tests keep in them. A missing binary
// fails the test and says how to get it.
package realtest
