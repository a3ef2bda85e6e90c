package meta

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

func nodeNames(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprint("n", i+1))
	}
	return names
}

func TestPlacementIsFixed(t *testing.T) {
	// Nodes of different builds must agree, so the values are fixed for ever.
	p := NewRing(nodeNames(3)).Place()
	for id, want := range map[string]string{"user-123": "n1 n3 n2", "": "n3 n1 n2", "日本": "n1 n3 n2"} {
		if got := strings.Join(p.Owners("users", id, 3), " "); got != want {
			t.Errorf("owners of %q: %s, want %s", id, got, want)
		}
	}
}

func TestPlacementOwners(t *testing.T) {
	if got := (Ring{}).Place().Owners("t", "a", 2); len(got) != 0 {
		t.Errorf("an empty ring has owners %v", got)
	}
	p := NewRing([]string{"n1", "n2"}).Place()
	for _, n := range []int{0, -1} {
		if got := p.Owners("t", "a", n); len(got) != 0 {
			t.Errorf("%d owners: %v", n, got)
		}
	}
	if got := p.Owners("t", "a", 5); len(got) != 2 || got[0] == got[1] {
		t.Errorf("owners %v", got)
	}
	if keyHash("ab", "c") == keyHash("a", "bc") {
		t.Error("table and id run into each other")
	}
}

// owned is the owner of each of many ids.
func owned(nodes []string) []string {
	p := NewRing(nodes).Place()
	owners := make([]string, 100_000)
	for i := range owners {
		owners[i] = p.Owners("events", fmt.Sprint("user-", i), 1)[0]
	}
	return owners
}

// movedShare is the share of ids that have another owner.
func movedShare(from, to []string) float64 {
	n := 0
	for i := range from {
		if from[i] != to[i] {
			n++
		}
	}
	return float64(n) / float64(len(from))
}

// TestGrowthMovesTheShareDue: from 1 to 8 nodes and back, whichever leaves, a
// change moves at most 1.3 of an even share, and nobody has more than 1.25 of
// one.
func TestGrowthMovesTheShareDue(t *testing.T) {
	const nodesMax, movedMax = 8, 1.3
	for _, names := range [][]string{nodeNames(nodesMax), {"worker-a.example", "worker-b.example", "10.0.0.7:8815", "10.0.0.8:8815", "x", "y", "z", "0"}} {
		before := owned(names[:1])
		for n := 2; n <= nodesMax; n++ {
			after := owned(names[:n])
			if moved := movedShare(before, after) * float64(n); moved > movedMax {
				t.Errorf("%s joined %d nodes and moved %.2f of its share", names[n-1], n-1, moved)
			}
			wantBounded(t, after, n)
			before = after
		}
		for i, name := range names {
			rest := slices.Concat(names[:i], names[i+1:])
			after := owned(rest)
			if moved := movedShare(before, after) * nodesMax; moved > movedMax {
				t.Errorf("%s left %d nodes and moved %.2f of a share", name, nodesMax, moved)
			}
			wantBounded(t, after, len(rest))
		}
	}
}

func wantBounded(t *testing.T, owners []string, nodes int) {
	t.Helper()
	const most, chance = 1.25, 1.03 // ids fall into slots by chance
	count := map[string]int{}
	for _, o := range owners {
		count[o]++
	}
	for node, n := range count {
		if share := float64(n) * float64(nodes) / float64(len(owners)); share > most*chance {
			t.Errorf("of %d nodes %s has %.2f of an even share", nodes, node, share)
		}
	}
	total := 0.0
	for node, share := range NewRing(slices.Collect(maps.Keys(count))).Place().Shares() {
		total += share
		if share*float64(nodes) > most+0.001 {
			t.Errorf("of %d nodes %s has %.3f of all slots", nodes, node, share)
		}
	}
	if total != 1 {
		t.Errorf("the shares are %f in all", total)
	}
	if len(count) != nodes {
		t.Errorf("%d of %d nodes own something", len(count), nodes)
	}
}

// TestLoadIsBounded: a ring whose points favour one node gives it no more than
// others can bear, and what it has too much is with its neighbours.
func TestLoadIsBounded(t *testing.T) {
	r := Ring{Points: []Point{{Hash: 1 << 49, Node: "small"}, {Hash: 1 << 50, Node: "large"}, {Hash: hashMask, Node: "large"}}}
	count := map[string]int{}
	for _, owner := range r.Place().owners {
		count[owner]++
	}
	if want := Slots * 5 / 8; count["large"] != want || count["small"] != Slots-want {
		t.Errorf("the slots are with %v, want %d with large", count, want)
	}
}

func BenchmarkPlace(b *testing.B) {
	r := NewRing(nodeNames(8))
	for b.Loop() {
		r.Place()
	}
}

func BenchmarkOwners(b *testing.B) {
	p := NewRing(nodeNames(8)).Place()
	for b.Loop() {
		p.Owners("events", "user-123", 3)
	}
}
