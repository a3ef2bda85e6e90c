// Package netlab makes networks for measurements out of Linux namespaces: a
// hub, and workers whose links to the hub's storage are as slow as is asked
// for.
//
// A program runs again inside a network and a mount namespace that have no
// name. All that is made there goes away with its last process, however that
// ends, and nothing of the machine's own network is touched. It does not know
// what runs in the network.
package netlab
