// Package node is how nodes talk to one another: the service that a worker
// offers its peers, the fragments that travel as Flight tickets, and the
// connections to the peers.
//
// It does not choose peers, plan fragments, or know what they compute. An end
// of a stream that it reports is one that the peer sent: a broken connection
// is Unavailable, never a short result.
package node
