package planner

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Kind is what a statement is.
type Kind int

// The kinds that Parse tells apart.
const (
	Select     Kind = iota // one SELECT, DESCRIBE or SUMMARIZE, to be planned
	ShowTables             // SHOW TABLES
	Other                  // no query: Keyword tells which statement
)

// Query is a parsed statement.
type Query struct {
	Kind    Kind
	Keyword string   // first word, upper case
	Tables  []string // tables of the catalog that it names, lower case, each once
	Params  int      // how many parameters it has

	text string
	tree node // of the single statement
	refs map[string]int
	ctes []node // the references to common table expressions
	// ordered is set when a join depends on rows that its WHERE leaves out.
	ordered bool
	// qualified is set when a name lost its catalog or schema, so that the
	// user's own text does not do any more.
	qualified bool
	// fixed is set when the moment of planning was written into the tree.
	fixed bool
}

// Parse reads one statement. It returns an *Error for what is wrong with it.
func Parse(ctx context.Context, e Engine, sql string) (*Query, error) {
	word := firstWord(sql)
	if word == "" {
		return nil, refuse(Invalid, 0, "the statement is empty")
	}
	q := &Query{Keyword: word, text: sql, refs: map[string]int{}}
	if word == "CREATE" || word == "DROP" {
		q.Kind = Other // their grammar is wider than DuckDB's
		return q, nil
	}
	text, err := e.SerializeSQL(ctx, sql)
	if err != nil {
		return nil, err
	}
	doc, err := decodeTree(text)
	if err != nil { // DuckDB writes what is beyond DOUBLE as a bare Infinity
		return nil, refuse(Invalid, -1, "a number in the statement is out of range")
	}
	if failed, _ := doc["error"].(bool); failed {
		if str(doc, "error_type") == "not implemented" {
			if msg := str(doc, "error_message"); !strings.Contains(msg, "Only SELECT statements") {
				return nil, refuse(Unsupported, -1, "Not implemented Error: %s", msg)
			}
			q.Kind = Other
			return q, nil
		}
		return nil, syntaxError(doc)
	}
	statements := list(doc, "statements")
	if len(statements) != 1 {
		return nil, refuse(Invalid, -1, "%d statements in one request; send one at a time", len(statements))
	}
	q.tree, _ = statements[0].(node)
	return q, q.inspect()
}

func syntaxError(doc node) error {
	offset, err := strconv.Atoi(str(doc, "position"))
	if err != nil {
		offset = -1
	}
	msg := str(doc, "error_message")
	if !strings.Contains(msg, "Error:") {
		msg = "Parser Error: " + msg
	}
	return refuse(Invalid, offset, "%s", msg)
}

// inspect finds what the statement names, and refuses what it may not name.
func (q *Query) inspect() error {
	if show := showRef(q.tree); show != nil {
		if str(show, "show_type") == "SHOW_UNQUALIFIED" {
			if strings.Trim(str(show, "table_name"), `"`) == "tables" {
				q.Kind = ShowTables
				return nil
			}
			return refuse(Unsupported, -1, "this SHOW is not supported; SHOW TABLES and DESCRIBE table are")
		}
	}
	params := map[string]bool{}
	if err := q.visit(child(q.tree, "node"), map[string]bool{}, params); err != nil {
		return err
	}
	q.Params = len(params)
	slices.Sort(q.Tables)
	return nil
}

// showRef returns the SHOW of a statement that is nothing else.
func showRef(statement node) node {
	from := child(child(statement, "node"), "from_table")
	if kind(from) == "SHOW_REF" {
		return from
	}
	return nil
}

// visit walks the tree with the names of the common table expressions that
// are in sight, and counts references to the catalog's tables.
func (q *Query) visit(v any, ctes map[string]bool, params map[string]bool) error {
	switch v := v.(type) {
	case []any:
		for _, c := range v {
			if err := q.visit(c, ctes, params); err != nil {
				return err
			}
		}
	case node:
		if err := q.check(v, ctes, params); err != nil {
			return err
		}
		if isQuery(v) {
			var err error
			if ctes, err = q.visitCTEs(v, ctes, params); err != nil {
				return err
			}
		}
		for key, c := range v {
			within := ctes
			switch {
			case key == "cte_map" && isQuery(v):
				continue
			case key == "right" && kind(v) == "RECURSIVE_CTE_NODE":
				within = maps.Clone(ctes)
				within[fold(str(v, "cte_name"))] = true
			}
			if err := q.visit(c, within, params); err != nil {
				return err
			}
		}
	}
	return nil
}

// visitCTEs visits the WITH list of a query in order: each expression sees
// those before it, and itself only in the second half of a recursive one.
func (q *Query) visitCTEs(n node, outer map[string]bool, params map[string]bool) (map[string]bool, error) {
	entries := list(child(n, "cte_map"), "map")
	if len(entries) == 0 {
		return outer, nil
	}
	ctes := maps.Clone(outer)
	for _, entry := range entries {
		e, _ := entry.(node)
		if err := q.visit(e["value"], ctes, params); err != nil {
			return nil, err
		}
		ctes[fold(str(e, "key"))] = true
	}
	return ctes, nil
}

// fold is the form in which DuckDB compares names: only A to Z have a lower
// case. Were more folded, a table could pass for a common table expression.
func fold(name string) string {
	b := []byte(name)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

func (q *Query) check(n node, ctes, params map[string]bool) error {
	switch kind(n) {
	case "BASE_TABLE":
		return q.table(n, ctes)
	case "TABLE_FUNCTION":
		return checkTableFunction(child(n, "function"))
	case "FUNCTION":
		if str(n, "class") == "FUNCTION" {
			return checkFunction(n)
		}
	case "JOIN":
		switch str(n, "ref_type") {
		case "REGULAR", "CROSS", "NATURAL":
		default: // ASOF, POSITIONAL: which rows meet depends on all the others
			q.ordered = true
		}
	case "VALUE_PARAMETER":
		params[str(n, "identifier")] = true
	case "SHOW_REF":
		if child(n, "query") == nil {
			return refuse(Unsupported, location(n), "SHOW is not supported inside a query")
		}
	}
	return nil
}

// Names under which the catalog answers to three-part names.
const (
	CatalogName = "skein"
	SchemaName  = "main"
)

func (q *Query) table(n node, ctes map[string]bool) error {
	name := fold(str(n, "table_name"))
	catalog, schema := str(n, "catalog_name"), str(n, "schema_name")
	if catalog == "" && schema == "" && ctes[name] {
		q.ctes = append(q.ctes, n)
		return nil
	}
	if schema != "" && !strings.EqualFold(schema, SchemaName) && !(catalog == "" && strings.EqualFold(schema, CatalogName)) ||
		catalog != "" && !strings.EqualFold(catalog, CatalogName) {
		return refuse(NoTable, location(n), "schema %q does not exist; tables are in %s.%s", strings.Trim(catalog+"."+schema, "."), CatalogName, SchemaName)
	}
	if catalog != "" || schema != "" {
		n["catalog_name"], n["schema_name"] = "", ""
		q.qualified = true
	}
	if n["at_clause"] != nil {
		return refuse(Unsupported, location(n), "AT is not supported: tables have no versions")
	}
	if q.refs[name]++; q.refs[name] == 1 {
		q.Tables = append(q.Tables, name)
	}
	return nil
}

// firstWord is the statement's first keyword in upper case, after white space
// and comments.
func firstWord(sql string) string {
	for {
		sql = strings.TrimLeft(sql, " \t\r\n\f\v;(")
		switch {
		case strings.HasPrefix(sql, "--"):
			_, sql, _ = strings.Cut(sql, "\n")
		case strings.HasPrefix(sql, "/*"):
			_, sql, _ = strings.Cut(sql, "*/")
		default:
			end := strings.IndexFunc(sql, func(r rune) bool { return !(r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z') })
			if end < 0 {
				end = len(sql)
			}
			if end == 0 && sql != "" {
				return sql[:1]
			}
			return strings.ToUpper(sql[:end])
		}
	}
}
