package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"skein/internal/fault"
	"skein/meta"
	"skein/meta/rebuild"
)

// settle looks again at what looked wrong in a table, tells what still does,
// and mends it.
func (r *run) settle(ctx context.Context, t *tableState) error {
	suspects := t.suspects
	t.suspects = nil
	if len(suspects) == 0 {
		return ctx.Err()
	}
	verdicts, now, err := r.again(ctx, t, suspects)
	if errors.Is(err, meta.ErrTableNotFound) {
		return nil // dropped meanwhile
	}
	if err != nil {
		return err
	}
	return r.mend(ctx, now, verdicts)
}

// again proves what is wrong: with entries as they are now, the objects as
// they are after that, and entries that are still the same after that.
func (r *run) again(ctx context.Context, t *tableState, suspects []*subject) ([]*verdict, *tableState, error) {
	wanted := map[string]bool{}
	for _, s := range suspects {
		wanted[s.path] = true
		if s.twin != nil {
			wanted[s.twin.Path] = true
		}
	}
	first, err := r.entriesOf(ctx, t.Name, wanted)
	if err != nil {
		return nil, nil, err
	}
	if first.state.UID != t.UID {
		return nil, nil, meta.ErrTableNotFound
	}
	suspects = slices.DeleteFunc(suspects, func(s *subject) bool { return !first.renew(s) })
	if suspects, err = r.restat(ctx, &first.state.Table, suspects); err != nil {
		return nil, nil, err
	}
	verdicts, err := r.look(ctx, &first.state.Table, suspects)
	if err != nil || len(verdicts) == 0 {
		return nil, first.state, err
	}
	if version, err := r.Catalog.Version(ctx, t.Name); err != nil || version == first.state.version {
		return verdicts, first.state, err
	}
	second, err := r.entriesOf(ctx, t.Name, wanted)
	if err != nil {
		return nil, nil, err
	}
	verdicts = slices.DeleteFunc(verdicts, func(v *verdict) bool {
		f, ok := second.files[v.path]
		return !ok || !sameFile(f, *v.entry)
	})
	return verdicts, second.state, nil
}

// some are some entries of a table.
type some struct {
	state *tableState // without its entries
	files map[string]meta.File
}

func (r *run) entriesOf(ctx context.Context, table string, wanted map[string]bool) (some, error) {
	out := some{files: map[string]meta.File{}}
	state, err := r.read(ctx, table, func(f meta.File) bool {
		if wanted[f.Path] {
			out.files[f.Path] = f
		}
		return false
	})
	out.state = state
	return out, err
}

// renew gives the subject its entry as it is now; false if it has none.
func (e some) renew(s *subject) bool {
	f, ok := e.files[s.path]
	if !ok {
		return false
	}
	s.entry = &f
	if s.twin != nil {
		if twin, ok := e.files[s.twin.Path]; ok {
			s.twin = &twin
		} else {
			s.twin = nil
		}
	}
	return true
}

// restat asks for the objects of subjects one by one, and before that whether
// they wait. It leaves out those that cannot be asked for.
func (r *run) restat(ctx context.Context, t *meta.Table, subjects []*subject) ([]*subject, error) {
	if err := r.wait(ctx, subjects); err != nil {
		return nil, err
	}
	unread := make([]bool, len(subjects))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(r.o.Parallel)
	for i, s := range subjects {
		group.Go(func() error {
			err := r.stat(gctx, t, s)
			if unread[i] = err != nil; err != nil {
				return r.unread(gctx, s.path, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var kept []*subject
	for i, s := range subjects {
		if !unread[i] {
			kept = append(kept, s)
		}
	}
	return kept, ctx.Err()
}

// wait notes which subjects wait for a copy or their deletion.
func (r *run) wait(ctx context.Context, subjects []*subject) error {
	if r.Waiting == nil || len(subjects) == 0 {
		return ctx.Err()
	}
	keys := make([]string, len(subjects))
	for i, s := range subjects {
		keys[i] = s.path
	}
	waiting, err := r.Waiting(ctx, keys)
	if err != nil {
		return fmt.Errorf("queues of copies and deletions: %w", err)
	}
	for _, s := range subjects {
		s.waiting = waiting[s.path]
	}
	return nil
}

// skipWaiting counts a subject that waits, and tells whether it does.
func (r *run) skipWaiting(s *subject) bool {
	if s.waiting {
		r.count(func(res *Result) { res.Waiting++ })
	}
	return s.waiting
}

// queuePause is longer than the time from when an object leaves the index to
// when its deletion is in a queue.
const queuePause = 2 * time.Second

// settleOrphans looks again at objects without an entry: they must still be
// there, as old as they were, and no index of any table may name them.
func (r *run) settleOrphans(ctx context.Context) error {
	suspects := r.orphans
	r.orphans = nil
	slices.SortFunc(suspects, func(a, b *subject) int { return strings.Compare(a.path, b.path) })
	suspects = slices.CompactFunc(suspects, func(a, b *subject) bool { return a.path == b.path })
	if len(suspects) == 0 {
		return ctx.Err()
	}
	suspects, err := r.restat(ctx, nil, suspects)
	if err != nil {
		return err
	}
	suspects = slices.DeleteFunc(suspects, func(s *subject) bool {
		p, _ := rebuild.ParsePath(s.path)
		return s.main == nil || !r.old(p, *s.main) || r.skipWaiting(s)
	})
	if suspects, err = r.notIndexed(ctx, suspects); err != nil || len(suspects) == 0 {
		return err
	}
	if r.Waiting != nil {
		if err := pause(ctx, queuePause); err != nil {
			return err
		}
	}
	if err := r.wait(ctx, suspects); err != nil {
		return err
	}
	if err := r.still(ctx); err != nil {
		return err
	}
	suspects = slices.DeleteFunc(suspects, r.skipWaiting)
	verdicts := make([]*verdict, len(suspects))
	for i, s := range suspects {
		p, _ := rebuild.ParsePath(s.path)
		verdicts[i] = &verdict{subject: s, Finding: Finding{Kind: Orphan, Table: p.Table, Path: s.path,
			What: "no index names it; it was stored at " + meta.FormatTime(s.main.Modified)}}
	}
	return r.mend(ctx, nil, verdicts)
}

// still refuses, by FailedPrecondition, a catalog that was lost since the repair
// began: what it does not name is no orphan.
func (r *run) still(ctx context.Context) error {
	if r.version.IsZero() {
		return nil
	}
	now, err := r.Catalog.CatalogVersion(ctx)
	if err != nil {
		return err
	}
	birth, err := r.Catalog.Birth(ctx)
	if err == nil && (birth != r.birth || now.Compare(r.version) < 0) {
		err = fault.Newf(fault.FailedPrecondition, "the catalog has version %s and had %s: it was lost meanwhile, restore it before its objects are looked at", now, r.version)
	}
	return err
}

// notIndexed leaves out the objects that an index names now, or a unit that is
// open now may have named.
func (r *run) notIndexed(ctx context.Context, suspects []*subject) ([]*subject, error) {
	if len(suspects) == 0 {
		return nil, nil
	}
	tables, err := r.Catalog.Tables(ctx)
	if err != nil {
		return nil, err
	}
	wanted := map[string]bool{}
	for _, s := range suspects {
		wanted[s.path] = true
	}
	for _, table := range tables {
		now, err := r.entriesOf(ctx, table.Name, wanted)
		if errors.Is(err, meta.ErrTableNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		suspects = slices.DeleteFunc(suspects, func(s *subject) bool {
			p, _ := rebuild.ParsePath(s.path)
			_, indexed := now.files[s.path]
			return indexed || p.Table == table.Name && now.state.mayWrite(p)
		})
	}
	return suspects, ctx.Err()
}

// sameFile tells whether two entries are the same.
func sameFile(a, b meta.File) bool {
	return a.Path == b.Path && a.Bytes == b.Bytes && a.Unit == b.Unit && sameRows(a, b)
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

var errChanged = fault.New(fault.Aborted, "it changed meanwhile; check again")
