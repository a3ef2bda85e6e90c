package member_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"skein/internal/fault"
	"skein/meta"
	"skein/meta/boltmeta"
	"skein/meta/member"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func openCatalog(t *testing.T) *boltmeta.Store {
	t.Helper()
	s, err := boltmeta.Open(filepath.Join(t.TempDir(), "catalog"), boltmeta.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

func node(id string, roles ...string) func() meta.Node {
	return func() meta.Node { return meta.Node{ID: id, Address: id + ":1", Roles: roles, Version: "v2"} }
}

func ringOf(t *testing.T, s meta.Store) []string {
	t.Helper()
	r, err := s.Ring(context.Background())
	must(t, err)
	return r.Nodes()
}

// TestMembersComeAndGo: workers that beat are on the ring, one that leaves is
// off at once, one that falls silent when it expires.
func TestMembersComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openCatalog(t)
		looked := 0
		w1 := member.New(s, node("w1", member.RoleWorker), member.Options{Changed: func() { looked++ }})
		w2 := member.New(s, node("w2", member.RoleWorker), member.Options{})
		c := member.New(s, node("c", member.RoleCoordinator), member.Options{})
		silent := member.New(s, node("silent", member.RoleWorker), member.Options{})
		must(t, w1.Start(t.Context()), w2.Start(t.Context()), c.Start(t.Context()), silent.Beat(t.Context()))
		if got := ringOf(t, s); !slices.Equal(got, []string{"silent", "w1", "w2"}) {
			t.Errorf("the ring has %v", got)
		}
		time.Sleep(95 * time.Second)
		if got := ringOf(t, s); !slices.Equal(got, []string{"w1", "w2"}) {
			t.Errorf("after silent expired the ring has %v", got)
		}
		must(t, w2.Drain(t.Context()))
		nodes, err := s.Nodes(t.Context())
		must(t, err)
		if got := ringOf(t, s); !slices.Equal(got, []string{"w1"}) || nodes[3].ID != "w2" || nodes[3].Left {
			t.Errorf("while w2 drains the ring has %v, the cluster %+v", got, nodes)
		}
		must(t, w2.Stop(t.Context()), w2.Stop(t.Context()))
		if got := ringOf(t, s); !slices.Equal(got, []string{"w1"}) {
			t.Errorf("after w2 left the ring has %v", got)
		}
		must(t, c.Stop(t.Context()), w1.Stop(t.Context()))
		if looked != 5 {
			t.Errorf("w1 looked at the ring %d times, want 5", looked)
		}
	})
}

// TestProtocols: nodes of two releases in a row are in one cluster, others are
// not, unless they have left.
func TestProtocols(t *testing.T) {
	s := openCatalog(t)
	start := func(id string, protocol int) error {
		m := member.New(s, node(id, member.RoleWorker), member.Options{Protocol: protocol})
		err := m.Start(t.Context())
		t.Cleanup(func() { must(t, m.Stop(context.Background())) })
		return err
	}
	must(t, s.Heartbeat(t.Context(), meta.Node{ID: "first", Address: "first:1"})) // does not say it
	must(t, start("a", 1), start("b", 2))
	err := start("c", 3)
	if fault.CodeOf(err) != fault.FailedPrecondition || !strings.Contains(err.Error(), "protocol 1, this one 3") {
		t.Errorf("a node two steps ahead: %v", err)
	}
	must(t, s.Leave(t.Context(), "a"), s.Leave(t.Context(), "first"))
	must(t, start("c", 3))
	nodes, err := s.Nodes(t.Context())
	must(t, err)
	for _, n := range nodes {
		if n.ID == "b" && (n.Protocol != 2 || n.Version != "v2") {
			t.Errorf("node b says version %q, protocol %d", n.Version, n.Protocol)
		}
	}
}

// TestGiveUp: tables with unflushed rows of a node that is dead can be read
// again; if it comes back, it can still commit them.
func TestGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, s := t.Context(), openCatalog(t)
		for _, name := range []string{"a", "b"} {
			must(t, s.CreateTable(ctx, meta.Table{Name: name, UID: name, Created: time.Now(), Schemas: []meta.Schema{{Records: true}}}),
				s.OpenUnit(ctx, name, name, meta.OpenUnit{Node: "dead", Unit: "u-" + name}),
				s.OpenUnit(ctx, name, name, meta.OpenUnit{Node: "other", Unit: "o-" + name}))
		}
		must(t, s.Heartbeat(ctx, node("dead")()))
		if _, err := member.GiveUp(ctx, s, "dead", time.Minute); fault.CodeOf(err) != fault.FailedPrecondition {
			t.Errorf("a node that is alive was given up: %v", err)
		}
		time.Sleep(2 * time.Minute)
		seen, err := member.Unflushed(ctx, s, "dead")
		must(t, err)
		given, err := member.GiveUp(ctx, s, "dead", time.Minute)
		must(t, err)
		if want := []member.Unit{{Table: "a", Unit: "u-a"}, {Table: "b", Unit: "u-b"}}; !slices.Equal(given, want) || !slices.Equal(seen, want) {
			t.Errorf("given up %v, seen %v", given, seen)
		}
		l, err := s.Listing(ctx, "a")
		must(t, err)
		l.Open = slices.DeleteFunc(l.Open, member.IsGivenUp)
		if want := []meta.OpenUnit{{Node: "other", Unit: "o-a"}}; !slices.Equal(l.Open, want) || len(l.Units) != 0 {
			t.Errorf("open %v, committed %v", l.Open, l.Units)
		}
		changes, err := s.History(ctx, 1)
		must(t, err)
		if want := "node dead was given up: 2 units of a, b"; changes[0].What != want {
			t.Errorf("the history says %q", changes[0].What)
		}
		back := meta.File{Path: "a/_/2024-01-01/1.parquet", Day: "2024-01-01", Rows: 3, Bytes: 1, Unit: "u-a"}
		must(t, s.Commit(ctx, meta.Commit{Table: "a", TableUID: "a", Node: "dead", Unit: "u-a", Add: []meta.File{back}}))
		if l, err = s.Listing(ctx, "a"); err != nil || len(l.Files) != 1 || len(l.Open) != 1 {
			t.Errorf("the rows did not come back: %v, %v", l.Files, err)
		}
		if again, err := member.GiveUp(ctx, s, "dead", time.Minute); err != nil || len(again) != 0 {
			t.Error(again, err)
		}
	})
}

// TestGiveUpLeavesReplicas: units whose replica is in service are not given up,
// the others keep the name of theirs.
func TestGiveUpLeavesReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, s := t.Context(), openCatalog(t)
		must(t, s.CreateTable(ctx, meta.Table{Name: "a", UID: "a", Created: time.Now(), Schemas: []meta.Schema{{Records: true}}}),
			s.OpenUnit(ctx, "a", "a", meta.OpenUnit{Node: "dead", Unit: "u1", Replica: "alive"}),
			s.OpenUnit(ctx, "a", "a", meta.OpenUnit{Node: "dead", Unit: "u2", Replica: "gone"}),
			s.Heartbeat(ctx, node("dead")()), s.Heartbeat(ctx, node("gone")()))
		time.Sleep(2 * time.Minute)
		must(t, s.Heartbeat(ctx, node("alive")()))
		given, err := member.GiveUp(ctx, s, "dead", time.Minute)
		must(t, err)
		if want := []member.Unit{{Table: "a", Unit: "u2", Replica: "gone"}}; !slices.Equal(given, want) {
			t.Errorf("given up %v", given)
		}
		u, err := s.Units(ctx, "a")
		must(t, err)
		if want := []meta.OpenUnit{{Node: "dead", Unit: "u1", Replica: "alive"}, {Node: "given-up:dead", Unit: "u2", Replica: "gone"}}; !slices.Equal(u.Open, want) {
			t.Errorf("open %v", u.Open)
		}
		changes, err := s.History(ctx, 1)
		must(t, err)
		if want := "node dead was given up: 1 units of a; 1 units are left to their replicas"; changes[0].What != want {
			t.Errorf("the history says %q", changes[0].What)
		}
		if _, err := member.GiveUp(ctx, s, "dead", time.Minute); fault.CodeOf(err) != fault.FailedPrecondition || !strings.Contains(err.Error(), "wait") {
			t.Errorf("given up with nothing but units of replicas: %v", err)
		}
	})
}

// TestGiveUpWhatReplicasLack: units whose replica is in service and has said
// that it lacks their rows are given up.
func TestGiveUpWhatReplicasLack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, s := t.Context(), openCatalog(t)
		must(t, s.CreateTable(ctx, meta.Table{Name: "a", UID: "a", Created: time.Now(), Schemas: []meta.Schema{{Records: true}}}),
			s.OpenUnit(ctx, "a", "a", meta.OpenUnit{Node: "dead", Unit: "u1", Replica: "alive"}),
			s.OpenUnit(ctx, "a", "a", meta.OpenUnit{Node: "dead", Unit: "u2", Replica: "alive"}),
			s.Heartbeat(ctx, node("alive")()))
		given, err := member.GiveUp(ctx, s, "dead", time.Minute, "u2", "u3")
		must(t, err)
		if want := []member.Unit{{Table: "a", Unit: "u2", Replica: "alive"}}; !slices.Equal(given, want) {
			t.Errorf("given up %v", given)
		}
	})
}
