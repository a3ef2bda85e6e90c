// Package realtest gives tests real servers: redis-server and MinIO, each on a
// free loopback port and stopped at test cleanup.
//
// It owns their directories and their output, which a failing test prints; how
// they are started is package launch's. It does not know what the tests keep
// in them. A missing binary fails the test and says how to get it.
package realtest
