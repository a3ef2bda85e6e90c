package worker

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"skein/meta"
	nodev1 "skein/proto/node/v1"
)

// loseTable makes the catalog not know any table, as one that was lost.
func (h *house) loseTable() {
	h.meta.set(func(op string) error {
		if op == "table" || op == "commit" || op == "open" {
			return meta.ErrTableNotFound
		}
		return nil
	})
}

func (h *house) hotRows(t *testing.T, table string) (rows int64) {
	t.Helper()
	res, err := h.w.Hot(t.Context(), &nodev1.HotRequest{Table: table, TableUid: table + "-uid"})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range res.Units {
		rows += u.Rows
	}
	return rows
}

// TestLostTableKeepsRows: rows of a table that the catalog does not know, and
// of which its history tells no drop, stay until the table is back; also over a
// restart.
func TestLostTableKeepsRows(t *testing.T) {
	h := newHouse(t, t.TempDir(), Options{}, nil)
	h.create(t, "t", meta.Config{BufferSize: 2})
	h.append(t, "t", record("a", at(0), `{"n":1}`), record("b", at(1), `{"n":2}`), record("c", at(2), `{"n":3}`))
	h.loseTable()
	h.w.Start(t.Context())
	limited, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := h.w.Flush(limited, ""); err == nil || !strings.Contains(err.Error(), "tells of no drop") {
		t.Fatalf("flush without the table: %v", err)
	}
	if n := h.hotRows(t, "t"); n != 3 {
		t.Fatalf("%d rows are kept", n)
	}
	h = h.crash(t, Options{RetryBackoffMax: time.Hour}) // only Relearn brings the next try
	h.loseTable()
	h.w.Start(t.Context())
	eventually(t, "a try has failed", func() bool {
		h.w.mu.Lock()
		defer h.w.mu.Unlock()
		for _, table := range h.w.tables {
			table.mu.Lock()
			failing := table.failing
			table.mu.Unlock()
			return failing
		}
		return false
	})
	if n := h.hotRows(t, "t"); n != 3 {
		t.Fatalf("%d rows are kept after a restart", n)
	}
	h.meta.set(nil)
	if err := h.w.Relearn(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all rows are stored", func() bool { return h.hotRows(t, "t") == 0 })
	if got := h.rows(t, "t", "SELECT count(*), sum(n) FROM rows"); got[0][0] != "3" || got[0][1] != "6" {
		t.Errorf("%v", got)
	}
}

// restoreTo puts the table back to the given schemas, without files.
func (h *house) restoreTo(t *testing.T, name string, schemas []meta.Schema, open ...meta.OpenUnit) {
	t.Helper()
	now, err := h.catalog.Table(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	version, err := h.catalog.Version(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	r := meta.Replacement{Table: now, Open: open, Stage: "s", Version: version, Revision: now.Revision, Change: meta.NewChange(t.Context(), meta.ChangeRestore, name, "test")}
	r.Table.Schemas = schemas
	if _, err := h.catalog.ReplaceTable(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

// TestRowsOfLostSchema: rows that were logged under a schema that the restored
// catalog does not have are stored under one that holds them, in this process
// and in the next.
func TestRowsOfLostSchema(t *testing.T) {
	for _, restart := range []bool{false, true} {
		h := newHouse(t, t.TempDir(), Options{}, nil)
		h.create(t, "t", meta.Config{})
		old := []meta.Schema{recordSchema()}
		h.append(t, "t", record("a", at(0), `{"n":1}`))
		h.append(t, "t", record("a", at(1), `{"n":2,"late":"x"}`))
		if restart {
			h = h.crash(t, Options{})
		}
		// Another node has grown the schema in another way meanwhile.
		other := recordSchema()
		other.Columns = append(other.Columns, meta.Column{Name: "n", Type: meta.Type{Kind: meta.KindVarchar}})
		h.restoreTo(t, "t", append(old, other), meta.OpenUnit{Node: node, Unit: "long-ago"}, meta.OpenUnit{Node: "n2", Unit: "theirs"})
		h.w.Start(t.Context())
		if err := h.w.Relearn(t.Context()); err != nil {
			t.Fatal(err)
		}
		h.append(t, "t", record("a", at(2), `{"n":3}`))
		h.flush(t)
		if got := h.rows(t, "t", "SELECT count(*), count(late), string_agg(CAST(n AS VARCHAR), ',' ORDER BY timestamp) FROM rows"); !slices.Equal(got[0], []string{"3", "1", "1,2,3"}) {
			t.Errorf("restart %v: %v", restart, got)
		}
		l, err := h.catalog.Listing(t.Context(), "t")
		if err != nil || !slices.Equal(l.Open, []meta.OpenUnit{{Node: "n2", Unit: "theirs"}}) {
			t.Errorf("restart %v: open units %v, %v", restart, l.Open, err)
		}
		entry, err := h.catalog.Table(t.Context(), "t")
		for _, f := range l.Files {
			if err != nil || f.SchemaVersion > entry.SchemaVersion() {
				t.Errorf("file of version %d, the table has %d: %v", f.SchemaVersion, entry.SchemaVersion(), err)
			}
		}
	}
}

// TestShorterSchemasAreNoticed: a flush finds out itself that schemas are gone.
func TestShorterSchemasAreNoticed(t *testing.T) {
	h := newHouse(t, t.TempDir(), Options{}, nil)
	h.create(t, "t", meta.Config{})
	h.append(t, "t", record("a", at(0), `{"n":1,"m":2}`))
	h.restoreTo(t, "t", []meta.Schema{recordSchema()})
	h.flush(t)
	if got := h.rows(t, "t", "SELECT n, m FROM rows"); len(got) != 1 || !slices.Equal(got[0], []string{"1", "2"}) {
		t.Errorf("%v", got)
	}
}

// TestCommittedUnitAfterRestore: a unit that the restored catalog knows as
// committed is not stored again.
func TestCommittedUnitAfterRestore(t *testing.T) {
	h := newHouse(t, t.TempDir(), Options{}, nil)
	h.create(t, "t", meta.Config{})
	h.append(t, "t", record("a", at(0), `{"n":1}`))
	lost := errors.New("the answer is lost")
	h.meta.mu.Lock()
	h.meta.after = func(op string) error {
		if op == "commit" {
			return lost
		}
		return nil
	}
	h.meta.mu.Unlock()
	h.w.Start(t.Context())
	limited, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := h.w.Flush(limited, ""); err == nil {
		t.Fatal("the commit's answer was not lost")
	}
	h.meta.mu.Lock()
	h.meta.after = nil
	h.meta.mu.Unlock()
	if err := h.w.Relearn(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the unit is over", func() bool { return h.hotRows(t, "t") == 0 })
	if got := h.rows(t, "t", "SELECT count(*) FROM rows"); got[0][0] != "1" {
		t.Errorf("%v", got)
	}
}

// TestRowsOfTableThatWasDroppedAndRestored: a restore brings a dropped table
// back as the same one; rows from after that outlive the process, those from
// before the drop do not.
func TestRowsOfTableThatWasDroppedAndRestored(t *testing.T) {
	h := newHouse(t, t.TempDir(), Options{}, nil)
	h.create(t, "t", meta.Config{})
	h.append(t, "t", record("a", at(0), `{"n":1}`))
	if _, err := h.catalog.DropTable(t.Context(), "t", "t-uid"); err != nil {
		t.Fatal(err)
	}
	if err := h.w.Discard(t.Context(), "t-uid"); err != nil {
		t.Fatal(err)
	}
	h.create(t, "t", meta.Config{}) // with the same UID, as a restore does
	h.append(t, "t", record("a", at(1), `{"n":2}`))
	count(t, h, 1)
	h = h.crash(t, Options{})
	count(t, h, 1)
	h.flush(t)
	if got := h.rows(t, "t", "SELECT count(*), sum(n) FROM rows"); !slices.Equal(got[0], []string{"1", "2"}) {
		t.Errorf("%v", got)
	}
}

func TestDropped(t *testing.T) {
	change := func(kind, table string) meta.Change { return meta.Change{Kind: kind, Table: table} }
	for _, c := range []struct {
		name    string
		changes []meta.Change
		want    bool
	}{
		{"nothing is told", nil, false},
		{"it was made", []meta.Change{change("create", "t")}, false},
		{"another was dropped", []meta.Change{change("drop", "u"), change("create", "t")}, false},
		{"it was dropped", []meta.Change{change("create", "t"), change("drop", "t")}, true},
		{"it was made twice", []meta.Change{change("create", "t"), change("schema", "t"), change("create", "t")}, true},
		{"it was restored", []meta.Change{change("restore", "t"), change("create", "t")}, false},
	} {
		if got := dropped(c.changes, "t"); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
