package meta

import (
	"fmt"
	"iter"
	"time"

	"skein/internal/fault"
)

// Limits of images and locks.
const (
	PageMax    = 1_000               // files of one page
	StageMax   = 64                  // bytes of a stage's name
	StageKeep  = time.Hour           // that a stage is kept after the last files were added, if the driver forgets stages
	LockMax    = 64                  // bytes of an operation's name
	LockTTLMax = 31 * 24 * time.Hour // of a lock that is not renewed
)

// Image is a table with its whole index as of one moment.
type Image struct {
	Table   Table
	Version int64    // Listing.Version
	Units   []string // committed and not yet forgotten
	Open    []OpenUnit
	Count   int64 // of the files
	// Files yields them in pages of at most PageMax, in any order, once. It
	// ends after the first error, which it yields.
	Files iter.Seq2[[]File, error]
}

// Replacement is a table that takes the place of another, or of none, with the
// files of a stage.
type Replacement struct {
	Table    Table // with its UID; its Revision is raised beyond that of the replaced one
	Units    []string
	Open     []OpenUnit
	Stage    string
	Count    int64  // files of the stage
	Version  int64  // Listing.Version of the replaced table; 0 if there is none
	Revision int64  // of the replaced table
	Change   Change // what the history says
}

// Validate tells whether a driver can apply the replacement, by nil or
// InvalidArgument. Drivers call it first.
func (r Replacement) Validate() error {
	if err := r.Table.Validate(); err != nil {
		return err
	}
	for _, u := range r.Open {
		if err := u.Validate(); err != nil {
			return fmt.Errorf("table %s: %w", r.Table.Name, err)
		}
	}
	for _, u := range r.Units {
		if err := (OpenUnit{Unit: u}).Validate(); err != nil {
			return fmt.Errorf("table %s: %w", r.Table.Name, err)
		}
	}
	if !storable(r.Table.Stats.LastWrite) {
		return fault.Newf(fault.InvalidArgument, "table %s: its last write %s is outside years 1 to 9999", r.Table.Name, r.Table.Stats.LastWrite)
	}
	if err := r.Change.Validate(); err != nil {
		return err
	}
	return ValidateStage(r.Table.Name, r.Stage, nil)
}

// ValidateStage tells whether a driver can keep the files in a stage, by nil
// or InvalidArgument. Drivers call it first.
func ValidateStage(table, stage string, files []File) error {
	if name, err := ValidateTableName(table); err != nil || name != table {
		return fault.Newf(fault.InvalidArgument, "table name %.80q is not valid", table)
	}
	if stage == "" || len(stage) > StageMax || !isTableName(stage) {
		return fault.Newf(fault.InvalidArgument, "stage %.80q: it must have 1 to %d letters, digits and underscores", stage, StageMax)
	}
	if len(files) > PageMax {
		return fault.Newf(fault.InvalidArgument, "stage %s: %d files, at most %d are allowed, split them", stage, len(files), PageMax)
	}
	for _, f := range files {
		if !f.valid() || !storable(f.MinTime) || !storable(f.MaxTime) {
			return fault.Newf(fault.InvalidArgument, "file %.80q of stage %s is not valid", f.Path, stage)
		}
	}
	return nil
}

// ValidateLock tells whether a driver can keep the lock, by nil or
// InvalidArgument. Drivers call it first.
func ValidateLock(operation, owner string, ttl time.Duration) error {
	if operation == "" || len(operation) > LockMax || owner == "" || len(owner) > NodeIDMax || ttl < time.Millisecond || ttl > LockTTLMax {
		return fault.Newf(fault.InvalidArgument, "lock %.80q of %.80q for %s: it needs an operation of at most %d bytes, an owner, and 1ms to %s",
			operation, owner, ttl, LockMax, LockTTLMax)
	}
	return nil
}

// Stored is the table as ReplaceTable stores it, but for its statistics.
func (r Replacement) Stored() Table {
	t := r.Table
	t.Revision = max(t.Revision, r.Revision) + 1
	t.Created, t.Stats = t.Created.UTC(), Stats{LastWrite: t.Stats.LastWrite.UTC()}
	return t
}
