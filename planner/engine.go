package planner

import (
	"context"
	"fmt"
)

// Engine is what the planner asks of DuckDB: pure functions of their
// arguments.
type Engine interface {
	// SerializeSQL is json_serialize_sql: the statement's tree as JSON, also
	// for a statement that does not parse ({"error": true, …}).
	SerializeSQL(ctx context.Context, sql string) (string, error)
	// DeserializeSQL is json_deserialize_sql: the tree as canonical text.
	DeserializeSQL(ctx context.Context, tree string) (string, error)
}

// Binder is an Engine that also binds statements.
type Binder interface {
	Engine
	// DeserializeAll is DeserializeSQL of several trees.
	DeserializeAll(ctx context.Context, trees []string) ([]string, error)
	// Describe binds a statement over empty views of the given columns and
	// returns its own. What is wrong with the statement is an *Error.
	Describe(ctx context.Context, sql string, views map[string][]Column) ([]Column, error)
}

// Error is what is wrong with a statement.
type Error struct {
	Reason  Reason
	Message string
	Offset  int // of the fault in the statement, in bytes; -1 if not known
}

// Reason classes an Error.
type Reason int

// The reasons for which a statement is refused.
const (
	Invalid     Reason = iota // it is wrong
	NoTable                   // it names a table that does not exist
	Forbidden                 // it would reach files or settings
	Unsupported               // it is a statement that is not served
)

func (e *Error) Error() string { return e.Message }

func refuse(r Reason, offset int, format string, args ...any) error {
	return &Error{Reason: r, Message: fmt.Sprintf(format, args...), Offset: offset}
}
