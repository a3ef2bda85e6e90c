package meta

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"skein/internal/fault"
)

// HistoryMax is how many changes a catalog remembers.
const HistoryMax = 10_000

// BirthMax is how many bytes the name of a catalog has at most.
const BirthMax = 64

// Limits of a change's texts, in bytes; longer ones are cut.
const (
	changeWhoMax  = 256
	changeWhatMax = 1_024
)

// Kinds of changes. Those of tables and schemas, and restores, raise the
// version's Minor.
const (
	ChangeCreate   = "create"
	ChangeSchema   = "schema"
	ChangeSettings = "settings"
	ChangeDrop     = "drop"
	ChangeRestore  = "restore"
	ChangeRepair   = "repair"
)

// Change is one entry of the catalog's history.
type Change struct {
	Version Semver    `json:"version"`          // that it led to
	Base    Semver    `json:"base"`             // that its writer had seen
	Merged  bool      `json:"merged,omitempty"` // changes of other tables lay between Base and Version
	Kind    string    `json:"kind"`
	Table   string    `json:"table,omitempty"` // empty if it concerns them all
	What    string    `json:"what"`            // for people
	Who     string    `json:"who,omitempty"`   // empty if nobody said
	At      time.Time `json:"at"`              // by the writer's clock
}

// Structural tells whether the change raises Minor.
func (c Change) Structural() bool { return c.Kind != ChangeSettings && c.Kind != ChangeRepair }

// Writer says in whose name a catalog is changed.
type Writer struct {
	Who       string
	Base      Semver // the version that the change is based on; the newest if zero
	Operation string // the lock that the change needs; none if empty
	Token     int64  // of that lock
}

type writerKey struct{}

// As returns a context whose changes are recorded as those of a user or node.
func As(ctx context.Context, who string) context.Context {
	w := WriterOf(ctx)
	w.Who = strings.ToValidUTF8(cut(who, changeWhoMax), "")
	return context.WithValue(ctx, writerKey{}, w)
}

// BasedOn returns a context whose changes of the catalog are based on a
// version: one of a table that changed since is ErrConflict, and one of a table
// that did not is merged. Without it, a writer is based on what it has read of
// the table: UpdateTable compares revisions, and who reads again and retries
// on ErrConflict lets the last writer win.
func BasedOn(ctx context.Context, base Semver) context.Context {
	w := WriterOf(ctx)
	w.Base = base
	return context.WithValue(ctx, writerKey{}, w)
}

// Fenced returns a context whose writes need the lock of an operation: they
// are ErrFenced once that has an owner with a greater token.
func Fenced(ctx context.Context, operation string, token int64) context.Context {
	w := WriterOf(ctx)
	w.Operation, w.Token = operation, token
	return context.WithValue(ctx, writerKey{}, w)
}

// WriterOf returns what As, BasedOn and Fenced said. Drivers heed it.
func WriterOf(ctx context.Context) Writer {
	w, _ := ctx.Value(writerKey{}).(Writer)
	return w
}

// NewChange is the entry of a change of a table, by the writer of ctx. Version,
// Base and Merged are the driver's.
func NewChange(ctx context.Context, kind, table, what string) Change {
	return Change{Kind: kind, Table: table, What: cut(what, changeWhatMax), Who: WriterOf(ctx).Who, At: time.Now().UTC()}
}

// Validate tells whether a driver can record the change, by nil or
// InvalidArgument. Drivers call it first.
func (c Change) Validate() error {
	if c.Kind == "" || len(c.Kind) > TableNameMax || len(c.Table) > TableNameMax || len(c.Who) > changeWhoMax || len(c.What) > changeWhatMax || !storable(c.At) {
		return fault.Newf(fault.InvalidArgument, "change %.40q of table %.80q: it needs a kind and a time, and short texts", c.Kind, c.Table)
	}
	return nil
}

// UpdateChange tells what an update of a table changes.
func UpdateChange(ctx context.Context, old, updated Table) Change {
	var what []string
	if n, m := len(old.Schemas), len(updated.Schemas); n != m {
		what = append(what, fmt.Sprintf("schema version %d with %d columns, was version %d with %d",
			updated.SchemaVersion(), len(updated.Schema().Columns), old.SchemaVersion(), len(old.Schema().Columns)))
	} else if !reflect.DeepEqual(old.Schemas, updated.Schemas) {
		what = append(what, "schema versions rewritten")
	}
	kind := ChangeSettings
	if len(what) > 0 {
		kind = ChangeSchema
	}
	return NewChange(ctx, kind, updated.Name, strings.Join(append(what, DiffConfig(old.Config, updated.Config)...), "; "))
}

// DiffConfig tells each setting that differs as "name: old -> new".
func DiffConfig(old, updated Config) []string {
	var out []string
	differ := func(name string, from, to any) {
		if from != to {
			out = append(out, fmt.Sprintf("%s: %v -> %v", name, from, to))
		}
	}
	differ("buffer_size", old.BufferSize, updated.BufferSize)
	differ("flush_interval_seconds", old.FlushIntervalSeconds, updated.FlushIntervalSeconds)
	differ("retention_days", old.RetentionDays, updated.RetentionDays)
	differ("backup_enabled", old.BackupEnabled, updated.BackupEnabled)
	differ("replicated", old.Replicated, updated.Replicated)
	names := map[string]bool{}
	for name := range old.Properties {
		names[name] = true
	}
	for name := range updated.Properties {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		differ("property "+name, fmt.Sprintf("%.80q", old.Properties[name]), fmt.Sprintf("%.80q", updated.Properties[name]))
	}
	return out
}

// ConflictSince tells, by ErrConflict, whether a change of a table that is
// based on a version meets another one of that table, or of all, since. now is
// the catalog's version and history its changes, the newest first.
func ConflictSince(base, now Semver, history []Change, table string) error {
	if base.IsZero() || base == now {
		return nil
	}
	if base.Compare(now) > 0 {
		return fmt.Errorf("the change is based on version %s, the catalog has %s: %w", base, now, ErrConflict)
	}
	for _, c := range history {
		if c.Version.Compare(base) <= 0 {
			return nil
		}
		if c.Table == table || c.Table == "" || table == "" {
			return fmt.Errorf("version %s (%s %s by %s at %s) is newer than %s, which the change is based on: %w",
				c.Version, c.Kind, c.Table, nobody(c.Who), FormatTime(c.At), base, ErrConflict)
		}
	}
	if base == FirstVersion && len(history) < HistoryMax {
		return nil
	}
	return fmt.Errorf("version %s, which the change is based on, is older than the history: %w", base, ErrConflict)
}

func nobody(who string) string {
	if who == "" {
		return "somebody"
	}
	return who
}

func cut(s string, limit int) string {
	if len(s) > limit {
		return strings.ToValidUTF8(s[:limit], "")
	}
	return s
}

// After is the change with the version that it makes of the catalog's: now.
// base is what its writer is based on; now if zero.
func (c Change) After(now, base Semver) Change {
	if base.IsZero() {
		base = now
	}
	c.Base, c.Merged = base, base != now
	if c.Version.Compare(now) > 0 && c.Version.Major == now.Major { // a floor
		now = c.Version
	}
	c.Version = now.Next(c.Structural())
	return c
}
