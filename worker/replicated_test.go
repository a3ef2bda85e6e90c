package worker

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"skein/internal/duck"
	"skein/internal/fault"
	"skein/meta"
	"skein/meta/boltmeta"
	"skein/meta/member"
	"skein/objstore/local"
	nodev1 "skein/proto/node/v1"
)

// town is several workers over one catalog and one object store.
type town struct {
	t       *testing.T
	dir     string
	catalog *boltmeta.Store
	objects *local.Store
	db      *duck.DB
	options Options
	workers map[string]*villager
}

// villager is one of them, as the others see it.
type villager struct {
	town  *town
	id    string
	meta  *faultyMeta
	beats atomic.Bool

	mu     sync.Mutex
	w      *Worker // nil while it is down
	before func(op string) error
}

const replicaTable = "events"

// newTown starts workers of these names, which beat, and a replicated table.
func newTown(t *testing.T, o Options, names ...string) *town {
	t.Helper()
	v := &town{t: t, dir: t.TempDir(), options: o, workers: map[string]*villager{}}
	var err error
	if v.catalog, err = boltmeta.Open(filepath.Join(v.dir, "catalog"), boltmeta.Options{}); err != nil {
		t.Fatal(err)
	}
	if v.objects, err = local.Open(filepath.Join(v.dir, "objects"), local.Options{}); err != nil {
		t.Fatal(err)
	}
	if v.db, err = duck.Open(duck.Options{AllowedDirs: []string{v.dir}, Threads: 2}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.db.Close(); v.objects.Close(); v.catalog.Close() })
	for _, name := range names {
		v.workers[name] = &villager{town: v, id: name, meta: &faultyMeta{Store: v.catalog}}
		v.workers[name].beats.Store(true)
	}
	done, beating := make(chan struct{}), sync.WaitGroup{}
	v.beat()
	beating.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
				v.beat()
			}
		}
	})
	t.Cleanup(func() { close(done); beating.Wait() })
	if err := create(t.Context(), v.catalog, replicaTable, replicaTable+"-uid", meta.Config{Replicated: true, BufferSize: 1 << 20, FlushIntervalSeconds: 3600}, recordSchema()); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		v.start(name)
	}
	return v
}

func (v *town) beat() {
	for _, p := range v.workers {
		if p.beats.Load() {
			_ = v.catalog.Heartbeat(context.Background(), meta.Node{ID: p.id, Address: p.id, Roles: []string{member.RoleWorker}})
		}
	}
}

func (v *town) start(name string) {
	v.t.Helper()
	p := v.workers[name]
	o := v.options
	o.NodeID, o.Dir = name, filepath.Join(v.dir, name)
	o.RetryBackoffMax, o.lookEvery = 20*time.Millisecond, 20*time.Millisecond
	setDefault(&o.ReplicaTimeout, 300*time.Millisecond)
	w, err := New(Deps{Meta: p.meta, Objects: v.objects, DB: v.db, Peer: func(n meta.Node) Peer { return v.workers[n.ID] }}, o)
	if err != nil {
		v.t.Fatal(err)
	}
	p.mu.Lock()
	p.w = w
	p.mu.Unlock()
	p.beats.Store(true)
	v.beat()
	w.Start(context.Background())
	v.t.Cleanup(func() { v.stop(name) })
}

// stop ends a worker as a crash would.
func (v *town) stop(name string) {
	p := v.workers[name]
	p.beats.Store(false)
	p.mu.Lock()
	w := p.w
	p.w = nil
	p.mu.Unlock()
	if w == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = w.Close(ctx)
}

// lose stops a worker and removes its disk.
func (v *town) lose(name string) {
	v.t.Helper()
	v.stop(name)
	if err := os.RemoveAll(filepath.Join(v.dir, name)); err != nil {
		v.t.Fatal(err)
	}
}

func (v *town) worker(name string) *Worker {
	p := v.workers[name]
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.w
}

// on sets what happens before calls that reach a worker.
func (p *villager) on(before func(op string) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.before = before
}

func (p *villager) call(op string) (*Worker, error) {
	p.mu.Lock()
	w, before := p.w, p.before
	p.mu.Unlock()
	if w == nil {
		return nil, fault.Newf(fault.Unavailable, "node at %s does not answer", p.id)
	}
	if before != nil {
		if err := before(op); err != nil {
			return nil, err
		}
	}
	return w, nil
}

func (p *villager) Ready(context.Context) error { _, err := p.call("ready"); return err }
func (p *villager) Replicate(ctx context.Context, r *nodev1.ReplicateRequest) error {
	w, err := p.call("replicate")
	if err != nil {
		return err
	}
	return w.Replicate(ctx, r)
}
func (p *villager) Release(ctx context.Context, units []string) error {
	w, err := p.call("release")
	if err != nil {
		return err
	}
	return w.Release(ctx, units)
}
func (p *villager) TakeOver(ctx context.Context, unit string) error {
	w, err := p.call("takeover")
	if err != nil {
		return err
	}
	return w.TakeOver(ctx, unit)
}

// write stores numbered rows from first to last on a worker.
func (v *town) write(name string, first, last int) error {
	var records []*nodev1.Record
	for i := first; i <= last; i++ {
		records = append(records, record(fmt.Sprintf("id%d", i%3), at(i), fmt.Sprintf(`{"n":%d}`, i)))
	}
	return v.worker(name).Append(v.t.Context(), &nodev1.AppendRequest{Table: replicaTable, TableUid: replicaTable + "-uid", Records: records})
}

func (v *town) mustWrite(name string, first, last int) {
	v.t.Helper()
	if err := v.write(name, first, last); err != nil {
		v.t.Fatal(err)
	}
}

// wantStored waits until nothing is open and wants exactly the rows 1 to n in
// the files, and no objects but these.
func (v *town) wantStored(n int) {
	v.t.Helper()
	eventually(v.t, "no unit is open", func() bool { return len(v.units().Open) == 0 })
	h := house{catalog: v.catalog, objects: v.objects, db: v.db, w: &Worker{tables: map[string]*table{}}}
	h.w.settled.Store(true)
	got := h.rows(v.t, replicaTable, "SELECT count(*), count(DISTINCT n), coalesce(max(n), 0) FROM rows")
	if want := fmt.Sprint(n); got[0][0] != want || got[0][1] != want || got[0][2] != want {
		v.t.Errorf("rows, numbers and the last are %v, want %d", got[0], n)
	}
	v.wantObjects()
}

func (v *town) units() meta.Units {
	v.t.Helper()
	u, err := v.catalog.Units(context.Background(), replicaTable)
	if err != nil {
		v.t.Fatal(err)
	}
	return u
}

// wantObjects waits until the objects are those of the index.
func (v *town) wantObjects() {
	v.t.Helper()
	var want, got []string
	eventually(v.t, "the objects are those of the index", func() bool {
		l, err := v.catalog.Listing(v.t.Context(), replicaTable)
		if err != nil {
			v.t.Fatal(err)
		}
		want, got = nil, nil
		for _, f := range l.Files {
			want = append(want, f.Path)
		}
		for o, err := range v.objectKeys() {
			if err != nil {
				v.t.Fatal(err)
			}
			got = append(got, o)
		}
		slices.Sort(want)
		slices.Sort(got)
		return slices.Equal(want, got)
	})
}

func (v *town) objectKeys() func(func(string, error) bool) {
	return func(yield func(string, error) bool) {
		for o, err := range v.objects.List(context.Background(), replicaTable+"/") {
			if !yield(o.Key, err) {
				return
			}
		}
	}
}

func (v *town) noReplicas(name string) {
	v.t.Helper()
	eventually(v.t, name+" holds no replica", func() bool { return len(v.worker(name).replicas.list()) == 0 })
}

const soon = 200 * time.Millisecond // of silence until a take-over

// TestReplicatedRowsSurviveTheirNode: the disk of a node is lost, its rows are
// stored by the next node, once; also if it comes back without its disk.
func TestReplicatedRowsSurviveTheirNode(t *testing.T) {
	for _, back := range []bool{false, true} {
		t.Run(fmt.Sprint("back=", back), func(t *testing.T) {
			v := newTown(t, Options{TakeoverAfter: soon}, "n1", "n2", "n3")
			v.mustWrite("n1", 1, 30)
			v.mustWrite("n1", 31, 40)
			if open := v.units().Open; len(open) != 1 || open[0].Node != "n1" || open[0].Replica != "n2" {
				t.Fatalf("open units: %v", open)
			}
			v.lose("n1")
			v.stop("n2") // its replicas are on disk
			v.start("n2")
			if back {
				v.start("n1")
			}
			v.wantStored(40)
			v.noReplicas("n2")
			if !back {
				v.start("n1")
			}
			v.mustWrite("n1", 41, 41)
			if err := v.worker("n1").Flush(t.Context(), ""); err != nil {
				t.Fatal(err)
			}
			v.wantStored(41)
			v.noReplicas("n2")
		})
	}
}

// TestLostDiskIsNoShortAnswer: a node that came back without its disk does not
// say that it has no rows while they are only in the replica.
func TestLostDiskIsNoShortAnswer(t *testing.T) {
	v := newTown(t, Options{}, "n1", "n2")
	v.mustWrite("n1", 1, 5)
	v.lose("n1")
	v.stop("n2")
	v.start("n1")
	_, err := v.worker("n1").Hot(t.Context(), &nodev1.HotRequest{Table: replicaTable, TableUid: replicaTable + "-uid"})
	if fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "replica") {
		t.Errorf("a node without its disk tells of its rows: %v", err)
	}
	v.start("n2")
	v.wantStored(5)
	eventually(t, "n1 tells of its rows", func() bool {
		r, err := v.worker("n1").Hot(t.Context(), &nodev1.HotRequest{Table: replicaTable, TableUid: replicaTable + "-uid"})
		return err == nil && len(r.Units) == 0
	})
}

// TestNodeComesBackWithItsDisk: it stores its rows itself, and the replica goes.
func TestNodeComesBackWithItsDisk(t *testing.T) {
	v := newTown(t, Options{}, "n1", "n2")
	v.mustWrite("n1", 1, 10)
	v.stop("n1")
	v.start("n1")
	v.wantStored(10)
	v.noReplicas("n2")
}

// TestPausedNodeYields: a node that was taken for dead gets no acknowledgement
// any more, and loses its commit; its rows are stored once, its files are gone.
func TestPausedNodeYields(t *testing.T) {
	v := newTown(t, Options{TakeoverAfter: soon}, "n1", "n2", "n3")
	v.mustWrite("n1", 1, 20)
	wake := make(chan struct{})
	v.workers["n1"].meta.set(func(op string) error { // it sleeps between the upload and the commit
		if op == "commit" {
			<-wake
		}
		return nil
	})
	before := v.worker("n1")
	flushed := make(chan error, 1)
	go func() { flushed <- before.Flush(context.Background(), "") }()
	eventually(t, "its files are there", func() bool {
		n := 0
		for range v.objectKeys() {
			n++
		}
		return n == 3
	})
	v.workers["n1"].beats.Store(false)
	eventually(t, "n2 has taken over", func() bool { return len(v.units().Open) == 0 })
	close(wake)
	if err := <-flushed; err != nil {
		t.Fatal(err)
	}
	v.wantStored(20)
	v.stop("n1") // with its log
	v.start("n1")
	v.mustWrite("n1", 21, 21)
	if err := v.worker("n1").Flush(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	v.wantStored(21)
}

// TestTakenOverUnitTakesNoRows: rows that come after the fence are refused.
func TestTakenOverUnitTakesNoRows(t *testing.T) {
	v := newTown(t, Options{TakeoverAfter: soon}, "n1", "n2", "n3")
	v.mustWrite("n1", 1, 20)
	v.workers["n1"].beats.Store(false)
	eventually(t, "n2 has taken over", func() bool { return len(v.units().Open) == 0 })
	if err := v.write("n1", 1000, 1000); fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "write them again") {
		t.Fatalf("a write of a dead node: %v", err)
	}
	v.workers["n1"].beats.Store(true)
	v.beat()
	v.mustWrite("n1", 21, 22)
	if err := v.worker("n1").Flush(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	v.wantStored(22)
}

// TestOwnCommitComesFirst: the node commits while its replica is about to; the
// replica's files go, and only these.
func TestOwnCommitComesFirst(t *testing.T) {
	v := newTown(t, Options{TakeoverAfter: soon}, "n1", "n2")
	v.mustWrite("n1", 1, 20)
	first := v.worker("n1")
	var once sync.Once
	var flushed error
	v.workers["n2"].meta.set(func(op string) error {
		if op == "commit" {
			once.Do(func() { flushed = first.Flush(context.Background(), "") })
		}
		return nil
	})
	v.workers["n1"].beats.Store(false)
	eventually(t, "it is committed", func() bool { return len(v.units().Open) == 0 })
	v.noReplicas("n2")
	if flushed != nil {
		t.Fatal(flushed)
	}
	v.wantStored(20)
}

// TestReplicaGoesAway: writes go on, and the next unit has another replica.
func TestReplicaGoesAway(t *testing.T) {
	for name, fail := range map[string]func(v *town){
		"stops": func(v *town) { v.stop("n2") },
		"hangs": func(v *town) {
			v.workers["n2"].on(func(op string) error {
				if op == "replicate" {
					time.Sleep(time.Second)
					return fault.New(fault.Unavailable, "nothing came")
				}
				return nil
			})
		},
		"is full": func(v *town) { v.worker("n2").replicas.bytesMax = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			v := newTown(t, Options{}, "n1", "n2", "n3")
			v.mustWrite("n1", 1, 10)
			fail(v)
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() {
					if err := v.write("n1", 11+i, 11+i); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			v.mustWrite("n1", 19, 19)
			if open := v.units().Open; len(open) != 1 || open[0].Replica != "n3" {
				t.Errorf("open units: %v", open)
			}
			v.lose("n1")
			if err := v.worker("n3").TakeOver(t.Context(), v.units().Open[0].Unit); err != nil {
				t.Fatal(err)
			}
			v.wantStored(19)
		})
	}
}

// TestReplicatedTableAlone: a node without others refuses the writes, and says
// what to do; other tables go on.
func TestReplicatedTableAlone(t *testing.T) {
	v := newTown(t, Options{}, "n1", "n2")
	v.stop("n2")
	err := v.write("n1", 1, 1)
	if fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "start another node") {
		t.Errorf("got %v", err)
	}
	if n := len(v.units().Open); n != 0 {
		t.Errorf("%d units are open", n)
	}
	if err := create(t.Context(), v.catalog, "plain", "plain-uid", meta.Config{}, recordSchema()); err != nil {
		t.Fatal(err)
	}
	req := &nodev1.AppendRequest{Table: "plain", TableUid: "plain-uid", Records: []*nodev1.Record{record("a", at(0), `{}`)}}
	if err := v.worker("n1").Append(t.Context(), req); err != nil {
		t.Error(err)
	}
	v.start("n2")
	v.beat()
	v.mustWrite("n1", 1, 3)
	if err := v.worker("n1").Flush(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	v.wantStored(3)
}

// TestReplicaThatLostItsDisk: it does not take over a unit of which it has only
// the later rows.
func TestReplicaThatLostItsDisk(t *testing.T) {
	v := newTown(t, Options{TakeoverAfter: soon}, "n1", "n2", "n3")
	v.mustWrite("n1", 1, 10)
	v.lose("n2")
	v.start("n2")
	v.workers["n1"].meta.set(func(op string) error { // no flush comes through
		if op == "commit" {
			return fault.New(fault.Unavailable, "the catalog is far away")
		}
		return nil
	})
	late := make(chan error, 1)
	go func() { late <- v.write("n1", 11, 11) }()
	eventually(t, "n1 has left its replica", func() bool { return len(v.worker("n1").linked()) == 0 })
	v.workers["n1"].beats.Store(false)
	time.Sleep(3 * soon)
	if open := v.units().Open; len(open) != 1 {
		t.Fatalf("a part of the rows was taken for all: %v", open)
	}
	v.workers["n1"].meta.set(nil)
	if err := <-late; err != nil {
		t.Fatal(err)
	}
	v.wantStored(11)
}

// TestReplicatedRowsUnderFaults strikes one node after the other while all
// write: no acknowledged row is lost, none is there twice.
func TestReplicatedRowsUnderFaults(t *testing.T) {
	const faultsFor = 8 * time.Second
	names := []string{"n1", "n2", "n3"}
	v := newTown(t, Options{TakeoverAfter: soon, ReplicaTimeout: 100 * time.Millisecond, SegmentBytes: 20_000, forgetAfter: time.Second}, names...)
	var next, refused atomic.Int64
	var mu sync.Mutex
	acked := map[int64]bool{}
	stop := make(chan struct{})
	var writers sync.WaitGroup
	for i := range 6 {
		writers.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond):
				}
				n := next.Add(1)
				w := v.worker(names[i%3])
				if w == nil {
					continue
				}
				ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
				err := w.Append(ctx, &nodev1.AppendRequest{Table: replicaTable, TableUid: replicaTable + "-uid", Records: []*nodev1.Record{record(fmt.Sprint("id", n%3), at(int(n)), fmt.Sprintf(`{"n":%d}`, n))}})
				cancel()
				if err != nil {
					refused.Add(1)
					continue
				}
				mu.Lock()
				acked[n] = true
				mu.Unlock()
			}
		})
	}
	struck := map[string]int{}
	for end := time.Now().Add(faultsFor); time.Now().Before(end) && !t.Failed(); {
		name := names[rand.IntN(3)]
		p := v.workers[name]
		kind := []string{"crash", "lose", "silent", "deaf", "flush"}[rand.IntN(5)]
		struck[kind]++
		switch kind {
		case "crash":
			v.stop(name)
			time.Sleep(rand.N(2 * soon))
			v.start(name)
		case "lose":
			v.lose(name)
			time.Sleep(rand.N(2 * soon))
			v.start(name)
		case "silent":
			p.beats.Store(false)
			time.Sleep(soon + rand.N(soon))
			p.beats.Store(true)
		case "deaf":
			p.on(func(string) error { time.Sleep(rand.N(150 * time.Millisecond)); return nil })
			time.Sleep(soon)
			p.on(nil)
		case "flush":
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			_ = v.worker(name).Flush(ctx, "")
			cancel()
		}
		// The loss of two disks at a time is not survived: all rows are to be on
		// two of them again before the next.
		eventually(t, "no unit has one copy", func() bool {
			for _, u := range v.units().Open {
				origin, replica := v.worker(u.Node), v.worker(u.Replica)
				if origin == nil || replica == nil || !origin.liveUnits(replicaTable + "-uid")[u.Unit] || replica.replicas.unit(u.Unit) == nil {
					_ = origin.Flush(context.Background(), "")
					return false
				}
			}
			return true
		})
	}
	close(stop)
	writers.Wait()
	for _, name := range names {
		v.workers[name].beats.Store(true)
	}
	for _, name := range names {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		if err := v.worker(name).Flush(ctx, ""); err != nil {
			t.Error(err)
		}
		cancel()
	}
	eventually(t, "no unit is open but empty ones", func() bool {
		for _, u := range v.units().Open {
			if r := v.worker(u.Replica).replicas.unit(u.Unit); r == nil {
				return false
			}
		}
		return true
	})
	h := house{catalog: v.catalog, objects: v.objects, db: v.db, w: &Worker{tables: map[string]*table{}}}
	h.w.settled.Store(true)
	seen := map[int64]int{}
	for _, row := range h.rows(t, replicaTable, "SELECT n FROM rows") {
		n, err := strconv.ParseInt(row[0], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seen[n]++
	}
	lost, twice := 0, 0
	for n := range acked {
		if seen[n] == 0 {
			lost++
		}
	}
	for _, times := range seen {
		if times > 1 {
			twice++
		}
	}
	t.Logf("%v: %d rows acknowledged, %d not, %d stored", struck, len(acked), refused.Load(), len(seen))
	if lost > 0 || twice > 0 || len(acked) < 100 {
		t.Errorf("%d acknowledged rows are lost, %d are there twice", lost, twice)
	}
}

// TestUnitKeepsItsReplica: a unit that its replica does not answer to never gets
// another one, as the first may know it nevertheless; another unit does.
func TestUnitKeepsItsReplica(t *testing.T) {
	v := newTown(t, Options{}, "n1", "n2", "n3")
	v.workers["n2"].on(func(op string) error {
		if op == "replicate" {
			return fault.New(fault.Unavailable, "the answer is lost")
		}
		return nil
	})
	v.mustWrite("n1", 1, 3)
	eventually(t, "the first unit is over", func() bool {
		u := v.units()
		return len(u.Committed) == 1 && len(u.Open) == 1 && u.Open[0].Replica == "n3"
	})
	if err := v.worker("n1").Flush(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	v.wantStored(3)
}
