package backup

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"skein/internal/fault"
	"skein/meta"
	"skein/meta/lead"
	"skein/objstore/transfer"
)

// Restore brings tables back from the backup store: the files that the primary
// store misses, and with At the index of that moment. A table that the catalog
// does not know is made again from the newest copy of its index. Readers see a
// table as it was or as it becomes, and nothing in between.
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
			err := s.alone(ctx, r, func(ctx context.Context) error { return s.restoreAgain(ctx, name, r, t) })
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

// How long a restore waits for the deletions, or another restore, that run.
const (
	aloneWait = 2 * time.Minute
	aloneLook = 500 * time.Millisecond
)

// alone does work while nobody deletes objects that the index does not name:
// the work finds some that it is about to name.
func (s *Service) alone(ctx context.Context, r Request, work func(ctx context.Context) error) error {
	if r.DryRun {
		return work(ctx)
	}
	for until := time.Now().Add(aloneWait); ; {
		err := lead.Alone(ctx, s.Catalog, lead.RestoreOperation, "backup/"+rand.Text(), func(ctx context.Context, _ *lead.Held) error { return work(ctx) })
		if !errors.Is(err, meta.ErrLocked) || time.Now().After(until) {
			return err
		}
		select {
		case <-time.After(aloneLook):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
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

// restoreTries bounds how often a table is restored that others change in
// ways that do not go together with it.
const restoreTries = 4

func (s *Service) restoreAgain(ctx context.Context, name string, r Request, t *tracker) (err error) {
	begin := t.now()
	for range restoreTries {
		t.change(func(op *Operation) { op.FilesTotal, op.Files, op.Bytes = begin.FilesTotal, begin.Files, begin.Bytes })
		if err = s.restoreTable(ctx, name, r, t); !errors.Is(err, meta.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("its files were merged or deleted again and again meanwhile, try again: %w", err)
}

func (s *Service) restoreTable(ctx context.Context, name string, r Request, t *tracker) error {
	now, err := s.take(ctx, name)
	defer func() { now.remove() }()
	exists := err == nil
	switch {
	case err != nil && !gone(err):
		return err
	case exists && r.At.IsZero():
		return s.bringFiles(ctx, now, r, t)
	}
	at := r.At
	if at.IsZero() {
		at = time.Now()
	}
	target, err := s.copyAt(ctx, name, at)
	if err != nil {
		return err
	}
	defer target.remove()
	if exists && lineage(target.table.UID) != lineage(now.table.UID) {
		return fault.Newf(fault.FailedPrecondition, "it was dropped and made again after %s; drop it first, then restore", target.at.Format(time.RFC3339))
	}
	if r.DryRun {
		return s.bringFiles(ctx, target, r, t)
	}
	p := &putBack{s: s, target: target}
	if exists {
		now.remove()
		if now, err = s.saveState(ctx, name); err != nil {
			return err
		}
		p.was = now
	}
	if err := p.prepare(ctx); err != nil {
		return err
	}
	if err := s.bringFiles(ctx, target, r, t); err != nil {
		return err
	}
	return p.apply(ctx)
}

// lineage is what the UIDs of a table and of its restored forms share.
func lineage(uid string) string {
	first, _, _ := strings.Cut(uid, "~")
	return first
}

// saveState copies the index as it is, with all rows in files, so that going
// back can be undone. The caller removes it.
func (s *Service) saveState(ctx context.Context, name string) (*index, error) {
	if s.Flush != nil {
		if err := s.Flush(ctx, name); err != nil {
			return nil, fmt.Errorf("rows that are in no file yet: %w", err)
		}
	}
	x, err := s.take(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := s.save(ctx, x); err != nil {
		x.remove()
		return nil, err
	}
	return x, nil
}

// bringFiles copies what the primary store misses. It fails if a file is
// nowhere.
func (s *Service) bringFiles(ctx context.Context, x *index, r Request, t *tracker) error {
	missing, example, err := s.sync(ctx, s.Spare, s.Primary, x, Request{Table: x.table.Name, DryRun: r.DryRun}, t)
	if err == nil && missing > 0 {
		err = fault.Newf(fault.FailedPrecondition, "%d of %d files are in neither store, such as %s; what could be copied is copied", missing, x.count, example)
	}
	return err
}

// remade is the table of a copy as it is made again.
func remade(t meta.Table) meta.Table {
	t.UID = lineage(t.UID) + "~" + ulid.Make().String()
	t.Stats = meta.Stats{LastWrite: t.Stats.LastWrite}
	return t
}

// queued does something to the queue with the paths of an index's files that
// want says, a page at a time.
func queued(ctx context.Context, x *index, want func(meta.File) bool, do func(keys ...string) error) error {
	for page, err := range x.files(ctx) {
		if err != nil {
			return err
		}
		var keys []string
		for _, f := range page {
			if want(f) {
				keys = append(keys, f.Path)
			}
		}
		if len(keys) > 0 {
			if err := do(keys...); err != nil {
				return err
			}
		}
	}
	return nil
}

// keep replaces what the queue would delete of the files that come back.
func (p *putBack) keep(ctx context.Context) error {
	return queued(ctx, p.target, func(f meta.File) bool { return !p.had.Has(f.Path) },
		func(keys ...string) error { return transfer.QueueCopies(ctx, p.s.Queue, keys...) })
}

// forget lets the files that left the index be deleted after the grace time.
func (p *putBack) forget(ctx context.Context) {
	err := queued(ctx, p.was, func(f meta.File) bool { return !p.wants.Has(f.Path) },
		func(keys ...string) error { return transfer.QueueDeletions(ctx, p.s.Queue, p.s.o.Grace, keys...) })
	if err != nil {
		p.s.Log.Warn("files that left the index are not deleted", "table", p.was.table.Name, "error", err)
	}
}
