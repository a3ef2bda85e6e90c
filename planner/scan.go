package planner

import (
	"fmt"

	"github.com/pingcap/tidb/pkg/parser/ast"
)

// whyNotScan tells why the query's rows do not each come from one row of one
// table, so that it cannot be run piece by piece; empty if it can. The shape
// is read from the TiDB tree and must be the same in DuckDB's own.
func (q *Query) whyNotScan(s *ast.SelectStmt, f Functions) string {
	if s == nil {
		return "grammar beyond the TiDB parser"
	}
	if why := shapeOfTiDB(s); why != "" {
		return why
	}
	if why := q.shapeOfDuckDB(f); why != "" {
		return why
	}
	return ""
}

func shapeOfTiDB(s *ast.SelectStmt) string {
	switch {
	case s.Kind != ast.SelectStmtKindSelect || s.From == nil:
		return "no single table"
	case s.With != nil:
		return "common table expressions"
	case s.Distinct:
		return "DISTINCT"
	case s.GroupBy != nil || s.Having != nil:
		return "aggregation"
	case s.OrderBy != nil:
		return "ORDER BY"
	case s.Limit != nil:
		return "LIMIT"
	case len(s.WindowSpecs) > 0:
		return "window functions"
	}
	if tables := tablesOf(s.From.TableRefs); len(tables) != 1 {
		return fmt.Sprintf("%d tables", len(tables))
	}
	v := &shapeVisitor{}
	for _, f := range s.Fields.Fields {
		f.Accept(v)
	}
	if s.Where != nil {
		s.Where.Accept(v)
	}
	return v.why
}

// shapeVisitor finds what makes an expression depend on more than its row.
type shapeVisitor struct{ why string }

func (v *shapeVisitor) Enter(n ast.Node) (ast.Node, bool) {
	switch n.(type) {
	case *ast.SubqueryExpr, *ast.ExistsSubqueryExpr, *ast.CompareSubqueryExpr:
		v.why = "subqueries"
	case *ast.AggregateFuncExpr:
		v.why = "aggregation"
	case *ast.WindowFuncExpr:
		v.why = "window functions"
	case *ast.VariableExpr, *ast.DefaultExpr, *ast.ValuesExpr, *ast.MatchAgainst, ast.ParamMarkerExpr:
		v.why = "grammar that DuckDB lacks"
	}
	return n, v.why != ""
}

func (v *shapeVisitor) Leave(n ast.Node) (ast.Node, bool) { return n, true }

// tablesOf lists the table factors of a FROM, nil for one that is derived.
func tablesOf(r ast.ResultSetNode) []*ast.TableName {
	switch r := r.(type) {
	case *ast.Join:
		if r == nil {
			return nil
		}
		left := tablesOf(r.Left)
		if r.Right == nil {
			return left
		}
		return append(left, tablesOf(r.Right)...)
	case *ast.TableSource:
		if name, ok := r.Source.(*ast.TableName); ok {
			return []*ast.TableName{name}
		}
		return []*ast.TableName{nil}
	}
	return []*ast.TableName{nil}
}

// shapeOfDuckDB is the same question asked of DuckDB's tree, which also knows
// which functions are aggregates.
func (q *Query) shapeOfDuckDB(f Functions) string {
	n := child(q.tree, "node")
	if kind(n) != "SELECT_NODE" {
		return "set operation"
	}
	from := child(n, "from_table")
	switch {
	case kind(from) != "BASE_TABLE":
		return "no single table"
	case from["sample"] != nil || n["sample"] != nil:
		return "SAMPLE"
	case len(list(n, "modifiers")) > 0:
		return "ORDER BY, LIMIT or DISTINCT"
	case len(list(n, "group_expressions")) > 0 || len(list(n, "group_sets")) > 0 || n["having"] != nil || str(n, "aggregate_handling") != "STANDARD_HANDLING":
		return "aggregation"
	case n["qualify"] != nil:
		return "QUALIFY"
	}
	why := ""
	walk([]any{n["select_list"], n["where_clause"]}, func(n node) bool {
		switch str(n, "class") {
		case "SUBQUERY":
			why = "subqueries"
		case "WINDOW":
			why = "window functions"
		case "FUNCTION":
			if f[fold(str(n, "function_name"))] == Aggregate {
				why = "aggregation"
			}
		}
		return why == ""
	})
	if why != "" {
		return why
	}
	return q.unsteady(f)
}

// isClock tells a name that, where no column has it, is a function of the time.
func isClock(name any) bool {
	s, _ := name.(string)
	switch fold(s) {
	case "current_date", "current_time", "current_timestamp", "localtime", "localtimestamp":
		return true
	}
	return false
}
