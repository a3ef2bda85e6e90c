//go:build duckdb_arrow

package coordinator_test

import (
	"fmt"
	"strings"
	"testing"

	"skein/coordinator"
	"skein/internal/fault"
	"skein/meta"
)

// TestGiveUp: a table with unflushed rows of a dead node cannot be read until
// the node is back or given up. Then it can, without these rows; they are there
// again, each once, when the node is back after all.
func TestGiveUp(t *testing.T) {
	c := newCluster(t, 3)
	first, dead := c.nodes[0], c.nodes[2]
	create(t, first.Coordinator, "t")
	write(t, first.Coordinator, "t", 0, 300)
	mine, err := first.Unflushed(t.Context(), "n3")
	check(t, err)
	if len(mine) != 1 || mine[0].Table != "t" {
		t.Fatalf("n3 has unflushed %v", mine)
	}
	dead.worker.kill()
	_, err = rows(t, first.Coordinator, "SELECT count(*) FROM t", nil)
	if fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "n3") {
		t.Errorf("with unflushed rows of a dead node: %v", err)
	}
	for _, x := range []struct {
		node, confirm string
		want          fault.Code
	}{
		{"n3", "", fault.InvalidArgument},
		{"n3", "n2", fault.InvalidArgument},
		{"", "", fault.InvalidArgument},
		{"n2", "n2", fault.FailedPrecondition}, // it answers
		{"n3", "n3", fault.FailedPrecondition}, // it has not expired
	} {
		if _, err := first.GiveUp(t.Context(), x.node, x.confirm); fault.CodeOf(err) != x.want {
			t.Errorf("%s, confirmed by %q: %v", x.node, x.confirm, err)
		}
	}
	check(t, c.meta.Leave(t.Context(), "n3"))
	given, err := first.GiveUp(t.Context(), "n3", "n3")
	check(t, err)
	if fmt.Sprint(given) != fmt.Sprint(mine) {
		t.Errorf("given up %v, want %v", given, mine)
	}
	if got := one(t, first.Coordinator, "SELECT count(*) FROM t"); got == "300" || got == "0" {
		t.Errorf("%s rows without those of n3", got)
	}
	if given, err := first.GiveUp(t.Context(), "n3", "n3"); err != nil || len(given) != 0 {
		t.Errorf("given up again: %v, %v", given, err)
	}
	dead.worker.revive()
	check(t, c.meta.Heartbeat(t.Context(), meta.Node{ID: "n3", Address: "n3:1", Roles: []string{coordinator.RoleCoordinator, coordinator.RoleWorker}}))
	const all = "SELECT count(*) || ' ' || count(DISTINCT n) FROM t"
	if got := one(t, first.Coordinator, all); got != "300 300" {
		t.Errorf("rows and numbers before n3, which came back, has flushed: %s", got)
	}
	write(t, first.Coordinator, "t", 300, 300) // some of them into units of n3 that were given up
	if got := one(t, first.Coordinator, all); got != "600 600" {
		t.Errorf("rows and numbers with those that n3 took since: %s", got)
	}
	check(t, dead.worker.Flush(t.Context(), "t"))
	if got := one(t, first.Coordinator, all); got != "600 600" {
		t.Errorf("rows and numbers after n3 came back: %s", got)
	}
}

// TestGiveUpAsksReplicas: a unit whose replica is in service and has none of its
// rows can be given up.
func TestGiveUpAsksReplicas(t *testing.T) {
	c := newCluster(t, 3)
	first := c.nodes[0]
	create(t, first.Coordinator, "t")
	table, err := c.meta.Table(t.Context(), "t")
	check(t, err)
	check(t, c.meta.OpenUnit(t.Context(), "t", table.UID, meta.OpenUnit{Node: "n9", Unit: "u1", Replica: "n2"}))
	given, err := first.GiveUp(t.Context(), "n9", "n9")
	check(t, err)
	if len(given) != 1 || given[0].Unit != "u1" {
		t.Errorf("given up %v", given)
	}
	if got := one(t, first.Coordinator, "SELECT count(*) FROM t"); got != "0" {
		t.Errorf("%s rows", got)
	}
}
