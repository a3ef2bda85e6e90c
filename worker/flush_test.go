package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"skein/internal/fault"
	"skein/meta"
	"skein/objstore"
	"skein/objstore/objstoretest"
	nodev1 "skein/proto/node/v1"
)

func count(t *testing.T, h *house, want int) {
	t.Helper()
	if got := h.rows(t, "t", "SELECT count(*) FROM rows"); got[0][0] != fmt.Sprint(want) {
		t.Errorf("%v rows, want %d", got, want)
	}
}

func (h *house) files(t *testing.T) int {
	t.Helper()
	l, err := h.catalog.Listing(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	return len(l.Files)
}

func TestFlushBySize(t *testing.T) {
	h := newHouse(t, t.TempDir(), Options{}, nil)
	h.create(t, "t", meta.Config{BufferSize: 3, FlushIntervalSeconds: 3600})
	h.w.Start(t.Context())
	h.append(t, "t", record("a", 0, `{}`), record("a", 1, `{}`))
	if h.files(t) != 0 {
		t.Error("flushed early")
	}
	h.append(t, "t", record("a", 2, `{}`))
	eventually(t, "flush at 3 rows", func() bool { return h.files(t) == 1 })
	count(t, h, 3)
}

func TestFlushByBytes(t *testing.T) {
	h := newHouse(t, t.TempDir(), Options{UnitBytesMax: 10_000}, nil)
	h.create(t, "t", meta.Config{FlushIntervalSeconds: 3600})
	h.w.Start(t.Context())
	h.append(t, "t", record("a", 0, `{"x":"`+strings.Repeat("x", 10_000)+`"}`))
	eventually(t, "flush at 10,000 bytes", func() bool { return h.files(t) == 1 })
}

func TestFlushByAge(t *testing.T) {
	h := newHouse(t, t.TempDir(), Options{}, nil)
	h.create(t, "t", meta.Config{FlushIntervalSeconds: 1})
	h.w.Start(t.Context())
	start := time.Now()
	h.append(t, "t", record("a", 0, `{}`))
	eventually(t, "flush after a second", func() bool { return h.files(t) == 1 })
	if d := time.Since(start); d < time.Second {
		t.Errorf("flushed after %v", d)
	}
}

func TestUnitHasBoundedFiles(t *testing.T) {
	h := newHouse(t, t.TempDir(), Options{}, nil)
	h.create(t, "t", meta.Config{BufferSize: 1 << 30, FlushIntervalSeconds: 3600})
	rows := make([]*nodev1.Record, 0, 12_000)
	for i := range cap(rows) {
		rows = append(rows, record(fmt.Sprint(i), 0, `{}`))
	}
	h.append(t, "t", rows...)
	hot, _ := h.w.Hot(t.Context(), &nodev1.HotRequest{TableUid: "t-uid"})
	for _, u := range hot.Units {
		if u.Rows > groupsMax {
			t.Errorf("a unit of %d files", u.Rows)
		}
	}
	count(t, h, 12_000)
	if err := h.w.Discard(t.Context(), "t-uid"); err != nil {
		t.Fatal(err)
	}
}

func TestCloseFlushes(t *testing.T) {
	dir := t.TempDir()
	h := newHouse(t, dir, Options{}, nil)
	h.create(t, "t", meta.Config{})
	h.append(t, "t", record("a", 0, `{}`))
	if err := h.w.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := h.w.Append(t.Context(), &nodev1.AppendRequest{Table: "t", TableUid: "t-uid", Records: []*nodev1.Record{record("a", 0, `{}`)}}); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("append after close: %v", err)
	}
	if n := h.files(t); n != 1 {
		t.Errorf("%d files", n)
	}
	l, _ := h.catalog.Listing(t.Context(), "t")
	if len(l.Open) != 0 {
		t.Errorf("open units %v", l.Open)
	}
}

func TestCloseInTimeLeavesRowsInTheLog(t *testing.T) {
	h := newHouse(t, t.TempDir(), Options{}, nil)
	h.create(t, "t", meta.Config{})
	h.append(t, "t", record("a", 0, `{}`))
	h.meta.set(func(op string) error { return fault.New(fault.Unavailable, "catalog is down") })
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	err := h.w.Close(ctx)
	if fault.CodeOf(err) != fault.DeadlineExceeded || !strings.Contains(err.Error(), "1 units left") || !strings.Contains(err.Error(), "catalog is down") {
		t.Errorf("got %v", err)
	}
	h = h.crash(t, Options{})
	count(t, h, 1)
}

// TestStoreDownThenUp also covers that rows stay readable and that an outage
// is logged once.
func TestStoreDownThenUp(t *testing.T) {
	var down atomic.Bool
	h := newHouse(t, t.TempDir(), Options{}, func(s objstore.Store) objstore.Store {
		return objstoretest.Faulty(s, objstoretest.Rule{Op: objstoretest.OpPut, Do: func(context.Context) error {
			if down.Load() {
				return fault.New(fault.Unavailable, "store is down")
			}
			return nil
		}})
	})
	h.create(t, "t", meta.Config{BufferSize: 1})
	h.w.Start(t.Context())
	down.Store(true)
	for i := range 20 {
		h.append(t, "t", record("a", at(i), `{"i":1}`))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := h.w.Flush(ctx, "t"); fault.CodeOf(err) != fault.DeadlineExceeded || !strings.Contains(err.Error(), "store is down") {
		t.Errorf("flush while down: %v", err)
	}
	count(t, h, 20)
	down.Store(false)
	h.flush(t)
	count(t, h, 20)
	if n := h.files(t); n != 20 {
		t.Errorf("%d files", n)
	}
}

func TestCatalogDown(t *testing.T) {
	h := newHouse(t, t.TempDir(), Options{}, nil)
	h.create(t, "t", meta.Config{BufferSize: 3})
	h.append(t, "t", record("a", 0, `{}`))
	h.w.Start(t.Context())
	down := fault.New(fault.Unavailable, "catalog is down")
	h.meta.set(func(string) error { return down })
	h.append(t, "t", record("a", 1, `{}`), record("a", 2, `{}`)) // into the open unit, which is sealed then
	err := h.w.Append(t.Context(), &nodev1.AppendRequest{Table: "t", TableUid: "t-uid", Records: []*nodev1.Record{record("a", 3, `{}`)}})
	if !errors.Is(err, down) {
		t.Errorf("append without a unit: %v", err)
	}
	h.meta.set(nil)
	h.append(t, "t", record("a", 3, `{}`))
	count(t, h, 4)
	h.flush(t)
	count(t, h, 4)
}

// TestCommitWithLostAnswer covers a commit that succeeded but told an error.
func TestCommitWithLostAnswer(t *testing.T) {
	h := newHouse(t, t.TempDir(), Options{}, nil)
	h.create(t, "t", meta.Config{})
	var lost atomic.Int32
	h.meta.after = func(op string) error {
		if op == "commit" && lost.Add(1) <= 3 {
			return fault.New(fault.Unavailable, "answer lost")
		}
		return nil
	}
	h.append(t, "t", record("a", 0, `{}`))
	h.flush(t)
	count(t, h, 1)
	if lost.Load() < 4 {
		t.Error("not tried again")
	}
}

func TestBufferLimit(t *testing.T) {
	var down atomic.Bool
	down.Store(true)
	const row = 1000 + recordBytes + len(`{"x":""}`) + 1
	h := newHouse(t, t.TempDir(), Options{BufferBytesMax: 10 * int64(row), BufferWait: 50 * time.Millisecond}, func(s objstore.Store) objstore.Store {
		return objstoretest.Faulty(s, objstoretest.Rule{Op: objstoretest.OpPut, Do: func(context.Context) error {
			if down.Load() {
				return fault.New(fault.Unavailable, "store is down")
			}
			return nil
		}})
	})
	h.create(t, "t", meta.Config{FlushIntervalSeconds: 3600})
	h.w.Start(t.Context())
	write := func() error {
		return h.w.Append(t.Context(), &nodev1.AppendRequest{Table: "t", TableUid: "t-uid", Records: []*nodev1.Record{record("a", 0, `{"x":"`+strings.Repeat("x", 1000)+`"}`)}})
	}
	for i := range 10 {
		if err := write(); err != nil {
			t.Fatal(i, err)
		}
	}
	err := write()
	if fault.CodeOf(err) != fault.ResourceExhausted || fault.RetryAfter(err) == 0 {
		t.Fatalf("got %v", err)
	}
	count(t, h, 10)
	down.Store(false)
	eventually(t, "room again", func() bool { return write() == nil })
	big := record("a", 0, `{"x":"`+strings.Repeat("x", 20*row)+`"}`)
	err = h.w.Append(t.Context(), &nodev1.AppendRequest{Table: "t", TableUid: "t-uid", Records: []*nodev1.Record{big}})
	if fault.CodeOf(err) != fault.TooLarge {
		t.Errorf("a write larger than the buffer: %v", err)
	}
	h.flush(t)
	// Many writers share the little room while flushes make more of it.
	var wg sync.WaitGroup
	h.w.o.BufferWait = 10 * time.Second
	for range 8 {
		wg.Go(func() {
			for range 10 {
				if err := write(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	h.flush(t)
	count(t, h, 11+80)
	if !h.w.budget.TryAcquire(h.w.o.BufferBytesMax) {
		t.Error("buffer space leaked")
	}
	h.w.budget.Release(h.w.o.BufferBytesMax)
}

func TestDroppedTable(t *testing.T) {
	h := newHouse(t, t.TempDir(), Options{}, nil)
	h.create(t, "t", meta.Config{})
	h.append(t, "t", record("a", 0, `{"x":1}`))
	drop := func() {
		t.Helper()
		if _, err := h.catalog.DropTable(t.Context(), "t", "t-uid"); err != nil {
			t.Fatal(err)
		}
	}
	drop()
	h.create(t, "t", meta.Config{}) // same UID on purpose is not possible; another incarnation below
	drop()
	if err := create(t.Context(), h.catalog, "t", "second", meta.Config{}, recordSchema()); err != nil {
		t.Fatal(err)
	}
	h.w.Start(t.Context())
	if err := h.w.Flush(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	count(t, h, 0)
	err := h.w.Append(t.Context(), &nodev1.AppendRequest{Table: "t", TableUid: "t-uid", Records: []*nodev1.Record{record("a", 0, `{}`)}})
	if fault.CodeOf(err) != fault.NotFound {
		t.Errorf("append to the old incarnation: %v", err)
	}
	if err := h.w.Append(t.Context(), &nodev1.AppendRequest{Table: "t", TableUid: "second", Records: []*nodev1.Record{record("a", 0, `{}`)}}); err != nil {
		t.Fatal(err)
	}
	h = h.crash(t, Options{})
	count(t, h, 1)
}

// TestTableDroppedBetweenUploadAndCommit covers that no object is left behind.
func TestTableDroppedBetweenUploadAndCommit(t *testing.T) {
	h := newHouse(t, t.TempDir(), Options{}, nil)
	h.create(t, "t", meta.Config{})
	h.append(t, "t", record("a", 0, `{"x":1}`))
	h.meta.set(func(op string) error {
		if op == "commit" {
			_, err := h.catalog.DropTable(context.Background(), "t", "t-uid")
			return err
		}
		return nil
	})
	h.flush(t)
	h.meta.set(nil)
	for o, err := range h.objects.List(t.Context(), "") {
		t.Errorf("object %s %v is left", o.Key, err)
	}
}

func TestDiscard(t *testing.T) {
	h := newHouse(t, t.TempDir(), Options{}, nil)
	h.create(t, "t", meta.Config{})
	h.append(t, "t", record("a", 0, `{"x":1}`))
	if err := h.w.Discard(t.Context(), "t-uid"); err != nil { // heard late: a restore brought the table back
		t.Fatal(err)
	}
	count(t, h, 1)
	if _, err := h.catalog.DropTable(t.Context(), "t", "t-uid"); err != nil {
		t.Fatal(err)
	}
	if err := h.w.Discard(t.Context(), "t-uid"); err != nil {
		t.Fatal(err)
	}
	h.create(t, "t", meta.Config{})
	count(t, h, 0)
	h = h.crash(t, Options{})
	count(t, h, 0)
}

func TestLogIsTrimmedAndUnitsForgotten(t *testing.T) {
	h := newHouse(t, t.TempDir(), Options{SegmentBytes: 2000, forgetAfter: 300 * time.Millisecond}, nil)
	h.create(t, "t", meta.Config{BufferSize: 5})
	h.w.Start(t.Context())
	for i := range 200 {
		h.append(t, "t", record("a", at(i), `{"x":"`+strings.Repeat("x", 100)+`"}`))
	}
	h.flush(t)
	units := func() int {
		l, err := h.catalog.Listing(t.Context(), "t")
		if err != nil {
			t.Fatal(err)
		}
		return len(l.Units)
	}
	eventually(t, "log trimmed", func() bool { return h.w.wal.Bytes() < 15_000 })
	if units() == 0 {
		t.Error("forgotten at once")
	}
	eventually(t, "units forgotten", func() bool { return units() == 0 })
	count(t, h, 200)
}

// TestForgettingOutlivesTheProcess covers units whose process ended before the
// catalog forgot them.
func TestForgettingOutlivesTheProcess(t *testing.T) {
	h := newHouse(t, t.TempDir(), Options{SegmentBytes: 500}, nil)
	h.create(t, "t", meta.Config{BufferSize: 1})
	h.w.Start(t.Context())
	for i := range 30 {
		h.append(t, "t", record("a", at(i), `{"x":"`+strings.Repeat("x", 100)+`"}`))
	}
	h.flush(t)
	eventually(t, "log trimmed", func() bool { return h.w.wal.First() > 5 })
	h = h.crash(t, Options{forgetAfter: time.Millisecond})
	h.w.Start(t.Context())
	eventually(t, "units forgotten", func() bool {
		l, err := h.catalog.Listing(t.Context(), "t")
		return err == nil && len(l.Units) == 0
	})
	count(t, h, 30)
}

func TestLogLimitFlushesOldUnits(t *testing.T) {
	h := newHouse(t, t.TempDir(), Options{SegmentBytes: 1000, LogBytesMax: 20_000}, nil)
	h.create(t, "t", meta.Config{FlushIntervalSeconds: 3600})
	if err := create(t.Context(), h.catalog, "busy", "busy-uid", meta.Config{BufferSize: 1}, recordSchema()); err != nil {
		t.Fatal(err)
	}
	h.w.Start(t.Context())
	h.append(t, "t", record("a", 0, `{}`))
	for i := range 300 {
		h.append(t, "busy", record("a", at(i), `{"x":"`+strings.Repeat("x", 100)+`"}`))
	}
	eventually(t, "old unit flushed", func() bool { return h.files(t) == 1 })
}

// TestUnitOpenedButNeverUsed covers a process that ended between telling the
// catalog of a unit and its first row.
func TestUnitOpenedButNeverUsed(t *testing.T) {
	h := newHouse(t, t.TempDir(), Options{}, nil)
	h.create(t, "t", meta.Config{})
	for _, u := range []meta.OpenUnit{{Node: node, Unit: "lost"}, {Node: "other", Unit: "alive"}} {
		if err := h.catalog.OpenUnit(t.Context(), "t", "t-uid", u); err != nil {
			t.Fatal(err)
		}
	}
	h.append(t, "t", record("a", 0, `{}`))
	h.w.Start(t.Context())
	eventually(t, "lost unit closed", func() bool {
		l, err := h.catalog.Listing(t.Context(), "t")
		return err == nil && len(l.Open) == 2
	})
	count(t, h, 1)
}

// TestUnitOpenedWithLostAnswer: a write whose client gave up while the catalog
// opened its unit leaves nothing open when the node leaves.
func TestUnitOpenedWithLostAnswer(t *testing.T) {
	h := newHouse(t, t.TempDir(), Options{}, nil)
	h.create(t, "t", meta.Config{})
	h.meta.after = func(op string) error {
		if op == "open" {
			return context.Canceled
		}
		return nil
	}
	err := h.w.Append(t.Context(), &nodev1.AppendRequest{Table: "t", TableUid: "t-uid", Records: []*nodev1.Record{record("a", at(0), "{}")}})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := h.w.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if l, err := h.catalog.Listing(t.Context(), "t"); err != nil || len(l.Open) != 0 || len(l.Files) != 0 {
		t.Errorf("%+v %v", l, err)
	}
}

func TestHotUnitStaysReadable(t *testing.T) {
	h := newHouse(t, t.TempDir(), Options{pinFor: 400 * time.Millisecond}, nil)
	h.create(t, "t", meta.Config{})
	h.append(t, "t", record("a", at(0), `{"x":1}`))
	h.append(t, "t", record("a", at(5), `{"x":2,"y":1}`), record("a", at(-5), `{"x":3}`))
	res, err := h.w.Hot(t.Context(), &nodev1.HotRequest{Table: "t", TableUid: "t-uid"})
	if err != nil || len(res.Units) != 1 {
		t.Fatal(res, err)
	}
	u := res.Units[0]
	if u.Rows != 3 || u.SchemaVersion != 2 || u.MinTimeUs != at(-5) || u.MaxTimeUs != at(5) || u.Bytes == 0 {
		t.Errorf("unit %v", u)
	}
	h.append(t, "t", record("a", at(9), `{"z":1}`))
	h.flush(t)
	read := func(rows int64) error {
		r, err := h.w.ReadHot(t.Context(), &nodev1.ReadHotRequest{TableUid: "t-uid", Unit: u.Unit, Rows: rows})
		if err != nil {
			return err
		}
		defer r.Close()
		b, err := io.ReadAll(r)
		if err == nil && !strings.HasPrefix(string(b), "PAR1") {
			t.Errorf("not a Parquet file: %.20q", b)
		}
		return err
	}
	for _, rows := range []int64{1, 2, 3, 4} {
		if err := read(rows); err != nil {
			t.Errorf("%d rows: %v", rows, err)
		}
	}
	if err := read(5); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("more rows than there are: %v", err)
	}
	if err := read(0); fault.CodeOf(err) != fault.InvalidArgument {
		t.Errorf("no rows: %v", err)
	}
	if res, _ := h.w.Hot(t.Context(), &nodev1.HotRequest{Table: "t", TableUid: "t-uid"}); len(res.Units) != 0 {
		t.Error("a committed unit is told", res)
	}
	eventually(t, "unpinned", func() bool { return fault.CodeOf(read(3)) == fault.Unavailable })
	eventually(t, "hot files removed", func() bool { return emptyNow(t, h.w.hotDir()) })
}

// TestCommittedUnitIsNotUploadedAgain covers a crash right after the commit,
// when the files were merged into another before the restart.
func TestCommittedUnitIsNotUploadedAgain(t *testing.T) {
	h := newHouse(t, t.TempDir(), Options{}, nil)
	h.create(t, "t", meta.Config{})
	h.append(t, "t", record("a", at(0), `{"x":1}`))
	lost := make(chan bool, 1)
	h.meta.after = func(op string) error {
		if op != "commit" {
			return nil
		}
		h.meta.set(func(string) error { return fault.New(fault.Unavailable, "catalog is down") })
		lost <- true
		return fault.New(fault.Unavailable, "answer lost")
	}
	h.w.Start(t.Context())
	go h.w.Flush(t.Context(), "t")
	<-lost
	h = h.crash(t, Options{})
	l, err := h.catalog.Listing(t.Context(), "t")
	if err != nil || len(l.Files) != 1 {
		t.Fatal(l, err)
	}
	old := l.Files[0]
	merged := old
	merged.Path = meta.ObjectPath("t", "a", old.Day, 1)
	r, err := h.objects.Get(t.Context(), old.Path, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := errors.Join(
		h.objects.Put(t.Context(), merged.Path, r, old.Bytes),
		h.catalog.Commit(t.Context(), meta.Commit{Table: "t", TableUID: "t-uid", Unit: "compaction", Add: []meta.File{merged}, Remove: []string{old.Path}, Time: time.Now()}),
		h.objects.Delete(t.Context(), old.Path)); err != nil {
		t.Fatal(err)
	}
	count(t, h, 1)
	h.flush(t)
	count(t, h, 1)
	for o := range h.objects.List(t.Context(), "") {
		if o.Key != merged.Path {
			t.Error("uploaded again:", o.Key)
		}
	}
}
