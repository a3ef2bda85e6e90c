package metatest

import (
	"fmt"
	"strings"
	"time"

	"skein/internal/fault"
	"skein/meta"
)

var tableCases = []check{
	{"table/create and read", createAndRead},
	{"table/create twice", createTwice},
	{"table/bad tables are refused", badTables},
	{"table/missing", missingTable},
	{"table/list", listTables},
	{"table/update", updateTable},
	{"table/update conflict", updateConflict},
	{"table/drop", dropTable},
	{"table/drop another incarnation", dropIncarnation},
	{"table/create again", createAgain},
}

func createAndRead(t T, s meta.Store) {
	want := users("u1")
	given := want
	given.Stats = meta.Stats{Rows: 5, Oldest: day0} // ignored by writes
	create(t, s, given)
	equal(t, "table", want, read(t, s, "users"))
	l := listing(t, s, "users")
	equal(t, "listing", meta.Listing{Version: l.Version}, l)

	bare := meta.Table{Name: "bare"}
	create(t, s, bare)
	equal(t, "bare table", bare, read(t, s, "bare"))

	elsewhere := named("elsewhere", "u2")
	elsewhere.Created = day0.In(time.FixedZone("x", 3600))
	create(t, s, elsewhere)
	if got := read(t, s, "elsewhere").Created; got != day0 {
		t.Errorf("created %v, want %v in UTC", got, day0)
	}
}

func createTwice(t T, s meta.Store) {
	create(t, s, users("u1"))
	commit(t, s, adds("a", file(1)))
	wantErr(t, "another incarnation", s.CreateTable(t.Context(), users("u2")), meta.ErrTableExists)
	wantErr(t, "the same again", s.CreateTable(t.Context(), users("u1")), meta.ErrTableExists)
	equal(t, "uid", "u1", read(t, s, "users").UID)
	wantFiles(t, s, file(1))
}

func badTables(t T, s meta.Store) {
	far := named("far", "u1")
	far.Created = time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, table := range []meta.Table{
		named("", "u1"), named("Users", "u1"), named("a/b", "u1"), named("a\x00", "u1"), named("metadata", "u1"),
		named(strings.Repeat("x", 100_000), "u1"), far,
	} {
		if err := s.CreateTable(t.Context(), table); fault.CodeOf(err) != fault.InvalidArgument {
			t.Errorf("table %.40q: error %v, want InvalidArgument", table.Name, err)
		}
	}
	tables, err := s.Tables(t.Context())
	ok(t, err)
	equal(t, "tables", []meta.Table{}, tables)
}

func missingTable(t T, s meta.Store) {
	create(t, s, named("other", "u1"))
	for _, name := range []string{"users", "", "../other", "Other", strings.Repeat("x", 100_000)} {
		wantMissing(t, s, name, "u1")
	}
}

// wantMissing tries every method that takes a table on one that is not there.
func wantMissing(t T, s meta.Store, name, uid string) {
	t.Helper()
	ctx := t.Context()
	_, err := s.Table(ctx, name)
	wantErr(t, "Table", err, meta.ErrTableNotFound)
	if err != nil && name != "" && len(name) < 100 && !strings.Contains(err.Error(), name) {
		t.Errorf("the error %q does not name the table %q", err, name)
	}
	_, err = s.UpdateTable(ctx, named(name, uid))
	wantErr(t, "UpdateTable", err, meta.ErrTableNotFound)
	_, err = s.DropTable(ctx, name, uid)
	wantErr(t, "DropTable", err, meta.ErrTableNotFound)
	wantErr(t, "OpenUnit", s.OpenUnit(ctx, name, uid, meta.OpenUnit{Node: "n", Unit: "u"}), meta.ErrTableNotFound)
	c := adds("a", file(1))
	c.Table, c.TableUID = name, uid
	wantErr(t, "Commit", s.Commit(ctx, c), meta.ErrTableNotFound)
	ok(t, s.ForgetUnits(ctx, name, []string{"a"}))
	_, err = s.Version(ctx, name)
	wantErr(t, "Version", err, meta.ErrTableNotFound)
	_, err = s.Listing(ctx, name)
	wantErr(t, "Listing", err, meta.ErrTableNotFound)
}

func listTables(t T, s meta.Store) {
	tables, err := s.Tables(t.Context())
	ok(t, err)
	equal(t, "no tables", []meta.Table{}, tables)
	var want []meta.Table
	for i := range 150 {
		want = append(want, named(fmt.Sprintf("t%03d", i), fmt.Sprint("u", i)))
	}
	want = append(want, users("u1"))
	for i := range want {
		create(t, s, want[(i*7)%len(want)])
	}
	commit(t, s, adds("a", file(1)))
	want[len(want)-1] = read(t, s, "users")
	tables, err = s.Tables(t.Context())
	ok(t, err)
	equal(t, "tables", want, tables)
}

func updateTable(t T, s meta.Store) {
	create(t, s, users("u1"))
	commit(t, s, adds("a", file(1)))
	before := read(t, s, "users")
	change := before
	change.Stats = meta.Stats{}
	change.Created = day0.Add(time.Hour) // stays as it was made
	change.Config = meta.Config{Properties: map[string]string{"id_buckets": "16"}}
	change.Schemas = append(change.Schemas[:2:2], meta.Schema{Columns: []meta.Column{{Name: "new", Type: meta.Type{Kind: "DATE"}}}})

	want := before
	want.Config, want.Schemas, want.Revision = change.Config, change.Schemas, before.Revision+1
	got, err := s.UpdateTable(t.Context(), change)
	ok(t, err)
	equal(t, "the table returned", want, got)
	equal(t, "the table read", want, read(t, s, "users"))
	wantFiles(t, s, file(1))
}

func updateConflict(t T, s meta.Store) {
	create(t, s, users("u1"))
	first := read(t, s, "users")
	first.Config.BufferSize = 1
	_, err := s.UpdateTable(t.Context(), first)
	ok(t, err)
	want := read(t, s, "users")

	late := first
	late.Config.BufferSize = 2
	_, err = s.UpdateTable(t.Context(), late)
	wantErr(t, "an old revision", err, meta.ErrConflict)
	stranger := want
	stranger.UID = "u2"
	_, err = s.UpdateTable(t.Context(), stranger)
	wantErr(t, "another incarnation", err, meta.ErrConflict)
	equal(t, "table", want, read(t, s, "users"))
}

func dropTable(t T, s meta.Store) {
	create(t, s, users("u1"))
	create(t, s, named("users2", "u2"))
	commit(t, s, adds("a", file(1), file(2)))
	ok(t, s.OpenUnit(t.Context(), "users", "u1", meta.OpenUnit{Node: "n1", Unit: "b"}))
	files, err := s.DropTable(t.Context(), "users", "u1")
	ok(t, err)
	equal(t, "files of the dropped table", []meta.File{file(1), file(2)}, sortFiles(files))
	wantMissing(t, s, "users", "u1")
	tables, err := s.Tables(t.Context())
	ok(t, err)
	equal(t, "tables", []meta.Table{named("users2", "u2")}, tables)
}

func dropIncarnation(t T, s meta.Store) {
	create(t, s, users("u1"))
	commit(t, s, adds("a", file(1)))
	_, err := s.DropTable(t.Context(), "users", "u0")
	wantErr(t, "another incarnation", err, meta.ErrTableNotFound)
	wantFiles(t, s, file(1))
}

func createAgain(t T, s meta.Store) {
	ctx := t.Context()
	create(t, s, users("u1"))
	commit(t, s, adds("a", file(1)))
	ok(t, s.OpenUnit(ctx, "users", "u1", meta.OpenUnit{Node: "n1", Unit: "b"}))
	before := listing(t, s, "users")
	_, err := s.DropTable(ctx, "users", "u1")
	ok(t, err)

	create(t, s, users("u2"))
	l := listing(t, s, "users")
	if l.Version <= before.Version {
		t.Errorf("version %d of the new table is not beyond %d of the old one", l.Version, before.Version)
	}
	equal(t, "listing", meta.Listing{Version: l.Version}, l)
	equal(t, "table", users("u2"), read(t, s, "users"))
	wantErr(t, "commit to the old one", s.Commit(ctx, adds("c", file(1))), meta.ErrTableNotFound)
	wantErr(t, "open in the old one", s.OpenUnit(ctx, "users", "u1", meta.OpenUnit{Node: "n", Unit: "u"}), meta.ErrTableNotFound)
	wantFiles(t, s)
	again := adds("a", file(1))
	again.TableUID = "u2"
	commit(t, s, again)
	wantFiles(t, s, file(1))
}
