package planner

import (
	"slices"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/opcode"
)

// prune returns, for each table, the files that may hold rows that the query
// needs. A table is pruned by the conditions of the SELECT that names it, and
// only if nothing else in the query names it too.
//
// A condition prunes only when it is a conjunct of WHERE that is false or NULL
// for every row of the file: then the rows cannot be in the answer, nor can
// rows that an outer join would give in their place. (Those have NULL for
// every column, and of all conditions that are understood only IS NULL is true
// of a NULL; below outer joins it is not understood.)
func (q *Query) prune(s *ast.SelectStmt, c *Catalog) map[string][]File {
	kept := make(map[string][]File, len(q.Tables))
	for _, name := range q.Tables {
		kept[name] = c.Tables[name].all()
	}
	if s == nil || q.ordered {
		return kept
	}
	outer := q.outerJoins()
	v := &selectVisitor{}
	s.Accept(v)
	for _, sel := range v.selects {
		if sel.Where == nil || sel.From == nil || !plainJoins(sel.From.TableRefs) {
			continue
		}
		for alias, name := range aliasesOf(sel.From.TableRefs) {
			table := c.Tables[name]
			if table == nil || q.refs[name] != 1 {
				continue
			}
			p := pruner{table: table, alias: alias, alone: len(tablesOf(sel.From.TableRefs)) == 1, nullable: outer}
			kept[name] = p.keep(conjuncts(sel.Where))
		}
	}
	return kept
}

// selectVisitor collects the SELECTs of a tree.
type selectVisitor struct{ selects []*ast.SelectStmt }

func (v *selectVisitor) Enter(n ast.Node) (ast.Node, bool) {
	if s, ok := n.(*ast.SelectStmt); ok {
		v.selects = append(v.selects, s)
	}
	return n, false
}

func (v *selectVisitor) Leave(n ast.Node) (ast.Node, bool) { return n, true }

// plainJoins tells that a FROM holds tables and derived tables under inner,
// cross, left and right joins alone.
func plainJoins(r ast.ResultSetNode) bool {
	j, ok := r.(*ast.Join)
	if !ok || j == nil {
		return true
	}
	switch j.Tp {
	case 0, ast.CrossJoin, ast.LeftJoin, ast.RightJoin:
	default:
		return false
	}
	return plainJoins(j.Left) && plainJoins(j.Right)
}

// outerJoins tells that a join of the query may give NULLs for a table's rows.
// It asks DuckDB's tree: the TiDB parser takes FULL for an alias.
func (q *Query) outerJoins() (found bool) {
	walk(q.tree, func(n node) bool {
		switch str(n, "join_type") {
		case "", "INNER", "SEMI", "ANTI":
		default:
			found = true
		}
		return !found
	})
	return found
}

// aliasesOf maps the alias of each plain table of a FROM to its name.
func aliasesOf(r ast.ResultSetNode) map[string]string {
	m := map[string]string{}
	var add func(ast.ResultSetNode)
	add = func(r ast.ResultSetNode) {
		switch r := r.(type) {
		case *ast.Join:
			if r != nil {
				add(r.Left)
				add(r.Right)
			}
		case *ast.TableSource:
			if name, ok := r.Source.(*ast.TableName); ok && name.TableSample == nil && name.Schema.L != cteSchema {
				alias := r.AsName.L
				if alias == "" {
					alias = name.Name.L
				}
				m[alias] = name.Name.L
			}
		}
	}
	add(r)
	return m
}

func conjuncts(e ast.ExprNode) []ast.ExprNode {
	switch e := e.(type) {
	case *ast.ParenthesesExpr:
		return conjuncts(e.Expr)
	case *ast.BinaryOperationExpr:
		if e.Op == opcode.LogicAnd {
			return append(conjuncts(e.L), conjuncts(e.R)...)
		}
	}
	return []ast.ExprNode{e}
}

// keep returns the files of t that may hold rows for which the condition is
// true. Its columns are all t's, bare or qualified by the alias; others are
// not understood, and what is not understood prunes nothing.
func (t *Table) keep(alias string, where ast.ExprNode) []File {
	p := pruner{table: t, alias: strings.ToLower(alias), alone: true}
	return p.keep([]ast.ExprNode{where})
}

// pruner holds conditions on one table against its files.
type pruner struct {
	table    *Table
	alias    string
	alone    bool // the only table of its FROM, so that bare names are its columns
	nullable bool // a join may give NULLs in place of the table's rows
}

// keep returns the files that every condition leaves.
func (p *pruner) keep(conditions []ast.ExprNode) []File {
	var all test
	for _, c := range conditions {
		all = both(all, p.may(c, true))
	}
	if all == nil {
		return p.table.all()
	}
	var kept []File
	keep := func(f *File) {
		if all(f) {
			kept = append(kept, *f)
		}
	}
	if places, ok := p.places(conditions); ok {
		for _, i := range places {
			keep(&p.table.Files[i])
		}
	} else {
		for i := range p.table.Files {
			keep(&p.table.Files[i])
		}
	}
	for i := range p.table.Unflushed {
		keep(&p.table.Unflushed[i])
	}
	return kept
}

// places are those of the table's files that a condition on the id leaves,
// found without a look at each file.
func (p *pruner) places(conditions []ast.ExprNode) ([]int, bool) {
	if p.table.ByID == nil {
		return nil, false
	}
	for _, c := range conditions {
		if ids, ok := p.ids(c); ok {
			return p.table.ByID.places(ids), true
		}
	}
	return nil, false
}

// ids are the texts that a condition wants the id to be one of.
func (p *pruner) ids(e ast.ExprNode) (ids []string, ok bool) {
	switch e := unwrap(e).(type) {
	case *ast.BinaryOperationExpr:
		column, value := e.L, e.R
		if !p.isID(column) {
			column, value = value, column
		}
		id, ok := literal(value)
		return []string{id}, ok && e.Op == opcode.EQ && p.isID(column)
	case *ast.PatternInExpr:
		if e.Not || e.Sel != nil || !p.isID(e.Expr) {
			return nil, false
		}
		for _, item := range e.List {
			id, ok := literal(item)
			if !ok {
				return nil, false
			}
			ids = append(ids, id)
		}
		return ids, true
	}
	return nil, false
}

// isID tells the table's id column, where it is text: only there is equality
// in SQL the equality of the ids in the index.
func (p *pruner) isID(e ast.ExprNode) bool {
	i, ok := p.column(e)
	return ok && p.table.IDColumn != "" && i == p.table.place(p.table.IDColumn) && p.table.Columns[i].Type == "VARCHAR"
}

// column returns the place of the table's column that e names.
func (p *pruner) column(e ast.ExprNode) (int, bool) {
	c, ok := unwrap(e).(*ast.ColumnNameExpr)
	if !ok || c.Name.Schema.L != "" || c.Name.Table.L != p.alias && (c.Name.Table.L != "" || !p.alone) {
		return 0, false
	}
	i := p.table.place(c.Name.Name.O)
	return i, i >= 0
}

// place is that of the column of the name, or -1. Names compare without the
// case of A to Z, as in DuckDB.
func (t *Table) place(column string) int {
	name := fold(column)
	return slices.IndexFunc(t.Columns, func(c Column) bool { return fold(c.Name) == name })
}

func unwrap(e ast.ExprNode) ast.ExprNode {
	for {
		p, ok := e.(*ast.ParenthesesExpr)
		if !ok {
			return e
		}
		e = p.Expr
	}
}
