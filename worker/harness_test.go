package worker

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"skein/internal/duck"
	"skein/meta"
	"skein/meta/boltmeta"
	"skein/objstore"
	"skein/objstore/local"
	nodev1 "skein/proto/node/v1"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("WORKER_TEST_CHILD"); dir != "" {
		writeUntilKilled(dir, os.Getenv("WORKER_TEST_DIE"))
		return
	}
	goleak.VerifyTestMain(m)
}

const node = "n1"

// house is one worker over an embedded catalog and local objects in dir.
type house struct {
	dir     string
	catalog *boltmeta.Store
	objects *local.Store
	db      *duck.DB
	meta    *faultyMeta
	w       *Worker
}

// openHouse opens what is in dir. wrap may put something between the worker
// and the object store.
func openHouse(dir string, o Options, wrap func(objstore.Store) objstore.Store) (h *house, err error) {
	h = &house{dir: dir}
	if h.catalog, err = boltmeta.Open(filepath.Join(dir, "catalog"), boltmeta.Options{}); err != nil {
		return nil, err
	}
	if h.objects, err = local.Open(filepath.Join(dir, "objects"), local.Options{}); err != nil {
		return nil, err
	}
	if h.db, err = duck.Open(duck.Options{AllowedDirs: []string{dir}, Threads: 2}); err != nil {
		return nil, err
	}
	h.meta = &faultyMeta{Store: h.catalog}
	o.NodeID, o.Dir = node, filepath.Join(dir, "worker")
	if o.RetryBackoffMax == 0 {
		o.RetryBackoffMax = 20 * time.Millisecond
	}
	var objects objstore.Store = h.objects
	if wrap != nil {
		objects = wrap(objects)
	}
	h.w, err = New(Deps{Meta: h.meta, Objects: objects, DB: h.db}, o)
	return h, err
}

func (h *house) close(ctx context.Context) error {
	err := h.w.Close(ctx)
	h.db.Close()
	h.objects.Close()
	h.catalog.Close()
	return err
}

// newHouse opens dir for a test; the worker is not started.
func newHouse(t *testing.T, dir string, o Options, wrap func(objstore.Store) objstore.Store) *house {
	t.Helper()
	h, err := openHouse(dir, o, wrap)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		h.close(ctx)
	})
	return h
}

// stop ends the worker as a crash would, but in an orderly way for the test.
func (h *house) stop(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = h.close(ctx)
}

// crash ends the worker without a flush and opens it anew.
func (h *house) crash(t *testing.T, o Options) *house {
	t.Helper()
	h.meta.set(nil)
	h.stop(t)
	return newHouse(t, h.dir, o, nil)
}

func recordSchema() meta.Schema {
	return meta.Schema{
		Columns:  []meta.Column{{Name: "id", Type: meta.Type{Kind: "VARCHAR"}}, {Name: "timestamp", Type: meta.Type{Kind: "TIMESTAMP WITH TIME ZONE"}}},
		IDColumn: "id", TimeColumn: "timestamp", Records: true,
	}
}

func create(ctx context.Context, m meta.Store, name, uid string, c meta.Config, s meta.Schema) error {
	return m.CreateTable(ctx, meta.Table{Name: name, UID: uid, Config: c, Schemas: []meta.Schema{s}, Created: time.Now()})
}

func (h *house) create(t *testing.T, name string, c meta.Config) {
	t.Helper()
	if err := create(t.Context(), h.catalog, name, name+"-uid", c, recordSchema()); err != nil {
		t.Fatal(err)
	}
}

const second = 1_000_000 // of timestamps

// at is a time of the tests' day.
func at(s int) int64 { return 1_700_000_000*second + int64(s)*second }

func record(id string, us int64, payload string) *nodev1.Record {
	return &nodev1.Record{Id: id, TimestampUs: us, Payload: []byte(payload)}
}

func (h *house) append(t *testing.T, table string, records ...*nodev1.Record) {
	t.Helper()
	if err := h.w.Append(t.Context(), &nodev1.AppendRequest{Table: table, TableUid: table + "-uid", Records: records}); err != nil {
		t.Fatal(err)
	}
}

func (h *house) flush(t *testing.T) {
	t.Helper()
	h.w.Start(t.Context())
	if err := h.w.Flush(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
}

// query runs a SELECT over a table called rows: all files and hot rows as one
// reader sees them, of the current schema's types.
func (h *house) query(ctx context.Context, table, sql string) ([][]string, error) {
	entry, err := h.catalog.Table(ctx, table)
	if err != nil {
		return nil, err
	}
	hot, err := h.w.Hot(ctx, &nodev1.HotRequest{Table: table, TableUid: entry.UID})
	if err != nil {
		return nil, err
	}
	listing, err := h.catalog.Listing(ctx, table)
	if err != nil {
		return nil, err
	}
	if entry, err = h.catalog.Table(ctx, table); err != nil {
		return nil, err
	}
	paths := map[int][]string{}
	for _, f := range listing.Files {
		p, err := h.objects.LocalPath(f.Path)
		if err != nil {
			return nil, err
		}
		paths[f.SchemaVersion] = append(paths[f.SchemaVersion], p)
	}
	for _, u := range hot.Units {
		if listing.Units[u.Unit] {
			continue
		}
		p, release, err := h.w.HotPath(ctx, entry.UID, u.Unit, u.Rows)
		if err != nil {
			return nil, err
		}
		defer release()
		paths[int(u.SchemaVersion)] = append(paths[int(u.SchemaVersion)], p)
	}
	c, err := h.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.Strings(ctx, "WITH rows AS ("+scan(entry, paths)+") "+sql)
}

// scan reads files of each schema version as the current schema.
func scan(entry meta.Table, paths map[int][]string) string {
	to := entry.Schema()
	var parts []string
	var empty []string
	for _, c := range to.Columns {
		empty = append(empty, meta.MissingExpr(c.Type)+" AS "+meta.QuoteIdent(c.Name))
	}
	parts = append(parts, "SELECT "+strings.Join(empty, ", ")+" WHERE false")
	for v, files := range paths {
		from := entry.Schemas[v]
		var exprs, quoted []string
		for _, c := range to.Columns {
			e := meta.MissingExpr(c.Type)
			if i := from.Column(c.Name); i >= 0 {
				e = meta.ReadExpr(from.Columns[i].Name, from.Columns[i].Type, c.Type)
			}
			exprs = append(exprs, e+" AS "+meta.QuoteIdent(c.Name))
		}
		for _, f := range files {
			quoted = append(quoted, duck.Literal(f))
		}
		parts = append(parts, fmt.Sprintf("SELECT %s FROM read_parquet([%s])", strings.Join(exprs, ", "), strings.Join(quoted, ",")))
	}
	return strings.Join(parts, " UNION ALL ")
}

func (h *house) rows(t *testing.T, table, sql string) [][]string {
	t.Helper()
	got, err := h.query(t.Context(), table, sql)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// faultyMeta is a catalog whose calls can be made to fail.
type faultyMeta struct {
	meta.Store
	mu     sync.Mutex
	before func(op string) error
	after  func(op string) error
}

func (f *faultyMeta) set(before func(op string) error) { f.mu.Lock(); f.before = before; f.mu.Unlock() }

func (f *faultyMeta) call(op string, do func() error) error {
	f.mu.Lock()
	before, after := f.before, f.after
	f.mu.Unlock()
	if before != nil {
		if err := before(op); err != nil {
			return err
		}
	}
	err := do()
	if err == nil && after != nil {
		err = after(op)
	}
	return err
}

func (f *faultyMeta) OpenUnit(ctx context.Context, table, uid string, u meta.OpenUnit) error {
	return f.call("open", func() error { return f.Store.OpenUnit(ctx, table, uid, u) })
}

func (f *faultyMeta) Commit(ctx context.Context, c meta.Commit) error {
	return f.call("commit", func() error { return f.Store.Commit(ctx, c) })
}

func (f *faultyMeta) UpdateTable(ctx context.Context, t meta.Table) (stored meta.Table, err error) {
	err = f.call("update", func() error { stored, err = f.Store.UpdateTable(ctx, t); return err })
	return stored, err
}

func (f *faultyMeta) Table(ctx context.Context, name string) (t meta.Table, err error) {
	err = f.call("table", func() error { t, err = f.Store.Table(ctx, name); return err })
	return t, err
}

func (f *faultyMeta) ForgetUnits(ctx context.Context, table string, units []string) error {
	return f.call("forget", func() error { return f.Store.ForgetUnits(ctx, table, units) })
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

func emptyNow(t *testing.T, dir string) bool {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(entries) == 0
}
