package sqlgen

import (
	"fmt"
	"slices"
	"strings"
)

// Column is one column of a table.
type Column struct {
	Name string
	Type string // as DuckDB writes it
	typ  typ
}

// Part is some rows of a table, to be one file. A part that was written
// before a column was added lacks that column.
type Part struct {
	Columns []Column
	Rows    [][]string // SQL literals
}

// Table is a random table. The rows are those of its parts; columns that a
// part lacks are NULL.
type Table struct {
	Name    string
	Columns []Column
	Parts   []Part
}

// Create is the table's CREATE TABLE statement.
func (t Table) Create() string { return create(t.Name, t.Columns) }

func create(name string, columns []Column) string {
	defs := make([]string, len(columns))
	for i, c := range columns {
		defs[i] = c.Name + " " + c.Type
	}
	return "CREATE TABLE " + name + " (" + list(defs) + ")"
}

// Rows are the rows of all parts as SQL literals, one for each column.
func (t Table) Rows() [][]string {
	var rows [][]string
	for _, p := range t.Parts {
		for _, r := range p.Rows {
			rows = append(rows, append(slices.Clone(r), slices.Repeat([]string{"NULL"}, len(t.Columns)-len(r))...))
		}
	}
	return rows
}

// Create is a statement that makes a table of the part's columns.
func (p Part) Create(name string) string { return create(name, p.Columns) }

// Insert is a statement that writes the rows to a table; empty without rows.
func Insert(table string, rows [][]string) string {
	if len(rows) == 0 {
		return ""
	}
	values := make([]string, len(rows))
	for i, r := range rows {
		values[i] = "(" + list(r) + ")"
	}
	return "INSERT INTO " + table + " VALUES " + strings.Join(values, ",\n")
}

// blueprint says what a table is like.
type blueprint struct {
	name    string
	share   int // of Options.Rows, in percent
	columns []string
}

// blueprints have some names in common, so that references can be ambiguous.
// Each table begins with id (unique, from 1), k (skewed, with NULLs) and g.
var blueprints = []blueprint{
	{"events", 100, []string{"flag", "tiny", "num", "big", "huge", "dbl", "flt", "dec", "wide", "txt", "day", "ts", "atz", "tod", "span", "uid", "raw", "tags", "names", "pos", "attrs"}},
	{"people", 40, []string{"flag", "small", "num", "dbl", "dec", "txt", "day", "ts", "atz", "tags", "pos", "huge"}},
	{"items", 12, []string{"tiny", "num", "dbl", "dec", "txt", "ts", "names", "attrs", "uid"}},
	{"nothing", 0, []string{"flag", "num", "dbl", "txt", "day", "ts", "dec"}},
	{"codes", 4, []string{"num", "txt", "day", "raw", "tod", "dbl"}},
}

var columnTypes = map[string]Column{
	"flag": {Type: "BOOLEAN", typ: tBool}, "tiny": {Type: "TINYINT", typ: tInt}, "small": {Type: "SMALLINT", typ: tInt},
	"num": {Type: "INTEGER", typ: tInt}, "big": {Type: "BIGINT", typ: tBig}, "huge": {Type: "HUGEINT", typ: tHuge},
	"dbl": {Type: "DOUBLE", typ: tDouble}, "flt": {Type: "FLOAT", typ: tFloat}, "dec": {Type: "DECIMAL(9,2)", typ: tDecimal},
	"wide": {Type: "DECIMAL(30,5)", typ: tWide}, "txt": {Type: "VARCHAR", typ: tText}, "day": {Type: "DATE", typ: tDate},
	"ts": {Type: "TIMESTAMP", typ: tStamp}, "atz": {Type: "TIMESTAMP WITH TIME ZONE", typ: tInstant}, "tod": {Type: "TIME", typ: tTime},
	"span": {Type: "INTERVAL", typ: tInterval}, "uid": {Type: "UUID", typ: tUUID}, "raw": {Type: "BLOB", typ: tBlob},
	"tags": {Type: "INTEGER[]", typ: tInts}, "names": {Type: "VARCHAR[]", typ: tTexts},
	"pos": {Type: "STRUCT(x INTEGER, y VARCHAR)", typ: tStruct}, "attrs": {Type: "MAP(VARCHAR, INTEGER)", typ: tMap},
}

// firstRows is the least number of rows of a table that has any.
const firstRows = 5

func (r rng) tables(rows int, without []string) []Table {
	tables := make([]Table, len(blueprints))
	for i, b := range blueprints {
		t := Table{Name: b.name, Columns: []Column{{"id", "BIGINT", tInt}, {"k", "INTEGER", tInt}, {"g", "VARCHAR", tText}}}
		for _, name := range b.columns {
			if c := columnTypes[name]; !slices.Contains(without, c.Type) {
				t.Columns = append(t.Columns, Column{name, c.Type, c.typ})
			}
		}
		n := rows * b.share / 100
		if b.share > 0 {
			n = max(n, firstRows)
		}
		t.Parts = r.parts(t.Columns, n)
		tables[i] = t
	}
	return tables
}

// parts makes the rows in three to five parts, one of them empty. The first
// parts may lack the last columns.
func (r rng) parts(columns []Column, n int) []Part {
	parts := make([]Part, 3+r.IntN(3))
	none, old, next := r.IntN(len(parts)), r.IntN(len(parts)-1), 1
	for i := range parts {
		p := Part{Columns: columns}
		if i < old {
			p.Columns = columns[:len(columns)-1-r.IntN(2)]
		}
		count := n / (len(parts) - 1)
		switch {
		case i == none:
			count = 0
		case i == len(parts)-1 || i == len(parts)-2 && none == len(parts)-1:
			count = n + 1 - next
		}
		for range count {
			p.Rows = append(p.Rows, r.row(p.Columns, next, n))
			next++
		}
		parts[i] = p
	}
	return parts
}

func (r rng) row(columns []Column, id, n int) []string {
	row := make([]string, len(columns))
	for i, c := range columns {
		row[i] = r.cell(c, id, n)
	}
	return row
}

// heavy is the value of k that four of ten rows have.
const heavy = 7

func (r rng) cell(c Column, id, n int) string {
	switch {
	case c.Name == "id":
		return fmt.Sprint(id)
	case c.Name == "k" && id%10 < 4:
		return fmt.Sprint(heavy)
	case r.chance(12):
		return "NULL"
	case c.Name == "k":
		return fmt.Sprint(1 + r.IntN(max(n/2, 10)))
	case c.Name == "g":
		return r.pick("'red'", "'green'", "'blue'", "'blue'", "'Blue'", "''")
	case c.Type == "TINYINT":
		return fmt.Sprint(r.IntN(8) - 2)
	case c.Type == "SMALLINT":
		return fmt.Sprint(100*r.IntN(5) - 100)
	}
	return r.literal(c.typ)
}
