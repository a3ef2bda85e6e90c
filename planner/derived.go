package planner

import "strconv"

// withCTEs opens a scope with the common table expressions of a query. Each
// is given to visit with those before it in sight.
func (r *resolver) withCTEs(n node, outer *scope, visit func(value any, s *scope)) *scope {
	s := &scope{tables: map[string]*Table{}, ctes: map[string]*Table{}, outer: outer}
	for _, entry := range list(child(n, "cte_map"), "map") {
		e, _ := entry.(node)
		visit(e["value"], s)
		value := child(e, "value")
		var t *Table
		if len(list(value, "aliases")) == 0 {
			t = r.derived(child(child(value, "query"), "node"), s)
		}
		s.ctes[fold(str(e, "key"))] = t
	}
	if kind(n) == "RECURSIVE_CTE_NODE" {
		s.ctes[fold(str(n, "cte_name"))] = nil
	}
	return s
}

// from puts the tables of a FROM into the scope, in their order.
func (r *resolver) from(f any, s *scope) {
	n, _ := f.(node)
	switch kind(n) {
	case "":
		return
	case "JOIN":
		r.from(n["left"], s)
		r.from(n["right"], s)
	case "PIVOT":
		r.from(n["source"], s)
	}
	name := fold(str(n, "alias"))
	var t *Table
	switch {
	case kind(n) == "BASE_TABLE":
		table := fold(str(n, "table_name"))
		if name == "" {
			name = table
		}
		t = r.table(n, table, s)
	case kind(n) == "SUBQUERY":
		t = r.derived(child(child(n, "subquery"), "node"), s)
	case kind(n) == "JOIN" && name == "", kind(n) == "EMPTY":
		return
	}
	if len(list(n, "column_name_alias")) > 0 {
		t = nil
	}
	if name == "" { // a name that nobody can write
		name = "\x00" + strconv.Itoa(len(s.order))
	}
	s.tables[name] = t
	s.order = append(s.order, name)
}

// table is what a name in a FROM means: a common table expression in sight,
// or a table of the catalog.
func (r *resolver) table(n node, name string, s *scope) *Table {
	for ; s != nil && str(n, "schema_name") == ""; s = s.outer {
		if t, ok := s.ctes[name]; ok {
			return t
		}
	}
	return r.catalog.Tables[name]
}

// derived is the columns of a query, as far as payload.x is concerned with
// them; nil where they cannot be told.
func (r *resolver) derived(n node, outer *scope) *Table {
	switch kind(n) {
	case "SET_OPERATION_NODE":
		return r.derived(child(n, "left"), r.withCTEs(n, outer, func(any, *scope) {}))
	case "SELECT_NODE":
	default:
		return nil
	}
	s := r.withCTEs(n, outer, func(any, *scope) {})
	r.from(n["from_table"], s)
	d := &Table{}
	for _, item := range list(n, "select_list") {
		i, _ := item.(node)
		names := list(i, "column_names")
		switch {
		case kind(i) == "STAR":
			if !r.star(i, s, d) {
				return nil
			}
		case str(i, "alias") != "":
			d.Columns = append(d.Columns, Column{Name: str(i, "alias")})
		case kind(i) == "COLUMN_REF" && len(names) > 0:
			name, _ := names[len(names)-1].(string)
			d.Columns = append(d.Columns, Column{Name: name})
		}
	}
	return d
}

// derivedColumnsMax is how many columns of a query are looked at: each * of
// nested queries may double them.
const derivedColumnsMax = 10_000

// star adds the columns of a plain * or t.* to d. It fails where they cannot
// be told.
func (r *resolver) star(n node, s *scope, d *Table) bool {
	if columns, _ := n["columns"].(bool); columns || n["expr"] != nil || len(list(n, "rename_list")) > 0 || len(list(n, "replace_list")) > 0 {
		return false
	}
	names := s.order
	if only := fold(str(n, "relation_name")); only != "" {
		names = []string{only}
	}
	for _, name := range names {
		t := s.tables[name]
		if t == nil || len(d.Columns)+len(t.Columns) > derivedColumnsMax {
			return false
		}
		d.Records = d.Records || t.Records
		d.Columns = append(d.Columns, t.Columns...)
	}
	return true
}
