package meta

import (
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
}
