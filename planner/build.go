package planner

import (
	"encoding/json"
	"math"
	"strconv"
)

// What the planner writes into DuckDB's tree. Each function returns a node
// with the very fields that DuckDB gives it, so that the guard can compare.

var nowhere = json.Number("18446744073709551615") // query_location of what is in no text

func column(names ...string) node {
	path := make([]any, len(names))
	for i, n := range names {
		path[i] = n
	}
	return node{"class": "COLUMN_REF", "type": "COLUMN_REF", "alias": "", "query_location": nowhere, "column_names": path}
}

func as(e node, alias string) node {
	c, _ := clone(e).(node)
	c["alias"] = alias
	return c
}

func star() node {
	return node{"class": "STAR", "type": "STAR", "alias": "", "query_location": nowhere, "relation_name": "", "exclude_list": []any{},
		"replace_list": []any{}, "columns": false, "expr": nil, "qualified_exclude_list": []any{}, "rename_list": []any{}}
}

func selectNode(items []any, from node) node {
	return node{"type": "SELECT_NODE", "modifiers": []any{}, "cte_map": node{"map": []any{}}, "select_list": items, "from_table": from,
		"where_clause": nil, "group_expressions": []any{}, "group_sets": []any{}, "aggregate_handling": "STANDARD_HANDLING",
		"having": nil, "sample": nil, "qualify": nil}
}

func tableRef(name, alias string) node {
	return node{"type": "BASE_TABLE", "alias": alias, "sample": nil, "query_location": nowhere, "schema_name": "", "table_name": name,
		"column_name_alias": []any{}, "catalog_name": "", "at_clause": nil}
}

func subqueryRef(query node, alias string, columns []any) node {
	return node{"type": "SUBQUERY", "alias": alias, "sample": nil, "query_location": nowhere,
		"subquery": node{"node": query, "named_param_map": []any{}}, "column_name_alias": columns}
}

func and(conditions []node) any {
	switch len(conditions) {
	case 0:
		return nil
	case 1:
		return conditions[0]
	}
	children := make([]any, len(conditions))
	for i, c := range conditions {
		children[i] = c
	}
	return node{"class": "CONJUNCTION", "type": "CONJUNCTION_AND", "alias": "", "query_location": nowhere, "children": children}
}

// conjunctsOf are the conditions that must all be true for v to be.
func conjunctsOf(v any) []node {
	n, ok := v.(node)
	if !ok {
		return nil
	}
	if kind(n) != "CONJUNCTION_AND" {
		return []node{n}
	}
	var all []node
	for _, c := range list(n, "children") {
		all = append(all, conjunctsOf(c)...)
	}
	return all
}

// whole is an integer as DuckDB reads it.
func whole(n int64) node {
	tp := "INTEGER"
	if n > math.MaxInt32 {
		tp = "BIGINT"
	}
	return node{"class": "CONSTANT", "type": "VALUE_CONSTANT", "alias": "", "query_location": nowhere,
		"value": node{"type": node{"id": tp, "type_info": nil}, "is_null": false, "value": json.Number(strconv.FormatInt(n, 10))}}
}

func boolean(b bool) node {
	return node{"class": "CAST", "type": "OPERATOR_CAST", "alias": "", "query_location": nowhere, "child": text(map[bool]string{true: "t", false: "f"}[b]),
		"cast_type": node{"id": "BOOLEAN", "type_info": nil}, "try_cast": false}
}

// integer is the value of an integer constant.
func integer(n node) (int64, bool) {
	v := child(n, "value")
	if kind(n) != "VALUE_CONSTANT" || v["is_null"] == true {
		return 0, false
	}
	switch str(child(v, "type"), "id") {
	case "TINYINT", "SMALLINT", "INTEGER", "BIGINT":
	default:
		return 0, false
	}
	num, ok := v["value"].(json.Number)
	if !ok {
		return 0, false
	}
	i, err := num.Int64()
	return i, err == nil
}

// keyOf tells expressions apart: equal keys mean equal expressions. What an
// expression is called and where it stands does not matter.
func keyOf(e node) string {
	c, _ := clone(e).(node)
	c["alias"] = ""
	walk(c, func(n node) bool {
		delete(n, "query_location")
		delete(n, mark)
		return true
	})
	b, _ := json.Marshal(c) // sorts the fields
	return string(b)
}
