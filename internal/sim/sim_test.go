package sim

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"skein/meta"
	"skein/meta/boltmeta"
)

const (
	nodesOfCluster = 3
	troubleTime    = 20 * time.Second
	calmTime       = 14 * time.Second // longer than the latest message is late, and than locks and beats last
	pauseMax       = 2 * leaderTTL
)

// flaw is what a broken twin of the real code does.
type flaw string

const (
	none          flaw = ""
	unfenced      flaw = "the lock does not fence"
	commitsTwice  flaw = "a commit is not idempotent"
	reapsInSteps  flaw = "nodes are reaped without another look at their beats"
	forgetsAtOnce flaw = "committed units are forgotten at once"
	votesAlone    flaw = "each node switches alone"
	swapsAlways   flaw = "the switch does not compare"
)

// Environment of longer runs, and of one seed again.
const (
	schedulesEnv = "SKEIN_TEST_SCHEDULES"
	seedEnv      = "SKEIN_TEST_SEED"
	schedules    = 2_000
)

// TestSchedules runs many seeds. No invariant may break.
func TestSchedules(t *testing.T) {
	if text := os.Getenv(seedEnv); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", seedEnv, err)
		}
		r := simulate(t, seed, none, t.Logf)
		for _, f := range r.failed {
			t.Error(f)
		}
		return
	}
	count := uint64(schedules)
	if text := os.Getenv(schedulesEnv); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", schedulesEnv, err)
		}
		count = n
	}
	var next atomic.Uint64
	var events, answers, terms, stale, switches atomic.Int64
	t.Cleanup(func() {
		t.Logf("%d events, %d answers to readers, %d terms, %d stale writes refused, %d switches of the object pool",
			events.Load(), answers.Load(), terms.Load(), stale.Load(), switches.Load())
	})
	for i := range runtime.GOMAXPROCS(0) {
		t.Run(fmt.Sprint("thread ", i), func(t *testing.T) {
			t.Parallel()
			for !t.Failed() {
				seed := next.Add(1)
				if seed > count {
					return
				}
				r := simulate(t, seed, none, nil)
				events.Add(int64(r.events))
				answers.Add(int64(r.answers))
				terms.Add(int64(r.terms))
				stale.Add(int64(r.stale))
				switches.Add(int64(r.switches))
				for _, f := range r.failed {
					t.Errorf("seed %d: %s; run it again with %s=%d", seed, f, seedEnv, seed)
				}
			}
		})
	}
}

// TestSameSeedSameSchedule: a seed decides all.
func TestSameSeedSameSchedule(t *testing.T) {
	for seed := uint64(1); seed <= 30; seed++ {
		a, b := simulate(t, seed, none, nil), simulate(t, seed, none, nil)
		if a.trace != b.trace || a.events != b.events {
			t.Errorf("seed %d gave %d events, then %d others", seed, a.events, b.events)
		}
	}
}

// TestFlawsAreFound: the simulation finds what broken twins do.
func TestFlawsAreFound(t *testing.T) {
	const seedsMax = 500
	for f, symptom := range map[flaw]string{
		unfenced:      "took effect in term",
		commitsTwice:  "",
		reapsInSteps:  "out of service, which beat",
		forgetsAtOnce: "",
		votesAlone:    "without a majority",
		swapsAlways:   "",
	} {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= seedsMax; seed++ {
				if (seed%poolEvery == 0) != (f == votesAlone || f == swapsAlways) {
					continue
				}
				if r := simulate(t, seed, f, nil); strings.Contains(strings.Join(r.failed, "\n"), symptom) && len(r.failed) > 0 {
					t.Logf("seed %d: %s", seed, r.failed[0])
					return
				}
			}
			t.Errorf("%d schedules do not find it", seedsMax)
		})
	}
}

// result is how a schedule went.
type result struct {
	failed                        []string
	trace                         uint64
	events, answers, terms, stale int
	switches                      int
}

// simulate runs the schedule of a seed.
func simulate(t *testing.T, seed uint64, f flaw, log func(string, ...any)) (r result) {
	synctest.Test(t, func(t *testing.T) {
		catalog := open(t, seed)
		defer catalog.Close()
		w := &world{schedule: newSchedule(seed), catalog: catalog, flaw: f, objects: map[string][]int{}}
		w.log = log
		w.check = newChecker(w)
		if err := w.prepare(); err != nil {
			t.Fatal(err)
		}
		if seed%poolEvery == 0 {
			w.runPools()
		} else {
			w.trouble()
			w.run(troubleTime)
			w.calmDown()
			w.run(troubleTime + calmTime)
			w.check.end()
		}
		w.stop()
		r = result{w.check.failed, w.trace, w.number, w.check.answers, len(w.check.owner), w.check.stale, w.switches}
	})
	return r
}

// poolEvery is how many schedules there are for one of the object pool's.
const poolEvery = 6

// realEvery is how many schedules run on the memory's catalog for one on the
// real one, which is slower.
const realEvery = 31

// open makes an empty catalog.
func open(t *testing.T, seed uint64) meta.Store {
	if seed%realEvery != 0 {
		return newMemory()
	}
	dir, err := os.MkdirTemp(scratch(), "skein-sim-")
	if err != nil {
		t.Fatal(err)
	}
	s, err := boltmeta.Open(filepath.Join(dir, "catalog"), boltmeta.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return boltDir{s, dir}
}

// boltDir is a catalog that takes its directory with it.
type boltDir struct {
	*boltmeta.Store
	dir string
}

func (b boltDir) Close() error { return errors.Join(b.Store.Close(), os.RemoveAll(b.dir)) }

// scratch is a directory in memory where there is one.
func scratch() string {
	const memory = "/dev/shm"
	if info, err := os.Stat(memory); err == nil && info.IsDir() {
		return memory
	}
	return ""
}

// prepare makes the table and starts the nodes.
func (w *world) prepare() error {
	ctx := context.Background()
	err := w.catalog.CreateTable(ctx, meta.Table{Name: table, UID: tableUID, Created: time.Now(),
		Config: meta.Config{RetentionDays: 7}, Schemas: []meta.Schema{{Records: true}}})
	w.check.after(ctx, "create", err)
	for i := range nodesOfCluster {
		n := &node{id: fmt.Sprint("n", i+1), world: w}
		w.nodes = append(w.nodes, n)
	}
	apart := []time.Duration{20 * time.Millisecond, time.Second}[w.rng.IntN(2)]
	for _, n := range w.nodes {
		w.after(w.delay(0, apart), "start "+n.id, func() { n.begin() })
	}
	return err
}

// begin starts a node that does not run.
func (n *node) begin() {
	if n.process == nil {
		if part := n.world.part; part != nil {
			n.start(part)
			return
		}
		n.start((*process).join, (*process).stand, (*process).settings, (*process).read, (*process).takeIn)
	}
}

// troublesMax is how often something happens to a node.
const troublesMax = 7

// trouble plans what happens to nodes.
func (w *world) trouble() {
	for range w.rng.IntN(troublesMax + 1) {
		n := w.nodes[w.rng.IntN(len(w.nodes))]
		begin := w.delay(0, troubleTime)
		lasts := w.delay(100*time.Millisecond, pauseMax)
		switch w.rng.IntN(5) {
		case 0, 1:
			w.after(begin, "pause "+n.id, func() { n.pausedTill = time.Now().Add(lasts) })
		case 2:
			w.after(begin, "crash "+n.id, n.crash)
			w.after(begin+lasts, "start "+n.id, n.begin)
		case 3:
			w.after(begin, "cut   "+n.id, func() { n.cut = true })
			w.after(begin+lasts, "heal  "+n.id, func() { n.cut = false })
		case 4:
			w.after(begin, "stop  "+n.id, n.stop)
			w.after(begin+lasts, "kill  "+n.id, n.crash)
			w.after(begin+lasts+time.Second, "start "+n.id, n.begin)
		}
	}
}

// calmDown ends all trouble, and starts all nodes.
func (w *world) calmDown() {
	w.calm, w.quiet = true, true
	for _, n := range w.nodes {
		n.cut, n.pausedTill = false, time.Time{}
		n.restart()
	}
}

// restart begins a node again unless it runs well.
func (n *node) restart() {
	if p := n.process; p != nil && (p.ended || p.told()) {
		n.crash()
	}
	n.begin()
}

// stop ends all processes and waits for them.
func (w *world) stop() {
	for _, n := range w.nodes {
		n.crash()
	}
	for _, p := range w.all {
		p.wg.Wait()
	}
}

// driver is the catalog as the flaw makes it.
func (w *world) driver() meta.Store {
	switch w.flaw {
	case unfenced:
		return withoutFence{w.catalog}
	case commitsTwice:
		return committer{w.catalog}
	}
	return w.catalog
}

// withoutFence is a catalog whose locks do not fence.
type withoutFence struct{ meta.Store }

func (s withoutFence) Commit(ctx context.Context, c meta.Commit) error {
	return s.Store.Commit(meta.Fenced(ctx, "", 0), c)
}

func (s withoutFence) Record(ctx context.Context, c meta.Change) (meta.Change, error) {
	return s.Store.Record(meta.Fenced(ctx, "", 0), c)
}

// committer is a catalog that does not know units again.
type committer struct{ meta.Store }

func (s committer) Commit(ctx context.Context, c meta.Commit) error {
	return errors.Join(s.Store.Commit(ctx, c), s.ForgetUnits(ctx, c.Table, []string{c.Unit}))
}

// reapInSteps looks first, and acts on what it saw then.
func (s store) reapInSteps(ctx context.Context, expiry time.Duration) (gone []string, err error) {
	nodes, err := s.Nodes(ctx)
	for _, n := range nodes {
		if !n.Left && n.Age > expiry {
			gone = append(gone, n.ID)
			err = errors.Join(err, s.Leave(ctx, n.ID))
		}
	}
	return gone, err
}
