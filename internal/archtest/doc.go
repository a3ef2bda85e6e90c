// Package archtest holds the test of the import directions. It has no code of
// its own.
package archtest
