package check

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"skein/meta"
)

// TestSorter sorts more entries than fit in memory, and less, in any order.
func TestSorter(t *testing.T) {
	for _, c := range []struct{ n, stretches int }{{0, 0}, {1, 0}, {runFiles - 1, 0}, {3*runFiles + 17, 4}, {-2*runFiles - 5, 1}} {
		dir := t.TempDir()
		s := &sorter{dir: dir}
		n := max(c.n, -c.n)
		order := rand.Perm(n)
		if c.n < 0 { // it comes in order
			slices.Sort(order)
		}
		for _, i := range order {
			if err := s.add(meta.File{Path: fmt.Sprintf("%08d", i), ID: "ü\n\"", Ranges: "\x00"}); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 { // it can be read again
			i := 0
			for f, err := range s.all() {
				if err != nil || f.Path != fmt.Sprintf("%08d", i) || f.ID != "ü\n\"" || f.Ranges != "\x00" {
					t.Fatal(i, f, err)
				}
				i++
			}
			if i != n || len(s.ends) != c.stretches {
				t.Errorf("%d of %d, %d stretches", i, n, len(s.ends))
			}
			for range s.all() {
				break
			}
		}
		s.close()
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Error(left)
		}
	}
	s := &sorter{dir: "/nonexistent"}
	if err := s.add(make([]meta.File, runFiles)...); err == nil {
		t.Error("no directory, no error")
	}
}

func TestBounds(t *testing.T) {
	for _, c := range []struct {
		kind, bound, own string
		most, least      bool
	}{
		{"BIGINT", "9", "10", true, false}, {"BIGINT", "-10", "-9", true, false}, {"BIGINT", "10", "9", false, true}, {"BIGINT", "", "9", true, true},
		{"DOUBLE", "1e+20", "+Inf", true, false}, {"DOUBLE", "-Inf", "0", true, false}, {"DECIMAL(12,2)", "1.10", "1.1", true, true},
		{"VARCHAR", "a", "b", true, false}, {"VARCHAR", "10", "9", true, false}, {"VARCHAR", "z", "", false, false}, {"BIGINT", "x", "9", false, false},
	} {
		if got := atMost(c.kind, c.bound, c.own); got != c.most {
			t.Errorf("%+v: at most %v", c, got)
		}
		if got := atLeast(c.kind, c.bound, c.own); got != c.least {
			t.Errorf("%+v: at least %v", c, got)
		}
	}
}
