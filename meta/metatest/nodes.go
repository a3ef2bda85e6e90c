package metatest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"skein/internal/fault"
	"skein/meta"
)

var nodeCases = []check{
	{"node/heartbeat", heartbeat},
	{"node/bad nodes are refused", badNodes},
	{"node/leave", leave},
	{"node/reap", reap},
	{"node/concurrent heartbeats", concurrentHeartbeats},
	{"node/ring", ring},
	{"node/ping", func(t T, s meta.Store) { ok(t, s.Ping(t.Context())) }},
}

// worker is a node with everything set that a node tells of itself.
func worker(id string) meta.Node {
	return meta.Node{
		ID: id, Address: id + ".example:8815", HTTPAddress: id + ".example:8080",
		Roles: []string{"coordinator", "worker"}, ActiveQueries: 3, Started: day0,
		Version: "v1.2.3", Protocol: 7,
	}
}

// nodes reads the nodes, and checks and clears what the store's clock sets.
func nodes(t T, s meta.Store) []meta.Node {
	t.Helper()
	got, err := s.Nodes(t.Context())
	ok(t, err)
	for i, n := range got {
		if since := time.Since(n.LastHeartbeat); since < -time.Minute || since > time.Hour {
			t.Errorf("node %s: last heartbeat at %v", n.ID, n.LastHeartbeat)
		}
		if n.Age < 0 || n.Age > time.Hour {
			t.Errorf("node %s: age %v", n.ID, n.Age)
		}
		got[i].LastHeartbeat, got[i].Age = time.Time{}, 0
	}
	return got
}

func heartbeat(t T, s meta.Store) {
	equal(t, "nodes at first", []meta.Node{}, nodes(t, s))
	plain := meta.Node{ID: "a:b 日本{}", Address: "[::1]:8815"}
	given := worker("n1")
	given.LastHeartbeat, given.Age, given.Left = day0, time.Hour*99, true // the store knows better
	ok(t, s.Heartbeat(t.Context(), given))
	ok(t, s.Heartbeat(t.Context(), plain))
	equal(t, "nodes", []meta.Node{plain, worker("n1")}, nodes(t, s))

	old := awaitAge(t, s, "n1", time.Millisecond)
	renewed := worker("n1")
	renewed.Address, renewed.ActiveQueries, renewed.Roles = "elsewhere:1", 0, []string{"worker"}
	ok(t, s.Heartbeat(t.Context(), renewed))
	equal(t, "nodes after renewal", []meta.Node{plain, renewed}, nodes(t, s))
	now, err := s.Nodes(t.Context())
	ok(t, err)
	if !now[1].LastHeartbeat.After(old.LastHeartbeat) {
		t.Errorf("the heartbeat at %v did not renew that of %v", now[1].LastHeartbeat, old.LastHeartbeat)
	}
}

// awaitAge waits until the node's heartbeat is that old.
func awaitAge(t T, s meta.Store, id string, age time.Duration) meta.Node {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		all, err := s.Nodes(t.Context())
		ok(t, err)
		i := slices.IndexFunc(all, func(n meta.Node) bool { return n.ID == id })
		if i < 0 {
			t.Fatalf("node %s is not there", id)
		}
		if all[i].Age >= age {
			return all[i]
		}
		time.Sleep(age / 10)
	}
	t.Fatalf("node %s does not grow older", id)
	return meta.Node{}
}

func badNodes(t T, s meta.Store) {
	far := worker("n1")
	far.Started = time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, n := range []meta.Node{{}, {ID: strings.Repeat("n", 100_000)}, far} {
		if err := s.Heartbeat(t.Context(), n); fault.CodeOf(err) != fault.InvalidArgument {
			t.Errorf("node %.20q: error %v, want InvalidArgument", n.ID, err)
		}
	}
	equal(t, "nodes", []meta.Node{}, nodes(t, s))
}

func leave(t T, s meta.Store) {
	ctx := t.Context()
	ok(t, s.Leave(ctx, "never seen"))
	ok(t, s.Heartbeat(ctx, worker("n1")))
	ok(t, s.Heartbeat(ctx, worker("n2")))
	ok(t, s.Leave(ctx, "n1"))
	ok(t, s.Leave(ctx, "n1"))
	gone := worker("n1")
	gone.Left = true
	equal(t, "nodes", []meta.Node{gone, worker("n2")}, nodes(t, s))
	ok(t, s.Heartbeat(ctx, worker("n1")))
	equal(t, "nodes after a return", []meta.Node{worker("n1"), worker("n2")}, nodes(t, s))
}

func reap(t T, s meta.Store) {
	const gap = 400 * time.Millisecond // longer than the machine stalls
	ctx := t.Context()
	for _, id := range []string{"n3", "n1", "left"} {
		ok(t, s.Heartbeat(ctx, worker(id)))
	}
	ok(t, s.Leave(ctx, "left"))
	age := awaitAge(t, s, "n1", gap).Age
	ok(t, s.Heartbeat(ctx, worker("n2")))

	reaped, err := s.Reap(ctx, time.Hour)
	ok(t, err)
	equal(t, "reaped too early", []string{}, reaped)
	reaped, err = s.Reap(ctx, age)
	ok(t, err)
	equal(t, "reaped", []string{"n1", "n3"}, reaped)
	reaped, err = s.Reap(ctx, age)
	ok(t, err)
	equal(t, "reaped again", []string{}, reaped)

	want := []meta.Node{worker("left"), worker("n1"), worker("n2"), worker("n3")}
	want[0].Left, want[1].Left, want[3].Left = true, true, true
	equal(t, "nodes", want, nodes(t, s))
	ok(t, s.Heartbeat(ctx, worker("n1")))
	want[1].Left = false
	equal(t, "nodes after a return", want, nodes(t, s))
}

func concurrentHeartbeats(t T, s meta.Store) {
	ok(t, errors.Join(together(8, func(i int) error { return s.Heartbeat(t.Context(), worker(fmt.Sprint("n", i))) })...))
	equal(t, "number of nodes", 8, len(nodes(t, s)))
}

func ring(t T, s meta.Store) {
	ctx := t.Context()
	tied := meta.Ring{Points: []meta.Point{{Hash: 0, Node: "b"}, {Hash: 5, Node: "a#1"}, {Hash: 5, Node: "b"}, {Hash: 1<<52 - 1, Node: "a#1"}}}
	for i, want := range []meta.Ring{
		{}, meta.NewRing([]string{"n1", "n2", "n3"}), meta.NewRing([]string{"n1", "n3"}), meta.NewRing([]string{"n1", "n3"}),
		tied, {Points: tied.Points[1:]}, {},
	} {
		if i > 0 {
			ok(t, s.SetRing(ctx, want))
		}
		got, err := s.Ring(ctx)
		ok(t, err)
		equal(t, fmt.Sprint("ring ", i), want, got)
	}
	ok(t, s.SetRing(ctx, meta.Ring{Points: []meta.Point{tied.Points[3], tied.Points[0]}}))
	got, err := s.Ring(ctx)
	ok(t, err)
	equal(t, "a ring out of order", meta.Ring{Points: []meta.Point{tied.Points[0], tied.Points[3]}}, got)
}
