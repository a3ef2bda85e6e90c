package catalog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"skein/meta"
	"skein/meta/snapshot"
	"skein/objstore"
)

// newerMargin is how long before a snapshot files may have been stored that it
// does not have: they are stored before they are committed.
const newerMargin = 10 * time.Minute

// RestoreRequest says what to restore.
type RestoreRequest struct {
	Snapshot string // a key, its last part, or a time in RFC 3339; the newest if empty
	snapshot.Request
	// Newer also adds the data files that were stored after the snapshot was
	// made, as they tell of themselves. Tables that were made after it stay.
	Newer bool
}

// Restored is what a restore did, or would do.
type Restored struct {
	Key    string
	Safety string // snapshot of the catalog as it was; none of a dry run
	Report snapshot.Report
	Newer  Rebuilt // of files after the snapshot
	Lacks  string  // what a check of the result found; empty if nothing
}

// Restore puts a snapshot, or a part of it, in the place of what the catalog
// has. What there is is kept in a snapshot before. The result is of what was
// done, also if there is an error.
func (s *Service) Restore(ctx context.Context, r RestoreRequest, tell func(Progress)) (out Restored, err error) {
	if out.Key, err = s.find(ctx, r.Snapshot); err != nil {
		return out, err
	}
	err = s.exclusive(ctx, func(ctx context.Context) error { return s.restore(ctx, r, &out, tell) })
	return out, errors.Join(err, s.after(ctx, r.DryRun))
}

// after lets this node see what was changed at once.
func (s *Service) after(ctx context.Context, dry bool) error {
	if dry {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterWait)
	defer cancel()
	return s.Look(ctx)
}

// afterWait is how long this node takes to see what was changed; the next look
// goes on.
const afterWait = time.Minute

func (s *Service) restore(ctx context.Context, r RestoreRequest, out *Restored, tell report) (err error) {
	o := snapshot.RestoreOptions{
		Open: func(ctx context.Context) (io.ReadCloser, error) { return s.open(ctx, out.Key) },
		Keep: s.keeper(r.DryRun, tell), Dir: s.o.Dir, KeepTables: r.Newer,
		Safety: func(ctx context.Context) (err error) {
			out.Safety, err = s.safety(ctx, tell)
			return err
		},
	}
	tell.tell("verifying the snapshot", 0, 0)
	if out.Report, err = snapshot.Restore(ctx, s.Catalog, r.Request, o); err != nil {
		return err
	}
	if r.Newer {
		rebuild := RebuildRequest{Tables: r.Tables, Since: out.Report.At.Add(-newerMargin), DryRun: r.DryRun, restored: out.Report.At}
		if out.Newer, err = s.rebuild(ctx, rebuild, tell); err != nil {
			return fmt.Errorf("the snapshot is restored, but the index lacks files that are newer, run skein meta rebuild: %w", err)
		}
	}
	if r.DryRun {
		return nil
	}
	if err := s.raise(ctx, out.Report); err != nil {
		return err
	}
	out.Lacks, err = s.verify(ctx, out.Report, tell)
	return err
}

// flushWait is how long a restore waits for rows that are in no file yet.
const flushWait = time.Minute

// safety keeps the catalog as it is, with all rows in files as far as they can
// be. One without a table is not kept, and one that was lost comes before the
// newest snapshot, which is still the one to restore.
func (s *Service) safety(ctx context.Context, tell report) (key string, err error) {
	tables, err := s.Catalog.Tables(ctx)
	if err != nil || len(tables) == 0 {
		return "", err
	}
	o := snapshot.Options{At: time.Now().UTC()}
	usable := s.usable(ctx)
	if newest, ok, err := s.newest(ctx); err != nil {
		return "", err
	} else if ok && usable != nil {
		o.At = newest.At.Add(-time.Duration(1 + o.At.Nanosecond())) // a key of its own
	}
	if s.Flush != nil && usable == nil {
		tell.tell("flushing rows", 0, 0)
		limited, cancel := context.WithTimeout(ctx, flushWait)
		defer cancel()
		if err := s.Flush(limited); err != nil {
			s.Log.Warn("rows that are in no file yet are not flushed before the restore", "error", err)
		}
	}
	made, err := s.snapshot(ctx, o, tell)
	return made.Key, err
}

// raise makes the catalog's version greater than what this node has seen of
// it: a catalog that was lost begins anew.
func (s *Service) raise(ctx context.Context, r snapshot.Report) error {
	s.mu.Lock()
	seen := s.seen.version
	s.mu.Unlock()
	now, err := s.Catalog.CatalogVersion(ctx)
	if err != nil || now.Compare(seen) > 0 {
		return err
	}
	change := meta.NewChange(ctx, meta.ChangeRestore, "", "the catalog goes on from the snapshot of "+r.At.Format(time.RFC3339))
	change.Version = seen
	_, err = s.Catalog.Record(ctx, change)
	return err
}

// keeper chooses the files whose objects are there. It lists the objects of one
// table at a time. Those that only the backup store has are brought back.
func (s *Service) keeper(dry bool, tell report) func(context.Context, string, []meta.File) ([]meta.File, error) {
	var known string
	var objects map[string]int64
	done := int64(0)
	return func(ctx context.Context, table string, files []meta.File) ([]meta.File, error) {
		if known != table {
			objects = map[string]int64{}
			for info, err := range s.Objects.List(ctx, table+"/") {
				if err != nil {
					return nil, err
				}
				objects[info.Key] = info.Size
			}
			known = table
		}
		var kept []meta.File
		for _, f := range files {
			_, ok := objects[f.Path]
			if !ok && s.Keep != nil {
				var err error
				if ok, err = s.bring(ctx, f.Path, dry); err != nil {
					return nil, err
				}
			}
			if ok {
				kept = append(kept, f)
			}
		}
		done += int64(len(files))
		tell.tell("restoring table "+table, done, 0)
		return kept, nil
	}
}

// bring brings an object back from the backup store, and tells whether it is
// there.
func (s *Service) bring(ctx context.Context, path string, dry bool) (bool, error) {
	if !dry {
		return s.Keep(ctx, path)
	}
	_, err := s.Spare.Stat(ctx, path)
	if errors.Is(err, objstore.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// verify compares the restored tables' statistics with their index, as a last
// look at what was done.
func (s *Service) verify(ctx context.Context, r snapshot.Report, tell report) (lacks string, err error) {
	for i, t := range r.Tables {
		tell.tell("checking the restored tables", int64(i), int64(len(r.Tables)))
		if t.Action == snapshot.ActionDrop {
			continue
		}
		var rows, files int64
		var stats meta.Stats
		err := s.Catalog.ReadImage(ctx, t.Table, func(img meta.Image) error {
			stats, rows, files = img.Table.Stats, 0, 0
			for page, err := range img.Files {
				if err != nil {
					return err
				}
				files += int64(len(page))
				for _, f := range page {
					rows += f.Rows
				}
			}
			return nil
		})
		switch {
		case errors.Is(err, meta.ErrTableNotFound):
			lacks += fmt.Sprintf("table %s was dropped meanwhile\n", t.Table)
		case err != nil:
			return lacks, err
		case rows != stats.Rows || files != stats.Files:
			lacks += fmt.Sprintf("table %s: the index has %d files and %d rows, its statistics %d and %d\n", t.Table, files, rows, stats.Files, stats.Rows)
		}
	}
	return lacks, nil
}

// Tables are the names of the tables that a restore changed.
func (r *Restored) Tables() []string {
	var names []string
	for _, t := range r.Report.Tables {
		names = append(names, t.Table)
	}
	for _, t := range r.Newer.Tables {
		names = append(names, t.Table)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
