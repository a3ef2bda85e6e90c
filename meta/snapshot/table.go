package snapshot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"skein/internal/fault"
	"skein/meta"
)

// present is what the catalog has of a table now.
type present struct {
	exists   bool
	table    meta.Table
	version  int64
	units    []string
	open     []meta.OpenUnit
	paths    Set    // of its files
	keys     Set    // ids' days that have files
	kept     *spool // files that stay, if others do not
	keptN    int64
	keptRows int64
}

// Set keeps many texts by their hashes.
type Set map[[16]byte]struct{}

func sumOf(text string) [16]byte {
	sum := sha256.Sum256([]byte(text))
	return [16]byte(sum[:16])
}

// Add puts a text into the set.
func (s Set) Add(text string) { s[sumOf(text)] = struct{}{} }

// Has tells whether a text is in the set.
func (s Set) Has(text string) bool { _, ok := s[sumOf(text)]; return ok }

// table restores one table from its image.
func (r *restore) table(ctx context.Context, img meta.Image) (t TableReport, err error) {
	now, err := r.present(ctx, img.Table.Name)
	if err != nil {
		return t, err
	}
	defer now.kept.remove()
	if !now.exists && len(r.patterns) > 0 {
		return t, nil // settings are not restored by patterns of the index
	}
	if now.exists && now.table.UID != img.Table.UID && r.request.Missing {
		return t, nil // another table of the name: it stays
	}
	if now.exists && r.options.KeepTables && meta.Lineage(now.table.UID) != meta.Lineage(img.Table.UID) {
		return t, errAnew(img.Table.Name)
	}
	next, err := r.next(now, img)
	if err != nil {
		return t, err
	}
	t = TableReport{Table: img.Table.Name, Action: ActionReplace, RowsBefore: now.table.Stats.Rows, LastWrite: now.table.Stats.LastWrite}
	if now.exists {
		t.Settings = meta.DiffConfig(now.table.Config, next.Config)
	} else {
		t.Action = ActionCreate
	}
	if now.exists && now.table.UID != next.UID {
		t.Settings = append(t.Settings, fmt.Sprintf("table made anew since: %s -> %s", now.table.UID, next.UID))
	}
	if n, m := len(now.table.Schemas), len(next.Schemas); now.exists && n != m {
		t.Settings = append(t.Settings, fmt.Sprintf("schema versions: %d -> %d", n, m))
	}
	if !r.request.DryRun {
		defer func() { _ = r.store.DropStage(context.WithoutCancel(ctx), t.Table, r.stage) }()
	}
	count, err := r.files(ctx, now, img, &t)
	if err != nil {
		return t, err
	}
	if now.exists && t.Added == 0 && t.Removed == 0 && len(t.Settings) == 0 {
		return TableReport{Action: ActionNone}, nil
	}
	if r.request.DryRun {
		return t, nil
	}
	return t, r.replace(ctx, now, next, img, count, t)
}

// present reads what there is, and keeps aside the files that stay.
func (r *restore) present(ctx context.Context, table string) (*present, error) {
	p := &present{paths: Set{}, keys: Set{}}
	if r.request.Missing || len(r.patterns) > 0 {
		p.kept = newSpool(r.options.Dir)
	}
	err := r.store.ReadImage(ctx, table, func(img meta.Image) error {
		p.exists, p.table, p.version, p.units, p.open = true, img.Table, img.Version, img.Units, img.Open
		for page, err := range img.Files {
			if err != nil {
				return err
			}
			for _, f := range page {
				if err := r.see(p, table, f); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if errors.Is(err, meta.ErrTableNotFound) {
		err = nil
	}
	if err != nil {
		p.kept.remove()
		return nil, err
	}
	return p, nil
}

func (r *restore) see(p *present, table string, f meta.File) error {
	p.paths.Add(f.Path)
	key := indexKey(table, f)
	switch {
	case p.kept == nil || len(r.patterns) > 0 && r.matches(key) && !r.request.Missing:
		return nil
	case r.request.Missing:
		p.keys.Add(key)
	}
	p.keptN++
	p.keptRows += f.Rows
	return p.kept.add(f)
}

// wants tells whether a file of the snapshot is to be restored.
func (r *restore) wants(p *present, table string, f meta.File) bool {
	key := indexKey(table, f)
	return (len(r.patterns) == 0 || r.matches(key)) && !(r.request.Missing && p.keys.Has(key))
}

func (r *restore) matches(key string) bool {
	for _, p := range r.patterns {
		if p.match(key) {
			return true
		}
	}
	return false
}

// indexKey is the specification's key of the set that a file is in.
func indexKey(table string, f meta.File) string {
	id := meta.NoID
	if f.HasID {
		id = f.ID
	}
	return "index:table:" + table + ":id:" + id + ":" + f.Day
}

// next is the table as it will be.
func (r *restore) next(now *present, img meta.Image) (meta.Table, error) {
	next := img.Table
	if !now.exists {
		return next, nil
	}
	if now.table.UID != next.UID {
		if now.kept == nil {
			return next, nil
		}
		return next, fault.Newf(fault.FailedPrecondition, "table %s was made anew since the snapshot: restore it whole", next.Name)
	}
	schemas, ok := longer(now.table.Schemas, next.Schemas)
	if !ok && now.kept != nil {
		return next, fault.Newf(fault.FailedPrecondition, "table %s has other schema versions than the snapshot: restore it whole", next.Name)
	}
	if ok {
		next.Schemas = schemas
	}
	if now.kept != nil {
		next.Config, next.Created = now.table.Config, now.table.Created
		if now.table.Stats.LastWrite.After(next.Stats.LastWrite) {
			next.Stats.LastWrite = now.table.Stats.LastWrite
		}
	}
	return next, nil
}

// longer returns the longer of two histories of a schema, of which one goes on
// with the other.
func longer(a, b []meta.Schema) ([]meta.Schema, bool) {
	if len(a) < len(b) {
		a, b = b, a
	}
	for i := range b {
		x, errX := json.Marshal(a[i])
		y, errY := json.Marshal(b[i])
		if errX != nil || errY != nil || !bytes.Equal(x, y) {
			return nil, false
		}
	}
	return a, true
}

// files stages what the index will have, and counts how that differs.
func (r *restore) files(ctx context.Context, now *present, img meta.Image, t *TableReport) (count int64, err error) {
	seen := int64(0) // files that are there and stay
	stage := func(files []meta.File) error {
		count += int64(len(files))
		if r.request.DryRun || len(files) == 0 {
			return nil
		}
		return r.store.StageFiles(ctx, t.Table, r.stage, files)
	}
	if now.kept != nil {
		seen, t.RowsAfter = now.keptN, now.keptRows
		if err := now.kept.pages(stage); err != nil {
			return 0, err
		}
	}
	for page, err := range img.Files {
		if err != nil {
			return 0, err
		}
		var wanted []meta.File
		for _, f := range page {
			if r.wants(now, t.Table, f) {
				wanted = append(wanted, f)
			}
		}
		if r.options.Keep != nil && len(wanted) > 0 {
			n := len(wanted)
			if wanted, err = r.options.Keep(ctx, t.Table, wanted); err != nil {
				return 0, err
			}
			t.Missing += int64(n - len(wanted))
		}
		for _, f := range wanted {
			t.RowsAfter += f.Rows
			if now.paths.Has(f.Path) {
				seen++
			} else {
				t.Added++
				t.example("+", f)
			}
		}
		if err := stage(wanted); err != nil {
			return 0, err
		}
	}
	t.Removed = int64(len(now.paths)) - seen
	return count, nil
}

// replace puts the stage in the place of the table.
func (r *restore) replace(ctx context.Context, now *present, next meta.Table, img meta.Image, count int64, t TableReport) error {
	what := fmt.Sprintf("%s from the snapshot of %s: %d files added, %d removed", t.Action, r.report.At.Format("2006-01-02T15:04:05Z"), t.Added, t.Removed)
	change := meta.NewChange(ctx, meta.ChangeRestore, t.Table, what)
	p := meta.Replacement{Table: next, Units: img.Units, Open: img.Open, Stage: r.stage, Count: count,
		Version: now.version, Revision: now.table.Revision, Change: change}
	switch {
	case now.exists && now.kept != nil: // what is there goes on
		p.Units, p.Open = now.units, now.open
	case now.exists && now.table.UID == next.UID: // what nodes hold now is what they hold
		p.Open = now.open
	}
	_, err := r.store.ReplaceTable(ctx, p)
	return err
}
