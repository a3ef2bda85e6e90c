package check_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"

	"skein/coordinator/repair"
	"skein/internal/fault"
	"skein/meta"
	"skein/meta/check"
	"skein/meta/member"
	"skein/meta/redismeta"
	"skein/objstore/transfer"
)

func (h *house) wantFound(o check.Options, want ...string) check.Result {
	h.t.Helper()
	r := h.run(o)
	if want == nil {
		want = []string{}
	}
	got := found(r)
	if got == nil {
		got = []string{}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		h.t.Fatalf("%s\n%v", diff, r.Findings)
	}
	return r
}

func repairing() check.Options {
	o := options()
	o.Policy = check.All()
	return o
}

// TestCluster finds points of nodes that are gone, missing points, and units of
// nodes that are gone.
func TestCluster(t *testing.T) {
	h := newHouse(t)
	h.fill("users")
	h.beat("n2")
	h.must(h.catalog.SetRing(t.Context(), meta.NewRing([]string{nodeID, "ghost"})))
	h.wantFound(options(), "wrong-ring ghost", "wrong-ring n2")
	one := options()
	one.Tables = []string{"users"}
	h.wantFound(one) // the ring is nobody's
	if r := h.wantFound(repairing(), "wrong-ring ghost", "wrong-ring n2"); r.Damage() != 0 {
		t.Error(r.Findings)
	}
	h.wantFound(options())
	ring, err := h.catalog.Ring(t.Context())
	h.must(err)
	if !ring.Equal(meta.NewRing([]string{nodeID, "n2"})) {
		t.Error(ring.Nodes())
	}

	h.must(h.catalog.OpenUnit(t.Context(), "users", "users-uid", meta.OpenUnit{Node: "ghost", Unit: "u1"}))
	h.must(h.catalog.OpenUnit(t.Context(), "users", "users-uid", meta.OpenUnit{Node: "n2", Unit: "u2"}))
	h.must(h.catalog.OpenUnit(t.Context(), "users", "users-uid", meta.OpenUnit{Node: "gone", Unit: "u3"}))
	if given, err := member.GiveUp(t.Context(), h.catalog, "gone", time.Minute); err != nil || len(given) != 1 {
		t.Fatal(given, err) // no query waits for it
	}
	r := h.wantFound(repairing(), "unit-of-lost-node u1")
	if r.Findings[0].State != check.StateFound {
		t.Error(r.Findings)
	}
	l, err := h.catalog.Listing(t.Context(), "users")
	h.must(err)
	if len(l.Open) < 2 {
		t.Errorf("open units %v", l.Open)
	}
}

// TestNowhere leaves an entry whose object is nowhere, and removes it only when
// told so; one that is in the quarantine comes back.
func TestNowhere(t *testing.T) {
	h := newHouse(t)
	f := h.fill("users")
	before := h.rows("users")
	data := h.get(h.main, f[0].Path)
	for _, s := range []interface {
		Delete(context.Context, string) error
	}{h.main, h.spare} {
		h.must(s.Delete(t.Context(), f[0].Path))
	}
	r := h.wantFound(repairing(), "missing-object "+f[0].Path)
	if r.Findings[0].State != check.StateLeft || len(h.files("users")) != 3 {
		t.Error(r.Findings)
	}
	aside := check.QuarantinePrefix + time.Now().UTC().Format(time.DateOnly) + "/" + f[0].Path
	h.put(h.main, aside, data)
	r = h.wantFound(repairing(), "missing-object "+f[0].Path)
	if r.Damage() != 0 || h.rows("users") != before {
		t.Error(r.Findings)
	}
	h.wantFound(options())

	for _, s := range []interface {
		Delete(context.Context, string) error
	}{h.main, h.spare} {
		h.must(s.Delete(t.Context(), f[1].Path))
	}
	o := repairing()
	o.Policy[check.Missing] = check.Remove
	if r = h.wantFound(o, "missing-object "+f[1].Path); r.Damage() != 0 || len(h.files("users")) != 2 {
		t.Error(r.Findings)
	}
	table, err := h.catalog.Table(t.Context(), "users")
	h.must(err)
	if table.Stats.Rows != 20 {
		t.Errorf("%+v", table.Stats)
	}
	h.wantFound(options())
}

// TestNotOrphans leaves alone what may still get an entry, waits for its
// deletion, or is no data file.
func TestNotOrphans(t *testing.T) {
	h := newHouse(t)
	f := h.fill("users")
	data := h.get(h.main, f[0].Path)
	old := meta.ObjectPath("users", "id-0", day1, 1_700_000_000_000_000_001)
	h.put(h.main, old, data)
	unknown := meta.ObjectPath("nosuch", "id-0", day1, 1_700_000_000_000_000_002)
	h.put(h.main, unknown, data)
	h.put(h.main, "users/readme.txt", data)
	h.put(h.main, "metadata/backups/x", data)
	h.put(h.main, "quarantine/2020-01-01/users/id-0/2023-11-14/1.parquet", data)
	r := h.wantFound(options(), "orphan-object "+unknown, "orphan-object "+old)
	if r.Foreign != 1 {
		t.Errorf("%d foreign objects", r.Foreign)
	}

	o := options()
	o.MinAge = time.Hour // the objects are younger, whatever their numbers say
	if r := h.wantFound(o); r.Young != 2 {
		t.Errorf("%d young", r.Young)
	}
	h.must(transfer.QueueDeletions(t.Context(), h.queue, time.Hour, old, unknown))
	if r := h.wantFound(repairing()); r.Waiting != 2 {
		t.Errorf("%d wait", r.Waiting)
	}
	records, err := h.queue.Take(t.Context(), 10, time.Millisecond)
	h.must(err)
	_ = records // they are not due: they are replaced and taken off
	h.must(transfer.QueueCopies(t.Context(), h.queue, old, unknown))
	records, err = h.queue.Take(t.Context(), 10, time.Minute)
	h.must(err)
	h.must(h.queue.Done(t.Context(), records...))
	h.wantFound(options(), "orphan-object "+unknown, "orphan-object "+old)

	// A unit that is open may have named the file: it began before.
	id := ulid.MustNew(1_699_999_999_000, ulid.DefaultEntropy()).String()
	h.must(h.catalog.OpenUnit(t.Context(), "users", "users-uid", meta.OpenUnit{Node: nodeID, Unit: id}))
	h.wantFound(options(), "orphan-object "+unknown)
	h.must(h.catalog.Commit(t.Context(), meta.Commit{Table: "users", TableUID: "users-uid", Node: nodeID, Unit: id}))
	r = h.wantFound(repairing(), "orphan-object "+unknown, "orphan-object "+old)
	if r.Findings[0].State != check.StateLeft || r.Damage() != 1 { // the catalog may have lost the table
		t.Error(r.Findings)
	}
	h.create("nosuch", false)
	_, err = h.catalog.DropTable(t.Context(), "nosuch", "nosuch-uid")
	h.must(err)
	if r = h.wantFound(repairing(), "orphan-object "+unknown); r.Damage() != 0 {
		t.Error(r.Findings)
	}
	h.wantFound(options())
	keys := h.keys(h.main, check.QuarantinePrefix+time.Now().UTC().Format(time.DateOnly))
	if len(keys) != 4 { // with their notes
		t.Error(keys)
	}
}

// flushed loses everything when the first index is read, and somebody makes the
// table again.
type flushed struct {
	*redismeta.Store
	h    *house
	once sync.Once
}

func (f *flushed) ReadImage(ctx context.Context, table string, use func(meta.Image) error) error {
	f.once.Do(func() {
		f.h.must(f.h.redis.FlushAll(ctx).Err())
		f.h.create(table, false)
	})
	return f.Store.ReadImage(ctx, table, use)
}

// TestCatalogIsLostDuringRepair: files of a catalog that is lost while it is
// repaired are no orphans.
func TestCatalogIsLostDuringRepair(t *testing.T) {
	h := newHouse(t)
	files := h.fill("users")
	h.checks = repair.New(repair.Deps{Catalog: &flushed{Store: h.catalog, h: h}, Primary: h.main})
	if r, err := h.checks.Run(t.Context(), repairing()); fault.CodeOf(err) != fault.FailedPrecondition {
		t.Errorf("%v %v", r.Findings, err)
	}
	for _, f := range files {
		if _, err := h.main.Stat(t.Context(), f.Path); err != nil {
			t.Error(err)
		}
	}
}

// TestHealthyUnderWrites checks and repairs again and again while rows are
// written and flushed: nothing is ever found, and every row stays.
func TestHealthyUnderWrites(t *testing.T) {
	h := newHouse(t)
	h.create("events", false)
	h.create("plain", false)
	var writing sync.WaitGroup
	written := 0
	stop := make(chan struct{})
	writing.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			h.write("events", written, 30)
			h.write("plain", written, 3)
			written += 30
			h.flush("")
		}
	})
	checks := 0
	for end := time.Now().Add(8 * time.Second); time.Now().Before(end); checks++ {
		o := repairing()
		o.DryRun = checks%2 == 0
		o.Deep = checks%3 == 0
		h.wantFound(o)
	}
	close(stop)
	writing.Wait()
	h.wantFound(options())
	table, err := h.catalog.Table(t.Context(), "events")
	h.must(err)
	t.Logf("%d checks while %d rows became %d files", checks, written, table.Stats.Files)
	if table.Stats.Rows != int64(written) || checks < 2 {
		t.Errorf("%d rows of %d, %d checks", table.Stats.Rows, written, checks)
	}
}

// TestRepairUnderWrites mends entries and statistics while others commit:
// neither undoes the other.
func TestRepairUnderWrites(t *testing.T) {
	h := newHouse(t)
	h.create("events", false)
	h.write("events", 0, 30)
	h.flush("events")
	f := h.files("events")
	h.change("events", f[0], func(f *meta.File) { f.Rows += 7 })
	h.change("events", f[1], func(f *meta.File) { f.Ranges = meta.NewRanges([]meta.Range{{Column: 2, Min: "100", Max: "200"}}) })
	h.must(h.redis.HIncrBy(t.Context(), "table:events:stats", "size_bytes", 5).Err())
	ctx, stop := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	written := 30
	writing.Go(func() {
		for ctx.Err() == nil {
			h.write("events", written, 30)
			written += 30
			h.flush("")
			time.Sleep(50 * time.Millisecond)
		}
	})
	r := h.run(repairing())
	stop()
	writing.Wait()
	if c := r.Total(); c.Found != 3 || c.Repaired != 3 {
		t.Errorf("%+v %v", c, r.Findings)
	}
	h.wantFound(options())
	table, err := h.catalog.Table(t.Context(), "events")
	h.must(err)
	if table.Stats.Rows != int64(written) {
		t.Errorf("%d rows of %d", table.Stats.Rows, written)
	}
}

// TestFenced lets a leader that has been replaced change nothing.
func TestFenced(t *testing.T) {
	h := newHouse(t)
	f := h.fill("users")
	h.change("users", f[0], func(f *meta.File) { f.Rows++ })
	token, err := h.catalog.Lock(t.Context(), "leader", "old", time.Minute)
	h.must(err)
	h.must(h.catalog.Unlock(t.Context(), "leader", "old"))
	_, err = h.catalog.Lock(t.Context(), "leader", "new", time.Minute)
	h.must(err)
	_, err = h.checks.Run(meta.Fenced(t.Context(), "leader", token), repairing())
	if !errors.Is(err, meta.ErrFenced) {
		t.Error(err)
	}
	h.wantFound(options(), "wrong-rows "+f[0].Path)
	_, err = h.catalog.Lock(t.Context(), "restore", "somebody", time.Minute)
	h.must(err)
	if _, err := h.checks.Run(t.Context(), repairing()); fault.CodeOf(err) != fault.FailedPrecondition {
		t.Error(err)
	}
	h.wantFound(options(), "wrong-rows "+f[0].Path) // a check needs no lock
}

// TestBadOptions refuses what cannot be done.
func TestBadOptions(t *testing.T) {
	for name, o := range map[string]check.Options{
		"kind":   {Policy: check.Policy{"nosuch": check.Repair}},
		"action": {Policy: check.Policy{check.Orphan: check.Remove}},
		"lost":   {Policy: check.Policy{check.LostUnit: check.Repair}},
		"table":  {Tables: []string{"a-b"}},
		"many":   {Tables: make([]string, 20_000)},
	} {
		if _, err := check.Run(t.Context(), check.Deps{}, o); fault.CodeOf(err) != fault.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := check.All().Check(); err != nil || len(check.All()) != len(check.Kinds()) {
		t.Error(err)
	}
}

// TestMany looks at more suspects than a page has.
func TestMany(t *testing.T) {
	h := newHouse(t)
	h.create("users", false)
	const n = 2_500
	var files []meta.File
	for i := range n {
		files = append(files, meta.File{Path: meta.ObjectPath("users", "id-0", day1, int64(1_700_000_000_000_000_000+i)), ID: "id-0", HasID: true, Day: day1, Rows: 1, Bytes: 9, Unit: "u"})
	}
	h.commit("users", files...)
	o := options()
	r := h.run(o)
	if c := r.Counts[check.Missing]; c.Found != n || len(r.Findings) != 1_000 {
		t.Errorf("%+v, %d told", c, len(r.Findings))
	}
	o.Policy = check.Policy{check.Missing: check.Remove}
	start := time.Now()
	r = h.run(o)
	t.Logf("%s: %s", time.Since(start), r.Summary())
	if c := r.Counts[check.Missing]; c.Repaired != n || len(h.files("users")) != 0 {
		t.Errorf("%+v", c)
	}
	o.Tables = []string{"nosuch"}
	if _, err := h.checks.Run(t.Context(), o); !errors.Is(err, meta.ErrTableNotFound) {
		t.Error(err)
	}
	if text := fmt.Sprint(r.Findings[0]); text == "" {
		t.Error("no text")
	}
}
