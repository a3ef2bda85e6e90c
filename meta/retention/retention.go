// Package retention takes whole days out of a table's index when they are older
// than its retention_days.
//
// It owns which days end and when. It does not delete objects: it hands them to
// a queue, as queries that began before may still read them.
package retention

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"skein/meta"
)

const (
	attemptsMax    = 5              // while compaction changes the same days
	defaultGrace   = 24 * time.Hour // longer than any query
	stepFiles      = meta.CommitFilesMax
	pathsHeldMax   = 2_000_000 // paths that one run holds in memory; the rest waits for the next run
	retentionWrite = "retention-"
	addTimeout     = time.Minute
)

// Catalog is what retention needs of meta.Store.
type Catalog interface {
	ReadImage(ctx context.Context, table string, f func(meta.Image) error) error
	Commit(ctx context.Context, c meta.Commit) error
	ForgetUnits(ctx context.Context, table string, units []string) error
}

// Later keeps objects to be deleted after a while, durably. Adding one again
// is harmless.
type Later interface {
	Add(ctx context.Context, after time.Duration, objects map[string]string) error
}

// Options of a run.
type Options struct {
	Now   time.Time     // now if zero
	Grace time.Duration // until objects may be deleted; 24h if zero
}

// Result is what a run removed.
type Result struct {
	Table string
	Days  []string // YYYY-MM-DD, ordered
	Files int
	Rows  int64
	Bytes int64
}

// Before is the first day that is kept: days before it have ended at now. It
// is empty for a table that keeps its rows for ever.
func Before(t meta.Table, now time.Time) string {
	if t.Config.RetentionDays <= 0 {
		return ""
	}
	return now.UTC().AddDate(0, 0, -int(t.Config.RetentionDays)).Format(time.DateOnly)
}

// Run takes the days of a table that have ended out of its index. A day goes in
// one step, many days in one if their files are at most meta.CommitFilesMax; a
// day of more goes in several. The objects are in the queue once they are out
// of the index, each with the table's name: who deletes one makes sure that it
// is not in the index again. If the queue fails, they are orphans.
func Run(ctx context.Context, c Catalog, later Later, table string, o Options) (Result, error) {
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	if o.Grace == 0 {
		o.Grace = defaultGrace
	}
	result := Result{Table: table}
	var err error
	for range attemptsMax {
		err = run(ctx, c, later, table, o, &result)
		if !errors.Is(err, meta.ErrConflict) {
			break
		}
	}
	slices.Sort(result.Days)
	result.Days = slices.Compact(result.Days)
	if err != nil {
		return result, fmt.Errorf("retention of table %s: %w", table, err)
	}
	return result, nil
}

func run(ctx context.Context, c Catalog, later Later, table string, o Options, result *Result) error {
	uid, ended, err := find(ctx, c, table, o.Now)
	if err != nil {
		return err
	}
	for _, step := range steps(ended) {
		commit := meta.Commit{Table: table, TableUID: uid, Unit: retentionWrite + rand.Text()}
		objects := make(map[string]string, len(step))
		for _, f := range step {
			commit.Remove = append(commit.Remove, f.path)
			objects[f.path] = table
		}
		if err := c.Commit(ctx, commit); err != nil {
			return err
		}
		for _, f := range step {
			result.Days = append(result.Days, f.day)
			result.Files++
			result.Rows += f.rows
			result.Bytes += f.bytes
		}
		if err := add(ctx, later, o.Grace, objects); err != nil {
			return err
		}
		if err := c.ForgetUnits(ctx, table, []string{commit.Unit}); err != nil {
			return err // the files are gone; the name of what removed them stays
		}
	}
	return nil
}

// add puts objects into the queue, also when the run is to end: they are out of
// the index already.
func add(ctx context.Context, later Later, grace time.Duration, objects map[string]string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), addTimeout)
	defer cancel()
	return later.Add(ctx, grace, objects)
}

// ending is a file of a day that has ended.
type ending struct {
	day, path   string
	rows, bytes int64
}

func find(ctx context.Context, c Catalog, table string, now time.Time) (uid string, ended []ending, err error) {
	err = c.ReadImage(ctx, table, func(img meta.Image) error {
		uid = img.Table.UID
		before := Before(img.Table, now)
		if before == "" {
			return nil
		}
		for page, err := range img.Files {
			if err != nil {
				return err
			}
			for _, f := range page {
				if f.Day < before && len(ended) < pathsHeldMax {
					ended = append(ended, ending{f.Day, f.Path, f.Rows, f.Bytes})
				}
			}
		}
		return nil
	})
	return uid, ended, err
}

// steps are commits' worth of files, the oldest days first: whole days as far
// as they fit.
func steps(ended []ending) [][]ending {
	slices.SortFunc(ended, func(a, b ending) int { return cmp.Or(cmp.Compare(a.day, b.day), cmp.Compare(a.path, b.path)) })
	var out [][]ending
	for len(ended) > 0 {
		n := min(len(ended), stepFiles)
		if n < len(ended) {
			whole := n
			for whole > 0 && ended[whole-1].day == ended[n].day {
				whole--
			}
			if whole > 0 {
				n = whole
			}
		}
		out = append(out, ended[:n])
		ended = ended[n:]
	}
	return out
}
