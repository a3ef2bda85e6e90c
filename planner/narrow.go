package planner

import (
	"slices"
	"strings"

	"github.com/pingcap/tidb/pkg/parser"
	"github.com/pingcap/tidb/pkg/parser/ast"
)

// Narrowing says that of a table that a stage's fragments read shares of only
// those rows matter whose column has a value that the rows of an earlier stage have: their bounds,
// known once they are kept, leave files out.
type Narrowing struct {
	View   string
	Table  *Table
	Column string // of the table
	Stage  int
	Kept   string // column of the stage's rows
}

// Keep returns the files that may hold values between the bounds, which are
// as DuckDB writes them.
func (n Narrowing) Keep(files []File, min, max string) []File {
	t := *n.Table
	t.Files, t.ByID, t.Unflushed = files, nil, nil
	low, ok := n.constant(min)
	high, also := n.constant(max)
	if !ok || !also {
		return files
	}
	column := `"` + strings.ReplaceAll(n.Column, `"`, `""`) + `"`
	statements, _, err := tidbParser().Parse("SELECT 1 FROM t WHERE "+column+" BETWEEN "+low+" AND "+high, "", "")
	if err != nil || len(statements) != 1 {
		return files
	}
	s, ok := statements[0].(*ast.SelectStmt)
	if !ok || s.Where == nil {
		return files
	}
	return t.keep("t", s.Where)
}

// constant writes a value of the column as the TiDB parser reads it.
func (n Narrowing) constant(value string) (string, bool) {
	for _, c := range n.Table.Columns {
		if fold(c.Name) != fold(n.Column) {
			continue
		}
		quoted := "'" + strings.ReplaceAll(value, "'", "''") + "'"
		switch c.Type {
		case "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT":
			return value, true
		case "DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE":
			return castFunction + "(" + quoted + ", '" + c.Type + "')", true
		case "VARCHAR":
			return quoted, true
		}
	}
	return "", false
}

// narrow notes which columns of the block's tables must have values that other
// leaves have: what its WHERE and inner joins make equal, also by way of a
// third. In a correlated
// subquery that holds for its own tables: rows that no row outside can meet do
// not matter, but the rows outside do.
func (b *block) narrow() {
	own := map[*leaf]bool{}
	b.ownLeaves(b.from, own)
	pairs := b.pairs(conjunctsOf(b.n["where_clause"]))
	b.members(b.from, &pairs)
	var sources []source
	for _, p := range pairs {
		for _, s := range p {
			if !slices.Contains(sources, s) {
				sources = append(sources, s)
			}
		}
	}
	for _, s := range sources {
		if s.leaf.table == nil || !own[s.leaf] {
			continue
		}
		class := closure(map[source]bool{s: true}, pairs)
		for _, other := range sources {
			if class[other] && other.leaf != s.leaf {
				s.leaf.equals = append(s.leaf.equals, pair{s, other})
			}
		}
	}
	for _, in := range append(b.inFrom(b.from), b.nested...) {
		if !in.lateral {
			in.narrow()
		}
	}
	for _, c := range conjunctsOf(b.n["where_clause"]) {
		if kind(c) != "SUBQUERY" || str(c, "subquery_type") != "ANY" || str(c, "comparison_type") != "COMPARE_EQUAL" {
			continue
		}
		tested, _ := c["child"].(node)
		from := b.sourceOf(tested)
		l, ok := child(child(child(c, "subquery"), "node"), "from_table")[mark].(*leaf)
		if ok && l.stage != nil && len(l.stage.columns) == 1 && own[from.leaf] && from.leaf.table != nil && from.leaf.types[from.name] == l.stage.columns[0].Type {
			from.leaf.equals = append(from.leaf.equals, pair{from, source{l, l.stage.stored(0)}})
		}
	}
}

// ownLeaves are the leaves that the block's FROM names, also within simple
// SELECTs there.
func (b *block) ownLeaves(from any, own map[*leaf]bool) {
	n, _ := from.(node)
	switch kind(n) {
	case "JOIN":
		b.ownLeaves(n["left"], own)
		if str(n, "ref_type") != "ASOF" { // a row that is missing on its right makes another the partner
			b.ownLeaves(n["right"], own)
		}
	case "BASE_TABLE":
		own[leafOf(n)] = true
	case "SUBQUERY":
		if in, ok := child(n, "subquery")[mark].(*block); ok && !in.lateral {
			in.ownLeaves(in.from, own)
		}
	}
}

// leafView is a table of which fragments read shares, by its view.
type leafView struct {
	*leaf
	view string
}

// narrowings are those of a table by the stages that are read beside it.
func (s *Stage) narrowings(v leafView, read map[*leaf]*Stage) {
	for _, p := range v.equals {
		if from := read[p[1].leaf]; from != nil {
			s.narrowBy(v, p, from)
		}
	}
}

// narrowBy leaves files of a table out by one column of a stage, whose name it
// returns; empty if the stage has not kept it.
func (s *Stage) narrowBy(v leafView, p pair, from *Stage) string {
	kept := from.keptAs(p[1].name)
	if kept != "" {
		s.Narrow = append(s.Narrow, Narrowing{View: v.view, Table: v.table, Column: p[0].name, Stage: from.ID, Kept: kept})
		from.bound(kept)
	}
	return kept
}

// keptAs is the name by which the stage keeps a column; empty if it does not.
func (s *Stage) keptAs(name string) string {
	for i, c := range s.columns {
		if kept := s.stored(i); kept == name || s.scan && fold(c.Name) == name {
			return kept
		}
	}
	return ""
}

// bound asks for the bounds of a column of the stage's rows.
func (s *Stage) bound(column string) {
	for _, known := range s.Bounds {
		if known == column {
			return
		}
	}
	s.Bounds = append(s.Bounds, column)
}

func tidbParser() *parser.Parser {
	p := parser.New()
	p.SetSQLMode(sqlMode)
	return p
}
