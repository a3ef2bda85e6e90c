// Package local keeps objects as files of one directory.
//
// It owns the directory: DIR/objects holds the objects under their keys,
// DIR/tmp what is being written, one subdirectory for each open Store. Several
// stores and processes may use one directory at once. It does not know what is
// in an object, and it follows no symbolic link out of the directory.
package local
