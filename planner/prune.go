package planner

import (
	"strings"
	"time"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/opcode"
	driver "github.com/pingcap/tidb/pkg/parser/test_driver"
)

// prune returns, for each table, the files that may hold rows that the query
// needs. A table is pruned by the conditions of the SELECT that names it, and
// only if nothing else in the query names it too.
//
// A condition prunes only when it is a conjunct of WHERE that is false or NULL
// for every row of the file: then the rows cannot be in the answer, nor can
// rows that an outer join would give in their place.
func (q *Query) prune(s *ast.SelectStmt, c *Catalog) map[string][]File {
	kept := make(map[string][]File, len(q.Tables))
	for _, name := range q.Tables {
		kept[name] = c.Tables[name].Files
	}
	if s == nil || q.ordered {
		return kept
	}
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
			p := pruner{table: table, alias: alias, alone: len(tablesOf(sel.From.TableRefs)) == 1}
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

// pruner holds the conditions on one table against its files.
type pruner struct {
	table *Table
	alias string
	alone bool // the only table of its FROM, so that bare names are its columns
}

// keep returns the files that every condition leaves.
func (p *pruner) keep(conditions []ast.ExprNode) []File {
	var kept []File
	for _, f := range p.table.Files {
		keep := true
		for _, c := range conditions {
			keep = keep && p.may(c, f)
		}
		if keep {
			kept = append(kept, f)
		}
	}
	return kept
}

// may tells whether the condition can be true for some row of the file. True
// where it is not understood.
func (p *pruner) may(e ast.ExprNode, f File) bool {
	switch e := e.(type) {
	case *ast.ParenthesesExpr:
		return p.may(e.Expr, f)
	case *ast.BinaryOperationExpr:
		switch e.Op {
		case opcode.LogicAnd:
			return p.may(e.L, f) && p.may(e.R, f)
		case opcode.LogicOr:
			return p.may(e.L, f) || p.may(e.R, f)
		}
		return p.mayCompare(e, f)
	case *ast.PatternInExpr:
		return e.Not || e.Sel != nil || !p.isID(e.Expr) || !f.HasID || containsID(e.List, f.ID)
	case *ast.BetweenExpr:
		if e.Not {
			return true
		}
		return p.mayTime(opcode.GE, e.Expr, e.Left, f) && p.mayTime(opcode.LE, e.Expr, e.Right, f)
	}
	return true
}

var mirrored = map[opcode.Op]opcode.Op{opcode.EQ: opcode.EQ, opcode.LT: opcode.GT, opcode.GT: opcode.LT, opcode.LE: opcode.GE, opcode.GE: opcode.LE}

func (p *pruner) mayCompare(e *ast.BinaryOperationExpr, f File) bool {
	if _, ok := mirrored[e.Op]; !ok {
		return true
	}
	if e.Op == opcode.EQ && f.HasID {
		if id, ok := literal(e.R); ok && p.isID(e.L) && id != f.ID {
			return false
		}
		if id, ok := literal(e.L); ok && p.isID(e.R) && id != f.ID {
			return false
		}
	}
	return p.mayTime(e.Op, e.L, e.R, f) && p.mayTime(mirrored[e.Op], e.R, e.L, f)
}

// containsID tells whether the list may hold the id.
func containsID(items []ast.ExprNode, id string) bool {
	for _, item := range items {
		if s, ok := literal(item); !ok || s == id {
			return true
		}
	}
	return false
}

// isID tells the table's id column, where it is text: only there is equality
// in SQL the equality of the ids in the index.
func (p *pruner) isID(e ast.ExprNode) bool {
	return p.isColumn(e, p.table.IDColumn) && p.typeOf(p.table.IDColumn) == "VARCHAR"
}

func (p *pruner) isColumn(e ast.ExprNode, name string) bool {
	c, ok := unwrap(e).(*ast.ColumnNameExpr)
	if !ok || name == "" || c.Name.Schema.L != "" || !strings.EqualFold(c.Name.Name.O, name) {
		return false
	}
	if c.Name.Table.L == "" {
		return p.alone
	}
	return c.Name.Table.L == p.alias
}

func (p *pruner) typeOf(column string) string {
	for _, c := range p.table.Columns {
		if strings.EqualFold(c.Name, column) {
			return c.Type
		}
	}
	return ""
}

// mayTime tells whether "time column op value" can hold in the file.
func (p *pruner) mayTime(op opcode.Op, column, value ast.ExprNode, f File) bool {
	if !p.isColumn(column, p.table.TimeColumn) || f.MinTime.IsZero() || f.MaxTime.IsZero() {
		return true
	}
	t, ok := instant(value, p.typeOf(p.table.TimeColumn))
	if !ok {
		return true
	}
	switch op {
	case opcode.EQ:
		return !t.Before(f.MinTime) && !t.After(f.MaxTime)
	case opcode.LT, opcode.LE:
		return !t.Before(f.MinTime)
	case opcode.GT, opcode.GE:
		return !t.After(f.MaxTime)
	}
	return true
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

// literal is the value of a plain string constant.
func literal(e ast.ExprNode) (string, bool) {
	v, ok := unwrap(e).(*driver.ValueExpr)
	if !ok || v.Kind() != driver.KindString {
		return "", false
	}
	return v.GetString(), true
}

// instant reads a constant that is compared with a column of the given type,
// in the session's time zone, UTC. What DuckDB might round or read otherwise
// is not understood.
func instant(e ast.ExprNode, column string) (time.Time, bool) {
	cast := column
	if f, ok := unwrap(e).(*ast.FuncCallExpr); ok && f.FnName.L == castFunction && len(f.Args) == 2 {
		t, ok := literal(f.Args[1])
		if !ok {
			return time.Time{}, false
		}
		e, cast = f.Args[0], t
	}
	s, ok := literal(e)
	if !ok {
		return time.Time{}, false
	}
	layouts := []string{"2006-01-02"}
	switch cast {
	case "DATE":
	case "TIMESTAMP":
		layouts = append(layouts, "2006-01-02 15:04:05", "2006-01-02T15:04:05")
	case "TIMESTAMP WITH TIME ZONE":
		layouts = append(layouts, "2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02T15:04:05Z07:00", "2006-01-02 15:04:05Z07:00")
	default:
		return time.Time{}, false
	}
	switch column {
	case "DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE":
	default:
		return time.Time{}, false
	}
	for _, l := range layouts {
		if t, err := time.Parse(l, s); err == nil && t.Nanosecond()%1000 == 0 {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}
