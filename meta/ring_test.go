package meta

import (
	"fmt"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

func TestRingDependsOnNodesAlone(t *testing.T) {
	a, b := NewRing([]string{"n1", "n2", "n3"}), NewRing([]string{"n3", "n1", "n2", "n1"})
	if diff := gocmp.Diff(a, b); diff != "" || !a.Equal(b) {
		t.Errorf("rings differ:\n%s", diff)
	}
	if len(a.Points) != 3*VirtualNodes || !a.Equal(a.Normal()) {
		t.Errorf("%d points", len(a.Points))
	}
	for _, p := range a.Points {
		if p.Hash >= 1<<52 {
			t.Fatalf("hash %d is not below 2^52", p.Hash)
		}
	}
	if got := a.Nodes(); !slices.Equal(got, []string{"n1", "n2", "n3"}) {
		t.Errorf("nodes %v", got)
	}
	// Nodes of different builds must agree, so the values are fixed for ever.
	if got := a.Owners("users", "user-123", 3); !slices.Equal(got, fixedOwners) {
		t.Errorf("owners %v, want %v", got, fixedOwners)
	}
}

func TestRingBalance(t *testing.T) {
	const keys = 30_000
	ring := NewRing([]string{"n1", "n2", "n3"})
	count := make(map[string]int)
	for i := range keys {
		count[ring.Owners("t", fmt.Sprint("user-", i), 1)[0]]++
	}
	for node, n := range count {
		if n < keys/3*3/4 || n > keys/3*5/4 {
			t.Errorf("%s owns %d of %d keys", node, n, keys)
		}
	}
}

func TestRingRemovalMovesOnlyItsKeys(t *testing.T) {
	before, after := NewRing([]string{"n1", "n2", "n3"}), NewRing([]string{"n1", "n3"})
	for i := range 5_000 {
		id := fmt.Sprint(i)
		owners := before.Owners("t", id, 3)
		want := slices.DeleteFunc(slices.Clone(owners), func(n string) bool { return n == "n2" })
		if got := after.Owners("t", id, 3); !slices.Equal(got, want) {
			t.Fatalf("key %s: owners %v became %v", id, owners, got)
		}
	}
}

func TestRingOwners(t *testing.T) {
	if got := (Ring{}).Owners("t", "a", 2); len(got) != 0 {
		t.Errorf("an empty ring has owners %v", got)
	}
	ring := NewRing([]string{"n1", "n2"})
	for _, n := range []int{0, -1} {
		if got := ring.Owners("t", "a", n); len(got) != 0 {
			t.Errorf("%d owners: %v", n, got)
		}
	}
	if got := ring.Owners("t", "a", 5); len(got) != 2 || got[0] == got[1] {
		t.Errorf("owners %v", got)
	}
	if keyHash("ab", "c") == keyHash("a", "bc") {
		t.Error("table and id run into each other")
	}
}

var fixedOwners = []string{"n1", "n3", "n2"}
