//go:build duckdb_arrow

package coordinator_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"skein/coordinator"
	"skein/internal/fault"
)

// memory is what DuckDB has in use, but for what it keeps of files.
func (c *cluster) memory(t testing.TB) int64 {
	t.Helper()
	conn, err := c.db.Conn(t.Context())
	check(t, err)
	defer conn.Close()
	used, err := conn.Strings(t.Context(), "SELECT sum(memory_usage_bytes + temporary_storage_bytes)::BIGINT FROM duckdb_memory() WHERE tag NOT IN ('EXTERNAL_FILE_CACHE', 'OBJECT_CACHE')")
	check(t, err)
	n, err := strconv.ParseInt(used[0][0], 10, 64)
	check(t, err)
	return n
}

// TestCancelledQueriesLeaveNothing cancels 1,000 queries at random moments.
func TestCancelledQueriesLeaveNothing(t *testing.T) {
	const (
		queries  = 1000
		together = 4
	)
	c := faultyCluster(t, coordinator.Options{})
	var statements, wants []string
	for _, name := range []string{"steps", "join", "follow"} {
		sql := divided[name]
		statements, wants = append(statements, sql), append(wants, c.want(t, sql))
	}
	longest := c.typicalTime(t, statements, together)
	c.settled(t)
	memory, goroutines := c.memory(t), runtime.NumGoroutine()
	var cancelled, whole atomic.Int64
	var asking sync.WaitGroup
	for g := range together {
		asking.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(g)))
			for i := range queries / together {
				which := r.IntN(len(statements))
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(r.Int64N(int64(longest))))
				got, err := readAll(ctx, c.nodes[r.IntN(len(c.nodes))].Coordinator, statements[which])
				cancel()
				switch code := fault.CodeOf(err); {
				case err == nil && got == wants[which]:
					whole.Add(1)
				case err == nil:
					t.Errorf("query %d/%d: %s\ngot:\n%.300s\nwant:\n%.300s", g, i, statements[which], got, wants[which])
				case code == fault.DeadlineExceeded || code == fault.Canceled:
					cancelled.Add(1)
				default:
					t.Errorf("query %d/%d: %s\n%v", g, i, statements[which], err)
				}
			}
		})
	}
	asking.Wait()
	c.settled(t)
	t.Logf("%d queries cancelled within %v, %d not", cancelled.Load(), longest, whole.Load())
	if cancelled.Load() < queries/4 || whole.Load() == 0 {
		t.Errorf("%d queries cancelled, %d not: the moments are badly chosen", cancelled.Load(), whole.Load())
	}
	if after := c.memory(t); after > memory+1<<20 {
		t.Errorf("DuckDB uses %d bytes, %d before", after, memory)
	}
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > goroutines && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if after := runtime.NumGoroutine(); after > goroutines {
		t.Errorf("%d goroutines, %d before", after, goroutines)
	}
	for i, sql := range statements {
		if got := c.want(t, sql); got != wants[i] {
			t.Errorf("afterwards: %s\ngot:\n%.300s", sql, got)
		}
	}
}

// typicalTime is how long a statement takes while others run.
func (c *cluster) typicalTime(t testing.TB, statements []string, together int) time.Duration {
	t.Helper()
	began := time.Now()
	var asking sync.WaitGroup
	for range together {
		asking.Go(func() {
			for _, sql := range statements {
				if _, err := readAll(t.Context(), c.nodes[0].Coordinator, sql); err != nil {
					t.Error(err)
				}
			}
		})
	}
	asking.Wait()
	return time.Since(began) / time.Duration(len(statements))
}

// readAll is the rows of a query in a fixed order.
func readAll(ctx context.Context, c *coordinator.Coordinator, sql string) (string, error) {
	r, err := c.Query(ctx, sql, nil)
	if err != nil {
		return "", err
	}
	defer r.Close()
	all, err := textRows(ctx, r)
	return fixed(all, nil), err
}
