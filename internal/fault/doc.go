// Package fault classifies errors once, where they arise, so that every door
// (gRPC, REST, Flight SQL) can tell the user the same thing in its own terms.
//
// It owns the list of codes and their mapping to gRPC and HTTP statuses. It
// does not know what any error is about, and it never logs.
package fault
