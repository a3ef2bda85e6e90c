package auth

import (
	"context"
	"fmt"

	"skein/internal/fault"
)

// Role is what a caller may do; each role may do what those before it may.
type Role int

// The roles.
const (
	None  Role = iota // nobody known
	Read              // query, list, describe, watch
	Write             // also store records
	Admin             // also make and drop tables, back up, recover
	Node              // another node of the cluster: also the calls between nodes
)

var roleNames = map[Role]string{None: "none", Read: "read", Write: "write", Admin: "admin", Node: "node"}

func (r Role) String() string { return roleNames[r] }

// userRole reads the role of a user or token in the file.
func userRole(name string) (Role, error) {
	for r, n := range roleNames {
		if n == name && r >= Read && r <= Admin {
			return r, nil
		}
	}
	return None, fmt.Errorf("role %q: use read, write or admin", name)
}

// Principal is a caller that has shown who they are.
type Principal struct {
	Name string
	Role Role
}

type principalKey struct{}

// With puts the caller into ctx.
func With(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// From returns the caller; false if the server is open.
func From(ctx context.Context) (Principal, bool) {
	p, ok := ctx.Value(principalKey{}).(Principal)
	return p, ok
}

// Require returns nil if the caller of ctx has the role or the server is
// open, else Unauthenticated or PermissionDenied.
func Require(ctx context.Context, role Role) error {
	p, ok := From(ctx)
	switch {
	case !ok || p.Role >= role:
		return nil
	case p.Role == None:
		return errNoCredentials
	}
	return fault.Newf(fault.PermissionDenied, "%s has role %s and this needs role %s", p.Name, p.Role, role)
}
