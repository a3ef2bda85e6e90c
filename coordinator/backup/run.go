package backup

import (
	"context"
	"errors"
	"fmt"

	"skein/internal/fault"
	"skein/meta"
	"skein/meta/snapshot"
	"skein/objstore"
	"skein/objstore/transfer"
)

// Backup copies what the backup store misses of the tables' files. The files
// of the result are those that are in the backup now.
func (s *Service) Backup(ctx context.Context, r Request, report func(Operation)) (Operation, error) {
	if err := r.Check(); err != nil {
		return Operation{}, err
	}
	if r.Table != "" {
		if _, err := s.Catalog.Table(ctx, r.Table); err != nil {
			return Operation{}, err
		}
	}
	return s.run(ctx, KindBackup, r, report, func(ctx context.Context, t *tracker) (string, error) {
		if !r.DryRun && s.Flush != nil {
			if err := s.Flush(ctx, r.Table); err != nil {
				return "", fmt.Errorf("rows that are in no file yet: %w", err)
			}
		}
		tables, err := s.tables(ctx, r.Table, nil)
		if err != nil {
			return "", err
		}
		done := 0
		for _, table := range tables {
			err := s.backupTable(ctx, table.Name, r, t)
			if gone(err) && r.Table == "" {
				continue
			}
			if err != nil {
				return "", fmt.Errorf("table %s: %w", table.Name, err)
			}
			done++
		}
		return copied(t.now(), done, "backed up"), problems(t.now())
	})
}

func (s *Service) backupTable(ctx context.Context, name string, r Request, t *tracker) error {
	x, err := s.take(ctx, name)
	if err != nil {
		return err
	}
	defer x.remove()
	missing, _, err := s.sync(ctx, s.Primary, s.Spare, x, r, t)
	if err != nil || r.DryRun || r.ID != "" || r.Day != "" || missing > 0 {
		return err
	}
	return errors.Join(s.save(ctx, x), s.prune(ctx, name))
}

// wants tells whether a file may hold rows of the request's id and day.
func (r *Request) wants(f meta.File) bool {
	return (r.ID == "" || !f.HasID || f.ID == r.ID) && (r.Day == "" || f.Day == r.Day)
}

// sync copies what to misses of the index's files that r wants, counts in t,
// and tells how many are in neither store, and one of them.
func (s *Service) sync(ctx context.Context, from, to objstore.Store, x *index, r Request, t *tracker) (missing int, example string, err error) {
	before := t.now()
	prefix := x.table.Name + "/" // listing more than needed costs time
	if r.ID != "" {
		prefix += meta.EncodeID(r.ID) + "/"
	}
	want, err := x.paths(ctx, func(f meta.File) bool {
		if r.ID != "" && !f.HasID {
			prefix = x.table.Name + "/"
		}
		return r.wants(f)
	})
	if err != nil || len(want) == 0 {
		return 0, "", err
	}
	t.change(func(op *Operation) { op.FilesTotal += int64(len(want)) })
	seen := snapshot.Set{}
	_, err = transfer.Sync(ctx, from, to, transfer.SyncOptions{
		Prefix: prefix, Check: transfer.BySum, DryRun: r.DryRun, Parallel: s.o.Parallel,
		Want: func(key string) bool { // one call at a time
			if !want.Has(key) {
				return false
			}
			seen.Add(key)
			return true
		},
		Progress: func(p transfer.Progress) {
			t.change(func(op *Operation) {
				op.Files, op.Bytes = before.Files+p.Objects+p.Extra-p.Failed, before.Bytes+p.Bytes
				op.Copied, op.Moved = before.Copied+p.Copied, before.Moved+p.Moved
			})
		},
	})
	if missing = len(want) - len(seen); err != nil || missing == 0 {
		return missing, "", err
	}
	return missing, example, x.each(ctx, func(f meta.File) error {
		if want.Has(f.Path) && !seen.Has(f.Path) {
			t.problem(f.Path + " is in neither store")
			if example == "" || f.Path < example {
				example = f.Path
			}
		}
		return nil
	})
}

// copied is such as "3 tables backed up: 12 files, 4 of them copied (1234 bytes)".
func copied(op Operation, tables int, how string) string {
	if op.DryRun {
		return fmt.Sprintf("%s with %s: %d would be copied (%d bytes); nothing was changed", count(tables, "table"), count(op.Files, "file"), op.Copied, op.Moved)
	}
	return fmt.Sprintf("%s %s: %s, %d of them copied (%d bytes)", count(tables, "table"), how, count(op.Files, "file"), op.Copied, op.Moved)
}

// count is such as "1 table" or "2 tables".
func count[T int | int64](n T, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// problems is an error if there are any.
func problems(op Operation) error {
	if op.Problems == 0 {
		return nil
	}
	return fault.Newf(fault.FailedPrecondition, "%d of %d files: %s", op.Problems, op.FilesTotal, op.Examples[0])
}
