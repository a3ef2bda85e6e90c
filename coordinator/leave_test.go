//go:build duckdb_arrow

package coordinator_test

import (
	"slices"
	"testing"

	"skein/meta"
)

// TestNodeFlushesBeforeItLeaves: a node that stops is off the ring first, then
// its rows are in files, then it leaves.
func TestNodeFlushesBeforeItLeaves(t *testing.T) {
	c := newCluster(t, 3)
	first, leaver := c.nodes[0], c.nodes[1]
	create(t, first.Coordinator, "t")
	write(t, first.Coordinator, "t", 0, 300)
	if open, err := first.Unflushed(t.Context(), "n2"); err != nil || len(open) == 0 {
		t.Fatalf("n2 has unflushed %v, %v", open, err)
	}
	check(t, leaver.Stop(t.Context()))
	if open, err := first.Unflushed(t.Context(), "n2"); err != nil || len(open) != 0 {
		t.Errorf("n2 has left with unflushed %v, %v", open, err)
	}
	ring, err := c.meta.Ring(t.Context())
	check(t, err)
	nodes, err := c.meta.Nodes(t.Context())
	check(t, err)
	left := slices.IndexFunc(nodes, func(n meta.Node) bool { return n.ID == "n2" && n.Left })
	if slices.Contains(ring.Nodes(), "n2") || left < 0 {
		t.Errorf("the ring has %v, the cluster %+v", ring.Nodes(), nodes)
	}
	write(t, first.Coordinator, "t", 300, 100)
	if got := one(t, first.Coordinator, "SELECT count(*) || ' ' || count(DISTINCT n) FROM t"); got != "400 400" {
		t.Errorf("rows and numbers: %s", got)
	}
}
