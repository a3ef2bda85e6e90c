package answer

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
)

const (
	// differencesMax is how many differences are told.
	differencesMax = 10
	// floatTolerance is how far two floats may be apart, relative to the
	// larger one: sums of floats depend on their order.
	floatTolerance = 1e-9
)

// Difference is one place where two answers differ.
type Difference struct {
	Row    int    `json:"row,omitempty"`    // from 1, in the order of the comparison; 0 for the whole answer
	Column string `json:"column,omitempty"` // empty for the whole answer
	Got    string `json:"got"`
	Want   string `json:"want"`
}

func (d Difference) String() string {
	switch {
	case d.Row == 0 && d.Column == "":
		return fmt.Sprintf("got %s, want %s", d.Got, d.Want)
	case d.Row == 0:
		return fmt.Sprintf("column %s: got %s, want %s", d.Column, d.Got, d.Want)
	}
	return fmt.Sprintf("row %d, column %s: got %s, want %s", d.Row, d.Column, d.Got, d.Want)
}

// Compare returns where got differs from want, at most ten places; none if
// they are the same. Column names and kinds must be the same; numbers, texts
// and times exactly, floats to 1e-9 of the larger.
//
// orderBy are the columns, from 0, that the rows were asked to be sorted by;
// rows that are equal there may come in any order. Without it all rows may.
func Compare(got, want Answer, orderBy []int) []Difference {
	var c comparison
	c.columns(got.Columns, want.Columns)
	if len(c.found) > 0 {
		return c.found
	}
	if len(got.Rows) != len(want.Rows) {
		c.add(0, "", strconv.Itoa(len(got.Rows))+" rows", strconv.Itoa(len(want.Rows))+" rows")
	}
	order := sortOrder(want.Columns)
	g, w := slices.Clone(got.Rows), slices.Clone(want.Rows)
	for from := 0; from < len(w); {
		to := tie(w, from, orderBy)
		slices.SortFunc(w[from:to], byColumns(order))
		slices.SortFunc(g[min(from, len(g)):min(to, len(g))], byColumns(order))
		from = to
	}
	for i := range min(len(g), len(w)) {
		for j, col := range want.Columns {
			if !same(g[i][j], w[i][j]) {
				c.add(i+1, col.Name, show(g[i][j]), show(w[i][j]))
			}
		}
	}
	return c.found
}

type comparison struct{ found []Difference }

func (c *comparison) add(row int, column, got, want string) {
	if len(c.found) < differencesMax {
		c.found = append(c.found, Difference{Row: row, Column: column, Got: got, Want: want})
	}
}

func (c *comparison) columns(got, want []Column) {
	if len(got) != len(want) {
		c.add(0, "", fmt.Sprintf("%d columns %v", len(got), got), fmt.Sprintf("%d columns %v", len(want), want))
		return
	}
	for i, w := range want {
		if got[i] != w {
			c.add(0, w.Name, fmt.Sprintf("%q of kind %s", got[i].Name, got[i].Kind), fmt.Sprintf("%q of kind %s", w.Name, w.Kind))
		}
	}
}

// tie returns the end of the run of rows that are equal to rows[from] in the
// sort keys.
func tie(rows [][]any, from int, orderBy []int) int {
	to := from + 1
	for to < len(rows) && !slices.ContainsFunc(orderBy, func(c int) bool { return !same(rows[to-1][c], rows[to][c]) }) {
		to++
	}
	return to
}

// sortOrder lists the columns with floats last: two floats that count as the
// same must not decide where a row goes while another column can.
func sortOrder(columns []Column) []int {
	var exact, floats []int
	for i, c := range columns {
		if c.Kind == Float {
			floats = append(floats, i)
		} else {
			exact = append(exact, i)
		}
	}
	return append(exact, floats...)
}

func byColumns(order []int) func(a, b []any) int {
	return func(a, b []any) int {
		for _, c := range order {
			if d := compareCells(a[c], b[c]); d != 0 {
				return d
			}
		}
		return 0
	}
}

// compareCells is any total order of one column's values; NULLs come first.
func compareCells(a, b any) int {
	if a == nil || b == nil {
		return cmp.Compare(rank(a), rank(b))
	}
	switch a := a.(type) {
	case float64:
		return cmp.Compare(a, b.(float64))
	case bool:
		return cmp.Compare(strconv.FormatBool(a), strconv.FormatBool(b.(bool)))
	}
	return cmp.Compare(a.(string), b.(string))
}

func rank(v any) int {
	if v == nil {
		return 0
	}
	return 1
}

func same(a, b any) bool {
	x, ok := a.(float64)
	y, also := b.(float64)
	if !ok || !also {
		return a == b
	}
	if x == y || math.IsNaN(x) && math.IsNaN(y) {
		return true
	}
	if math.IsInf(x, 0) || math.IsInf(y, 0) {
		return false
	}
	return math.Abs(x-y) <= floatTolerance*max(math.Abs(x), math.Abs(y))
}

func show(v any) string {
	switch v := v.(type) {
	case nil:
		return "NULL"
	case string:
		return strconv.Quote(v)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return fmt.Sprint(v)
}
