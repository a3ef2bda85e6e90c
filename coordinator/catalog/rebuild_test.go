//go:build duckdb_arrow

package catalog

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"skein/internal/fault"
	"skein/meta"
	"skein/meta/snapshot"
)

// TestRebuild makes an empty catalog anew from the files, and adds to one what
// it lacks.
func TestRebuild(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	h.create("alpha", meta.Config{BufferSize: 12, RetentionDays: 9_000, Properties: map[string]string{"k": "v"}})
	h.create("beta", meta.Config{})
	h.write("alpha", [2]string{"a", `{"n":1}`}, [2]string{"b", `{"n":2}`})
	h.write("alpha", [2]string{"a", `{"n":1.5,"late":"x"}`})
	h.write("beta", [2]string{"x", `{}`})
	table, files, betas := h.table("alpha"), h.listing("alpha"), h.listing("beta")
	h.must(h.objects.Put(ctx, "alpha/a/2024-01-15/17.parquet", strings.NewReader("no Parquet"), 10))

	h.lose()
	s := h.service(nil, Options{Parallel: 2})
	for range 2 { // looking changes nothing
		plan, err := s.Rebuild(ctx, RebuildRequest{DryRun: true}, nil)
		h.must(err)
		if len(plan.Tables) != 2 || plan.Tables[0] != (RebuiltTable{Table: "alpha", Action: "create", Files: 3, Rows: 3, Schemas: 3}) || plan.SkippedN != 1 {
			t.Fatalf("%+v", plan)
		}
	}
	var steps []Progress
	done, err := s.Rebuild(ctx, RebuildRequest{}, func(p Progress) { steps = append(steps, p) })
	h.must(err)
	if len(steps) == 0 || !strings.Contains(done.String(), "create   alpha: +3 files, 3 rows, 3 schema versions") {
		t.Errorf("%v\n%s", steps, done)
	}
	if diff := cmp.Diff(files, h.listing("alpha")); diff != "" {
		t.Error(diff)
	}
	got := h.table("alpha")
	if diff := cmp.Diff(table.Schemas[1:], got.Schemas[1:]); diff != "" || len(got.Schemas) != 3 /* no file is of the first */ {
		t.Error(diff)
	}
	if diff := cmp.Diff(table.Config, got.Config); diff != "" || got.UID != table.UID || !got.Created.Equal(table.Created) || got.Stats.Rows != 3 || got.Stats.Oldest != table.Stats.Oldest {
		t.Error(diff, got)
	}
	if again, err := s.Rebuild(ctx, RebuildRequest{}, nil); err != nil || len(again.Tables) != 0 {
		t.Error(again, err)
	}
	// What is there stays, what is not is added.
	h.must(h.store.Commit(ctx, meta.Commit{Table: "alpha", TableUID: got.UID, Unit: "away", Remove: []string{files[0].Path}}))
	if done, err := s.Rebuild(ctx, RebuildRequest{Tables: []string{"alpha"}}, nil); err != nil || len(done.Tables) != 1 || done.Tables[0].Files != 1 || done.Tables[0].Action != ActionAdd {
		t.Error(done, err)
	}
	if diff := cmp.Diff(files, h.listing("alpha")); diff != "" {
		t.Error(diff)
	}
	// Files that wait for their deletion, and those of a dropped table, stay out.
	h.must(h.store.Commit(ctx, meta.Commit{Table: "alpha", TableUID: got.UID, Unit: "ended", Remove: []string{files[0].Path}}))
	h.must(s.deletions.Add(ctx, 1<<40, map[string]string{files[0].Path: "alpha"}))
	_, err = h.store.DropTable(ctx, "beta", "beta-uid")
	h.must(err)
	if done, err := s.Rebuild(ctx, RebuildRequest{}, nil); err != nil || len(done.Tables) != 0 || done.Skipped["beta/"] == "" {
		t.Errorf("%+v %v", done, err)
	}
	// From scratch the index names exactly what is there.
	h.must(h.objects.Delete(ctx, files[1].Path))
	if done, err := s.Rebuild(ctx, RebuildRequest{Tables: []string{"alpha"}, Scratch: true}, nil); err != nil || len(done.Tables) != 1 || done.Tables[0].Files != 1 {
		t.Errorf("%+v %v", done, err)
	}
	if got := h.listing("alpha"); len(got) != 1 || got[0].Path != files[2].Path || len(betas) != 1 {
		t.Errorf("%v", got)
	}
	if _, err := s.Rebuild(ctx, RebuildRequest{Tables: []string{"no/name"}}, nil); fault.CodeOf(err) != fault.InvalidArgument {
		t.Error(err)
	}
}

// TestRebuildAfterOtherSchemas: files are added to a table whose schema went
// another way since.
func TestRebuildAfterOtherSchemas(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	h.create("alpha", meta.Config{})
	h.write("alpha", [2]string{"a", `{"n":1}`})
	h.lose()
	h.create("alpha", meta.Config{})
	h.write("alpha", [2]string{"a", `{"m":"x"}`})
	s := h.service(nil, Options{})
	done, err := s.Rebuild(ctx, RebuildRequest{}, nil)
	h.must(err)
	if len(done.Tables) != 1 || done.Tables[0].Files != 1 || done.Tables[0].Schemas != 2 {
		t.Fatalf("%+v", done)
	}
	table := h.table("alpha")
	current := table.Schema()
	if current.Column("n") < 0 || current.Column("m") < 0 {
		t.Errorf("%+v", current)
	}
	for _, f := range h.listing("alpha") {
		s := table.Schemas[f.SchemaVersion]
		if len(s.Columns) != 3 {
			t.Errorf("%s has %+v", f.Path, s)
		}
	}
}

// TestRebuildOtherIncarnation: files of an earlier table of the name stay out.
func TestRebuildOtherIncarnation(t *testing.T) {
	h := newHouse(t)
	h.create("alpha", meta.Config{})
	h.write("alpha", [2]string{"a", `{"n":1}`})
	h.lose()
	h.must(h.store.CreateTable(t.Context(), meta.Table{Name: "alpha", UID: "another", Schemas: []meta.Schema{{Columns: []meta.Column{{Name: "a", Type: meta.Type{Kind: "BIGINT"}}}}}}))
	s := h.service(nil, Options{})
	if done, err := s.Rebuild(t.Context(), RebuildRequest{}, nil); err != nil || len(done.Tables) != 0 {
		t.Errorf("%+v %v", done, err)
	}
}

// halfway fails when one of the tables is replaced.
type halfway struct {
	meta.Store
	table string
}

var errHalfway = errors.New("the store went away")

func (h *halfway) ReplaceTable(ctx context.Context, r meta.Replacement) (meta.Table, error) {
	if r.Table.Name == h.table {
		return meta.Table{}, errHalfway
	}
	return h.Store.ReplaceTable(ctx, r)
}

// TestRestoreHalfWay: a restore that fails leaves each table as it was or as
// it should be; repeating it goes on.
func TestRestoreHalfWay(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	for _, name := range []string{"alpha", "beta"} {
		h.create(name, meta.Config{})
		h.write(name, [2]string{"a", `{"n":1}`})
	}
	half := &halfway{Store: h.store, table: "beta"}
	s := h.service(half, Options{})
	made, err := s.Snapshot(ctx, nil)
	h.must(err)
	for _, name := range []string{"alpha", "beta"} {
		h.write(name, [2]string{"a", `{"n":2}`})
	}
	before := h.listing("beta")
	out, err := s.Restore(ctx, RestoreRequest{Snapshot: made.Key}, nil)
	if !errors.Is(err, errHalfway) || out.Safety == "" {
		t.Fatalf("%+v %v", out, err)
	}
	if diff := cmp.Diff(before, h.listing("beta")); diff != "" || len(h.listing("alpha")) != 1 {
		t.Error(diff)
	}
	half.table = ""
	out, err = s.Restore(ctx, RestoreRequest{Snapshot: made.Key}, nil)
	h.must(err)
	if len(h.listing("beta")) != 1 || out.Lacks != "" || len(out.Report.Tables) != 1 {
		t.Errorf("%+v", out)
	}
	// With what came after it, nothing is lost.
	out, err = s.Restore(ctx, RestoreRequest{Snapshot: made.Key, Newer: true}, nil)
	h.must(err)
	if len(h.listing("alpha")) != 2 || len(h.listing("beta")) != 2 || len(out.Newer.Tables) != 2 {
		t.Errorf("%+v", out)
	}
	// A file whose object is gone is left out, and told of.
	h.must(h.objects.Delete(ctx, before[0].Path))
	out, err = s.Restore(ctx, RestoreRequest{Snapshot: made.Key, Request: snapshot.Request{Tables: []string{"beta"}}}, nil)
	h.must(err)
	if len(out.Report.Tables) != 1 || out.Report.Tables[0].Missing != 1 || len(h.listing("beta")) != 0 {
		t.Errorf("%+v", out)
	}
	data := bytes.Repeat([]byte("x"), 100)
	h.must(h.objects.Put(ctx, made.Key, bytes.NewReader(data), 100))
	if _, err := s.Restore(ctx, RestoreRequest{Snapshot: made.Key}, nil); fault.CodeOf(err) != fault.FailedPrecondition {
		t.Errorf("a damaged snapshot: %v", err)
	}
}

// TestHalfRestoredIsStillLost: the snapshot that was restored half stays the one
// to restore, and none is made of what there is.
func TestHalfRestoredIsStillLost(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	for _, name := range []string{"alpha", "beta"} {
		h.create(name, meta.Config{})
		h.write(name, [2]string{"a", `{"n":1}`})
	}
	made, err := h.service(nil, Options{}).Snapshot(ctx, nil)
	h.must(err)
	h.lose()
	half := &halfway{Store: h.store, table: "beta"}
	s := h.service(half, Options{})
	if _, err := s.Restore(ctx, RestoreRequest{}, nil); !errors.Is(err, errHalfway) {
		t.Fatal(err)
	}
	if _, err := s.Snapshot(ctx, nil); fault.CodeOf(err) != fault.FailedPrecondition {
		t.Errorf("a snapshot of half a catalog: %v", err)
	}
	half.table = ""
	out, err := s.Restore(ctx, RestoreRequest{}, nil)
	h.must(err, s.usable(ctx))
	if out.Key != made.Key || len(h.listing("beta")) != 1 {
		t.Errorf("%+v", out)
	}
}

// TestNewerKeepsTables: a restore with what came after the snapshot keeps the
// tables that were made after it; without, it drops them.
func TestNewerKeepsTables(t *testing.T) {
	h := newHouse(t)
	s := h.service(nil, Options{})
	h.create("alpha", meta.Config{})
	made, err := s.Snapshot(t.Context(), nil)
	h.must(err)
	h.create("late", meta.Config{})
	h.write("late", [2]string{"a", `{"n":1}`})
	out, err := s.Restore(t.Context(), RestoreRequest{Snapshot: made.Key, Newer: true}, nil)
	h.must(err)
	if len(h.listing("late")) != 1 || len(out.Report.Tables) != 0 {
		t.Errorf("%+v", out)
	}
	_, err = s.Restore(t.Context(), RestoreRequest{Snapshot: made.Key}, nil)
	h.must(err)
	if _, err := h.store.Table(t.Context(), "late"); !errors.Is(err, meta.ErrTableNotFound) {
		t.Errorf("a table that the snapshot does not have: %v", err)
	}
}

// TestRebuildLeavesOpenUnits: files of a unit that is open are its node's to
// commit.
func TestRebuildLeavesOpenUnits(t *testing.T) {
	h := newHouse(t)
	h.create("alpha", meta.Config{})
	h.write("alpha", [2]string{"a", `{"n":1}`})
	file := h.listing("alpha")[0]
	h.lose()
	h.create("alpha", meta.Config{})
	h.must(h.store.OpenUnit(t.Context(), "alpha", "alpha-uid", meta.OpenUnit{Node: "n1", Unit: file.Unit}))
	done, err := h.service(nil, Options{}).Rebuild(t.Context(), RebuildRequest{}, nil)
	if err != nil || len(done.Tables) != 0 || done.Skipped[file.Path] != reasonOpen {
		t.Errorf("%+v %v", done, err)
	}
}

// anew drops a table and makes it anew, as another one with a file.
func (h *house) anew(name, uid string) {
	h.t.Helper()
	old := h.table(name)
	_, err := h.store.DropTable(h.t.Context(), name, old.UID)
	h.must(err)
	old.UID, old.Created, old.Schemas = uid, time.Now().UTC(), old.Schemas[:1]
	h.must(h.store.CreateTable(h.t.Context(), old))
	h.writeTo(name, uid, [2]string{"new", `{"m":"new"}`})
}

// TestNewerAndTableMadeAnew: a restore with what came after the snapshot never
// mixes a table with another one of the name.
func TestNewerAndTableMadeAnew(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	h.create("alpha", meta.Config{})
	h.create("beta", meta.Config{})
	h.write("alpha", [2]string{"a", `{"n":1}`}, [2]string{"b", `{"n":1}`})
	s := h.service(nil, Options{})
	made, err := s.Snapshot(ctx, nil)
	h.must(err)
	h.anew("alpha", "alpha-anew")
	before, version := h.listing("alpha"), h.table("beta").Revision
	for _, r := range []RestoreRequest{{Newer: true}, {Newer: true, Request: snapshot.Request{DryRun: true}}, {Newer: true, Request: snapshot.Request{Tables: []string{"alpha"}}}} {
		r.Snapshot = made.Key
		if _, err := s.Restore(ctx, r, nil); fault.CodeOf(err) != fault.FailedPrecondition || !strings.Contains(err.Error(), "alpha: made anew") {
			t.Errorf("%+v: %v", r, err)
		}
	}
	if diff := cmp.Diff(before, h.listing("alpha")); diff != "" || h.table("alpha").UID != "alpha-anew" || h.table("beta").Revision != version {
		t.Error(diff)
	}
	if _, err := s.Restore(ctx, RestoreRequest{Snapshot: made.Key, Newer: true, Request: snapshot.Request{Tables: []string{"beta"}}}, nil); err != nil {
		t.Error(err)
	}

	// The catalog was lost: the table that was there last comes back.
	h.lose()
	s = h.service(nil, Options{})
	out, err := s.Restore(ctx, RestoreRequest{Snapshot: made.Key, Newer: true}, nil)
	h.must(err)
	if diff := cmp.Diff(before, h.listing("alpha")); diff != "" || h.table("alpha").UID != "alpha-anew" {
		t.Errorf("%s: %s\n%s", h.table("alpha").UID, diff, out.Newer)
	}
	current := h.table("alpha")
	if s := current.Schema(); s.Column("n") >= 0 || s.Column("m") < 0 {
		t.Errorf("columns of two tables: %+v", s.Columns)
	}

	// Without newer files the old one takes its place, alone.
	_, err = s.Restore(ctx, RestoreRequest{Snapshot: made.Key}, nil)
	h.must(err)
	if got := h.listing("alpha"); len(got) != 2 || h.table("alpha").UID != "alpha-uid" {
		t.Errorf("%+v", got)
	}
	if done, err := s.Rebuild(ctx, RebuildRequest{}, nil); err != nil || len(done.Tables) != 0 {
		t.Errorf("%+v %v", done, err)
	}
}

// withdrawn is a catalog that files come into right after a load that failed
// has deleted one of them.
type withdrawn struct {
	meta.Store
	withdraw func()
}

func (w withdrawn) Commit(ctx context.Context, c meta.Commit) error {
	if len(c.Add) > 0 {
		w.withdraw()
	}
	return w.Store.Commit(ctx, c)
}

func (w withdrawn) ReplaceTable(ctx context.Context, r meta.Replacement) (meta.Table, error) {
	w.withdraw()
	return w.Store.ReplaceTable(ctx, r)
}

// TestRebuildBesideLoadThatFails: what a load deletes after a rebuild has found
// it is in the index no more.
func TestRebuildBesideLoadThatFails(t *testing.T) {
	for _, exists := range []bool{false, true} {
		h := newHouse(t)
		ctx := t.Context()
		h.create("alpha", meta.Config{})
		h.write("alpha", [2]string{"a", `{"n":1}`}, [2]string{"b", `{"n":2}`})
		files := h.listing("alpha")
		h.lose()
		if exists {
			h.create("alpha", meta.Config{})
		}
		s := h.service(withdrawn{h.store, func() { h.must(h.objects.Delete(ctx, files[0].Path)) }}, Options{})
		done, err := s.Rebuild(ctx, RebuildRequest{}, nil)
		h.must(err)
		if got := h.listing("alpha"); len(got) != 1 || got[0].Path != files[1].Path || len(done.Tables) != 1 || done.Tables[0].Files != 1 || done.Tables[0].Rows != 1 {
			t.Errorf("the table exists: %v; %+v, %+v", exists, done, got)
		}
	}
}

// TestDroppedAndRestored: no object that a restored catalog names is deleted,
// though its table was dropped before.
func TestDroppedAndRestored(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	h.create("alpha", meta.Config{})
	h.write("alpha", [2]string{"a", `{"n":1}`}, [2]string{"b", `{"n":2}`})
	s := h.service(nil, Options{})
	_, err := s.Snapshot(ctx, nil)
	h.must(err)
	h.write("alpha", [2]string{"a", `{"n":3}`}) // the snapshot does not have it
	files, err := h.store.DropTable(ctx, "alpha", "alpha-uid")
	h.must(err)
	objects := map[string]string{}
	for _, f := range files {
		objects[f.Path] = "alpha"
	}
	h.must(QueueDeletions(ctx, h.objects, 0, objects))
	_, err = s.Restore(ctx, RestoreRequest{}, nil)
	h.must(err, s.tidy(ctx))
	restored := h.listing("alpha")
	for _, f := range restored {
		if _, err := h.objects.Stat(ctx, f.Path); err != nil {
			t.Errorf("%s: %v", f.Path, err)
		}
		delete(objects, f.Path)
	}
	if len(restored) != 2 || len(objects) != 1 {
		t.Errorf("%d files are restored, %d are not", len(restored), len(objects))
	}
	for path := range objects {
		if _, err := h.objects.Stat(ctx, path); err == nil {
			t.Errorf("%s is of no table and still there", path)
		}
	}
}
