package catalog

import (
	"context"
	"crypto/rand"
	"reflect"
	"slices"
	"time"

	"skein/internal/fault"
	"skein/meta"
	"skein/meta/rebuild"
	"skein/meta/snapshot"
)

const (
	reasonOther = "it is of another table of the name"
	reasonOpen  = "its node is about to commit it"
)

// choose returns what the newest file of the incarnation tells that the table
// is of; false if there is none.
func (t *tableRebuild) choose() (best *source, ok bool) {
	for _, s := range t.found.sources {
		mine := !t.exists || t.goesOn(s)
		if !mine && !t.succeeds(s) || best != nil && t.exists && mine && t.succeeds(best) {
			continue
		}
		if best == nil || s.newest > best.newest || t.exists && !mine && t.goesOn(best) {
			best = s
		}
	}
	return best, best != nil
}

// goesOn tells that a source is of the table that there is.
func (t *tableRebuild) goesOn(s *source) bool {
	return t.exists && meta.Lineage(s.uid) == meta.Lineage(t.table.UID)
}

// succeeds tells that a source is of another table, which was made in the place
// of the one that was restored, after the snapshot.
func (t *tableRebuild) succeeds(s *source) bool {
	return t.exists && !t.goesOn(s) && !t.r.restored.IsZero() && s.created.After(t.r.restored)
}

// schemas gives each source of the incarnation a place among the table's
// schema versions, those that it has first. The last version holds all columns.
func (t *tableRebuild) schemas(uid string, has []meta.Schema) ([]meta.Schema, error) {
	versions := slices.Clone(has)
	highest := -1
	for _, s := range t.found.sources {
		if meta.Lineage(s.uid) == meta.Lineage(uid) && s.version > highest {
			highest = s.version
		}
	}
	for v := len(versions); v <= highest; v++ { // their own places, as far as they are free
		versions = append(versions, meta.Schema{})
		for _, s := range t.found.sources {
			if meta.Lineage(s.uid) == meta.Lineage(uid) && s.version == v && s.place < 0 {
				versions[v], s.place = s.schema, v
				break
			}
		}
	}
	for v := len(versions) - 2; v >= len(has); v-- { // versions that no file has
		if len(versions[v].Columns) == 0 {
			versions[v] = versions[v+1]
		}
	}
	for _, s := range t.found.sources {
		if meta.Lineage(s.uid) != meta.Lineage(uid) || s.place >= 0 {
			continue
		}
		s.place = placeOf(versions, s)
		if s.place < 0 {
			versions, s.place = append(versions, s.schema), len(versions)
		}
	}
	return covered(versions)
}

// placeOf is where the versions have a schema, preferably its own place; -1 if
// nowhere.
func placeOf(versions []meta.Schema, s *source) int {
	if s.version < len(versions) && reflect.DeepEqual(versions[s.version], s.schema) {
		return s.version
	}
	for i := range versions {
		if reflect.DeepEqual(versions[i], s.schema) {
			return i
		}
	}
	return -1
}

// covered adds a version that holds the columns of all, if the last does not.
func covered(versions []meta.Schema) ([]meta.Schema, error) {
	if len(versions) == 0 {
		return nil, fault.New(fault.FailedPrecondition, "no file tells the table's columns")
	}
	last := versions[len(versions)-1]
	merged, changed := last, false
	for _, s := range versions {
		var grown bool
		if merged, grown = meta.MergeSchemas(merged, s.Columns); grown {
			changed = true
		}
	}
	if changed {
		versions = append(versions, merged)
	}
	return versions, nil
}

// entries are the files of a page that are of the incarnation, as entries of
// the index.
func (t *tableRebuild) entries(page []rebuild.Found, uid string) []meta.File {
	var files []meta.File
	for _, one := range page {
		s := t.found.sources[one.Source]
		if meta.Lineage(s.uid) != meta.Lineage(uid) {
			t.skip(one.File, reasonOther)
			continue
		}
		if slices.ContainsFunc(t.open, func(u meta.OpenUnit) bool { return u.Unit == one.File.Unit }) {
			t.skip(one.File, reasonOpen)
			continue
		}
		one.File.SchemaVersion = s.place
		files = append(files, one.File)
		t.added.Add(one.File.Path)
	}
	return files
}

// lookOpen reads which units are open, after the objects were listed. The files
// of such a unit may be stored and not committed: its node tells of their rows
// until it commits them, so they must not be in the index before.
func (t *tableRebuild) lookOpen(ctx context.Context) error {
	return t.s.Catalog.ReadImage(ctx, t.name, func(img meta.Image) error {
		t.open = img.Open
		return nil
	})
}

// add adds the files to a table that is there.
func (t *tableRebuild) add(ctx context.Context, best *source) (RebuiltTable, error) {
	done := RebuiltTable{Table: t.name, Action: ActionAdd}
	versions, err := t.schemas(t.table.UID, t.table.Schemas)
	if err != nil {
		return done, err
	}
	done.Schemas = len(versions) - len(t.table.Schemas)
	if done.Schemas > 0 && !t.r.DryRun {
		grown := t.table
		grown.Schemas = versions
		if _, err := t.s.Catalog.UpdateTable(ctx, grown); err != nil {
			return done, err
		}
	}
	if err := t.lookOpen(ctx); err != nil {
		return done, err
	}
	var units []string
	err = t.found.pages(meta.CommitFilesMax, func(page []rebuild.Found) error {
		c := meta.Commit{Table: t.name, TableUID: t.table.UID, Unit: "rebuild-" + rand.Text(), Add: t.entries(page, t.table.UID), Time: time.Unix(0, best.newest)}
		for _, f := range c.Add {
			done.Files++
			done.Rows += f.Rows
		}
		if t.r.DryRun || len(c.Add) == 0 {
			return nil
		}
		units = append(units, c.Unit)
		return t.s.Catalog.Commit(ctx, c)
	})
	if err != nil {
		return done, err
	}
	return done, t.s.Catalog.ForgetUnits(ctx, t.name, units)
}

// takeOut takes files out of the index again whose objects went away before
// they were in it: a load that fails deletes what it has stored, but for what the
// index names.
func (t *tableRebuild) takeOut(ctx context.Context, done *RebuiltTable) error {
	there := snapshot.Set{}
	for info, err := range t.s.Objects.List(ctx, t.name+"/") {
		if err != nil {
			return err
		}
		there.Add(info.Key)
	}
	var gone []string
	var rows int64
	c := meta.Commit{Table: t.name}
	err := t.s.Catalog.ReadImage(ctx, t.name, func(img meta.Image) error {
		c.TableUID = img.Table.UID
		for page, err := range img.Files {
			if err != nil {
				return err
			}
			for _, f := range page {
				if t.added.Has(f.Path) && !there.Has(f.Path) {
					gone, rows = append(gone, f.Path), rows+f.Rows
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for some := range slices.Chunk(gone, meta.CommitFilesMax) {
		c.Unit, c.Remove = "rebuild-"+rand.Text(), some
		if err := t.s.Catalog.Commit(ctx, c); err != nil {
			return err
		}
		if err := t.s.Catalog.ForgetUnits(ctx, t.name, []string{c.Unit}); err != nil {
			return err
		}
	}
	done.Files, done.Rows = done.Files-int64(len(gone)), done.Rows-rows
	return nil
}

// replace puts a table with the files in the place of what there is, in one
// step.
func (t *tableRebuild) replace(ctx context.Context, best *source) (done RebuiltTable, err error) {
	done = RebuiltTable{Table: t.name, Action: snapshot.ActionCreate}
	next := meta.Table{Name: t.name, UID: best.uid, Config: best.config, Created: best.created}
	if t.exists {
		done.Action = snapshot.ActionReplace
	}
	if t.goesOn(best) {
		next = t.table
	} else {
		t.units, t.open = nil, nil // of the other table
	}
	if next.Schemas, err = t.schemas(next.UID, next.Schemas); err != nil {
		return done, err
	}
	done.Schemas = len(next.Schemas)
	if t.goesOn(best) {
		done.Schemas -= len(t.table.Schemas)
	}
	if at := time.Unix(0, best.newest).UTC(); at.After(next.Stats.LastWrite) {
		next.Stats.LastWrite = at
	}
	stage := "rebuild_" + rand.Text()
	if !t.r.DryRun {
		defer func() { _ = t.s.Catalog.DropStage(context.WithoutCancel(ctx), t.name, stage) }()
	}
	err = t.found.pages(meta.PageMax, func(page []rebuild.Found) error {
		files := t.entries(page, next.UID)
		for _, f := range files {
			done.Files++
			done.Rows += f.Rows
		}
		if t.r.DryRun || len(files) == 0 {
			return nil
		}
		return t.s.Catalog.StageFiles(ctx, t.name, stage, files)
	})
	if err != nil || t.r.DryRun {
		return done, err
	}
	change := meta.NewChange(ctx, meta.ChangeRestore, t.name, "index rebuilt from the objects: "+done.Action)
	_, err = t.s.Catalog.ReplaceTable(ctx, meta.Replacement{Table: next, Units: t.units, Open: t.open, Stage: stage, Count: done.Files,
		Version: t.version, Revision: t.table.Revision, Change: change})
	return done, err
}
