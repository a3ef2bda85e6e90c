package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"skein/internal/fault"
	"skein/internal/realtest"
	"skein/meta"
	"skein/meta/redismeta"
	"skein/objstore"
	"skein/objstore/local"
)

var day = time.Date(2024, 1, 15, 10, 0, 0, 0, time.UTC)

// site is a service over a real Redis, and two directories as stores.
type site struct {
	*Service
	t       *testing.T
	redis   *redismeta.Store
	a, b    *local.Store
	commits int
}

func openSite(t *testing.T, url string, o Options, catalog func(meta.Store) meta.Store) *site {
	t.Helper()
	s := &site{t: t}
	var err error
	s.redis, err = redismeta.Open(t.Context(), url, redismeta.Options{})
	must(t, err)
	s.a, err = local.Open(t.TempDir(), local.Options{})
	must(t, err)
	s.b, err = local.Open(t.TempDir(), local.Options{})
	must(t, err)
	var c meta.Store = s.redis
	if catalog != nil {
		c = catalog(c)
	}
	o.Node, o.Dir = "n1", t.TempDir()
	s.Service = New(Deps{Catalog: c, Primary: s.a, Spare: s.b, Queue: s.redis.Queue("backup"),
		Operations: s.redis.Register("backup:operations"), Lease: s.redis.Lease("backup-history")}, o)
	t.Cleanup(func() { s.Close(); must(t, s.a.Close(), s.b.Close(), s.redis.Close()) })
	return s
}

func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func testTable(name string) meta.Table {
	return meta.Table{Name: name, UID: "u1", Created: day, Config: meta.Config{BufferSize: 5, BackupEnabled: true},
		Schemas: []meta.Schema{{Columns: []meta.Column{{Name: "id", Type: meta.Type{Kind: meta.KindVarchar}}}, IDColumn: "id", Records: true}}}
}

func testFile(table string, n int) meta.File {
	return meta.File{Path: fmt.Sprintf("%s/_/2024-01-15/%07d.parquet", table, n), Day: "2024-01-15", Rows: 1, Bytes: 1, SchemaVersion: 1, MinTime: day, MaxTime: day}
}

// store puts objects into the primary store and the files into the index.
func (s *site) store(table string, from, to int) {
	s.t.Helper()
	t, err := s.redis.Table(s.t.Context(), table)
	must(s.t, err)
	puts := errgroup.Group{}
	puts.SetLimit(64)
	for from < to {
		s.commits++
		c := meta.Commit{Table: table, TableUID: t.UID, Unit: fmt.Sprint("unit", s.commits)}
		for ; from < to && len(c.Add) < meta.CommitFilesMax; from++ {
			f := testFile(table, from)
			c.Add = append(c.Add, f)
			puts.Go(func() error { return s.a.Put(s.t.Context(), f.Path, strings.NewReader("x"), 1) })
		}
		must(s.t, s.redis.Commit(s.t.Context(), c), s.redis.ForgetUnits(s.t.Context(), table, []string{c.Unit}))
	}
	must(s.t, puts.Wait())
}

// numbers are those of the table's files.
func (s *site) numbers(table string) map[int]bool {
	s.t.Helper()
	l, err := s.redis.Listing(s.t.Context(), table)
	must(s.t, err)
	all := map[int]bool{}
	for _, f := range l.Files {
		var n int
		_, err := fmt.Sscanf(f.Path[strings.LastIndexByte(f.Path, '/')+1:], "%d.parquet", &n)
		must(s.t, err)
		all[n] = true
	}
	return all
}

func upTo(from, to int) map[int]bool {
	all := map[int]bool{}
	for n := from; n < to; n++ {
		all[n] = true
	}
	return all
}

// states are how many files readers of the table saw, one after the other.
func (s *site) states(table string) (stop func() []int) {
	ctx, cancel := context.WithCancel(s.t.Context())
	seen := make(chan []int)
	go func() {
		var all []int
		for ctx.Err() == nil {
			n := -1 // no table
			l, err := s.redis.Listing(ctx, table)
			if err == nil {
				n = len(l.Files)
			}
			if (err == nil || errors.Is(err, meta.ErrTableNotFound)) && (len(all) == 0 || all[len(all)-1] != n) {
				all = append(all, n)
			}
		}
		seen <- all
	}()
	return func() []int { cancel(); return <-seen }
}

const many = 10_500 // more than one commit takes

// Readers see a table as it was or as it becomes, however many files come back
// and go, and whether it was there or not.
func TestRestoreIsOneStep(t *testing.T) {
	s := openSite(t, realtest.Redis(t), Options{Parallel: 64}, nil)
	ctx := t.Context()
	must(t, s.redis.CreateTable(ctx, testTable("t")))
	s.store("t", 0, many)
	if op, err := s.Backup(ctx, Request{Table: "t"}, nil); err != nil || op.Copied != many {
		t.Fatal(op, err)
	}
	at := time.Now()
	table, err := s.redis.Table(ctx, "t")
	must(t, err)
	must(t, s.redis.OpenUnit(ctx, "t", table.UID, meta.OpenUnit{Node: "n1", Unit: "held"}))

	// All of its files leave the index, and others come.
	l, err := s.redis.Listing(ctx, "t")
	must(t, err)
	var gone []string
	for _, f := range l.Files {
		gone = append(gone, f.Path)
	}
	for part := range slices.Chunk(gone, meta.CommitFilesMax) {
		s.commits++
		must(t, s.redis.Commit(ctx, meta.Commit{Table: "t", TableUID: table.UID, Unit: fmt.Sprint("unit", s.commits), Remove: part}))
	}
	s.store("t", many, many+50)
	table, err = s.redis.Table(ctx, "t")
	must(t, err)
	table.Config.BufferSize = 77
	_, err = s.redis.UpdateTable(ctx, table)
	must(t, err)

	stop := s.states("t")
	_, err = s.Restore(ctx, Request{Table: "t", At: at}, nil)
	must(t, err)
	if seen := stop(); len(seen) > 2 || seen[0] != 50 || seen[len(seen)-1] != many && len(seen) == 2 {
		t.Errorf("readers saw %v files", seen)
	}
	if d := cmp.Diff(upTo(0, many), s.numbers("t")); d != "" {
		t.Error(d)
	}
	now, err := s.redis.Table(ctx, "t")
	must(t, err)
	if now.Stats.Files != many || now.UID != "u1" || now.Config.BufferSize != 77 {
		t.Errorf("%+v", now)
	}
	if l, err := s.redis.Listing(ctx, "t"); err != nil || len(l.Open) != 1 {
		t.Errorf("what nodes hold is forgotten: %v, %v", l.Open, err)
	}
	waiting, _, err := s.Queue.Len(ctx)
	if must(t, err); waiting != many+50 { // copies of what came back, deletions of what left
		t.Errorf("%d wait", waiting)
	}

	_, err = s.redis.DropTable(ctx, "t", "u1")
	must(t, err)
	stop = s.states("t")
	_, err = s.Restore(ctx, Request{Table: "t", At: at}, nil)
	must(t, err)
	if seen := stop(); len(seen) > 2 || seen[0] != -1 {
		t.Errorf("readers saw %v files", seen)
	}
	if d := cmp.Diff(upTo(0, many), s.numbers("t")); d != "" {
		t.Error(d)
	}
	if now, err := s.redis.Table(ctx, "t"); err != nil || lineage(now.UID) != "u1" || now.UID == "u1" || now.Config.BufferSize != 5 {
		t.Errorf("%+v, %v", now, err)
	}
}

// hooked calls f before each replacement, and lets it fail.
type hooked struct {
	meta.Store
	f func(context.Context) error
}

func (h *hooked) ReplaceTable(ctx context.Context, r meta.Replacement) (meta.Table, error) {
	if err := h.f(ctx); err != nil {
		return meta.Table{}, err
	}
	return h.Store.ReplaceTable(ctx, r)
}

// Rows that come while a table goes back in time stay, however often they
// overtake it; a crash before the step leaves the table as it was.
func TestRestoreUnderWrites(t *testing.T) {
	h := &hooked{}
	s := openSite(t, realtest.Redis(t), Options{commitMax: 10}, func(c meta.Store) meta.Store { h.Store = c; return h })
	ctx := t.Context()
	must(t, s.redis.CreateTable(ctx, testTable("t")))
	s.store("t", 0, 30)
	_, err := s.Backup(ctx, Request{Table: "t"}, nil)
	must(t, err)
	at := time.Now()
	s.store("t", 30, 60)

	h.f = func(context.Context) error { return errors.New("killed") }
	if op, err := s.Restore(ctx, Request{Table: "t", At: at}, nil); err == nil || op.State != Failed {
		t.Error(op, err)
	}
	if d := cmp.Diff(upTo(0, 60), s.numbers("t")); d != "" {
		t.Error(d)
	}
	next := 60
	h.f = func(context.Context) error {
		if next < 65 {
			s.store("t", next, next+1)
			next++
		}
		return nil
	}
	_, err = s.Restore(ctx, Request{Table: "t", At: at}, nil)
	must(t, err)
	want := upTo(0, 30)
	for n := 60; n < 65; n++ {
		want[n] = true
	}
	if d := cmp.Diff(want, s.numbers("t")); d != "" {
		t.Error(d)
	}

	// A file that is merged into another one meanwhile begins it anew.
	merged := false
	h.f = func(ctx context.Context) error {
		if merged {
			return nil
		}
		merged = true
		return s.redis.Commit(ctx, meta.Commit{Table: "t", TableUID: "u1", Unit: "merge", Remove: []string{testFile("t", 0).Path}, Add: []meta.File{testFile("t", 99)}})
	}
	must(t, s.a.Put(ctx, testFile("t", 99).Path, strings.NewReader("x"), 1))
	s.store("t", 70, 90)
	_, err = s.Restore(ctx, Request{Table: "t", At: at}, nil)
	must(t, err)
	if d := cmp.Diff(upTo(0, 30), s.numbers("t")); d != "" || !merged {
		t.Error(d, merged)
	}
}

// An index copy keeps everything that the catalog does, and one that is damaged
// is refused.
func TestIndexCopy(t *testing.T) {
	s := openSite(t, realtest.Redis(t), Options{}, nil)
	ctx := t.Context()
	must(t, s.redis.CreateTable(ctx, testTable("t")))
	f := meta.File{Path: "t/a/1", ID: "ü", HasID: true, Day: "2024-01-15", Rows: 9, Bytes: 8, SchemaVersion: 1, MinTime: day, MaxTime: day, Unit: "u",
		Ranges: meta.NewRanges([]meta.Range{{Column: 0, Min: "a", Max: "ü\x00 z"}})}
	must(t, s.redis.Commit(ctx, meta.Commit{Table: "t", TableUID: "u1", Unit: "u", Add: []meta.File{f}}))
	version, err := s.record(ctx, "t")
	must(t, err)
	x, err := s.copyAt(ctx, "t", time.Now())
	must(t, err)
	defer x.remove()
	want, err := s.redis.Table(ctx, "t")
	must(t, err)
	want.Stats, x.table.Stats = meta.Stats{}, meta.Stats{}
	if d := cmp.Diff(want, x.table); d != "" || x.version != version || x.count != 1 {
		t.Error(d, x.version, x.count)
	}
	l, err := s.redis.Listing(ctx, "t")
	must(t, err)
	for range 2 { // it can be read several times
		must(t, x.each(ctx, func(got meta.File) error {
			if d := cmp.Diff(l.Files[0], got); d != "" {
				t.Error(d)
			}
			return nil
		}))
	}
	keys, err := s.copies(ctx, "t")
	must(t, err)
	good := readAll(t, s.b, keys[0])
	for what, bad := range map[string][]byte{"empty": nil, "no copy": []byte("x"), "cut": good[:len(good)-9],
		"of another table": good} {
		key := keys[0]
		if what == "of another table" {
			key = strings.Replace(key, "/t/", "/other/", 1)
		}
		must(t, s.b.Put(ctx, key, bytes.NewReader(bad), int64(len(bad))))
		if _, err := s.fetch(ctx, key); fault.CodeOf(err) != fault.FailedPrecondition {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := s.take(ctx, "nosuch"); !errors.Is(err, meta.ErrTableNotFound) {
		t.Error(err)
	}
}

func readAll(t *testing.T, s objstore.Store, key string) []byte {
	t.Helper()
	r, err := s.Get(t.Context(), key, 0, -1)
	must(t, err)
	defer r.Close()
	b, err := io.ReadAll(r)
	must(t, err)
	return b
}

// wide is a catalog whose table has very many files, made as they are read.
type wide struct {
	meta.Store
	files int
}

func (w wide) ReadImage(_ context.Context, table string, f func(meta.Image) error) error {
	return f(meta.Image{Table: testTable(table), Version: 1, Count: int64(w.files), Files: func(yield func([]meta.File, error) bool) {
		for at := 0; at < w.files; {
			var page []meta.File
			for ; len(page) < meta.PageMax && at < w.files; at++ {
				page = append(page, testFile(table, at))
			}
			if !yield(page, nil) {
				return
			}
		}
	}})
}

// A copy of an index of a million files is made and read in little memory.
func TestMillionFiles(t *testing.T) {
	const files = 1_000_000
	s := openSite(t, realtest.Redis(t), Options{}, func(c meta.Store) meta.Store { return wide{c, files} })
	must(t, s.redis.CreateTable(t.Context(), testTable("t")))
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	var most atomic.Uint64
	done := make(chan struct{})
	stop := make(chan struct{})
	go func() {
		defer close(done)
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most.Store(max(most.Load(), m.HeapInuse))
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	start := time.Now()
	_, err := s.record(t.Context(), "t")
	must(t, err)
	x, err := s.copyAt(t.Context(), "t", time.Now())
	must(t, err)
	defer x.remove()
	close(stop)
	<-done
	grown := float64(most.Load()-min(most.Load(), before.HeapInuse)) / (1 << 20)
	t.Logf("%d files, %d bytes, made and read in %s with %.0f MiB more of memory", x.count, x.size, time.Since(start).Round(time.Millisecond), grown)
	if x.count != files || grown > 100 {
		t.Errorf("%d files, %.0f MiB", x.count, grown)
	}
}
