package snapshot

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"skein/internal/fault"
	"skein/meta"
)

// Limits of a restore.
const (
	namesMax    = 10_000 // tables and patterns that a request names
	attemptsMax = 5      // of a table that changes at the same moment
	noteTimeout = time.Minute
)

// Request says what to restore.
type Request struct {
	// Tables are those to restore; all if empty. Each must be in the snapshot.
	Tables []string
	// Keys are patterns of index keys, such as index:table:users:id:user-1*:2024-01-*
	// where * is any text and ? any character. Only the files under them are
	// restored: what the snapshot has there takes the place of what is there
	// now. Tables and settings stay.
	Keys []string
	// Missing restores only what is not there at all: tables, and in tables
	// that are there, an id's day without any file. What is there stays.
	Missing bool
	// DryRun changes nothing, and only tells.
	DryRun bool
}

// RestoreOptions of a restore.
type RestoreOptions struct {
	// Open opens the snapshot, several times. Required.
	Open func(ctx context.Context) (io.ReadCloser, error)
	// Safety keeps a snapshot of what is there, before the first change. Its
	// error stops the restore. Nil: nobody wants one.
	Safety func(ctx context.Context) error
	// Keep returns those of the files whose objects exist; nil keeps all.
	Keep func(ctx context.Context, table string, files []meta.File) ([]meta.File, error)
	// KeepTables lets tables stay that the snapshot does not have. A table that
	// was made anew since is FailedPrecondition, before anything changes.
	KeepTables bool
	Dir        string // for temporary files; that of the system if empty
}

// Restore puts a snapshot, or a part of it, in the place of what the catalog
// has. The report is of what was done, also if there is an error. A restore of
// all tables drops those that the snapshot does not have, at its end, unless
// KeepTables is set.
func Restore(ctx context.Context, s meta.Store, r Request, o RestoreOptions) (Report, error) {
	run, err := newRestore(s, r, o)
	if err != nil {
		return Report{}, err
	}
	if err := run.verify(ctx); err != nil {
		return run.report, err
	}
	if !r.DryRun && o.Safety != nil {
		if err := o.Safety(ctx); err != nil {
			return run.report, fmt.Errorf("snapshot of the present catalog, to be safe: %w", err)
		}
	}
	if err := run.tables(ctx); err != nil {
		return run.report, errors.Join(err, run.note(ctx, "stopped half way", meta.Semver{}))
	}
	if err := run.dropOthers(ctx); err != nil {
		return run.report, errors.Join(err, run.note(ctx, "stopped half way", meta.Semver{}))
	}
	return run.report, run.note(ctx, "done", run.report.Version)
}

// restore is one run.
type restore struct {
	store    meta.Store
	request  Request
	options  RestoreOptions
	patterns []pattern
	stage    string
	known    map[string]bool   // tables of the snapshot that are wanted, and whether they are done
	uids     map[string]string // of these
	report   Report
}

func newRestore(s meta.Store, r Request, o RestoreOptions) (*restore, error) {
	if len(r.Tables)+len(r.Keys) > namesMax {
		return nil, fault.Newf(fault.InvalidArgument, "restore: %d tables and patterns, at most %d are allowed", len(r.Tables)+len(r.Keys), namesMax)
	}
	if o.Open == nil {
		return nil, fault.New(fault.InvalidArgument, "restore: there is no snapshot to open")
	}
	run := &restore{store: s, request: r, options: o, stage: "restore_" + rand.Text(), known: map[string]bool{}, uids: map[string]string{}}
	for _, key := range r.Keys {
		p, err := newPattern(key)
		if err != nil {
			return nil, err
		}
		run.patterns = append(run.patterns, p)
	}
	run.report.DryRun = r.DryRun
	return run, nil
}

// read reads the snapshot once.
func (r *restore) read(ctx context.Context, f func(Header, meta.Image) error) (Header, Summary, error) {
	in, err := r.options.Open(ctx)
	if err != nil {
		return Header{}, Summary{}, fmt.Errorf("snapshot: %w", err)
	}
	h, sum, err := Read(ctx, in, f)
	return h, sum, errors.Join(err, in.Close())
}

// verify reads the snapshot to its end, before anything is changed.
func (r *restore) verify(ctx context.Context) error {
	h, sum, err := r.read(ctx, func(_ Header, img meta.Image) error {
		if len(r.request.Tables) == 0 || slices.Contains(r.request.Tables, img.Table.Name) {
			r.known[img.Table.Name], r.uids[img.Table.Name] = false, img.Table.UID
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, name := range r.request.Tables {
		if _, ok := r.known[name]; !ok {
			return fault.Newf(fault.NotFound, "the snapshot of %s has no table %.80q", h.At.Format(time.RFC3339), name)
		}
	}
	r.report.Version, r.report.At, r.report.Checksum = sum.Version, sum.At, sum.Checksum
	if r.report.Before, err = r.store.CatalogVersion(ctx); err != nil {
		return err
	}
	return r.refuseOthers(ctx)
}

// refuseOthers refuses tables that were made anew since the snapshot, if what
// came after it is to stay: their rows and those of the old ones are of two
// tables.
func (r *restore) refuseOthers(ctx context.Context) error {
	if !r.options.KeepTables || r.request.Missing {
		return nil
	}
	all, err := r.store.Tables(ctx)
	if err != nil {
		return err
	}
	var others []string
	for _, t := range all {
		if uid, ok := r.uids[t.Name]; ok && meta.Lineage(uid) != meta.Lineage(t.UID) {
			others = append(others, t.Name)
		}
	}
	if len(others) == 0 {
		return nil
	}
	return errAnew(others[:min(len(others), othersShown)]...)
}

const othersShown = 5

func errAnew(tables ...string) error {
	return fault.Newf(fault.FailedPrecondition, "%s: made anew since the snapshot. Restore without newer files to put the old table in the place of the new one, or name the other tables",
		strings.Join(tables, ", "))
}

// tables restores one table after the other. Those that change at the same
// moment are tried again.
func (r *restore) tables(ctx context.Context) error {
	var conflict error
	for range attemptsMax {
		conflict = nil
		_, _, err := r.read(ctx, func(_ Header, img meta.Image) error {
			if done, wanted := r.known[img.Table.Name]; done || !wanted {
				return nil
			}
			t, err := r.table(ctx, img)
			if errors.Is(err, meta.ErrConflict) || errors.Is(err, meta.ErrStageGone) {
				conflict = err
				return nil
			}
			if err != nil {
				return fmt.Errorf("restore of table %s: %w", img.Table.Name, err)
			}
			r.known[img.Table.Name] = true
			if t.Action != ActionNone {
				r.report.Tables = append(r.report.Tables, t)
			}
			return nil
		})
		if err != nil || conflict == nil {
			return err
		}
	}
	return fmt.Errorf("restore: a table changed %d times meanwhile: %w", attemptsMax, conflict)
}

// dropOthers drops the tables that a whole snapshot does not have.
func (r *restore) dropOthers(ctx context.Context) error {
	if len(r.request.Tables) > 0 || len(r.patterns) > 0 || r.request.Missing || r.options.KeepTables {
		return nil
	}
	all, err := r.store.Tables(ctx)
	if err != nil {
		return err
	}
	for _, t := range all {
		if _, ok := r.known[t.Name]; ok {
			continue
		}
		if !r.request.DryRun {
			if _, err := r.store.DropTable(ctx, t.Name, t.UID); err != nil {
				return err
			}
		}
		r.report.Tables = append(r.report.Tables, TableReport{Table: t.Name, Action: ActionDrop,
			Removed: t.Stats.Files, RowsBefore: t.Stats.Rows, LastWrite: t.Stats.LastWrite})
	}
	return nil
}

// note tells the history of the restore. It raises the version beyond floor,
// which is the snapshot's once all of that is there: until then a catalog that
// was lost still lies behind it.
func (r *restore) note(ctx context.Context, how string, floor meta.Semver) error {
	if r.request.DryRun {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout)
	defer cancel()
	what := fmt.Sprintf("%s: snapshot of %s, version %s, %d tables changed", how, r.report.At.Format(time.RFC3339), r.report.Version, len(r.report.Tables))
	kind := meta.ChangeRestore
	if floor.IsZero() {
		kind = meta.ChangeRepair // its tables tell of it themselves
	}
	change := meta.NewChange(ctx, kind, "", what)
	change.Version = floor
	recorded, err := r.store.Record(meta.BasedOn(ctx, meta.Semver{}), change)
	r.report.After = recorded.Version
	if err != nil {
		return fmt.Errorf("history of the restore: %w", err)
	}
	return nil
}
