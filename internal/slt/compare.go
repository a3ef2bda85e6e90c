package slt

import (
	"crypto/md5"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// tolerance is how far two numbers of type R may be apart, relative to the
// larger one.
const tolerance = 1e-9

// cell writes a value as files do.
func cell(v any) string {
	switch v := v.(type) {
	case nil:
		return "NULL"
	case string:
		if v == "" {
			return "(empty)"
		}
		return strings.NewReplacer("\n", `\n`, "\t", `\t`).Replace(v)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return fmt.Sprint(v)
}

// table writes the cells and sorts them as the record says.
func (r Record) table(rows [][]any) [][]string {
	out := make([][]string, len(rows))
	for i, row := range rows {
		for _, v := range row {
			out[i] = append(out[i], cell(v))
		}
	}
	return r.sorted(out)
}

// sorted orders rows, or makes one row of one value for each value.
func (r Record) sorted(rows [][]string) [][]string {
	switch r.Sort {
	case "rowsort":
		slices.SortStableFunc(rows, slices.Compare)
	case "valuesort":
		var single [][]string
		for _, row := range rows {
			for _, v := range row {
				single = append(single, []string{v})
			}
		}
		slices.SortFunc(single, slices.Compare)
		return single
	}
	return rows
}

// lines are the expected part that the rows would have in a file: a line for
// each row with tabs between values, or their hash.
func (r Record) lines(rows [][]any) []string {
	table := r.table(rows)
	var all []string
	for _, row := range table {
		all = append(all, row...)
	}
	if r.HashThreshold > 0 && len(all) > r.HashThreshold {
		return []string{hash(all)}
	}
	lines := make([]string, len(table))
	for i, row := range table {
		lines[i] = strings.Join(row, "\t")
	}
	return lines
}

func hash(values []string) string {
	h := md5.New()
	for _, v := range values {
		fmt.Fprintln(h, v)
	}
	return fmt.Sprintf("%d values hashing to %x", len(values), h.Sum(nil))
}

// compare tells how the rows differ from what is expected.
func (r Record) compare(rows [][]any) string {
	for _, row := range rows {
		if len(row) != len(r.Types) {
			return fmt.Sprintf("got %d columns, want %d", len(row), len(r.Types))
		}
	}
	got := r.table(rows)
	if len(r.Want) == 1 && strings.Contains(r.Want[0], " values hashing to ") {
		var all []string
		for _, row := range got {
			all = append(all, row...)
		}
		if h := hash(all); h != r.Want[0] {
			return "got " + h + ", want " + r.Want[0]
		}
		return ""
	}
	want := r.expected(len(got))
	if len(got) != len(want) {
		return fmt.Sprintf("got %d rows, want %d:\n%s", len(got), len(want), written(got))
	}
	for i := range want {
		if !r.same(got[i], want[i]) {
			return fmt.Sprintf("row %d: got %s, want %s\nall rows:\n%s", i+1, strings.Join(got[i], " | "), strings.Join(want[i], " | "), written(got))
		}
	}
	return ""
}

// expected reads the file's values: one on each line, or one row on each.
func (r Record) expected(rows int) [][]string {
	width := len(r.Types)
	var table [][]string
	if r.Sort != "valuesort" && width > 1 && len(r.Want) == rows*width && !strings.Contains(strings.Join(r.Want, ""), "\t") {
		for i := 0; i < len(r.Want); i += width {
			table = append(table, r.Want[i:i+width])
		}
		return r.sorted(table)
	}
	for _, line := range r.Want {
		table = append(table, strings.Split(line, "\t"))
	}
	return r.sorted(table)
}

func (r Record) same(got, want []string) bool {
	if len(got) != len(want) {
		return false
	}
	for i := range want {
		if got[i] == want[i] {
			continue
		}
		if r.Sort == "valuesort" && !strings.Contains(r.Types, "R") || r.Sort != "valuesort" && r.Types[i] != 'R' || !near(got[i], want[i]) {
			return false
		}
	}
	return true
}

func near(a, b string) bool {
	x, err := strconv.ParseFloat(a, 64)
	y, also := strconv.ParseFloat(b, 64)
	if err != nil || also != nil {
		return false
	}
	return x == y || math.Abs(x-y) <= tolerance*max(math.Abs(x), math.Abs(y))
}

func written(rows [][]string) string {
	lines := make([]string, len(rows))
	for i, r := range rows {
		lines[i] = strings.Join(r, "\t")
	}
	return strings.Join(lines, "\n")
}
