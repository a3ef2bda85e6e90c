package e2e

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Of a cluster with replicated tables.
const (
	silenceAfter = "35s"           // the least that --takeover-after takes
	takeoverMax  = 3 * time.Minute // from a node's end until its rows are stored, on a slow machine
	batchRows    = 5
)

// ledger is what writers of numbered rows were told.
type ledger struct {
	t      testing.TB
	next   atomic.Int64
	failed atomic.Int64

	mu    sync.Mutex
	acked []int64
	last  string // failure
}

// writeTo writes batches of new numbers to the nodes in turn until stop is
// closed. What fails is not repeated: nobody knows whether it is stored.
func (l *ledger) writeTo(nodes []*node, stop <-chan struct{}) {
	for turn := 0; ; turn++ {
		select {
		case <-stop:
			return
		default:
		}
		first := l.next.Add(batchRows) - batchRows
		var numbers []int64
		var records []record
		for i := first; i < first+batchRows; i++ {
			numbers = append(numbers, i)
			records = append(records, record{"events", fmt.Sprintf("id-%d", i%17), "2024-05-06T07:08:09Z", object{"n": i}})
		}
		a, err := nodes[turn%len(nodes)].try(http.MethodPost, "/v1/data", "application/x-ndjson", lines(l.t, records))
		l.mu.Lock()
		if err == nil && a.Status == http.StatusOK {
			l.acked = append(l.acked, numbers...)
		} else {
			l.failed.Add(1)
			l.last = fmt.Sprintf("%d %s %v", a.Status, a.Body, err)
		}
		l.mu.Unlock()
		time.Sleep(10 * time.Millisecond)
	}
}

// load runs writers until the function that it returns is called.
func (l *ledger) load(writers int, nodes ...*node) (end func()) {
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() { l.writeTo(nodes, stop) })
	}
	return sync.OnceFunc(func() { close(stop); wg.Wait() })
}

func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acked)
}

// grow waits until so many more rows are acknowledged.
func (l *ledger) grow(t testing.TB, more int, wait time.Duration) {
	t.Helper()
	from := l.count()
	waitFor(t, wait, fmt.Sprint(more, " more rows are written"), func() (bool, string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.acked) >= from+more, fmt.Sprint(len(l.acked)-from, " rows, last failure: ", l.last)
	})
}

// wantAll waits until a node answers, and wants each acknowledged row once and
// no row twice.
func (l *ledger) wantAll(t testing.TB, n *node) {
	t.Helper()
	var rows []map[string]any
	waitFor(t, takeoverMax, "the table can be read on "+n.ID, func() (bool, string) {
		var a reply
		var err error
		rows, a, err = n.tryQuery("SELECT n FROM events")
		return err == nil && a.Status == http.StatusOK, fmt.Sprintf("%d %.300s %v", a.Status, a.Body, err)
	})
	seen := map[int64]int{}
	for _, row := range rows {
		seen[number(t, row["n"])]++
	}
	lost, twice := 0, 0
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range l.acked {
		if seen[k] == 0 {
			lost++
		}
	}
	for _, times := range seen {
		if times > 1 {
			twice++
		}
	}
	t.Logf("on %s: %d rows, %d acknowledged, %d writes failed (last: %.200s)", n.ID, len(rows), len(l.acked), l.failed.Load(), l.last)
	if lost > 0 || twice > 0 || len(l.acked) == 0 {
		t.Errorf("on %s %d of %d acknowledged rows are lost and %d are there several times", n.ID, lost, len(l.acked), twice)
	}
}

// replicas is the open units of events: node -> its replica.
func (c *cluster) replicas() map[string]string {
	c.t.Helper()
	units, err := c.Redis.HGetAll(c.t.Context(), "index:table:events:open").Result()
	if err != nil {
		c.t.Fatal(err)
	}
	nodes := map[string]string{}
	for _, holder := range units {
		node, replica, _ := strings.Cut(holder, "\n")
		nodes[node] = replica
	}
	return nodes
}

func createReplicated(t testing.TB, n *node) {
	t.Helper()
	n.post(t, "/v1/tables", object{"table_name": "events", "config": object{
		"buffer_size": neverRows, "flush_interval_seconds": neverSeconds, "replicated": true}}).want(t, http.StatusOK)
	info := n.get(t, "/v1/tables/events").want(t, http.StatusOK)["table_info"].(object)
	if config := info["config"].(object); config["replicated"] != true {
		t.Errorf("the table is described by %v", config)
	}
}

// TestReplicated: acknowledged rows of a replicated table outlive the node that
// took them, each once.
func TestReplicated(t *testing.T) {
	t.Parallel()
	t.Run("alone", replicatedAlone)
	t.Run("lost node", replicatedLost)
	t.Run("paused node", replicatedPaused)
	t.Run("lost replica", replicatedReplica)
}

// replicatedAlone wants a node without others to refuse writes, and to say why.
func replicatedAlone(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1")
	n.query(t, "CREATE TABLE events WITH (replicated = true)")
	a := n.do(t, http.MethodPost, "/v1/data", "application/x-ndjson", lines(t, []record{{"events", "a", "", object{"n": 1}}}))
	a.wantError(t, http.StatusServiceUnavailable, "UNAVAILABLE", "replicated", "start another node")
}

// replicatedLost kills a node under load and removes its disk.
func replicatedLost(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3, "--takeover-after", silenceAfter)
	createReplicated(t, c.Nodes[0])
	l := ledger{t: t}
	end := l.load(4, c.Nodes[0], c.Nodes[2])
	defer end()
	l.grow(t, 300, time.Minute)
	if r := c.replicas(); r["n1"] != "n2" || r["n2"] != "n3" || r["n3"] != "n1" {
		t.Errorf("replicas are %v", r)
	}
	c.Nodes[1].Kill()
	if err := os.RemoveAll(c.Nodes[1].Dir); err != nil {
		t.Fatal(err)
	}
	l.grow(t, 300, time.Minute)
	if _, a, err := c.Nodes[0].tryQuery("SELECT count(*) FROM events"); err != nil || a.Status != http.StatusServiceUnavailable {
		t.Errorf("a query while rows cannot be reached: %d %s %v", a.Status, a.Body, err)
	}
	waitFor(t, takeoverMax, "n2's rows are taken over", func() (bool, string) {
		r := c.replicas()
		return r["n2"] == "", fmt.Sprint(r)
	})
	end()
	l.wantAll(t, c.Nodes[0])
	l.wantAll(t, c.Nodes[2])
	c.Nodes[1].Start() // with a new disk and the old name
	c.waitNodes(3)
	end = l.load(4, c.Nodes...)
	l.grow(t, 200, time.Minute)
	c.Nodes[1].Kill() // once more, and back at once
	if err := os.RemoveAll(c.Nodes[1].Dir); err != nil {
		t.Fatal(err)
	}
	c.Nodes[1].Start()
	end()
	for _, n := range c.Nodes {
		l.wantAll(t, n)
	}
}

// replicatedPaused stops a node's process until its rows are taken over, and
// lets it go on.
func replicatedPaused(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3, "--takeover-after", silenceAfter)
	createReplicated(t, c.Nodes[0])
	l := ledger{t: t}
	end := l.load(4, c.Nodes...)
	defer end()
	l.grow(t, 300, time.Minute)
	c.Nodes[1].signal(t, syscall.SIGSTOP)
	waitFor(t, takeoverMax, "n2's rows are taken over", func() (bool, string) {
		r := c.replicas()
		return r["n2"] == "", fmt.Sprint(r)
	})
	c.Nodes[1].signal(t, syscall.SIGCONT)
	l.grow(t, 300, 2*time.Minute)
	waitFor(t, takeoverMax, "n2 takes rows again", func() (bool, string) {
		r := c.replicas()
		return r["n2"] != "", fmt.Sprint(r)
	})
	end()
	for _, n := range c.Nodes {
		l.wantAll(t, n)
	}
	c.Nodes[1].Kill() // its log has the rows that were taken over
	c.Nodes[1].Start()
	c.waitNodes(3)
	for _, n := range c.Nodes {
		l.wantAll(t, n)
	}
}

// replicatedReplica kills the node that has the rows of another one, too:
// writes to that one go on.
func replicatedReplica(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3, "--takeover-after", silenceAfter)
	createReplicated(t, c.Nodes[0])
	l := ledger{t: t}
	end := l.load(4, c.Nodes[0])
	defer end()
	l.grow(t, 200, time.Minute)
	c.Nodes[1].Kill()
	l.grow(t, 500, time.Minute)
	waitFor(t, time.Minute, "n1 has another replica", func() (bool, string) {
		r := c.replicas()
		return r["n1"] == "n3", fmt.Sprint(r)
	})
	end()
	if failed := l.failed.Load(); failed > 12 {
		t.Errorf("%d writes failed, the last by %s", failed, l.last)
	}
	c.Nodes[1].Start()
	c.waitNodes(3)
	for _, n := range c.Nodes {
		l.wantAll(t, n)
	}
}
