// Package cluster runs Skein clusters for measurements on this machine: Redis,
// MinIO, a coordinator and workers, each a process of its own with an empty
// directory.
//
// It owns the processes and their directories, and reads what the nodes count.
// It knows the program by its command line and its HTTP port only.
package cluster
