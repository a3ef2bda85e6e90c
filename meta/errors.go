package meta

import "skein/internal/fault"

// The errors that every driver returns, wrapped with the name they concern.
var (
	ErrTableNotFound = fault.New(fault.NotFound, "table not found")
	ErrTableExists   = fault.New(fault.AlreadyExists, "table already exists")
	ErrConflict      = fault.New(fault.Aborted, "the table changed meanwhile, read it again and retry")
)
