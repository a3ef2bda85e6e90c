package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"skein/internal/fault"
	nodev1 "skein/proto/node/v1"
)

// replicaEntry is a log entry of a unit of n9, with one row.
func replicaEntry(t *testing.T, u *unit, n int) *nodev1.ReplicateRequest {
	t.Helper()
	e, err := newRowsEntry(u.table, newChunk([]*nodev1.Record{record("a", at(n), fmt.Sprintf(`{"n":%d}`, n))}, 0))
	if err != nil {
		t.Fatal(err)
	}
	return &nodev1.ReplicateRequest{Node: "n9", Table: u.table.name, TableUid: u.table.uid, Unit: u.id, Entry: e.of(u)}
}

// replicaHouse opens a replica log; its catalog has what open says as open.
func replicaHouse(t *testing.T, dir string, o Options, open func(unit string) bool) *replicas {
	t.Helper()
	o.NodeID, o.Dir = "n1", dir
	o, err := o.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	r, err := openReplicas(dir, o, func(_ context.Context, r *nodev1.ReplicateRequest) error {
		if open(r.Unit) {
			return nil
		}
		return errNoReplica
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.log.Close() })
	return r
}

// begin adds the entry that a unit begins with.
func (r *replicas) begin(t *testing.T, u *unit) error {
	t.Helper()
	req := replicaEntry(t, u, 0)
	req.Entry = req.Entry[:rowsHeader]
	return r.add(t.Context(), req)
}

func replicated(t *testing.T, r *replicas, unit string) (rows int) {
	t.Helper()
	u := r.unit(unit)
	if u == nil {
		return -1
	}
	chunks, err := r.rows(u)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range chunks {
		rows += len(c.rows)
	}
	return rows
}

// TestReplicaLogOverRestarts: rows, fences and ends are what they were.
func TestReplicaLogOverRestarts(t *testing.T) {
	dir, table := t.TempDir(), newTable("t", "t-uid")
	kept, fenced, over := newUnit(table, 7), newUnit(table, 8), newUnit(table, 9)
	open := map[string]bool{kept.id: true, fenced.id: true, over.id: true}
	isOpen := func(unit string) bool { return open[unit] }
	r := replicaHouse(t, dir, Options{}, isOpen)
	for _, u := range []*unit{kept, fenced, over} {
		if err := r.add(t.Context(), replicaEntry(t, u, 0)); fault.CodeOf(err) != fault.NotFound {
			t.Fatalf("rows of a unit whose begin is not here: %v", err)
		}
		if err := r.begin(t, u); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 5 {
		for _, u := range []*unit{kept, fenced, over} {
			if err := r.add(t.Context(), replicaEntry(t, u, i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if number, err := r.fence(t.Context(), r.unit(fenced.id), 77); number != 77 || err != nil {
		t.Fatal(number, err)
	}
	r.drop(over.id, "unheard of")
	open[over.id] = false // as it is committed
	for range 3 {
		for u, want := range map[*unit]int{kept: 5, fenced: 5, over: -1} {
			if got := replicated(t, r, u.id); got != want {
				t.Errorf("unit of number %d has %d rows, want %d", u.ns, got, want)
			}
		}
		for u, want := range map[*unit]fault.Code{fenced: fault.FailedPrecondition, over: fault.NotFound} {
			if err := errors.Join(r.begin(t, u), r.add(t.Context(), replicaEntry(t, u, 99))); fault.CodeOf(err) != want {
				t.Errorf("a unit that is over took rows: %v", err)
			}
		}
		if number, err := r.fence(t.Context(), r.unit(fenced.id), 78); number != 77 || err != nil {
			t.Errorf("the fence has number %d, %v; it must keep that of its files", number, err)
		}
		r.log.Close()
		r = replicaHouse(t, dir, Options{}, isOpen)
	}
	if u := r.unit(kept.id); u.node != "n9" || u.table != "t" || u.uid != "t-uid" || u.ns != 7 {
		t.Errorf("after restarts the unit is %+v", u)
	}
}

// TestReplicaLogLimit: a full log refuses rows, and takes them again when units
// are over.
func TestReplicaLogLimit(t *testing.T) {
	r := replicaHouse(t, t.TempDir(), Options{ReplicaBytesMax: 20_000}, func(string) bool { return true })
	table := newTable("t", "t-uid")
	var full error
	var units []string
	for i := 0; full == nil && i < 1000; i++ {
		u := newUnit(table, int64(i))
		if full = r.begin(t, u); full != nil {
			break
		}
		if full = r.add(t.Context(), replicaEntry(t, u, i)); full == nil {
			units = append(units, u.id)
		}
	}
	if fault.CodeOf(full) != fault.ResourceExhausted || len(units) < 10 {
		t.Fatalf("after %d units: %v", len(units), full)
	}
	r.drop(units...)
	eventually(t, "there is room again", func() bool {
		if err := r.trim(); err != nil {
			t.Fatal(err)
		}
		return r.begin(t, newUnit(table, 1)) == nil
	})
}

// TestReplicaLogRefusesNonsense: what is no entry of a unit is not stored.
func TestReplicaLogRefusesNonsense(t *testing.T) {
	r := replicaHouse(t, t.TempDir(), Options{}, func(string) bool { return true })
	u := newUnit(newTable("t", "t-uid"), 1)
	for name, change := range map[string]func(*nodev1.ReplicateRequest){
		"no entry":      func(r *nodev1.ReplicateRequest) { r.Entry = nil },
		"another kind":  func(r *nodev1.ReplicateRequest) { r.Entry[0] = entryCommitted },
		"another unit":  func(r *nodev1.ReplicateRequest) { r.Unit = strings.Repeat("x", unitBytes) },
		"no node":       func(r *nodev1.ReplicateRequest) { r.Node = "" },
		"shorter entry": func(r *nodev1.ReplicateRequest) { r.Entry = r.Entry[:rowsHeader-1] },
	} {
		req := replicaEntry(t, u, 1)
		change(req)
		if err := r.add(t.Context(), req); fault.CodeOf(err) != fault.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(r.list()) != 0 {
		t.Errorf("it holds %v", r.list())
	}
}

// TestFenceAndRowsAtOnce: rows that were acknowledged are before the fence.
func TestFenceAndRowsAtOnce(t *testing.T) {
	r := replicaHouse(t, t.TempDir(), Options{SegmentBytes: 500}, func(string) bool { return true })
	table := newTable("t", "t-uid")
	for round := range 50 {
		u := newUnit(table, int64(round))
		if err := errors.Join(r.begin(t, u), r.add(t.Context(), replicaEntry(t, u, 0))); err != nil {
			t.Fatal(err)
		}
		acked := make(chan int, 4)
		for range 4 {
			go func() {
				n := 0
				for r.add(context.Background(), replicaEntry(t, u, n)) == nil {
					n++
				}
				acked <- n
			}()
		}
		time.Sleep(time.Duration(round%5) * time.Millisecond)
		if _, err := r.fence(t.Context(), r.unit(u.id), 1); err != nil {
			t.Fatal(err)
		}
		got := replicated(t, r, u.id)
		want := 1
		for range 4 {
			want += <-acked
		}
		if got != want {
			t.Fatalf("the fenced unit has %d rows, %d were acknowledged", got, want)
		}
		r.drop(u.id)
	}
}

// TestCandidates: the next worker in service after this one, those that failed
// come last.
func TestCandidates(t *testing.T) {
	v := newTown(t, Options{}, "n1", "n2", "n3", "n4")
	w := v.worker("n3")
	order := func() (ids []string) {
		nodes, err := v.catalog.Nodes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range w.candidates(nodes) {
			ids = append(ids, n.ID)
		}
		return ids
	}
	if got := order(); !slices.Equal(got, []string{"n4", "n1", "n2"}) {
		t.Errorf("got %v", got)
	}
	w.suspect("n4")
	if got := order(); !slices.Equal(got, []string{"n1", "n2", "n4"}) {
		t.Errorf("after n4 failed: %v", got)
	}
	v.stop("n1")
	if err := v.catalog.Leave(t.Context(), "n1"); err != nil {
		t.Fatal(err)
	}
	if got := order(); !slices.Equal(got, []string{"n2", "n4"}) {
		t.Errorf("after n1 left: %v", got)
	}
}
