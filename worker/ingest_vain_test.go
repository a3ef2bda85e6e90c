package worker

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"

	"skein/internal/fault"
	"skein/meta"
	"skein/objstore"
)

// rebuilding puts the first object that is stored into an index at once, as a
// rebuild does that finds it, and does not store the second.
type rebuilding struct {
	objstore.Store
	name func(path string) error
	mu   sync.Mutex
	put  []string
}

var errFull = fault.New(fault.Unavailable, "the disk is full")

func (r *rebuilding) Put(ctx context.Context, key string, body io.Reader, size int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.put) > 0 {
		return errFull
	}
	err := r.Store.Put(ctx, key, body, size)
	r.put = append(r.put, key)
	return errors.Join(err, r.name(key))
}

// TestFailedIngestBesideRebuild: a load that fails deletes nothing that a
// rebuild has put into the index meanwhile.
func TestFailedIngestBesideRebuild(t *testing.T) {
	var h *house
	r := &rebuilding{name: func(path string) error {
		return h.catalog.Commit(t.Context(), meta.Commit{Table: "t", TableUID: "t-uid", Unit: "rebuild", Add: []meta.File{{Path: path, Day: "2024-01-01", Rows: 1, Bytes: 1, Unit: "x"}}})
	}}
	h = newHouse(t, t.TempDir(), Options{IngestRowsMax: 1000}, func(s objstore.Store) objstore.Store { r.Store = s; return r })
	const sql = "SELECT range AS n FROM range(400000)"
	table := h.relational(t, h.selected(t, sql).Schema(), "", "", nil)
	if _, _, err := h.w.Ingest(t.Context(), table, h.selected(t, sql)); !errors.Is(err, errFull) {
		t.Fatal(err)
	}
	var left []string
	for o, err := range h.objects.List(t.Context(), "t/") {
		if err != nil {
			t.Fatal(err)
		}
		left = append(left, o.Key)
	}
	if !slices.Equal(left, r.put) {
		t.Errorf("%q are left, the index names %q", left, r.put)
	}
}
