//go:build duckdb_arrow

package coordinator

import (
	"context"
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strings"

	"skein/internal/duck"
	"skein/internal/fault"
	"skein/planner"
)

// System relations are what clients read the catalog from: information_schema,
// pg_catalog and DuckDB's own functions. DuckDB's definitions of the views are
// used, over rows of Skein's catalog: each reference in a statement is replaced
// by the rows themselves, as a literal, before the statement is planned. So
// they can be filtered, and joined with each other and with tables.

// mayBeSystem finds the statements that may name one; others are not looked at.
var mayBeSystem = regexp.MustCompile(`(?i)information_schema|pg_|duckdb_|sqlite_|pragma_|current_(database|catalog|setting)`)

// systemDepthMax bounds views over views.
const systemDepthMax = 8

// systemBytesMax bounds the rows that one statement reads from the catalog.
const systemBytesMax = 32 << 20

// expandSystem replaces references to system relations in a statement.
func (c *Coordinator) expandSystem(ctx context.Context, sql string) (string, error) {
	if !mayBeSystem.MatchString(sql) {
		return sql, nil
	}
	x := &expansion{c: c, ctx: ctx, rows: map[string]string{}}
	return x.expand(sql)
}

// expansion is one statement being expanded.
type expansion struct {
	c     *Coordinator
	ctx   context.Context
	rows  map[string]string // of base relations, by name: what stands for a reference
	depth int               // of views within views
	bytes int
}

// splice is a part of a statement and what comes in its place.
type splice struct {
	from, to int
	text     string
}

type systemTree = map[string]any

// expand replaces the references in a statement, or in a system view.
func (x *expansion) expand(sql string) (string, error) {
	doc, err := x.c.engine.SerializeSQL(x.ctx, sql)
	if err != nil {
		return "", err
	}
	var tree systemTree
	if !decodes(doc, &tree) || tree["error"] == true {
		return sql, nil // the planner tells what is wrong
	}
	w := &systemWalk{x: x, sql: sql, tokens: tokenize(sql).list, ctes: map[string]bool{}, schemas: map[string]bool{}, catalogOnly: true}
	w.survey(tree)
	if err := w.visit(tree); err != nil {
		return "", err
	}
	slices.SortFunc(w.splices, func(a, b splice) int { return a.from - b.from })
	var s strings.Builder
	at := 0
	for _, p := range w.splices {
		if p.from < at {
			continue
		}
		s.WriteString(sql[at:p.from] + p.text)
		at = p.to
	}
	return s.String() + sql[at:], nil
}

// systemWalk collects the splices of one statement.
type systemWalk struct {
	x           *expansion
	sql         string
	tokens      []token
	ctes        map[string]bool // names of common table expressions
	schemas     map[string]bool // that hold the relations; "" is that of tables
	catalogOnly bool            // the statement names no table but system relations
	splices     []splice
}

// survey finds the names of common table expressions, and whether the
// statement reads tables.
func (w *systemWalk) survey(v any) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			w.survey(e)
		}
	case systemTree:
		if m, ok := v["cte_map"].(systemTree); ok {
			entries, _ := m["map"].([]any)
			for _, e := range entries {
				if entry, ok := e.(systemTree); ok {
					w.ctes[strings.ToLower(text(entry, "key"))] = true
				}
			}
		}
		if text(v, "type") == "BASE_TABLE" {
			schema := systemSchema(text(v, "schema_name"))
			w.schemas[schema] = true
			w.catalogOnly = w.catalogOnly && schema != ""
		}
		for _, e := range v {
			w.survey(e)
		}
	}
}

func (w *systemWalk) visit(v any) error {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if err := w.visit(e); err != nil {
				return err
			}
		}
	case systemTree:
		if err := w.node(v); err != nil {
			return err
		}
		for _, e := range v {
			if err := w.visit(e); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *systemWalk) node(n systemTree) error {
	switch text(n, "type") {
	case "BASE_TABLE":
		return w.baseTable(n)
	case "TABLE_FUNCTION":
		f, _ := n["function"].(systemTree)
		return w.tableFunction(n, f)
	case "SELECT_NODE":
		items, _ := n["select_list"].([]any)
		for _, item := range items {
			if i, ok := item.(systemTree); ok && text(i, "alias") == "" {
				w.value(i, true)
			}
		}
	case "FUNCTION", "COLUMN_REF":
		w.value(n, false)
	}
	return nil
}

func (w *systemWalk) baseTable(n systemTree) error {
	name, schema := strings.ToLower(text(n, "table_name")), strings.ToLower(text(n, "schema_name"))
	if catalog := text(n, "catalog_name"); catalog != "" && !strings.EqualFold(catalog, planner.CatalogName) {
		return nil
	}
	if schema == "" && w.ctes[name] {
		return nil
	}
	view, err := w.x.c.systemView(w.x.ctx, schema, name)
	if err != nil || view == "" {
		return err
	}
	query, err := w.x.within(view)
	if err != nil {
		return err
	}
	w.relation(n, name, query, false)
	return nil
}

func (w *systemWalk) tableFunction(n, f systemTree) error {
	name := strings.ToLower(text(f, "function_name"))
	query, err := w.x.function(name, f)
	if err != nil || query == "" {
		return err
	}
	w.relation(n, name, query, true)
	return nil
}

// relation replaces a reference in a FROM.
func (w *systemWalk) relation(n systemTree, name, query string, called bool) {
	first, end, ok := w.name(n)
	if ok && called {
		end, ok = w.arguments(end)
	}
	if !ok {
		return
	}
	query = "(" + query + ")"
	if text(n, "alias") == "" {
		query += " AS " + duck.Ident(name)
	}
	from := w.tokens[first].from
	if first > 0 && w.tokens[first-1].kind == 'w' {
		switch before := strings.ToUpper(w.tokens[first-1].text); before {
		case "TABLE":
			from = w.tokens[first-1].from
			query = "SELECT * FROM " + query
		case "DESCRIBE", "DESC", "SHOW", "SUMMARIZE":
			query = "SELECT * FROM " + query
		}
	}
	w.splices = append(w.splices, splice{from, w.tokens[end-1].to, query})
}

// within expands the query that stands for a reference.
func (x *expansion) within(query string) (string, error) {
	if x.depth == systemDepthMax {
		return query, nil
	}
	x.depth++
	defer func() { x.depth-- }()
	return x.expand(query)
}

// count bounds what the statement reads of the catalog.
func (x *expansion) count(query string) error {
	if x.bytes += len(query); x.bytes > systemBytesMax {
		return fault.Newf(fault.TooLarge, "the catalog's rows that the statement reads have more than %d MiB; SHOW TABLES and DESCRIBE table read less", systemBytesMax>>20)
	}
	return nil
}

// name finds the tokens of the dotted name at a node's place.
func (w *systemWalk) name(n systemTree) (first, end int, ok bool) {
	at, isNumber := n["query_location"].(float64)
	if !isNumber || at > math.MaxInt32 {
		return 0, 0, false
	}
	first, ok = slices.BinarySearchFunc(w.tokens, int(at), func(t token, at int) int { return t.from - at })
	if !ok {
		return 0, 0, false
	}
	for end = first + 1; end+1 < len(w.tokens) && w.tokens[end].kind == 's' && w.tokens[end].text == "."; end += 2 {
	}
	return first, end, true
}

// arguments finds the end of the (…) at a token.
func (w *systemWalk) arguments(at int) (end int, ok bool) {
	depth := 0
	for i := at; i < len(w.tokens); i++ {
		switch t := w.tokens[i]; {
		case t.kind == 's' && t.text == "(":
			depth++
		case t.kind == 's' && t.text == ")":
			if depth--; depth == 0 {
				return i + 1, true
			}
		}
		if depth == 0 {
			return 0, false
		}
	}
	return 0, false
}

// value replaces what tells the session's state, and takes the schema off
// columns of system relations. An item of a SELECT keeps its name.
func (w *systemWalk) value(n systemTree, item bool) {
	if text(n, "type") == "COLUMN_REF" {
		w.column(n, item)
		return
	}
	name := strings.ToLower(text(n, "function_name"))
	var literal string
	shown := name + "()"
	switch args, _ := n["children"].([]any); {
	case (name == "current_database" || name == "current_catalog") && len(args) == 0:
		literal = duck.Literal(planner.CatalogName)
	case name == "current_setting" && len(args) == 1:
		setting, ok := constant(args[0])
		s, known := settings[strings.ToLower(setting)]
		if !ok || !known {
			return // the planner refuses it
		}
		literal, shown = duck.Literal(s.value), name+"("+duck.Literal(setting)+")"
	default:
		return
	}
	first, end, ok := w.name(n)
	if ok {
		end, ok = w.arguments(end)
	}
	if ok {
		w.literal(first, end, literal, shown, item)
	}
}

func (w *systemWalk) column(n systemTree, item bool) {
	parts, _ := n["column_names"].([]any)
	first, end, ok := w.name(n)
	if !ok || len(parts) == 0 {
		return
	}
	name, _ := parts[0].(string)
	if len(parts) == 1 && strings.EqualFold(name, "current_catalog") && w.catalogOnly {
		w.literal(first, end, duck.Literal(planner.CatalogName), strings.ToLower(name), item)
		return
	}
	skip := 0
	if strings.EqualFold(name, planner.CatalogName) && len(parts) > 3 {
		skip = 1
	}
	schema, _ := parts[skip].(string)
	if schema = systemSchema(schema); schema == "" || !w.schemas[schema] || len(parts) < skip+3 || end-first < 2*(skip+1) {
		return
	}
	w.splices = append(w.splices, splice{w.tokens[first].from, w.tokens[first+2*(skip+1)].from, ""})
}

func (w *systemWalk) literal(first, end int, literal, shown string, item bool) {
	if item {
		literal += " AS " + duck.Ident(shown)
	}
	p := splice{w.tokens[first].from, w.tokens[end-1].to, literal}
	if !slices.ContainsFunc(w.splices, func(s splice) bool { return s.from == p.from }) { // an item is seen first as such
		w.splices = append(w.splices, p)
	}
}

// systemSchema is the schema of system relations that a name means; empty for
// others.
func systemSchema(name string) string {
	if name = strings.ToLower(name); name == "information_schema" || name == "pg_catalog" {
		return name
	}
	return ""
}

func decodes(doc string, tree *systemTree) bool { return json.Unmarshal([]byte(doc), tree) == nil }

func text(n systemTree, key string) string {
	s, _ := n[key].(string)
	return s
}

// constant is the text of a constant expression.
func constant(v any) (string, bool) {
	n, _ := v.(systemTree)
	value, _ := n["value"].(systemTree)
	s, ok := value["value"].(string)
	return s, ok
}
