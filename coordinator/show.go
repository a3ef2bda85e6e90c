//go:build duckdb_arrow

package coordinator

import (
	"context"
	"regexp"
	"strings"

	"skein/internal/duck"
	"skein/internal/fault"
	"skein/meta"
	"skein/planner"
)

// What SHOW and PRAGMA read, over the functions of the catalog.
const (
	allTablesQuery = `SELECT database_name AS "database", schema_name AS "schema", table_name AS "name", list(column_name ORDER BY column_index) AS column_names, list(data_type ORDER BY column_index) AS column_types, false AS "temporary" FROM duckdb_columns() GROUP BY ALL ORDER BY ALL`
	databasesQuery = `SELECT database_name FROM duckdb_databases() ORDER BY 1`
	schemasQuery   = `SELECT database_name, schema_name, true AS "current" FROM duckdb_schemas() ORDER BY 1, 2`
)

// mayBeShow finds the statements that asQuery looks at.
var mayBeShow = regexp.MustCompile(`(?is)^(?:\s|;|--[^\n]*\n|/\*.*?\*/)*(?:show|pragma|savepoint|release|rollback)\b`)

// asQuery turns a SHOW or PRAGMA that reads the catalog into a query; other
// statements stay as they are.
func (c *Coordinator) asQuery(ctx context.Context, sql string) (string, error) {
	if !mayBeShow.MatchString(sql) {
		return sql, nil
	}
	p := &ddlParser{tokens: tokenize(sql)}
	switch {
	case p.words("SHOW"):
		return c.showQuery(ctx, p)
	case p.words("PRAGMA"):
		return c.pragmaQuery(ctx, p)
	case p.words("SAVEPOINT"), p.words("RELEASE"), p.words("ROLLBACK", "TO"): // DuckDB does not know them
		return "", fault.New(fault.Unimplemented, "savepoints are not served: every statement is its own transaction")
	}
	return sql, nil
}

func (c *Coordinator) showQuery(ctx context.Context, p *ddlParser) (string, error) {
	var text string
	switch {
	case p.words("ALL", "TABLES"):
		text = allTablesQuery
	case p.words("TABLES", "FROM"), p.words("TABLES", "IN"):
		if err := p.schemaName(); err != nil {
			return "", err
		}
		text = "SHOW TABLES"
	case p.words("DATABASES"), p.words("ALL", "DATABASES"):
		text = databasesQuery
	case p.words("SCHEMAS"), p.words("ALL", "SCHEMAS"):
		text = schemasQuery
		if p.words("FROM") || p.words("IN") {
			if err := p.schemaName(); err != nil {
				return "", err
			}
		}
	default:
		return c.showSetting(ctx, p)
	}
	return text, p.end()
}

// showSetting reads SHOW name, if that is a setting and no table.
func (c *Coordinator) showSetting(ctx context.Context, p *ddlParser) (string, error) {
	t, ok := p.peek()
	s, known := settings[strings.ToLower(t.text)]
	if !ok || !known || len(strings.Trim(p.tokens.sql[t.to:], "; \t\r\n")) > 0 {
		return p.tokens.sql, nil
	}
	if _, err := c.Meta.Table(ctx, strings.ToLower(t.text)); err == nil {
		return p.tokens.sql, nil
	}
	return "SELECT " + duck.Literal(s.value) + " AS " + duck.Ident(strings.ToLower(t.text)), nil
}

// schemaName takes the catalog's name, its schema's or both, and refuses
// others.
func (p *ddlParser) schemaName() error {
	var parts []string
	for {
		t, ok := p.peek()
		if !ok || t.kind == 's' {
			return p.unexpected("skein.main")
		}
		parts = append(parts, t.text)
		p.tokens.list = p.tokens.list[1:]
		if !p.sign(".") {
			break
		}
	}
	return checkSchema(strings.Join(parts, "."))
}

// checkSchema refuses what is not the one schema, the catalog or both.
func checkSchema(name string) error {
	switch strings.ToLower(name) {
	case planner.SchemaName, planner.CatalogName, planner.CatalogName + "." + planner.SchemaName:
		return nil
	}
	return fault.Newf(fault.NotFound, "schema %s does not exist; tables are in %s.%s", name, planner.CatalogName, planner.SchemaName)
}

// pragmas read the catalog.
var pragmas = map[string]string{
	"show_tables": "SHOW TABLES", "show_tables_expanded": allTablesQuery, "show_databases": databasesQuery,
	"database_list": "SELECT * FROM pragma_database_list", "version": "SELECT * FROM pragma_version()",
	"platform": "SELECT * FROM pragma_platform()",
}

func (c *Coordinator) pragmaQuery(ctx context.Context, p *ddlParser) (string, error) {
	sql := p.tokens.sql
	t, ok := p.peek()
	if !ok {
		return sql, nil
	}
	p.tokens.list = p.tokens.list[1:]
	name := strings.ToLower(t.text)
	if text, ok := pragmas[name]; ok && p.end() == nil {
		return text, nil
	}
	if name != "table_info" && name != "show" {
		return sql, nil
	}
	called := p.sign("(")
	if !called && !p.sign("=") {
		return sql, nil
	}
	var table string
	var err error
	if t, ok := p.peek(); ok && t.kind == '\'' {
		table, p.tokens.list = t.text, p.tokens.list[1:]
	} else if table, err = p.tableName(); err != nil {
		return "", err
	}
	if called && !p.sign(")") {
		return "", p.unexpected(")")
	}
	if err := p.end(); err != nil {
		return "", err
	}
	if name == "show" {
		return "DESCRIBE " + meta.QuoteIdent(table), nil
	}
	return c.tableInfo(ctx, table)
}

// tableInfo is the query of PRAGMA table_info.
func (c *Coordinator) tableInfo(ctx context.Context, table string) (string, error) {
	p := &ddlParser{tokens: tokenize(table)}
	name, err := p.tableName()
	if err != nil {
		return "", err
	}
	name = meta.FoldName(name)
	t, err := c.Meta.Table(ctx, name)
	if err != nil {
		return "", unknownTable(name, err)
	}
	var rows []systemRow
	for i, col := range t.Schema().Columns {
		rows = append(rows, systemRow{"cid": i, "name": col.Name, "type": col.Type.SQL(), "notnull": false, "pk": false})
	}
	query, err := rowsQuery([][]string{{"cid", "INTEGER"}, {"name", "VARCHAR"}, {"type", "VARCHAR"}, {"notnull", "BOOLEAN"}, {"dflt_value", "VARCHAR"}, {"pk", "BOOLEAN"}}, rows)
	return query + " ORDER BY 1", err
}
