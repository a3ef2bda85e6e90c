// Package objstoretest holds the promises of objstore.Store as tests, and
// Faulty, a store that fails when it is told to.
//
// It knows the contract alone: whatever a driver keeps its objects in, it
// passes Run.
package objstoretest
