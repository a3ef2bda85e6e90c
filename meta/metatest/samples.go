package metatest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"skein/meta"
)

var day0 = time.Date(2024, 1, 15, 10, 30, 0, 123_456_789, time.UTC)

// users is a table with everything set, of the given incarnation.
func users(uid string) meta.Table {
	list := meta.Type{Kind: meta.KindList, Elem: &meta.Type{Kind: meta.KindUnknown}}
	return meta.Table{
		Name: "users", UID: uid, Revision: 7, Created: day0.Add(-time.Hour),
		Config: meta.Config{BufferSize: 500, FlushIntervalSeconds: 15, RetentionDays: 365, BackupEnabled: true, Replicated: true,
			Properties: map[string]string{"description": "用户 \"data\" <&> {}", "": "empty key"}},
		Schemas: []meta.Schema{
			{Columns: []meta.Column{{Name: "id", Type: meta.Type{Kind: "VARCHAR"}}}, IDColumn: "id"},
			{Columns: []meta.Column{
				{Name: "id", Type: meta.Type{Kind: "VARCHAR"}},
				{Name: "payload.id", Field: "id", Type: meta.Type{Kind: "BIGINT", Wide: true}},
				{Name: "s", Type: meta.Type{Kind: meta.KindStruct, Fields: []meta.Column{{Name: "it's \"a\"", Type: list}}}},
			}, IDColumn: "id", TimeColumn: "timestamp", Records: true},
		},
	}
}

// named is a table without anything but its name and incarnation.
func named(name, uid string) meta.Table { return meta.Table{Name: name, UID: uid, Created: day0} }

// file is the nth file of users; its records span the nth minute.
func file(n int) meta.File {
	id := fmt.Sprintf("user-%d", n%3)
	return meta.File{
		Path: meta.ObjectPath("users", meta.EncodeID(id), "2024-01-15", int64(1705314600000000000+n)),
		ID:   id, HasID: true, Day: "2024-01-15", SchemaVersion: 1, Rows: int64(10 + n), Bytes: int64(1000 + n),
		MinTime: day0.Add(time.Duration(n) * time.Minute), MaxTime: day0.Add(time.Duration(n+1)*time.Minute - 1),
		NullTimes: n%2 == 1, Unit: fmt.Sprintf("unit-%d", n),
		Ranges: meta.NewRanges([]meta.Range{
			{Column: 1, Nulls: int64(n), Min: "-9223372036854775808", Max: "9223372036854775807"},
			{Column: 2, Min: "<\x00\"\\", Max: "用户\u2028&"}, {Column: 3, Nulls: 1},
		}[n%2:]),
	}
}

// adds is the commit that adds these files of users, incarnation u1.
func adds(unit string, files ...meta.File) meta.Commit {
	return meta.Commit{Table: "users", TableUID: "u1", Node: "n1", Unit: unit, Add: files, Time: day0.Add(time.Minute)}
}

// removes is the commit that removes these paths of users, incarnation u1.
func removes(unit string, paths ...string) meta.Commit {
	c := adds(unit)
	c.Remove = paths
	return c
}

// ok ends the case if err is not nil.
func ok(t T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

func wantErr(t T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error %v, want %v", what, err, want)
	}
}

// equal compares; empty and nil slices and maps are alike.
func equal(t T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s: -want +got:\n%s", what, diff)
	}
}

// create makes a table and ends the case if that does not work.
func create(t T, s meta.Store, table meta.Table) {
	t.Helper()
	ok(t, s.CreateTable(t.Context(), table))
}

func commit(t T, s meta.Store, c meta.Commit) {
	t.Helper()
	ok(t, s.Commit(t.Context(), c))
}

func read(t T, s meta.Store, table string) meta.Table {
	t.Helper()
	got, err := s.Table(t.Context(), table)
	ok(t, err)
	return got
}

func listing(t T, s meta.Store, table string) meta.Listing {
	t.Helper()
	got, err := s.Listing(t.Context(), table)
	ok(t, err)
	version, err := s.Version(t.Context(), table)
	ok(t, err)
	if version != got.Version {
		t.Errorf("Version is %d, that of the listing %d", version, got.Version)
	}
	return got
}

// wantFiles compares the index and the statistics of users with the files
// that should be in it.
func wantFiles(t T, s meta.Store, files ...meta.File) {
	t.Helper()
	slices.SortFunc(files, func(a, b meta.File) int {
		if a.Path < b.Path {
			return -1
		}
		return 1
	})
	equal(t, "files", files, listing(t, s, "users").Files)
	var want meta.Stats
	for _, f := range files {
		want.Files++
		want.Rows += f.Rows
		want.Bytes += f.Bytes
		if !f.MinTime.IsZero() && (want.Oldest.IsZero() || f.MinTime.Before(want.Oldest)) {
			want.Oldest = f.MinTime
		}
		if f.MaxTime.After(want.Newest) {
			want.Newest = f.MaxTime
		}
	}
	got := read(t, s, "users").Stats
	want.LastWrite = got.LastWrite
	equal(t, "statistics", want, got)
}
