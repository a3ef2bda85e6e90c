package backup

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"skein/internal/fault"
	"skein/meta"
	"skein/objstore/transfer"
)

// Restore brings tables back from the backup store: the files that the primary
// store misses, and with At the index of that moment. A table that the catalog
// does not know is made again from the newest copy of its index.
func (s *Service) Restore(ctx context.Context, r Request, report func(Operation)) (Operation, error) {
	if err := r.Check(); err != nil {
		return Operation{}, err
	}
	if r.Source != "" && r.Source != "backup" && !slices.Contains(s.o.Sources, strings.TrimSuffix(r.Source, "/")) {
		return Operation{}, fault.Newf(fault.InvalidArgument, "backup source %.80q is not known: leave it empty, or use backup or one of %s", r.Source, strings.Join(s.o.Sources, ", "))
	}
	if !r.At.Before(time.Now()) {
		r.At = time.Time{} // a day that is not over means now
	}
	return s.run(ctx, KindRestore, r, report, func(ctx context.Context, t *tracker) (string, error) {
		if !r.DryRun && s.MakeBucket != nil {
			if err := s.MakeBucket(ctx); err != nil {
				return "", fmt.Errorf("primary object store: %w", err)
			}
		}
		names, err := s.restorable(ctx, r)
		if err != nil {
			return "", err
		}
		var errs []error
		for _, name := range names {
			err := s.restoreTable(ctx, name, r, t)
			if ctx.Err() != nil {
				return "", ctx.Err()
			}
			if err != nil && !(gone(err) && r.Table == "") { // one table that cannot be restored stops no other
				errs = append(errs, fmt.Errorf("table %s: %w", name, err))
			}
		}
		if len(errs) > 0 {
			return "", fault.Wrap(fault.CodeOf(errs[0]), errors.Join(errs...))
		}
		return copied(t.now(), len(names), "restored"), nil
	})
}

// restorable are the names of the tables that the request means.
func (s *Service) restorable(ctx context.Context, r Request) ([]string, error) {
	if r.Table != "" {
		return []string{r.Table}, nil
	}
	all, err := s.histories(ctx)
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(all, func(_ string, h *History) bool { return !h.Exists && !r.Dropped })
	return slices.Sorted(maps.Keys(all)), nil
}

func (s *Service) restoreTable(ctx context.Context, name string, r Request, t *tracker) error {
	table, l, err := s.index(ctx, name)
	exists := err == nil
	switch {
	case err != nil && !gone(err):
		return err
	case exists && r.At.IsZero():
		return s.bringFiles(ctx, name, l.Files, r, t)
	}
	at := r.At
	if at.IsZero() {
		at = time.Now()
	}
	c, err := s.copyAt(ctx, name, at)
	if err != nil {
		return err
	}
	if exists && lineage(c.Table.UID) != lineage(table.UID) {
		return fault.Newf(fault.FailedPrecondition, "it was dropped and made again after %s; drop it first, then restore", c.At.Format(time.RFC3339))
	}
	if exists && !r.DryRun {
		if l, err = s.saveState(ctx, name); err != nil {
			return err
		}
	}
	if !r.DryRun {
		if err := s.keepFiles(ctx, c.Files, l.Files); err != nil {
			return err
		}
	}
	if err := s.bringFiles(ctx, name, c.Files, r, t); err != nil || r.DryRun {
		return err
	}
	if !exists {
		if table, err = s.remake(ctx, c.Table); err != nil {
			return err
		}
	}
	return s.setIndex(ctx, table, l.Files, c.Files)
}

// lineage is what the UIDs of a table and of its restored forms share.
func lineage(uid string) string {
	first, _, _ := strings.Cut(uid, "~")
	return first
}

// saveState copies the index as it is, with all rows in files, so that going
// back can be undone.
func (s *Service) saveState(ctx context.Context, name string) (meta.Listing, error) {
	if s.Flush != nil {
		if err := s.Flush(ctx, name); err != nil {
			return meta.Listing{}, fmt.Errorf("rows that are in no file yet: %w", err)
		}
	}
	if _, err := s.record(ctx, name); err != nil {
		return meta.Listing{}, err
	}
	_, l, err := s.index(ctx, name)
	return l, err
}

// keepFiles replaces what the queue would delete.
func (s *Service) keepFiles(ctx context.Context, files, indexed []meta.File) error {
	known := paths(indexed)
	var keys []string
	for _, f := range files {
		if !known[f.Path] {
			keys = append(keys, f.Path)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	return transfer.QueueCopies(ctx, s.Queue, keys...)
}

// bringFiles copies what the primary store misses. It fails if a file is
// nowhere.
func (s *Service) bringFiles(ctx context.Context, name string, files []meta.File, r Request, t *tracker) error {
	want := wanted(files, Request{})
	missing, err := s.sync(ctx, s.Spare, s.Primary, name+"/", want, r.DryRun, t)
	if err != nil {
		return err
	}
	for _, path := range missing {
		t.problem(path + " is in neither store")
	}
	if n := len(missing); n > 0 {
		return fault.Newf(fault.FailedPrecondition, "%d of %d files are in neither store, such as %s; what could be copied is copied", n, len(want), slices.Min(missing))
	}
	return nil
}

// remake makes a table again that the catalog does not know.
func (s *Service) remake(ctx context.Context, t meta.Table) (meta.Table, error) {
	t.UID = lineage(t.UID) + "~" + ulid.Make().String()
	t.Stats = meta.Stats{}
	if err := s.Catalog.CreateTable(ctx, t); err != nil {
		return t, err
	}
	return s.Catalog.Table(ctx, t.Name)
}

// setIndex makes the index of the table that of target: in one commit, if
// that is not too large.
func (s *Service) setIndex(ctx context.Context, t meta.Table, now, target []meta.File) error {
	if n := slices.MaxFunc(append(target, meta.File{}), func(a, b meta.File) int { return a.SchemaVersion - b.SchemaVersion }).SchemaVersion; n > t.SchemaVersion() {
		return fault.Newf(fault.FailedPrecondition, "its files have schema version %d, the table %d", n, t.SchemaVersion())
	}
	had, wants := paths(now), paths(target)
	c := meta.Commit{Table: t.Name, TableUID: t.UID, Time: time.Now().UTC()}
	var removed, units []string
	commit := func() error {
		if len(c.Add)+len(c.Remove) == 0 {
			return nil
		}
		c.Unit = "restore-" + ulid.Make().String()
		units = append(units, c.Unit)
		err := s.Catalog.Commit(ctx, c)
		c.Add, c.Remove = nil, nil
		return err
	}
	for _, f := range target {
		if had[f.Path] {
			continue
		}
		if c.Add = append(c.Add, f); len(c.Add) == meta.CommitFilesMax {
			if err := commit(); err != nil {
				return err
			}
		}
	}
	for _, f := range now {
		if wants[f.Path] {
			continue
		}
		removed = append(removed, f.Path)
		if c.Remove = append(c.Remove, f.Path); len(c.Add)+len(c.Remove) == meta.CommitFilesMax {
			if err := commit(); err != nil {
				return err
			}
		}
	}
	if err := commit(); err != nil {
		return err
	}
	if len(removed) > 0 {
		if err := transfer.QueueDeletions(ctx, s.Queue, s.o.Grace, removed...); err != nil {
			s.Log.Warn("files that left the index are not deleted", "table", t.Name, "files", len(removed), "error", err)
		}
	}
	return s.Catalog.ForgetUnits(ctx, t.Name, units)
}

func paths(files []meta.File) map[string]bool {
	all := make(map[string]bool, len(files))
	for _, f := range files {
		all[f.Path] = true
	}
	return all
}
