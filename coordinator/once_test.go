//go:build duckdb_arrow

package coordinator_test

import (
	"strings"
	"sync"
	"testing"

	"skein/coordinator"
	"skein/internal/fault"
)

// TestIngestOnce sends loads with a statement id again: to the same node,
// another one, both at once, and after one that failed.
func TestIngestOnce(t *testing.T) {
	cl := newCluster(t, 2)
	load := func(node int, id string, mode coordinator.IngestMode, failAt int) (int64, error) {
		s := newStream(0, 300)
		s.failAt = failAt
		defer s.Close()
		return cl.nodes[node].Ingest(t.Context(), coordinator.Ingest{Table: "t", Mode: mode, IDColumn: "id", TimeColumn: "timestamp", StatementID: id}, s)
	}
	rows := func() string { return one(t, cl.nodes[0].Coordinator, "SELECT count(*) FROM t") }
	for i, step := range []struct {
		node  int
		id    string
		mode  coordinator.IngestMode
		fails bool
		count string
	}{
		{0, "first", coordinator.IngestCreate, false, "300"},
		{0, "first", coordinator.IngestCreate, false, "300"},
		{1, "first", coordinator.IngestCreate, false, "300"},
		{1, "first", coordinator.IngestAppend, false, "300"},
		{0, "second", coordinator.IngestAppend, true, "300"},
		{0, "second", coordinator.IngestAppend, false, "600"},
		{1, "second", coordinator.IngestAppend, false, "600"},
		{0, "", coordinator.IngestAppend, false, "900"},
		{0, "", coordinator.IngestAppend, false, "1200"},
		{1, "third", coordinator.IngestReplace, false, "300"},
		{0, "third", coordinator.IngestReplace, false, "300"},
		{0, "second", coordinator.IngestAppend, false, "600"}, // into another table
	} {
		failAt := -1
		if step.fails {
			failAt = 200
		}
		n, err := load(step.node, step.id, step.mode, failAt)
		if step.fails != (err != nil) || err == nil && n != 300 {
			t.Errorf("step %d: %d rows, %v", i, n, err)
		}
		if got := rows(); got != step.count {
			t.Errorf("step %d: %s rows are stored, want %s", i, got, step.count)
		}
	}
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			n, err := load(i%2, "at once", coordinator.IngestAppend, -1)
			if busy := fault.CodeOf(err) == fault.Aborted && strings.Contains(err.Error(), "going on"); !busy && (err != nil || n != 300) {
				t.Errorf("%d rows, %v", n, err)
			}
		})
	}
	all.Wait()
	if got := rows(); got != "900" {
		t.Errorf("at once: %s rows are stored", got)
	}
	if _, err := load(0, strings.Repeat("x", coordinator.StatementIDMax+1), coordinator.IngestAppend, -1); fault.CodeOf(err) != fault.InvalidArgument {
		t.Errorf("a long id: %v", err)
	}
}
