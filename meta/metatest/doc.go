// Package metatest is the acceptance suite of meta.Store: every driver passes
// Run, and a driver that breaks a promise fails it.
//
// It owns the cases and a way to see them fail. It does not know how a store
// keeps anything.
package metatest
