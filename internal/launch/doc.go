// Package launch starts the servers that a test or a benchmark talks to as
// child processes: redis-server, MinIO and any other that its caller
// describes.
//
// It owns the processes and the file that takes their output. It does not know
// what is kept in them. A process dies with this one.
package launch
