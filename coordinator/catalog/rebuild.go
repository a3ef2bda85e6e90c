package catalog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"skein/meta"
	"skein/meta/rebuild"
	"skein/meta/snapshot"
	"skein/objstore"
)

// RebuildRequest says what to make anew.
type RebuildRequest struct {
	Tables []string  // all that have objects if empty
	Since  time.Time // only objects stored since
	// Scratch leaves out what the index has: it will name exactly the files
	// that are there. Otherwise what is missing is added.
	Scratch bool
	DryRun  bool

	restored time.Time // of the snapshot that was just restored; none if zero
}

// Rebuilt is what a rebuild did, or would do.
type Rebuilt struct {
	DryRun   bool
	Tables   []RebuiltTable    // that changed
	Skipped  map[string]string // objects that were left out -> why; some, if there are very many
	SkippedN int64
	Before   meta.Semver
	After    meta.Semver // none after a dry run
}

// RebuiltTable is what a table got.
type RebuiltTable struct {
	Table   string
	Action  string // create, replace, add
	Files   int64  // that were added; with replace all
	Rows    int64  // of these
	Schemas int    // versions that the table got
}

// ActionAdd adds files to a table that is there.
const ActionAdd = "add"

const attemptsMax = 5 // of a table that changes at the same moment

// String is the report for people.
func (r Rebuilt) String() string {
	var b strings.Builder
	how := "rebuilt from the objects"
	if r.DryRun {
		how = "would be rebuilt from the objects, nothing is changed"
	}
	fmt.Fprintf(&b, "index %s:\n", how)
	if len(r.Tables) == 0 {
		b.WriteString("  no table lacks a file\n")
	}
	for _, t := range r.Tables {
		fmt.Fprintf(&b, "  %-8s %s: +%d files, %d rows", t.Action, t.Table, t.Files, t.Rows)
		if t.Schemas > 0 {
			fmt.Fprintf(&b, ", %d schema versions", t.Schemas)
		}
		b.WriteString("\n")
	}
	if r.SkippedN > 0 {
		fmt.Fprintf(&b, "  %d objects are left out, such as\n", r.SkippedN)
		for i, key := range slices.Sorted(maps.Keys(r.Skipped)) {
			if i == skippedShown {
				break
			}
			fmt.Fprintf(&b, "           %s: %s\n", key, r.Skipped[key])
		}
	}
	return b.String()
}

const skippedShown = 5

func (r *Rebuilt) skip(key, why string) {
	r.SkippedN++
	if len(r.Skipped) < skippedMax {
		r.Skipped[key] = why
	}
}

const skippedMax = 1_000

// Rebuild makes the index from the data files that are there, by what they tell
// of themselves. A table that is not in the catalog appears in one step, with
// all its files.
func (s *Service) Rebuild(ctx context.Context, r RebuildRequest, tell func(Progress)) (out Rebuilt, err error) {
	err = s.exclusive(ctx, func(ctx context.Context) error {
		if !r.DryRun && r.Scratch {
			if _, err := s.safety(ctx, tell); err != nil {
				return fmt.Errorf("snapshot of the present catalog, to be safe: %w", err)
			}
		}
		out, err = s.rebuild(ctx, r, tell)
		if err != nil || r.DryRun {
			return err
		}
		return s.noteRebuild(ctx, &out)
	})
	return out, errors.Join(err, s.after(ctx, r.DryRun))
}

// noteRebuild raises the catalog's version beyond all that were seen of it.
func (s *Service) noteRebuild(ctx context.Context, out *Rebuilt) error {
	s.mu.Lock()
	floor := s.seen.version
	s.mu.Unlock()
	if newest, ok, err := s.newest(ctx); err == nil && ok && newest.version.Compare(floor) > 0 {
		floor = newest.version
	}
	change := meta.NewChange(ctx, meta.ChangeRestore, "", fmt.Sprintf("index rebuilt from the objects: %d tables changed", len(out.Tables)))
	change.Version = floor
	recorded, err := s.Catalog.Record(ctx, change)
	out.After = recorded.Version
	return err
}

func (s *Service) rebuild(ctx context.Context, r RebuildRequest, tell report) (out Rebuilt, err error) {
	out = Rebuilt{DryRun: r.DryRun, Skipped: map[string]string{}}
	if out.Before, err = s.Catalog.CatalogVersion(ctx); err != nil {
		return out, err
	}
	queued, err := s.deletions.queued(ctx)
	if err != nil {
		return out, err
	}
	names, err := s.tablesOf(ctx, r, tell)
	if err != nil {
		return out, err
	}
	changes, err := s.Catalog.History(ctx, meta.HistoryMax)
	if err != nil {
		return out, err
	}
	for i, name := range names {
		tell.tell("table "+name, int64(i), int64(len(names)))
		one := &tableRebuild{s: s, r: r, name: name, queued: queued, dropped: wasDropped(changes, name), tell: tell, out: &out}
		for try := 1; ; try++ {
			err := one.run(ctx)
			if err == nil {
				break
			}
			if try == attemptsMax || !errors.Is(err, meta.ErrConflict) && !errors.Is(err, meta.ErrStageGone) {
				return out, fmt.Errorf("rebuild of table %s: %w", name, err)
			}
		}
	}
	return out, nil
}

// tablesOf are the wanted tables that have objects.
func (s *Service) tablesOf(ctx context.Context, r RebuildRequest, tell report) ([]string, error) {
	if len(r.Tables) > 0 {
		for _, name := range r.Tables {
			if valid, err := meta.ValidateTableName(name); err != nil || valid != name {
				return nil, errors.Join(err, fmt.Errorf("table %.80q", name))
			}
		}
		return r.Tables, nil
	}
	var names []string
	n := int64(0)
	for info, err := range s.Objects.List(ctx, "") {
		if err != nil {
			return nil, fmt.Errorf("objects: %w", err)
		}
		if n++; n%10_000 == 0 {
			tell.tell("listing objects", n, 0)
		}
		p, ok := rebuild.ParsePath(info.Key)
		if ok && (len(names) == 0 || names[len(names)-1] != p.Table) {
			names = append(names, p.Table)
		}
	}
	return names, nil
}

// tableRebuild makes one table anew.
type tableRebuild struct {
	s       *Service
	r       RebuildRequest
	name    string
	queued  map[string]bool // objects that wait for their deletion
	dropped bool            // by the history
	tell    report
	out     *Rebuilt

	exists   bool
	table    meta.Table
	version  int64
	units    []string
	open     []meta.OpenUnit
	paths    snapshot.Set // of its files
	found    *found
	added    snapshot.Set // paths of the files that go into the index
	skipped  map[string]string
	skippedN int64
}

func (t *tableRebuild) run(ctx context.Context) error {
	t.skipped, t.skippedN, t.added = map[string]string{}, 0, snapshot.Set{}
	if err := t.present(ctx); err != nil {
		return err
	}
	if !t.exists && t.dropped {
		t.out.skip(t.name+"/", "the table was dropped")
		return nil
	}
	t.found = newFound(t.s.o.Dir)
	defer t.found.close()
	if err := t.search(ctx); err != nil {
		return err
	}
	best, ok := t.choose()
	var done RebuiltTable
	var err error
	switch {
	case !ok:
	case t.goesOn(best) && !t.r.Scratch:
		done, err = t.add(ctx, best)
	default:
		done, err = t.replace(ctx, best)
	}
	if err == nil && !t.r.DryRun && done.Files > 0 {
		err = t.takeOut(ctx, &done)
	}
	if err != nil {
		return err
	}
	for key, why := range t.skipped {
		t.out.skip(key, why)
	}
	t.out.SkippedN += t.skippedN - int64(len(t.skipped))
	if done.Files > 0 {
		t.out.Tables = append(t.out.Tables, done)
	}
	return nil
}

// present reads what the catalog has of the table.
func (t *tableRebuild) present(ctx context.Context) error {
	t.exists, t.paths, t.table, t.version, t.units, t.open = false, snapshot.Set{}, meta.Table{}, 0, nil, nil
	err := t.s.Catalog.ReadImage(ctx, t.name, func(img meta.Image) error {
		t.exists, t.table, t.version, t.units, t.open = true, img.Table, img.Version, img.Units, img.Open
		for page, err := range img.Files {
			if err != nil {
				return err
			}
			for _, f := range page {
				t.paths.Add(f.Path)
			}
		}
		return nil
	})
	if errors.Is(err, meta.ErrTableNotFound) {
		return nil
	}
	return err
}

// search reads what the files tell that are to be added.
func (t *tableRebuild) search(ctx context.Context) error {
	notes := &ahead{notes: map[string]chan noted{}}
	n := int64(0)
	want := func(info objstore.Info) bool {
		_, ok := rebuild.ParsePath(info.Key)
		switch {
		case !ok:
			return true // to be told of
		case t.queued[info.Key], !t.r.Scratch && t.paths.Has(info.Key), !t.r.Since.IsZero() && info.Modified.Before(t.r.Since):
			return false
		}
		return true
	}
	footer := func(ctx context.Context, p rebuild.Path, o rebuild.Object) (rebuild.Footer, error) {
		note, err := notes.take(ctx, o.Key)
		if err != nil {
			return rebuild.Footer{}, err
		}
		if n++; n%1_000 == 0 {
			t.tell.tell("reading files of table "+t.name, n, 0)
		}
		return rebuild.Footer{File: note.File, Source: t.found.source(note, p.Number)}, nil
	}
	objects := notes.objects(ctx, t.s.Objects, t.name+"/", t.s.o.Parallel, want)
	result, err := rebuild.Files(ctx, objects, footer, func(_ string, files []rebuild.Found) error { return t.found.add(files) })
	for key, why := range result.Skipped {
		t.skipped[key] = why
	}
	t.skippedN += result.SkippedN
	return err
}

func (t *tableRebuild) skip(f meta.File, why string) {
	t.skippedN++
	if len(t.skipped) < skippedMax {
		t.skipped[f.Path] = why
	}
}
