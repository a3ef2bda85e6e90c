package e2e

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"
)

// TestRowsAreSeenOnce queries a table while rows are written to it and
// flushed all the time: every query sees all rows that were acknowledged
// before it began, and none twice.
func TestRowsAreSeenOnce(t *testing.T) {
	t.Run("on one node", func(t *testing.T) {
		t.Parallel()
		seenOnce(t, startNode(t, "once"))
	})
	t.Run("on three nodes", func(t *testing.T) {
		t.Parallel()
		seenOnce(t, startCluster(t, 3).Nodes...)
	})
}

const onceFor = 6 * time.Second

func seenOnce(t *testing.T, nodes ...*node) {
	nodes[0].createTable(t, "events", 60, 1)
	w := &writers{acknowledged: map[int]bool{}}
	if !w.batch(nodes[0]) {
		t.Fatal("a write failed")
	}
	stop := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if !w.batch(nodes[i%len(nodes)]) {
				t.Error("a write failed")
				return
			}
		}
	})
	defer func() { close(stop); wait.Wait() }()
	queries := 0
	for end := time.Now().Add(onceFor); time.Now().Before(end); queries++ {
		before := int64(w.count())
		sql := fmt.Sprintf("SELECT count(*) AS c, count(DISTINCT n) AS d, count(*) FILTER (n < %d) AS b FROM events", before)
		rows := nodes[queries%len(nodes)].query(t, sql)
		c, d, b := number(t, rows[0]["c"]), number(t, rows[0]["d"]), number(t, rows[0]["b"])
		if c != d || b != before {
			t.Errorf("%d rows, %d different, and %d of the %d that were acknowledged before", c, d, b, before)
		}
		if s, _ := nodes[queries%len(nodes)].stats(t, "events"); s < c {
			t.Errorf("statistics of %d rows, after a query found %d", s, c)
		}
	}
	t.Logf("%d queries over %d rows", queries, w.count())
}

// TestClusterNodeKilledInTheMiddle kills one node of three again and again
// while clients write to and query the others: acknowledged rows are there
// once, and queries give all rows or an error that says to try again.
func TestClusterNodeKilledInTheMiddle(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3)
	n1, n2, n3 := c.Nodes[0], c.Nodes[1], c.Nodes[2]
	n1.createTable(t, "events", 80, 1)
	n1.createTable(t, "fixed", 100, 1)
	n1.write(t, numbered("fixed", 0, 500))
	c.waitFlushed("fixed")
	w := &writers{acknowledged: map[int]bool{}}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wait sync.WaitGroup
	for range 2 {
		wait.Go(func() {
			for ctx.Err() == nil {
				w.batch(n1) // may be refused while n2 is away
			}
		})
	}
	wait.Go(func() {
		for ctx.Err() == nil {
			wholeOrUnavailable(t, n3, "SELECT n, text FROM fixed WHERE n >= 0", 500)
		}
	})
	for range 3 {
		time.Sleep(1500 * time.Millisecond) // any instant will do
		n2.Kill()
		time.Sleep(500 * time.Millisecond)
		n2.Start()
	}
	cancel()
	wait.Wait()
	c.waitNodes(3)
	t.Logf("%d rows acknowledged", w.count())
	for _, n := range c.Nodes {
		w.check(t, n)
	}
}

func wholeOrUnavailable(t testing.TB, n *node, sql string, want int) {
	t.Helper()
	rows, a, err := n.tryQuery(sql)
	switch {
	case err != nil:
		t.Errorf("%s: %v", sql, err)
	case a.Status == http.StatusOK && len(rows) != want:
		t.Errorf("%d rows, want %d", len(rows), want)
	case a.Status != http.StatusOK:
		a.wantError(t, http.StatusServiceUnavailable, "UNAVAILABLE")
	}
}

// TestStopInTheMiddle stops a node by SIGTERM while clients write.
func TestStopInTheMiddle(t *testing.T) {
	t.Parallel()
	n := startNode(t, "stops")
	n.createTable(t, "events", 100, 1)
	w := &writers{acknowledged: map[int]bool{}}
	for range 2 {
		stop := w.start(n)
		waitFor(t, 20*time.Second, "rows are written", func() (bool, string) { return w.count() > 200, "few" })
		n.Stop()
		stop()
		n.Start()
		w.check(t, n)
	}
}

// TestColumnsAddedAtOnce lets every node add columns of its own to one table
// at the same time.
func TestColumnsAddedAtOnce(t *testing.T) {
	t.Parallel()
	const fields = 20
	c := startCluster(t, 3)
	c.Nodes[0].createTable(t, "events", 50, 1)
	var wait sync.WaitGroup
	for i, n := range c.Nodes {
		wait.Go(func() {
			for f := range fields {
				var records []record
				for k := range 6 {
					records = append(records, record{"events", fmt.Sprint("id-", k), "2024-01-01T00:00:00Z",
						object{fmt.Sprintf("f_%d_%d", i, f): k, "shared": []any{k, 0.5, "text"}[i], "n": f}})
				}
				a, err := n.try(http.MethodPost, "/v1/data", "application/x-ndjson", lines(t, records))
				if err != nil || a.Status != http.StatusOK {
					t.Errorf("node %s, field %d: %v: %d %s", n.ID, f, err, a.Status, a.Body)
				}
			}
		})
	}
	wait.Wait()
	for _, n := range c.Nodes {
		rows := n.query(t, "SELECT * FROM events")
		if len(rows) != 3*fields*6 || len(rows[0]) != 2+2+3*fields {
			t.Errorf("%d rows of %d columns", len(rows), len(rows[0]))
		}
		values := 0
		for _, r := range rows {
			for _, v := range r {
				if v != nil {
					values++
				}
			}
		}
		if want := 3 * fields * 6 * 5; values != want {
			t.Errorf("%d values, want %d", values, want)
		}
		if got := n.row(t, "SELECT count(*) AS c FROM events WHERE shared IN ('0.5', '\"text\"')", "c"); got != fmt.Sprint(2*fields*6) {
			t.Errorf("%s values of the two that conflict", got)
		}
	}
}
