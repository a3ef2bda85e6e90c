package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"skein/meta"
	"skein/meta/redismeta"
)

const (
	growthEnv     = "SKEIN_TEST_GROWTH"
	growthDefault = 30 * time.Second
	growthMax     = 8 // nodes
	growthWriters = 3
	growthReaders = 2
	growthBatch   = 20                    // rows of one write
	growthPause   = 50 * time.Millisecond // of a writer between two
	growthDown    = 5 * time.Second       // at most, until a killed node is started again
	growthIDs     = 12
	growthPage    = 20_000 // rows read at once in the end
	movedMost     = 1.3    // of an even share, at a join
	growthSample  = 100_000
)

// TestGrowth lets nodes join, leave and die at random while others write and
// read: each acknowledged row is there once, a join moves its share, and who
// leaves has flushed.
func TestGrowth(t *testing.T) {
	t.Parallel()
	wait := growthDefault
	if s := os.Getenv(growthEnv); s != "" {
		var err error
		if wait, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
	}
	c := startCluster(t, 1)
	c.Nodes[0].createTable(t, "events", 5_000, 5)
	catalog, err := redismeta.Open(t.Context(), "redis://"+c.Redis.(*redis.Client).Options().Addr+"/0", redismeta.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer catalog.Close()
	g := &growth{t: t, cluster: c, catalog: catalog, in: slices.Clone(c.Nodes), acknowledged: map[int]bool{}}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for range growthWriters {
		running.Go(func() { g.write(ctx) })
	}
	for range growthReaders {
		running.Go(func() { g.read(ctx) })
	}
	g.change(time.Now().Add(wait))
	stop()
	running.Wait()
	g.end()
}

// growth is the cluster of TestGrowth and what happens to it.
type growth struct {
	t       *testing.T
	cluster *cluster
	catalog *redismeta.Store
	next    atomic.Int64 // row

	mu           sync.Mutex
	in           []*node // take requests
	acknowledged map[int]bool

	left []*node // in good order; they may join again
	dead []*node // killed, not yet started again

	joins, leaves, kills     int
	moved                    float64 // the most that a join moved, of an even share
	writes, reads            atomic.Int64
	writeErrors, queryErrors atomic.Int64
}

// any is a node that takes requests.
func (g *growth) any() *node {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.in[rand.IntN(len(g.in))]
}

func (g *growth) write(ctx context.Context) {
	for ctx.Err() == nil {
		first := int(g.next.Add(growthBatch)) - growthBatch
		records := numbered("events", first, growthBatch)
		for i := range records {
			records[i].ID = fmt.Sprint("id-", (first+i)%growthIDs)
		}
		a, err := g.any().try(http.MethodPost, "/v1/data", "application/x-ndjson", lines(g.t, records))
		if err != nil || a.Status != http.StatusOK {
			g.writeErrors.Add(1) // what it sent may be stored, or not
		} else {
			g.writes.Add(1)
			g.mu.Lock()
			for k := range growthBatch {
				g.acknowledged[first+k] = true
			}
			g.mu.Unlock()
		}
		pause(ctx, growthPause)
	}
}

// read wants each row once, and no fewer than were acknowledged before.
func (g *growth) read(ctx context.Context) {
	for ctx.Err() == nil {
		g.mu.Lock()
		before := len(g.acknowledged)
		g.mu.Unlock()
		n := g.any()
		rows, a, err := n.tryQuery("SELECT count(*) AS c, count(DISTINCT payload.n) AS d FROM events")
		switch {
		case err != nil || a.Status != http.StatusOK:
			g.queryErrors.Add(1)
			if err == nil && a.Status != http.StatusServiceUnavailable && a.Status != http.StatusTooManyRequests && a.Status != http.StatusGatewayTimeout && before > 0 {
				g.t.Errorf("a query on %s: status %d: %.500s", n.ID, a.Status, a.Body)
			}
		case before > 0: // the table has no columns before the first row
			g.reads.Add(1)
			count, distinct := number(g.t, rows[0]["c"]), number(g.t, rows[0]["d"])
			if count != distinct || count < int64(before) {
				g.t.Errorf("a query on %s counts %d rows with %d numbers, %d were acknowledged before", n.ID, count, distinct, before)
			}
		}
		pause(ctx, 4*growthPause)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// change lets nodes come and go until a time.
func (g *growth) change(until time.Time) {
	for time.Now().Before(until) && !g.t.Failed() {
		time.Sleep(rand.N(time.Second)) // any instant will do
		for len(g.dead) > 0 && rand.IntN(3) == 0 {
			g.revive()
		}
		size := len(g.in) + len(g.dead)
		switch what := rand.IntN(10); {
		case what < 5 && size < growthMax, size == 1:
			g.join()
		case what < 7 && len(g.in) > 1:
			g.leave()
		case len(g.in) > 1:
			g.kill()
		}
	}
}

func (g *growth) join() {
	before := g.ring()
	var n *node
	if len(g.left) > 0 && rand.IntN(2) == 0 || len(g.cluster.Nodes) == 2*growthMax {
		n, g.left = g.left[0], g.left[1:]
		n.Start()
	} else {
		n = g.cluster.add()
	}
	g.joins++
	g.mu.Lock()
	g.in = append(g.in, n)
	g.mu.Unlock()
	g.moves(n, before, g.ring())
}

func (g *growth) ring() meta.Ring {
	r, err := g.catalog.Ring(g.t.Context())
	if err != nil {
		g.t.Fatal(err)
	}
	return r
}

// moves wants a join to have moved no more than it must, unless nodes expired
// meanwhile.
func (g *growth) moves(n *node, before, after meta.Ring) {
	nodes := after.Nodes()
	if !slices.Contains(nodes, n.ID) {
		g.t.Errorf("%s has joined and the ring has %v", n.ID, nodes)
	}
	if old := before.Nodes(); len(old) == 0 || len(nodes) != len(old)+1 {
		return
	}
	from, to, moved := before.Place(), after.Place(), 0
	for i := range growthSample {
		id := fmt.Sprint("id-", i)
		if from.Owners("events", id, 1)[0] != to.Owners("events", id, 1)[0] {
			moved++
		}
	}
	share := float64(moved) / growthSample * float64(len(nodes))
	g.moved = max(g.moved, share)
	if share > movedMost {
		g.t.Errorf("%s joined %d nodes and moved %.2f of an even share", n.ID, len(nodes)-1, share)
	}
}

// take chooses a node that shall take no more requests.
func (g *growth) take() *node {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := rand.IntN(len(g.in))
	n := g.in[i]
	g.in = slices.Delete(g.in, i, i+1)
	return n
}

// leave stops a node, which flushes before it goes.
func (g *growth) leave() {
	n := g.take()
	n.Stop()
	g.leaves++
	g.left = append(g.left, n)
	if g.cluster.openUnits("events")[n.ID] {
		g.t.Errorf("%s has left and still has unflushed rows", n.ID)
	}
	if slices.Contains(g.ring().Nodes(), n.ID) {
		g.t.Errorf("%s has left and is on the ring", n.ID)
	}
}

// kill ends a node as a crash of its machine does. It comes back later, with
// its disk.
func (g *growth) kill() {
	n := g.take()
	n.Kill()
	g.kills++
	g.dead = append(g.dead, n)
	if len(g.in) == 1 || rand.IntN(2) == 0 {
		time.Sleep(rand.N(growthDown))
		g.revive()
	}
}

func (g *growth) revive() {
	n := g.dead[0]
	g.dead = g.dead[1:]
	n.Start()
	g.mu.Lock()
	g.in = append(g.in, n)
	g.mu.Unlock()
}

// end brings all killed nodes back and compares what is there with what was
// acknowledged.
func (g *growth) end() {
	for len(g.dead) > 0 {
		g.revive()
	}
	g.t.Logf("%d joins, %d leaves, %d kills; %d writes and %d reads went well, %d and %d did not; a join moved %.2f of an even share at most",
		g.joins, g.leaves, g.kills, g.writes.Load(), g.reads.Load(), g.writeErrors.Load(), g.queryErrors.Load(), g.moved)
	if g.joins == 0 || g.writes.Load() == 0 || g.reads.Load() == 0 {
		g.t.Error("it tests nothing")
	}
	time.Sleep(viewAge)
	n := g.in[0]
	seen := map[int]int{}
	for first := 0; first < int(g.next.Load()); first += growthPage {
		for _, row := range n.query(g.t, fmt.Sprintf("SELECT n FROM events WHERE n >= %d AND n < %d", first, first+growthPage)) {
			seen[int(number(g.t, row["n"]))]++
		}
	}
	lost, twice := 0, 0
	for k := range g.acknowledged {
		if seen[k] == 0 {
			lost++
		}
	}
	for _, times := range seen {
		if times > 1 {
			twice++
		}
	}
	if lost > 0 || twice > 0 {
		g.t.Errorf("of %d acknowledged rows %d are lost; %d are there more than once", len(g.acknowledged), lost, twice)
	}
	for _, other := range g.in {
		if got := other.row(g.t, "SELECT count(*) AS c, count(DISTINCT n) AS d FROM events", "c", "d"); got != fmt.Sprint(len(seen), len(seen)) {
			g.t.Errorf("%s counts %s, want %d", other.ID, got, len(seen))
		}
	}
}
