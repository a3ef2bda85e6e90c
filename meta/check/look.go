package check

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"skein/meta"
	"skein/meta/rebuild"
)

// backupWait is how long a file may take to reach the backup after its name
// was chosen, if the queue does not know it.
const backupWait = 15 * time.Minute

// verdict is what is wrong with a subject.
type verdict struct {
	Finding
	*subject
	footer *Footer // of the primary's object; nil if there is none that can be read
}

// look examines subjects, several at a time, and tells what is wrong, in their
// order.
func (r *run) look(ctx context.Context, t *meta.Table, subjects []*subject) ([]*verdict, error) {
	found := make([][]*verdict, len(subjects))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(r.o.Parallel)
	for i, s := range subjects {
		one := func() (err error) {
			found[i], err = r.examine(gctx, t, s)
			if err != nil {
				return r.unread(gctx, s.path, err)
			}
			return nil
		}
		if !r.asks(t, s) {
			if err := one(); err != nil {
				return nil, err
			}
			continue
		}
		group.Go(one)
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var all []*verdict
	for _, v := range found {
		all = append(all, v...)
	}
	return all, ctx.Err()
}

// asks tells whether a store is asked when the subject is examined.
func (r *run) asks(t *meta.Table, s *subject) bool { return s.named || s.main != nil && r.reads(t, s) }

// reads tells whether the footer of a subject's object is read.
func (r *run) reads(t *meta.Table, s *subject) bool {
	_, known := schemaOf(t, *s.entry)
	return s.footer || !known || s.main.Size != s.entry.Bytes || pathFault(t.Name, *s.entry) != ""
}

// examine tells what is wrong with an entry and its objects: at most one thing
// with the primary's object, or with the backup's.
func (r *run) examine(ctx context.Context, t *meta.Table, s *subject) ([]*verdict, error) {
	if s.named {
		if err := r.stat(ctx, t, s); err != nil {
			return nil, err
		}
	}
	var all []*verdict
	add := func(kind Kind, what string, foot *Footer) {
		all = append(all, &verdict{Finding: Finding{Kind: kind, Table: t.Name, Path: s.path, What: what}, subject: s, footer: foot})
	}
	if s.main == nil {
		if !r.skipWaiting(s) {
			add(Missing, "it is not in the primary store", nil)
		}
		return all, nil
	}
	kind, what, foot, err := r.judgeObject(ctx, r.Primary, t, *s.entry, *s.main, r.reads(t, s))
	if notFound(err) { // deleted since it was listed
		s.main, kind, what, err = nil, Missing, "it is not in the primary store", nil
	}
	if err != nil {
		return nil, err
	}
	if kind != "" {
		add(kind, what, foot)
		return all, nil
	}
	if s.twin != nil {
		add(Doubled, fmt.Sprintf("its unit %s made %s too", s.entry.Unit, s.twin.Path), foot)
	}
	if r.Backup == nil || !t.Config.BackupEnabled {
		return all, nil
	}
	kind, what, err = r.judgeSpare(ctx, s)
	if kind != "" && !r.skipWaiting(s) {
		add(kind, what, foot)
	}
	return all, err
}

// stat asks the stores for the subject's objects.
func (r *run) stat(ctx context.Context, t *meta.Table, s *subject) (err error) {
	if s.main, err = statOf(ctx, r.Primary, s.path); err != nil || r.Backup == nil || t == nil || !t.Config.BackupEnabled {
		return err
	}
	s.spare, err = statOf(ctx, r.Backup, s.path)
	return err
}

// statOf is nil if the store has no such object.
func statOf(ctx context.Context, from Objects, key string) (*Object, error) {
	o, err := from.Stat(ctx, key)
	if notFound(err) {
		return nil, nil //nolint:nilnil // so it is said
	}
	return &o, err
}

// judgeObject is judge, with a look at the object where read says so.
func (r *run) judgeObject(ctx context.Context, from Objects, t *meta.Table, f meta.File, o Object, read bool) (Kind, string, *Footer, error) {
	if !read {
		return "", "", nil, nil
	}
	if r.o.Deep {
		if err := from.Intact(ctx, f.Path); unsound(err) {
			return Damaged, err.Error(), nil, nil
		} else if err != nil {
			return "", "", nil, err
		}
	}
	s, _ := schemaOf(t, f)
	foot, err := from.Footer(ctx, o, f, s)
	r.count(func(res *Result) { res.Footers++ })
	switch {
	case unsound(err) && o.Size != f.Bytes:
		return Damaged, fmt.Sprintf("%v; it has %d bytes, its entry says %d", err, o.Size, f.Bytes), nil, nil
	case unsound(err):
		return Damaged, err.Error(), nil, nil
	case err != nil:
		return "", "", nil, err
	}
	kind, what := judge(t, f, o, &foot)
	return kind, what, &foot, nil
}

// judgeSpare compares the backup's object with the primary's.
func (r *run) judgeSpare(ctx context.Context, s *subject) (Kind, string, error) {
	if s.spare == nil {
		p, ok := rebuild.ParsePath(s.path)
		if ok && r.o.Now.UnixMilli()-p.Number/1_000_000 < backupWait.Milliseconds() && r.Waiting == nil {
			return "", "", nil
		}
		return BackupMissing, "it is not in the backup", nil
	}
	if s.spare.Size != s.main.Size {
		return BackupDiffers, fmt.Sprintf("it has %d bytes in the backup, %d in the primary store", s.spare.Size, s.main.Size), nil
	}
	if !r.o.Deep {
		return "", "", nil
	}
	err := r.Backup.Same(ctx, s.path)
	if unsound(err) {
		return BackupDiffers, err.Error(), nil
	}
	return "", "", err
}
