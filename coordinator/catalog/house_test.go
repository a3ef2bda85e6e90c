//go:build duckdb_arrow

package catalog

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"skein/internal/duck"
	"skein/meta"
	"skein/meta/boltmeta"
	"skein/objstore/local"
	nodev1 "skein/proto/node/v1"
	"skein/worker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is a catalog, objects, and a worker that makes files of rows.
type house struct {
	t       *testing.T
	dir     string
	store   *boltmeta.Store
	objects *local.Store
	db      *duck.DB
	stores  int
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, dir: t.TempDir()}
	var err error
	if h.objects, err = local.Open(h.dir, local.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.objects.Close() })
	if h.db, err = duck.Open(duck.Options{AllowedDirs: []string{h.dir}, Threads: 1}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.db.Close)
	h.lose()
	return h
}

// lose begins with an empty catalog.
func (h *house) lose() {
	h.t.Helper()
	h.stores++
	store, err := boltmeta.Open(filepath.Join(h.dir, fmt.Sprint("catalog", h.stores)), boltmeta.Options{})
	if err != nil {
		h.t.Fatal(err)
	}
	h.store = store
	h.t.Cleanup(func() { store.Close() })
}

// service is one over the catalog as it is, or over what wraps it.
func (h *house) service(wrap meta.Store, o Options) *Service {
	h.t.Helper()
	if wrap == nil {
		wrap = h.store
	}
	if o.Node == "" {
		o.Node = "n1"
	}
	s, err := New(h.t.Context(), Deps{Catalog: wrap, Objects: h.objects}, o)
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

func (h *house) create(name string, c meta.Config) {
	h.t.Helper()
	s := meta.Schema{IDColumn: "id", TimeColumn: "timestamp", Records: true,
		Columns: []meta.Column{{Name: "id", Type: meta.Type{Kind: "VARCHAR"}}, {Name: "timestamp", Type: meta.Type{Kind: "TIMESTAMP WITH TIME ZONE"}}}}
	h.must(h.store.CreateTable(h.t.Context(), meta.Table{Name: name, UID: name + "-uid", Config: c, Schemas: []meta.Schema{s}, Created: time.Now().UTC()}))
}

// write makes a file of each record: id and payload.
func (h *house) write(table string, records ...[2]string) {
	h.t.Helper()
	h.writeTo(table, table+"-uid", records...)
}

func (h *house) writeTo(table, uid string, records ...[2]string) {
	h.t.Helper()
	w, err := worker.New(worker.Deps{Meta: h.store, Objects: h.objects, DB: h.db}, worker.Options{NodeID: "n1", Dir: filepath.Join(h.dir, "worker")})
	h.must(err)
	req := &nodev1.AppendRequest{Table: table, TableUid: uid}
	for _, r := range records {
		req.Records = append(req.Records, &nodev1.Record{Id: r[0], TimestampUs: time.Date(2024, 1, 15, 0, 0, 0, 0, time.UTC).UnixMicro(), Payload: []byte(r[1])})
	}
	err = w.Append(h.t.Context(), req)
	limited, cancel := context.WithTimeout(h.t.Context(), 20*time.Second)
	defer cancel()
	h.must(err, w.Close(limited))
}

func (h *house) listing(table string) []meta.File {
	h.t.Helper()
	l, err := h.store.Listing(h.t.Context(), table)
	h.must(err)
	return l.Files
}

func (h *house) table(name string) meta.Table {
	h.t.Helper()
	t, err := h.store.Table(h.t.Context(), name)
	h.must(err)
	return t
}

func (h *house) must(errs ...error) {
	h.t.Helper()
	if err := errors.Join(errs...); err != nil {
		h.t.Fatal(err)
	}
}
