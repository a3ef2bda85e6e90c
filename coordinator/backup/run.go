package backup

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"skein/internal/fault"
	"skein/meta"
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
	_, l, err := s.index(ctx, name)
	if err != nil {
		return err
	}
	files := wanted(l.Files, r)
	missing, err := s.sync(ctx, s.Primary, s.Spare, prefixOf(name, r.ID, files), files, r.DryRun, t)
	if err != nil {
		return err
	}
	for _, path := range missing {
		t.problem(path + " is in neither store")
	}
	if r.DryRun || r.ID != "" || r.Day != "" || len(missing) > 0 {
		return nil
	}
	_, err = s.record(ctx, name)
	return errors.Join(err, s.prune(ctx, name))
}

// wanted are the files that may hold rows of the request's id and day.
func wanted(files []meta.File, r Request) map[string]meta.File {
	some := map[string]meta.File{}
	for _, f := range files {
		if (r.ID == "" || !f.HasID || f.ID == r.ID) && (r.Day == "" || f.Day == r.Day) {
			some[f.Path] = f
		}
	}
	return some
}

// prefixOf is where the files are: listing more would cost time.
func prefixOf(table, id string, files map[string]meta.File) string {
	for _, f := range files {
		if id == "" || !f.HasID {
			return table + "/"
		}
	}
	if id == "" {
		return table + "/"
	}
	return table + "/" + meta.EncodeID(id) + "/"
}

// sync copies what to misses of the files and returns those that are in
// neither store. It counts in t.
func (s *Service) sync(ctx context.Context, from, to objstore.Store, prefix string, files map[string]meta.File, dry bool, t *tracker) (missing []string, err error) {
	before := t.now()
	t.change(func(op *Operation) { op.FilesTotal += int64(len(files)) })
	if len(files) == 0 {
		return nil, nil
	}
	var mu sync.Mutex
	seen := make(map[string]bool, len(files))
	_, err = transfer.Sync(ctx, from, to, transfer.SyncOptions{
		Prefix: prefix, Check: transfer.BySum, DryRun: dry, Parallel: s.o.Parallel,
		Want: func(key string) bool {
			_, ok := files[key]
			if ok {
				mu.Lock()
				seen[key] = true
				mu.Unlock()
			}
			return ok
		},
		Progress: func(p transfer.Progress) {
			t.change(func(op *Operation) {
				op.Files, op.Bytes = before.Files+p.Objects+p.Extra-p.Failed, before.Bytes+p.Bytes
				op.Copied, op.Moved = before.Copied+p.Copied, before.Moved+p.Moved
			})
		},
	})
	for path := range files {
		if !seen[path] {
			missing = append(missing, path)
		}
	}
	return missing, err
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
