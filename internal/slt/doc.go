// Package slt reads sqllogictest files and runs them against an engine.
//
// It owns the form of the files and how values are written and compared. It
// does not know any engine.
package slt
