// Package auth tells who calls and what they may do.
//
// It owns users, tokens and roles from one YAML file, the session tokens that
// Flight clients get, the secret that nodes show one another, and the role
// that each RPC needs. It does not know what an RPC does or which tables
// exist, and it never logs.
//
// A nil *Auth is an open server: everybody may do everything.
package auth
