package meta

import "skein/internal/fault"

// The errors that every driver returns, wrapped with the name they concern.
var (
	ErrTableNotFound = fault.New(fault.NotFound, "table not found")
	ErrTableExists   = fault.New(fault.AlreadyExists, "table already exists")
	ErrConflict      = fault.New(fault.Aborted, "the table changed meanwhile, read it again and retry")
	ErrLocked        = fault.New(fault.Aborted, "another one has the lock, try again later")
	ErrFenced        = fault.New(fault.Aborted, "another one has taken the lock over, stop")
	ErrStageGone     = fault.New(fault.Aborted, "the staged files are not complete any more, begin again")
)
