package meta

import "skein/internal/fault"

// The errors that every driver returns, wrapped with the name they concern.
var (
	ErrTableNotFound = fault.New(fault.NotFound, "table not found")
	ErrTableExists   = fault.New(fault.AlreadyExists, "table already exists")
	ErrConflict      = fault.New(fault.Aborted, "the table changed meanwhile, read it again and retry")
	ErrUnitTaken     = fault.New(fault.Aborted, "another node has committed the unit")
	ErrUnitDone      = fault.New(fault.Aborted, "the unit is committed, by whom is not known")
	ErrUnitNotOpen   = fault.New(fault.FailedPrecondition, "the unit is not open, it may be committed and forgotten")
	ErrLocked        = fault.New(fault.Aborted, "another one has the lock, try again later")
	ErrFenced        = fault.New(fault.Aborted, "another one has taken the lock over, stop")
	ErrStageGone     = fault.New(fault.Aborted, "the staged files are not complete any more, begin again")
)
