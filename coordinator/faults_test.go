//go:build duckdb_arrow

package coordinator_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"skein/coordinator"
	"skein/internal/duck"
	"skein/internal/fault"
	nodev1 "skein/proto/node/v1"
)

// divided are statements whose plans differ in what can be lost.
var divided = map[string]string{
	"steps":  "SELECT n % 7 AS k, count(*) AS c, sum(n) AS s FROM t GROUP BY ALL ORDER BY k",
	"join":   "SELECT n, t.id, u.id AS other FROM t FULL JOIN u USING (n)",
	"follow": "SELECT n, median(x) AS m FROM (SELECT n, sum(n) OVER (PARTITION BY n % 10) AS x FROM t) GROUP BY n",
	"deep":   "SELECT k, median(c) AS m FROM (SELECT t.n % 3 AS k, t.n % 50 AS j, count(DISTINCT u.id) AS c FROM t LEFT JOIN u ON t.n = u.n GROUP BY 1, 2) GROUP BY 1 ORDER BY 1",
}

// faultyCluster is three nodes with the tables t and u, in few files.
func faultyCluster(t *testing.T, o coordinator.Options) *cluster {
	t.Helper()
	c := newClusterWith(t, 3, o)
	for i, table := range []string{"t", "u"} {
		create(t, c.nodes[0].Coordinator, table)
		records := make([]coordinator.Record, 300)
		for k := range records {
			n := k + 150*i
			records[k] = coordinator.Record{ID: fmt.Sprintf("id-%d", n%6), Timestamp: start.Add(time.Duration(n) * time.Second), Payload: fmt.Appendf(nil, `{"n": %d, "s": "%d"}`, n, n)}
		}
		check(t, c.nodes[0].Write(t.Context(), table, records))
	}
	check(t, c.nodes[0].Flush(t.Context(), ""))
	return c
}

// strike sets the fault of all nodes.
func (c *cluster) strike(f faultFunc) {
	if f == nil {
		c.fault.Store(nil)
		return
	}
	c.fault.Store(&f)
}

// heal brings dead nodes back, and forgets that they were.
func (c *cluster) heal() {
	c.strike(nil)
	for _, n := range c.nodes {
		n.worker.revive()
		n.Forgive()
	}
}

// leftovers is what queries have left behind; empty when there is nothing.
func (c *cluster) leftovers(t testing.TB) string {
	var left []string
	for _, n := range c.nodes {
		if held := n.worker.held.Load(); held != 0 {
			left = append(left, fmt.Sprintf("%d calls to %s", held, n.id))
		}
		if !n.Idle() {
			left = append(left, n.id+" has admitted queries")
		}
	}
	left = append(left, c.files("tmp")...)
	for _, n := range c.nodes {
		left = append(left, c.files(filepath.Join(n.id, "fetched"))...)
	}
	conn, err := c.db.Conn(t.Context())
	check(t, err)
	defer conn.Close()
	for _, sql := range []string{
		"SELECT 'database ' || database_name FROM duckdb_databases() WHERE database_name LIKE 'kept_%'",
		"SELECT 'table ' || table_name FROM duckdb_tables()",
	} {
		rows, err := conn.Strings(t.Context(), sql)
		check(t, err)
		for _, r := range rows {
			left = append(left, r[0])
		}
	}
	return strings.Join(left, ", ")
}

func (c *cluster) files(dir string) (names []string) {
	entries, _ := os.ReadDir(filepath.Join(c.dir, dir)) // one that is not there is empty
	for _, e := range entries {
		names = append(names, "file "+filepath.Join(dir, e.Name()))
	}
	return names
}

// settled wants nothing to be left of any query, soon.
func (c *cluster) settled(t testing.TB) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	left := c.leftovers(t)
	for left != "" && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
		left = c.leftovers(t)
	}
	if left != "" {
		t.Errorf("left behind: %s", left)
	}
	conns := make([]*duck.Conn, connectionsMax)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for i := range conns {
		var err error
		if conns[i], err = c.db.Conn(ctx); err != nil {
			t.Errorf("connections of DuckDB are not given back: only %d are free", i)
			break
		}
	}
	for _, conn := range conns {
		if conn != nil {
			conn.Close()
		}
	}
}

// once strikes at the first time that one of the nodes comes to the point.
func once(p point, nodes string, do func(ctx context.Context, w *faultyWorker) error) (f faultFunc, struck func() bool) {
	var mu sync.Mutex
	done := false
	f = func(ctx context.Context, w *faultyWorker, at point, _ any) error {
		if at != p || !strings.Contains(nodes, w.id) {
			return nil
		}
		mu.Lock()
		first := !done
		done = true
		mu.Unlock()
		if !first {
			return nil
		}
		return do(ctx, w)
	}
	return f, func() bool { mu.Lock(); defer mu.Unlock(); return done }
}

// answered is the rows in a fixed order, or the error.
func (c *cluster) answered(t testing.TB, sql string) (string, error) {
	r, err := rows(t, c.nodes[0].Coordinator, sql, nil)
	if err != nil {
		return "", err
	}
	return fixed(r, nil), nil
}

func (c *cluster) want(t testing.TB, sql string) string {
	t.Helper()
	want, err := c.answered(t, sql)
	check(t, err)
	return want
}

// TestWorkerLostInEachPhase kills a worker at each point of several plans. The
// answer is right, or after the first rows were handed on an error.
func TestWorkerLostInEachPhase(t *testing.T) {
	c := faultyCluster(t, coordinator.Options{})
	for name, sql := range divided {
		want := c.want(t, sql)
		for _, p := range []point{holding, keeping, opening, fetching, kept, reading, sending, running, streaming} {
			t.Run(name+", "+string(p), func(t *testing.T) {
				f, struck := once(p, "n2 n3", func(_ context.Context, w *faultyWorker) error {
					w.kill()
					return nil
				})
				c.strike(f)
				got, err := c.answered(t, sql)
				switch {
				case p == streaming && struck():
					if fault.CodeOf(err) != fault.Unavailable {
						t.Errorf("%d lines, %v; want an error", strings.Count(got, "\n"), err)
					}
				case err != nil:
					t.Errorf("%v", err)
				case got != want:
					t.Errorf("got:\n%.300s\nwant:\n%.300s", got, want)
				}
				if !struck() && !(name == "steps" || name == "deep") {
					t.Error("no worker came there")
				}
				c.settled(t)
				c.heal()
			})
		}
	}
}

// TestKeptRowsLostAfterKeep ends a worker's hold, as a restart does, when all
// it was to keep is kept and before it is read.
func TestKeptRowsLostAfterKeep(t *testing.T) {
	c := faultyCluster(t, coordinator.Options{})
	for name, sql := range divided {
		want := c.want(t, sql)
		t.Run(name, func(t *testing.T) {
			f, struck := once(reading, "n2 n3", func(_ context.Context, w *faultyWorker) error {
				w.kill()
				w.revive()
				return errDown
			})
			c.strike(f)
			got, err := c.answered(t, sql)
			if err != nil || got != want || !struck() {
				t.Errorf("struck %v, %v, got:\n%.300s\nwant:\n%.300s", struck(), err, got, want)
			}
			c.settled(t)
			c.heal()
		})
	}
}

// stopper is a statement that makes DuckDB 1.5.6 refuse all that follows.
const stopper = "SELECT d.n3 FROM (SELECT range AS a, range + 1 AS b, 'x' AS c FROM range(9) EXCEPT ALL SELECT range, range, 'y' FROM range(5)) AS d(n1, n2, n3) ASOF LEFT JOIN (SELECT range AS k FROM range(9)) AS r ON 'x' = '' AND d.n1 > r.k"

// TestDuckDBLost stops the DuckDB that all nodes of these tests share, at each
// point of several plans. It is started again, and queries that were under way
// are right, or are to be tried again.
func TestDuckDBLost(t *testing.T) {
	c := faultyCluster(t, coordinator.Options{})
	for name, sql := range divided {
		want := c.want(t, sql)
		for _, p := range []point{holding, keeping, opening, fetching, kept, reading, sending, running, streaming} {
			t.Run(name+", "+string(p), func(t *testing.T) {
				f, _ := once(p, "n1 n2 n3", func(ctx context.Context, w *faultyWorker) error {
					ctx = context.WithoutCancel(ctx) // which the stop may end
					conn, err := c.db.Conn(ctx)
					if err != nil {
						return err
					}
					defer conn.Close()
					if _, err := conn.Strings(ctx, stopper); fault.CodeOf(err) != fault.Internal {
						t.Errorf("got %v, want an internal error; if DuckDB runs the statement now, find another", err)
					}
					return nil
				})
				c.strike(f)
				if got, err := c.answered(t, sql); err != nil && fault.CodeOf(err) != fault.Unavailable || err == nil && got != want {
					t.Errorf("%v, got:\n%.300s\nwant:\n%.300s", err, got, want)
				}
				c.heal()
				if got, err := c.answered(t, sql); err != nil || got != want {
					t.Errorf("after it: %v, got:\n%.300s\nwant:\n%.300s", err, got, want)
				}
				c.settled(t)
			})
		}
	}
}

// A statement that DuckDB cannot run is an error of that statement alone.
func TestStatementThatStopsDuckDB(t *testing.T) {
	c := faultyCluster(t, coordinator.Options{})
	want := c.want(t, divided["steps"])
	for range 3 {
		if _, err := c.answered(t, stopper); fault.CodeOf(err) != fault.Internal || strings.Contains(err.Error(), "Stack Trace") {
			t.Errorf("got %v", err)
		}
		if got, err := c.answered(t, divided["steps"]); err != nil || got != want {
			t.Errorf("after it: %v, got:\n%.300s\nwant:\n%.300s", err, got, want)
		}
	}
	c.settled(t)
}

// TestAllOtherWorkersLost kills both, one after the other, at several points.
func TestAllOtherWorkersLost(t *testing.T) {
	c := faultyCluster(t, coordinator.Options{})
	for name, sql := range divided {
		want := c.want(t, sql)
		for _, p := range []point{keeping, kept, reading} {
			t.Run(name+", "+string(p), func(t *testing.T) {
				first, _ := once(p, "n2", func(_ context.Context, w *faultyWorker) error { w.kill(); return nil })
				second, _ := once(p, "n3", func(_ context.Context, w *faultyWorker) error { w.kill(); return nil })
				c.strike(func(ctx context.Context, w *faultyWorker, p point, what any) error {
					return errors.Join(first(ctx, w, p, what), second(ctx, w, p, what))
				})
				got, err := c.answered(t, sql)
				if err != nil || got != want {
					t.Errorf("%v, got:\n%.300s\nwant:\n%.300s", err, got, want)
				}
				c.settled(t)
				c.heal()
			})
		}
	}
}

// TestRowsHereThatOthersCannotRead breaks the way to the coordinator's node,
// as right after its start.
func TestRowsHereThatOthersCannotRead(t *testing.T) {
	c := faultyCluster(t, coordinator.Options{})
	for name, sql := range divided {
		want := c.want(t, sql)
		t.Run(name, func(t *testing.T) {
			c.strike(func(_ context.Context, w *faultyWorker, p point, _ any) error {
				if p == reading && w.id == "n1" {
					return errDown
				}
				return nil
			})
			if got, err := c.answered(t, sql); err != nil || got != want {
				t.Errorf("%v, got:\n%.300s\nwant:\n%.300s", err, got, want)
			}
			c.settled(t)
			c.heal()
		})
	}
}

// hang waits until the call is given up.
func hang(ctx context.Context, _ *faultyWorker) error {
	<-ctx.Done()
	return ctx.Err()
}

// TestHungWorkerIsOvertaken lets a fragment hang on one worker: another is
// tried, and the first is told to stop.
func TestHungWorkerIsOvertaken(t *testing.T) {
	c := faultyCluster(t, coordinator.Options{QueryTimeout: 20 * time.Second})
	for name, stage := range map[string]int32{"join": 0, "follow": 2, "deep": 3} {
		want := c.want(t, divided[name])
		t.Run(name, func(t *testing.T) {
			c.strike(func(ctx context.Context, w *faultyWorker, p point, what any) error {
				if m, ok := what.(*nodev1.Fragment); !ok || p != keeping || w.id != "n2" || m.Stage != stage {
					return nil
				}
				return hang(ctx, w)
			})
			got, err := c.answered(t, divided[name])
			if err != nil || got != want {
				t.Errorf("%v, got:\n%.300s\nwant:\n%.300s", err, got, want)
			}
			c.settled(t)
			c.heal()
		})
	}
}

// TestHungWorkerIsLeftAlone lets all fragments hang on one worker: it is waited
// for once, not in each stage.
func TestHungWorkerIsLeftAlone(t *testing.T) {
	c := faultyCluster(t, coordinator.Options{QueryTimeout: 20 * time.Second})
	want := c.want(t, divided["deep"])
	c.strike(func(ctx context.Context, w *faultyWorker, p point, what any) error {
		if w.id != "n2" || p != keeping && p != running && p != holding {
			return nil
		}
		return hang(ctx, w)
	})
	began := time.Now()
	got, err := c.answered(t, divided["deep"])
	if err != nil || got != want {
		t.Errorf("%v, got:\n%.300s\nwant:\n%.300s", err, got, want)
	}
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("it took %v", took)
	}
	c.settled(t)
	c.heal()
}

// TestWorkersThatHoldNothing lets most workers not answer at all, so that none
// is overtaken: others are asked, and those for a while no more.
func TestWorkersThatHoldNothing(t *testing.T) {
	c := faultyCluster(t, coordinator.Options{QueryTimeout: 20 * time.Second})
	n := c.nodes[0]
	want := c.want(t, divided["join"])
	c.strike(func(ctx context.Context, w *faultyWorker, p point, _ any) error {
		if w.id == n.id || p != holding {
			return nil
		}
		return hang(ctx, w)
	})
	got, err := c.answered(t, divided["join"])
	if err != nil || got != want || n.Suspects() != 2 {
		t.Errorf("%v, %d suspects, got:\n%.300s\nwant:\n%.300s", err, n.Suspects(), got, want)
	}
	c.settled(t)
	c.heal()
}

// TestQueryTimeout lets a query hang at each point until its time is over.
func TestQueryTimeout(t *testing.T) {
	c := faultyCluster(t, coordinator.Options{QueryTimeout: 500 * time.Millisecond})
	wantTimeout := func(t *testing.T, err error) {
		t.Helper()
		if fault.CodeOf(err) != fault.DeadlineExceeded || !strings.Contains(fmt.Sprint(err), "--query-timeout") {
			t.Errorf("got %v", err)
		}
	}
	for _, node := range []string{"n1", "n2"} {
		for _, p := range []point{holding, keeping, opening, fetching, kept, reading, sending, running, streaming} {
			if node == "n1" && p != opening && p != running {
				continue // where the coordinator is, calls are no other
			}
			t.Run(node+", "+string(p), func(t *testing.T) {
				f, _ := once(p, node, hang)
				c.strike(f)
				_, err := c.answered(t, divided["join"])
				wantTimeout(t, err)
				c.settled(t)
				c.heal()
			})
		}
	}
	for name, sql := range map[string]string{
		"a long statement":        "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range + b.range = -1",
		"a long statement of t":   "SELECT median(n) FROM t, range(10000000) r, range(1000000) s WHERE n + r.range + s.range = -1",
		"a result without an end": "SELECT range FROM range(1000000000000)",
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			r, err := c.nodes[0].Query(t.Context(), sql, nil)
			for err == nil {
				_, err = r.Next(t.Context())
			}
			if r != nil {
				check(t, r.Close())
			}
			wantTimeout(t, err)
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
			c.settled(t)
		})
	}
}

// TestClientVanishes cancels the query's context when a worker comes to each
// point, or closes its rows early.
func TestClientVanishes(t *testing.T) {
	c := faultyCluster(t, coordinator.Options{})
	for _, p := range []point{holding, keeping, opening, fetching, kept, reading, sending, running, streaming} {
		for _, node := range []string{"n1", "n2"} {
			t.Run(node+", "+string(p), func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				f, struck := once(p, node, func(context.Context, *faultyWorker) error { cancel(); return nil })
				c.strike(f)
				r, err := c.nodes[0].Query(ctx, divided["join"], nil)
				for err == nil {
					_, err = r.Next(ctx)
				}
				if r != nil {
					check(t, r.Close())
				}
				if !struck() || fault.CodeOf(err) != fault.Canceled && !(errors.Is(err, io.EOF) && p == streaming) {
					t.Errorf("struck %v, %v", struck(), err)
				}
				c.settled(t)
				if n := c.nodes[0].Suspects(); n > 0 {
					t.Errorf("%d workers are suspected because a client went", n)
				}
				c.heal()
			})
		}
	}
	for name, sql := range divided {
		t.Run(name+", closed early", func(t *testing.T) {
			for batches := range 2 {
				r, err := c.nodes[0].Query(t.Context(), sql, nil)
				check(t, err)
				for range batches {
					if _, err := r.Next(t.Context()); err != nil {
						t.Error(err)
					}
				}
				check(t, errors.Join(r.Close(), r.Close()))
				c.settled(t)
			}
		})
	}
}

// TestQueryBudget wants a query that keeps too much to be told so.
func TestQueryBudget(t *testing.T) {
	c := faultyCluster(t, coordinator.Options{QueryBytesMax: 2000})
	if _, err := c.answered(t, "SELECT count(*) FROM t"); err != nil {
		t.Errorf("a small one: %v", err)
	}
	for name, sql := range divided {
		if name == "steps" {
			continue
		}
		_, err := c.answered(t, sql)
		if fault.CodeOf(err) != fault.ResourceExhausted || !strings.Contains(fmt.Sprint(err), "--query-memory") {
			t.Errorf("%s: %v", name, err)
		}
		c.settled(t)
	}
}

// TestAdmission fills the places and the queue.
func TestAdmission(t *testing.T) {
	c := faultyCluster(t, coordinator.Options{QueriesMax: 1, QueueMax: 1, QueueWait: 2 * time.Second})
	n := c.nodes[0]
	running, err := n.Query(t.Context(), divided["join"], nil)
	check(t, err)
	waits := make(chan error)
	ctx, cancel := context.WithCancel(t.Context())
	const asking = 4
	for range asking {
		go func() {
			_, err := n.Query(t.Context(), divided["steps"], nil)
			waits <- err
		}()
	}
	heard := map[string]int{}
	for range asking {
		err := <-waits
		if fault.CodeOf(err) != fault.ResourceExhausted || fault.RetryAfter(err) == 0 || !strings.Contains(err.Error(), "--queries-max") {
			t.Errorf("got %v", err)
			continue
		}
		heard[strings.Fields(err.Error())[0]]++
	}
	if heard["too"] != asking-1 || heard["the"] != 1 {
		t.Errorf("one should wait in vain, and the others find the queue full: %v", heard)
	}
	go func() {
		_, err := n.Query(ctx, divided["steps"], nil)
		waits <- err
	}()
	cancel()
	if err := <-waits; fault.CodeOf(err) != fault.Canceled {
		t.Errorf("got %v", err)
	}
	check(t, running.Close())
	for _, sql := range divided {
		c.want(t, sql)
	}
	for _, bad := range []string{"SELECT CAST(id AS INTEGER) FROM t", "SELECT nosuch FROM t", "EXPLAIN ANALYZE SELECT sum(n) FROM t"} {
		_, _ = c.answered(t, bad)
		c.settled(t)
	}
}
