package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestForgetNode loses a node with unflushed rows for good, as it seems, and
// tells the cluster so: tables can be read again. Then its disk turns up.
func TestForgetNode(t *testing.T) {
	t.Parallel()
	const count = 300
	c := startCluster(t, 3)
	n := c.Nodes[0]
	n.createTable(t, "events", neverRows, neverSeconds)
	n.write(t, numbered("events", 0, count))
	if !c.openUnits("events")["n2"] {
		t.Fatal("n2 holds no rows")
	}
	if o := n.tool(t, "", "meta", "nodes", "forget", "n2", "--yes"); o.Exit == 0 || !strings.Contains(o.Stderr, "answers") {
		t.Errorf("a node that answers: exit %d: %s%s", o.Exit, o.Stdout, o.Stderr)
	}
	c.Nodes[1].Kill()
	if o := n.tool(t, "", "meta", "nodes", "forget", "n2", "--yes"); o.Exit == 0 || !strings.Contains(o.Stderr, "expired") {
		t.Errorf("a node that has not expired: exit %d: %s%s", o.Exit, o.Stdout, o.Stderr)
	}
	if err := c.Redis.HDel(t.Context(), "nodes:services", "n2").Err(); err != nil { // as when it expires, a minute later
		t.Fatal(err)
	}
	_, a, err := n.tryQuery(sums + "events")
	if err != nil {
		t.Fatal(err)
	}
	a.wantError(t, http.StatusServiceUnavailable, "UNAVAILABLE", "n2", "events")
	if o := n.tool(t, "", "meta", "nodes", "forget", "n2"); o.Exit == 0 || !strings.Contains(o.Stderr, "--yes") {
		t.Errorf("nobody was asked: exit %d: %s%s", o.Exit, o.Stdout, o.Stderr)
	}
	for _, args := range [][]string{{"--dry-run"}, {"--yes"}} {
		o := n.tool(t, "", append([]string{"meta", "nodes", "forget", "n2"}, args...)...)
		if o.Exit != 0 || !strings.Contains(o.Stdout, "events  1 units") {
			t.Errorf("forget %v: exit %d: %s%s", args, o.Exit, o.Stdout, o.Stderr)
		}
	}
	for _, n := range []*node{c.Nodes[0], c.Nodes[2]} {
		rows := n.query(t, "SELECT n FROM events")
		if len(rows) == 0 || len(rows) >= count {
			t.Errorf("%s reads %d rows without those of n2", n.ID, len(rows))
		}
	}
	c.Nodes[1].Start()
	c.waitNodes(3)
	waitFor(t, 20*time.Second, "the rows of n2 are back", func() (bool, string) {
		got := n.row(t, "SELECT count(*) AS c FROM events", "c")
		return got == fmt.Sprint(count), got
	})
	for _, n := range c.Nodes {
		wantNumbered(t, n, "events", count)
	}
}
