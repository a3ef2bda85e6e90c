package worker

import (
	"bytes"
	"context"
	"errors"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skein/internal/fault"
	"skein/meta"
)

// TestNotes: files tell what the index says of them, those of records and of
// bulk loads.
func TestNotes(t *testing.T) {
	h := newHouse(t, t.TempDir(), Options{}, nil)
	config := meta.Config{BufferSize: 7, RetentionDays: 3, Properties: map[string]string{"x": `it's "quoted" ü`}}
	h.create(t, "t", config)
	h.append(t, "t", record("a'b", at(0), `{"n":1}`), record(`q"ü`, at(100_000), `{"n":2,"s":{"x":[1]}}`))
	h.flush(t)
	h.wantNotes(t, "t", 2)
}

func (h *house) wantNotes(t *testing.T, table string, count int) {
	t.Helper()
	l, err := h.catalog.Listing(t.Context(), table)
	if err != nil || len(l.Files) != count {
		t.Fatalf("%d files: %v", len(l.Files), err)
	}
	entry, err := h.catalog.Table(t.Context(), table)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range l.Files {
		n := h.note(t, f)
		if diff := cmp.Diff(f, n.File); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(entry.Config, n.Config); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(entry.Schemas[f.SchemaVersion], n.Schema); diff != "" {
			t.Error(diff)
		}
		if n.UID != entry.UID || !n.Created.Equal(entry.Created) {
			t.Errorf("%+v", n)
		}
	}
}

func (h *house) note(t *testing.T, f meta.File) Note {
	t.Helper()
	path, err := h.objects.LocalPath(f.Path)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n, err := ReadNote(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

type brokenReader struct{ err error }

func (b brokenReader) ReadAt([]byte, int64) (int, error) { return 0, b.err }

func TestReadNoteOfOthers(t *testing.T) {
	for name, data := range map[string][]byte{
		"nothing":          nil,
		"short":            []byte("PAR1"),
		"text":             bytes.Repeat([]byte("no Parquet "), 100),
		"a damaged footer": append(append(bytes.Repeat([]byte{7}, 100), 90, 0, 0, 0), "PAR1"...),
	} {
		if _, err := ReadNote(bytes.NewReader(data), int64(len(data))); fault.CodeOf(err) != fault.FailedPrecondition {
			t.Errorf("%s: %v", name, err)
		}
	}
	h := newHouse(t, t.TempDir(), Options{}, nil)
	c, err := h.db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	path := h.dir + "/plain.parquet"
	if _, err := c.Exec(t.Context(), "COPY (SELECT 1 AS a) TO '"+path+"' (FORMAT parquet)"); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ReadNote(bytes.NewReader(data), int64(len(data))); fault.CodeOf(err) != fault.FailedPrecondition {
		t.Errorf("another's file: %v", err)
	}
	away := fault.New(fault.Unavailable, "store is away")
	if _, err := ReadNote(brokenReader{away}, 1000); !errors.Is(err, away) {
		t.Errorf("a store that is away: %v", err)
	}
}
