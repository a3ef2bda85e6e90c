package planner

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	_ "github.com/pingcap/tidb/pkg/parser/test_driver" // the parser's values
)

// castFunction is how a CAST is written for the TiDB parser, whose grammar
// lacks most of DuckDB's types: as a call with the type's name.
const castFunction = "duck_cast"

// cteSchema tells references to common table expressions from tables in the
// TiDB parser's tree, where names have lost their scope.
const cteSchema = "duck_cte"

// sqlMode is how the TiDB parser reads what DuckDB writes.
const sqlMode = mysql.ModeANSIQuotes | mysql.ModePipesAsConcat | mysql.ModeNoBackslashEscapes

// tidbTree reads the query with the TiDB parser, or returns nil where its
// grammar has no words for the statement. The tree is only looked at: its
// text never goes to DuckDB.
func (q *Query) tidbTree(ctx context.Context, e Engine) *ast.SelectStmt {
	for _, n := range q.ctes {
		n["schema_name"] = cteSchema
	}
	encoded, _ := clone(q.tree).(node)
	for _, n := range q.ctes {
		n["schema_name"] = ""
	}
	return readByTiDB(ctx, e, encoded)
}

// readByTiDB reads a statement's tree with the TiDB parser. It changes the
// tree.
func readByTiDB(ctx context.Context, e Engine, statement node) *ast.SelectStmt {
	encode(statement)
	tree, err := encodeTree(node{"error": false, "statements": []any{statement}})
	if err != nil {
		return nil
	}
	text, err := e.DeserializeSQL(ctx, tree)
	if err != nil {
		return nil
	}
	statements, _, err := tidbParser().Parse(text, "", "")
	if err != nil || len(statements) != 1 {
		return nil
	}
	s, _ := statements[0].(*ast.SelectStmt)
	return s
}

// encode writes what MySQL's grammar lacks as ordinary calls.
func encode(v any) {
	switch v := v.(type) {
	case []any:
		for _, c := range v {
			encode(c)
		}
	case node:
		for _, c := range v {
			encode(c)
		}
		encodeNode(v)
	}
}

func encodeNode(n node) {
	switch str(n, "class") {
	case "CAST":
		if t := typeName(child(n, "cast_type")); t != "" {
			become(n, call(castFunction, n["child"], text(t)))
		}
	case "FUNCTION":
		encodeFunction(n)
	case "OPERATOR":
		switch kind(n) {
		case "ARRAY_EXTRACT", "STRUCT_EXTRACT", "ARRAY_SLICE":
			become(n, call(strings.ToLower(kind(n)), list(n, "children")...))
		}
	case "LAMBDA":
		become(n, call("lambda", n["lhs"], n["expr"]))
	}
}

func encodeFunction(n node) {
	n["schema"], n["catalog"] = "", ""
	name := str(n, "function_name")
	if operator, _ := n["is_operator"].(bool); operator && !strings.Contains("+-*/%", name) {
		n["is_operator"] = false
		n["function_name"] = "duck_operator"
		n["children"] = append([]any{text(name)}, list(n, "children")...)
	}
	if filter := child(n, "filter"); filter != nil {
		n["filter"] = nil
		become(n, call("duck_filter", clone(n), filter))
	}
}

// become replaces a node's content and keeps its alias.
func become(n, other node) {
	alias := n["alias"]
	clear(n)
	for k, v := range other {
		n[k] = v
	}
	n["alias"] = alias
}

func call(name string, args ...any) node {
	return node{"class": "FUNCTION", "type": "FUNCTION", "alias": "", "query_location": json.Number("0"), "function_name": name,
		"schema": "", "catalog": "", "children": args, "filter": nil, "distinct": false, "is_operator": false, "export_state": false,
		"order_bys": node{"type": "ORDER_MODIFIER", "orders": []any{}}}
}

func text(s string) node {
	return node{"class": "CONSTANT", "type": "VALUE_CONSTANT", "alias": "", "query_location": json.Number("0"),
		"value": node{"type": node{"id": "VARCHAR", "type_info": nil}, "is_null": false, "value": s}}
}

func null() node {
	return node{"class": "CONSTANT", "type": "VALUE_CONSTANT", "alias": "", "query_location": json.Number("0"),
		"value": node{"type": node{"id": "NULL", "type_info": nil}, "is_null": true}}
}

// typeName is the name of a plain type; empty for one with parts. The time
// types may be given whole or as an unbound name.
func typeName(t node) string {
	info := child(t, "type_info")
	if info == nil {
		return str(t, "id")
	}
	return str(t, "id") + "(…)"
}
