package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// quickCatalog makes what looks after the catalog act soon.
var quickCatalog = []string{"--leader-timeout", "2s", "--retention-every", "1s"}

// keepWriting writes batches of numbered records by all nodes until stop is
// called, whatever comes of them.
func (c *cluster) keepWriting(w *writers) (stop func()) {
	done := make(chan struct{})
	var wait sync.WaitGroup
	for _, n := range c.Nodes {
		wait.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if !w.batch(n) {
					time.Sleep(50 * time.Millisecond) // a catalog that is gone refuses at once
				}
			}
		})
	}
	return func() { close(done); wait.Wait() }
}

// waitStored waits until all acknowledged rows are read.
func (w *writers) waitStored(t testing.TB, n *node) {
	t.Helper()
	waitFor(t, 60*time.Second, "all acknowledged rows are there", func() (bool, string) {
		rows, a, err := n.tryQuery("SELECT count(DISTINCT n) AS c FROM events")
		if err != nil || a.Status != http.StatusOK {
			return false, fmt.Sprintf("%v %.300s", err, a.Body)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		return number(t, rows[0]["c"]) >= int64(len(w.acknowledged)), fmt.Sprint(rows[0]["c"], " of ", len(w.acknowledged))
	})
}

// lose empties Redis under load, a while after something was done.
func (c *cluster) lose(w *writers, before func()) {
	c.t.Helper()
	stop := c.keepWriting(w)
	waitFor(c.t, 20*time.Second, "rows are written", func() (bool, string) { return w.count() > 2_000, fmt.Sprint(w.count()) })
	before()
	written := w.count()
	waitFor(c.t, 20*time.Second, "more rows are written", func() (bool, string) { return w.count() > written+2_000, fmt.Sprint(w.count()) })
	if err := c.Redis.FlushAll(c.t.Context()).Err(); err != nil {
		c.t.Fatal(err)
	}
	time.Sleep(time.Second) // the load goes on
	stop()
}

func (n *node) meta(t testing.TB, args ...string) string {
	t.Helper()
	o := n.tool(t, "", append([]string{"meta"}, args...)...)
	if o.Exit != 0 {
		t.Fatalf("skein meta %s: exit %d: %s%s", strings.Join(args, " "), o.Exit, o.Stdout, o.Stderr)
	}
	return o.Stdout
}

// TestCatalogLostAndRestored empties Redis during load and brings the catalog
// back from a snapshot and from the files that were stored after it.
func TestCatalogLostAndRestored(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3, quickCatalog...)
	n := c.Nodes[0]
	n.createTable(t, "events", 500, 1)
	w := &writers{acknowledged: map[int]bool{}}
	c.lose(w, func() { n.meta(t, "backup") })
	waitFor(t, 20*time.Second, "the loss is told", func() (bool, string) {
		text := n.meta(t, "version")
		return strings.Contains(text, "LOST"), text
	})
	n.post(t, "/v1/query", object{"sql": "SELECT * FROM events"}).wantError(t, 404, "NOT_FOUND")
	plan := n.meta(t, "restore", "--latest", "--newer", "--dry-run")
	if !strings.Contains(plan, "would be restored") || !strings.Contains(plan, "create   events") {
		t.Errorf("plan: %s", plan)
	}
	n.post(t, "/v1/query", object{"sql": "SELECT * FROM events"}).wantError(t, 404, "NOT_FOUND")
	t.Log(n.meta(t, "restore", "--latest", "--newer", "--yes"))
	c.waitNodes(3)
	w.waitStored(t, n)
	for _, n := range c.Nodes {
		w.check(t, n)
	}
	if text := n.meta(t, "version"); strings.Contains(text, "LOST") {
		t.Error(text)
	}
	// All goes on.
	stop := c.keepWriting(w)
	time.Sleep(500 * time.Millisecond)
	stop()
	c.waitFlushed("events")
	w.check(t, c.Nodes[1])
	t.Logf("%d rows acknowledged", len(w.acknowledged))
}

// TestCatalogLostAndRebuilt does the same with nothing but the data files.
func TestCatalogLostAndRebuilt(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3, append(quickCatalog, "--no-meta-snapshots")...)
	n := c.Nodes[0]
	n.createTable(t, "events", 500, 1)
	n.createTable(t, "gone", 1, 1)
	n.write(t, numbered("gone", 0, 10))
	c.waitFlushed("gone")
	n.do(t, "DELETE", "/v1/tables/gone?cascade=true", "", nil).want(t, 200)
	w := &writers{acknowledged: map[int]bool{}}
	c.lose(w, func() {})
	if got := n.tool(t, "", "meta", "restore", "--latest", "--yes"); got.Exit == 0 || !strings.Contains(got.Stderr, "skein meta rebuild") {
		t.Errorf("restore without a snapshot: exit %d: %s%s", got.Exit, got.Stdout, got.Stderr)
	}
	if plan := n.meta(t, "rebuild", "--dry-run"); !strings.Contains(plan, "create   events") || strings.Contains(plan, "gone") {
		t.Errorf("plan: %s", plan)
	}
	t.Log(n.meta(t, "rebuild", "--yes"))
	c.waitNodes(3)
	w.waitStored(t, n)
	for _, n := range c.Nodes {
		w.check(t, n)
	}
	if size := c.Redis.HGet(t.Context(), "table:events:config", "buffer_size").Val(); size != "500" {
		t.Errorf("the table's settings are lost: buffer size %s", size)
	}
	t.Logf("%d rows acknowledged", len(w.acknowledged))
}

// TestNodesRestartWithoutCatalog kills all nodes with rows in their logs,
// empties Redis, and starts the nodes: they must keep the rows until the
// catalog is back.
func TestNodesRestartWithoutCatalog(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 2, quickCatalog...)
	n := c.Nodes[0]
	n.createTable(t, "events", neverRows, neverSeconds)
	n.write(t, numbered("events", 0, 500))
	n.meta(t, "backup")
	grown := numbered("events", 500, 500) // the snapshot does not know their column
	for i := range grown {
		grown[i].Payload["late"] = i
	}
	n.write(t, grown)
	for _, n := range c.Nodes {
		n.Kill()
	}
	if err := c.Redis.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	for _, n := range c.Nodes {
		n.Start()
	}
	waitFor(t, 20*time.Second, "the nodes tell of the rows", func() (bool, string) {
		a, b := c.Nodes[0].logTail(), c.Nodes[1].logTail()
		const word = "tells of no drop"
		return strings.Contains(a, word) && strings.Contains(b, word), "nothing"
	})
	n.meta(t, "restore", "--latest", "--newer", "--yes")
	w := &writers{acknowledged: map[int]bool{}}
	for k := range 1000 {
		w.acknowledged[k] = true
	}
	w.waitStored(t, n)
	for _, n := range c.Nodes {
		w.check(t, n)
		wantSame(t, n.row(t, "SELECT count(late) AS c, sum(late)::BIGINT AS s FROM events", "c", "s"), "500 124750")
	}
	// A table that is dropped takes its rows with it, as before.
	n.do(t, "DELETE", "/v1/tables/events?cascade=true", "", nil).want(t, 200)
	n.createTable(t, "events", 10, 1)
	n.write(t, numbered("events", 0, 20))
	wantNumbered(t, n, "events", 20)
}
