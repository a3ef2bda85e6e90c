package worker

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"skein/internal/fault"
	"skein/meta"
	nodev1 "skein/proto/node/v1"
)

// TestRelearnWhileUnitOpens: a unit that was being opened while the catalog was
// restored takes no rows, as it was closed there.
func TestRelearnWhileUnitOpens(t *testing.T) {
	for _, replicated := range []bool{false, true} {
		t.Run(fmt.Sprint("replicated=", replicated), func(t *testing.T) {
			v := newTown(t, Options{}, "n1", "n2")
			name := "plain"
			if replicated {
				name = replicaTable
			} else if err := create(t.Context(), v.catalog, name, name+"-uid", meta.Config{BufferSize: 1 << 20, FlushIntervalSeconds: 3600}, recordSchema()); err != nil {
				t.Fatal(err)
			}
			var once sync.Once
			m, w := v.workers["n1"].meta, v.worker("n1")
			m.mu.Lock()
			m.after = func(op string) error {
				if op == "open" {
					once.Do(func() {
						if err := w.Relearn(context.Background()); err != nil {
							t.Error(err)
						}
					})
				}
				return nil
			}
			m.mu.Unlock()
			err := w.Append(t.Context(), &nodev1.AppendRequest{Table: name, TableUid: name + "-uid", Records: []*nodev1.Record{record("a", at(1), `{"n":1}`)}})
			if err != nil {
				t.Fatal(err)
			}
			u, err := v.catalog.Units(t.Context(), name)
			if err != nil || len(u.Open) != 1 || len(u.Committed) != 1 {
				t.Fatalf("units: %+v, %v", u, err)
			}
			if err := w.Flush(t.Context(), ""); err != nil {
				t.Fatal(err)
			}
			h := house{catalog: v.catalog, objects: v.objects, db: v.db, w: &Worker{tables: map[string]*table{}}}
			h.w.settled.Store(true)
			if got := h.rows(t, name, "SELECT count(*) FROM rows"); got[0][0] != "1" {
				t.Errorf("%s rows are stored", got[0][0])
			}
		})
	}
}

func far(op string) error {
	if op == "commit" {
		return fault.New(fault.Unavailable, "the catalog is far away")
	}
	return nil
}

func (v *town) objectsNow() (n int) {
	for range v.objectKeys() {
		n++
	}
	return n
}

// TestTakeOverRemovesTheOthersFiles: what a node has uploaded and not committed
// before it died for good goes with the take-over.
func TestTakeOverRemovesTheOthersFiles(t *testing.T) {
	v := newTown(t, Options{TakeoverAfter: soon}, "n1", "n2")
	v.mustWrite("n1", 1, 20)
	v.workers["n1"].meta.set(far)
	dead := v.worker("n1")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go dead.Flush(ctx, "")
	eventually(t, "its files are there", func() bool { return v.objectsNow() == 3 })
	v.lose("n1")
	v.wantStored(20)
}

// TestOwnCommitAfterReplicasUpload: the replica has uploaded, its commit did not
// come through, and the node commits: the replica's files go, also if it is
// restarted before.
func TestOwnCommitAfterReplicasUpload(t *testing.T) {
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprint("restart=", restart), func(t *testing.T) {
			v := newTown(t, Options{TakeoverAfter: soon}, "n1", "n2")
			v.mustWrite("n1", 1, 20)
			v.workers["n2"].meta.set(far)
			v.workers["n1"].beats.Store(false)
			eventually(t, "n2 has made files", func() bool { return v.objectsNow() == 3 })
			v.workers["n1"].beats.Store(true)
			if restart {
				v.stop("n2")
			}
			if err := v.worker("n1").Flush(t.Context(), ""); err != nil {
				t.Fatal(err)
			}
			v.workers["n2"].meta.set(nil)
			if restart {
				v.start("n2")
			}
			v.wantStored(20)
			v.noReplicas("n2")
		})
	}
}

// TestFailedOpenIsEnded: a unit of which it is not known whether it was opened
// does not stay, and many of them are not made while the catalog refuses.
func TestFailedOpenIsEnded(t *testing.T) {
	v := newTown(t, Options{}, "n1", "n2")
	v.workers["n1"].meta.set(func(op string) error {
		if op == "open" || op == "commit" {
			return fault.New(fault.Unavailable, "the catalog is read only")
		}
		return nil
	})
	for range 3 * emptyMax {
		if err := v.write("n1", 1, 1); fault.CodeOf(err) != fault.Unavailable {
			t.Fatalf("a write without an open unit: %v", err)
		}
	}
	if n := len(v.worker("n1").liveUnits(replicaTable + "-uid")); n > emptyMax+1 {
		t.Errorf("%d units wait", n)
	}
	v.workers["n1"].meta.set(nil)
	eventually(t, "none is left", func() bool { return len(v.worker("n1").liveUnits(replicaTable+"-uid")) == 0 })
	v.mustWrite("n1", 1, 2)
	if err := v.worker("n1").Flush(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	v.wantStored(2)
}

// TestFullReplicaIsRelieved: all units that a full node has of this one are
// flushed, also those that nobody writes to.
func TestFullReplicaIsRelieved(t *testing.T) {
	v := newTown(t, Options{}, "n1", "n2", "n3")
	if err := create(t.Context(), v.catalog, "other", "other-uid", meta.Config{Replicated: true, BufferSize: 1 << 20, FlushIntervalSeconds: 3600}, recordSchema()); err != nil {
		t.Fatal(err)
	}
	v.mustWrite("n1", 1, 10)
	other := &nodev1.AppendRequest{Table: "other", TableUid: "other-uid", Records: []*nodev1.Record{record("a", at(1), `{"n":1}`)}}
	if err := v.worker("n1").Append(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	r := v.worker("n2").replicas
	r.mu.Lock()
	r.bytesMax = 1
	r.mu.Unlock()
	if err := v.worker("n1").Append(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	v.wantStored(10)
	v.noReplicas("n2")
}

// TestDiscardKeepsReplicasOfRestoredTable: replicas go with their table, unless
// it is back.
func TestDiscardKeepsReplicasOfRestoredTable(t *testing.T) {
	v := newTown(t, Options{}, "n1", "n2")
	v.mustWrite("n1", 1, 10)
	if err := v.worker("n2").Discard(t.Context(), replicaTable+"-uid"); err != nil {
		t.Fatal(err)
	}
	if n := len(v.worker("n2").replicas.list()); n != 1 {
		t.Fatalf("replicas of %d tables after the discard of one that is there", n)
	}
	if _, err := v.catalog.DropTable(t.Context(), replicaTable, replicaTable+"-uid"); err != nil {
		t.Fatal(err)
	}
	if err := v.worker("n2").Discard(t.Context(), replicaTable+"-uid"); err != nil {
		t.Fatal(err)
	}
	if n := len(v.worker("n2").replicas.list()); n != 0 {
		t.Errorf("replicas of %d tables after the discard", n)
	}
}

// TestTableDropsWhileTakenOver: no objects stay.
func TestTableDropsWhileTakenOver(t *testing.T) {
	v := newTown(t, Options{TakeoverAfter: soon}, "n1", "n2")
	v.mustWrite("n1", 1, 10)
	made := make(chan int, 1)
	var once sync.Once
	v.workers["n2"].meta.set(func(op string) error {
		if op == "commit" {
			once.Do(func() {
				made <- v.objectsNow()
				if _, err := v.catalog.DropTable(context.Background(), replicaTable, replicaTable+"-uid"); err != nil {
					t.Error(err)
				}
			})
		}
		return nil
	})
	v.lose("n1")
	if n := <-made; n != 3 {
		t.Fatalf("%d objects were made", n)
	}
	eventually(t, "they are gone", func() bool { return v.objectsNow() == 0 })
	v.noReplicas("n2")
}
