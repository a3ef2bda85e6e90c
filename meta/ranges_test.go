package meta

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestRangesComeBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var want []Range
		for i := range rapid.IntRange(0, RangesMax+3).Draw(rt, "columns") {
			lower, upper := TextBounds(rapid.String().Draw(rt, "min"), rapid.String().Draw(rt, "max"))
			want = append(want, Range{Column: 2 * i, Nulls: rapid.Int64Range(0, 999_999_999_999_999_999).Draw(rt, "nulls"), Min: lower, Max: upper})
		}
		r := NewRanges(want)
		want = want[:min(len(want), RangesMax)]
		if diff := gocmp.Diff(want, slices.Collect(r.All())); diff != "" || !r.valid() {
			rt.Fatalf("-want +got:\n%s", diff)
		}
		for _, w := range want {
			if got, ok := r.Of(w.Column); !ok || got != w {
				rt.Fatalf("column %d: %v, %v", w.Column, got, ok)
			}
		}
		if _, ok := r.Of(1); ok {
			rt.Fatal("a range of a column that has none")
		}
	})
}

func TestDamagedRangesTellNothing(t *testing.T) {
	for _, r := range []Ranges{"", "x", "0,0,1", "0,0,1,1:a", "0,0,-1,1:a", "0,0,9223372036854775807,9223372036854775807:ab", ":", "0,0,0:0:", "1,1000000000000000000,0,0:", "9999999999999999999999,0,0,0:", "1,,0,0:", "1,0,0,0"} {
		if got := slices.Collect(r.All()); len(got) != 0 {
			t.Errorf("%q: %v", r, got)
		}
	}
	if got := slices.Collect(Ranges("0,0,1,1:abrubbish").All()); len(got) != 1 {
		t.Errorf("%v", got)
	}
}

func TestKeepsOrder(t *testing.T) {
	for _, tc := range []struct {
		from, to string
		want     bool
	}{
		{"DATE", "DATE", true}, {"VARCHAR", "VARCHAR", true}, {"DECIMAL(4,1)", "DECIMAL(4,1)", true}, {"UBIGINT", "UBIGINT", true},
		{"UTINYINT", "BIGINT", true}, {"BIGINT", "DOUBLE", true}, {"BIGINT", "DECIMAL(38,0)", true}, {"FLOAT", "DOUBLE", true},
		{"VARCHAR", "JSON", false}, {"JSON", "JSON", false}, {"BIGINT", "JSON", false}, {"DOUBLE", "JSON", false},
		{"DECIMAL(4,1)", "DECIMAL(6,1)", false}, {"BIGINT", "FLOAT", false}, {"DOUBLE", "FLOAT", false}, {"DATE", "TIMESTAMP", false},
		{"BIGINT", "VARCHAR", false}, {"BOOLEAN", "BIGINT", false}, {KindUnknown, "BIGINT", false}, {KindList, KindList, false},
	} {
		if got := KeepsOrder(leaf(tc.from), leaf(tc.to)); got != tc.want {
			t.Errorf("%s as %s: %v", tc.from, tc.to, got)
		}
	}
}

func TestTextBounds(t *testing.T) {
	a := strings.Repeat("a", RangeTextMax)
	last := strings.Repeat("\U0010FFFF", RangeTextMax/4)
	for _, tc := range []struct{ name, least, greatest, lower, upper string }{
		{"short", "a", "b", "a", "b"},
		{"empty", "", "", "", ""},
		{"just fits", a, a, a, a},
		{"cut", a + "x", a + "x", a, a[1:] + "b"},
		{"within a character", a[1:] + "é", a[1:] + "é", a[1:], a[2:] + "b"},
		{"before the surrogates", "", a[3:] + "\uD7FFx", "", a[3:] + "\uE000"},
		{"would be longer", "", a[2:] + "b\x7fx", "", a[2:] + "c"},
		{"nothing is greater", last + "a", last + "a", last, ""},
		{"no text", "\xff", "b", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if lower, upper := TextBounds(tc.least, tc.greatest); lower != tc.lower || upper != tc.upper {
				t.Errorf("%q to %q", lower, upper)
			}
		})
	}
}

func TestTextBoundsBound(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := strings.Repeat(rapid.SampledFrom([]string{"", "a", "\x7f", "\U0010FFFF", "é", "\uD7FF"}).Draw(rt, "prefix"), rapid.IntRange(0, 33).Draw(rt, "n")) + rapid.String().Draw(rt, "s")
		lower, upper := TextBounds(s, s)
		if lower > s || upper != "" && upper < s || len(lower) > RangeTextMax || len(upper) > RangeTextMax || !utf8.ValidString(lower+upper) {
			rt.Fatalf("%q to %q", lower, upper)
		}
	})
}
