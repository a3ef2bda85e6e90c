package planner

import (
	"context"
	"strconv"
	"strings"
)

// bind puts the given expressions in the place of the query's parameters.
func (q *Query) bind(ctx context.Context, e Engine, params []string) error {
	if len(params) != q.Params {
		return refuse(Invalid, -1, "the statement has %d parameters, %d values were given", q.Params, len(params))
	}
	values := make([]node, len(params))
	for i, p := range params {
		s, err := serialize(ctx, e, "SELECT "+p)
		if err != nil {
			return err
		}
		values[i], _ = list(child(s, "node"), "select_list")[0].(node)
	}
	if len(params) == 0 {
		return nil
	}
	if err := q.nameColumns(ctx, e, isParameter); err != nil {
		return err
	}
	var failed error
	walk(q.tree, func(n node) bool {
		if kind(n) != "VALUE_PARAMETER" {
			return true
		}
		i, err := strconv.Atoi(str(n, "identifier"))
		if err != nil || i < 1 || i > len(values) {
			failed = refuse(Unsupported, location(n), "parameter $%s: number parameters from $1 without gaps, or write ?", str(n, "identifier"))
			return false
		}
		alias := n["alias"]
		clear(n)
		for k, v := range values[i-1] {
			n[k] = clone(v)
		}
		n["alias"] = alias
		return false
	})
	q.tree["named_param_map"] = []any{}
	return failed
}

func isParameter(n node) bool { return kind(n) == "VALUE_PARAMETER" }

// nameColumns gives the columns that would be named after an expression with
// nodes that change that name, before others take the nodes' place.
func (q *Query) nameColumns(ctx context.Context, e Engine, changes func(node) bool) error {
	first := child(q.tree, "node")
	for kind(first) == "SET_OPERATION_NODE" {
		first = child(first, "left")
	}
	for _, v := range list(first, "select_list") {
		item, _ := v.(node)
		named, bound := str(item, "alias") != "", false
		walk(item, func(n node) bool {
			named = named || kind(n) == "STAR" // which stands for many columns
			bound = bound || changes(n)
			return true
		})
		if named || !bound {
			continue
		}
		only, _ := clone(q.tree).(node)
		only["node"] = node{"type": "SELECT_NODE", "modifiers": []any{}, "cte_map": node{"map": []any{}}, "select_list": []any{item},
			"from_table": node{"type": "EMPTY", "alias": "", "sample": nil}, "group_sets": []any{}, "group_expressions": []any{}, "aggregate_handling": "STANDARD_HANDLING"}
		text, err := q.deserialize(ctx, e, only)
		if err != nil {
			return err
		}
		item["alias"] = strings.TrimPrefix(text, "SELECT ")
	}
	return nil
}

// scope is the tables that one SELECT names in its FROM, by lower-case alias,
// and the common table expressions before it. A nil table is a derived one
// whose columns are not known.
type scope struct {
	tables map[string]*Table
	order  []string
	ctes   map[string]*Table
	outer  *scope
}

// resolver takes the payload. out of column names, and the catalog and schema
// off their tables.
type resolver struct {
	catalog *Catalog
	changed bool
}

func (r *resolver) resolve(v any, s *scope) {
	switch v := v.(type) {
	case []any:
		for _, c := range v {
			r.resolve(c, s)
		}
	case node:
		if kind(v) == "COLUMN_REF" {
			r.column(v, s)
			return
		}
		if isQuery(v) {
			s = r.enter(v, s)
		}
		for key, c := range v {
			if key != "cte_map" {
				r.resolve(c, s)
			}
		}
	}
}

// enter resolves the WITH list of a query and opens its scope.
func (r *resolver) enter(n node, outer *scope) *scope {
	s := r.withCTEs(n, outer, func(value any, s *scope) { r.resolve(value, s) })
	if kind(n) == "SELECT_NODE" {
		r.from(n["from_table"], s)
		for _, item := range list(n, "select_list") {
			r.name(item, s)
		}
	}
	return s
}

// name gives a selected payload.id or payload.timestamp, and a field of a table
// that has none yet, the name of its field, as it would have if payload were a
// STRUCT.
func (r *resolver) name(item any, s *scope) {
	n, _ := item.(node)
	if kind(n) != "COLUMN_REF" || str(n, "alias") != "" {
		return
	}
	names := list(n, "column_names")
	if len(names) < 2 || !is(names[len(names)-2], "payload") {
		return
	}
	last, _ := names[len(names)-1].(string)
	if strings.EqualFold(last, "id") || strings.EqualFold(last, "timestamp") || s.isBlank(names) {
		n["alias"] = last
	}
}

// isBlank tells a payload field of a record table into which no field was ever
// written. It is NULL, whatever its name: a query may be older than its data.
func (s *scope) isBlank(names []any) bool {
	alias, _ := names[0].(string)
	if len(names) >= 3 && is(names[1], "payload") {
		t, _ := s.find(alias)
		return t.isBlank()
	}
	if s == nil || len(names) < 2 || !is(names[0], "payload") {
		return false
	}
	if _, ok := s.find("payload"); ok {
		return false
	}
	for _, t := range s.tables {
		if !t.isBlank() {
			return false
		}
	}
	return len(s.tables) > 0
}

func (t *Table) isBlank() bool { return t != nil && t.Records && len(t.Columns) == 2 }

func is(v any, name string) bool {
	s, _ := v.(string)
	return strings.EqualFold(s, name)
}

func (r *resolver) column(n node, s *scope) {
	names := s.unqualified(list(n, "column_names"))
	if len(names) < len(list(n, "column_names")) {
		r.set(n, names)
	}
	if s.isBlank(names) {
		become(n, null())
		r.changed = true
		return
	}
	if len(names) >= 3 && is(names[1], "payload") {
		alias, _ := names[0].(string)
		if t, ok := s.find(alias); ok {
			if name, ok := field(t, names[2]); ok {
				r.set(n, append([]any{names[0], name}, names[3:]...))
			}
			return
		}
	}
	if len(names) < 2 || !is(names[0], "payload") {
		return
	}
	if _, ok := s.find("payload"); ok {
		return // an alias, not our word
	}
	if name, ok := s.field(names[1]); ok {
		r.set(n, append([]any{name}, names[2:]...))
	}
}

// unqualified is a column's name without the catalog and schema of its table.
func (s *scope) unqualified(names []any) []any {
	for _, prefix := range [][]string{{CatalogName, SchemaName}, {SchemaName}, {CatalogName}} {
		k := len(prefix)
		if len(names) < k+2 || !is(names[0], prefix[0]) || !is(names[k-1], prefix[k-1]) {
			continue
		}
		table, _ := names[k].(string)
		_, found := s.find(table)
		if _, alias := s.find(prefix[0]); found && !alias {
			return names[k:]
		}
	}
	return names
}

func (r *resolver) set(n node, names []any) {
	n["column_names"] = names
	r.changed = true
}

func (s *scope) find(alias string) (*Table, bool) {
	for ; s != nil; s = s.outer {
		if t, ok := s.tables[strings.ToLower(alias)]; ok {
			return t, true
		}
	}
	return nil, false
}

// field finds the column of an unqualified payload field: in the innermost
// table that has it, else by its plain name.
func (s *scope) field(name any) (string, bool) {
	guess, found := "", false
	for ; s != nil; s = s.outer {
		for _, alias := range s.order {
			t := s.tables[alias]
			c, ok := field(t, name)
			if ok && t != nil && has(t, c) {
				return c, true
			}
			if ok && !found {
				guess, found = c, true
			}
		}
	}
	return guess, found
}

// field is the column of t that payload.name means; false where payload is a
// column of its own that must be meant.
func field(t *Table, name any) (string, bool) {
	want, _ := name.(string)
	if t == nil {
		return want, true
	}
	for _, c := range t.Columns {
		if c.Field != "" && strings.EqualFold(c.Field, want) {
			return c.Name, true
		}
	}
	if t.Records && (strings.EqualFold(want, "id") || strings.EqualFold(want, "timestamp")) {
		return "payload." + want, true // no such field: DuckDB will say so
	}
	if has(t, "payload") && (!t.Records || !has(t, want)) {
		return "", false
	}
	return want, true
}

func has(t *Table, column string) bool {
	for _, c := range t.Columns {
		if strings.EqualFold(c.Name, column) {
			return true
		}
	}
	return false
}
