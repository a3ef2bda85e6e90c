//go:build duckdb_arrow

package coordinator

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"skein/internal/duck"
	"skein/internal/fault"
	"skein/meta"
	"skein/planner"
)

// The ids under which the catalog, its schema and its tables are told. Those of
// tables are good for one statement.
const (
	catalogOID = 1
	schemaOID  = 2
	tableOID   = 1000 // of the first table
)

// systemView is the query of one of DuckDB's system views; empty if there is
// none of the name. An empty schema finds what needs none.
func (c *Coordinator) systemView(ctx context.Context, schema, name string) (string, error) {
	if strings.EqualFold(schema, planner.SchemaName) {
		schema = ""
	}
	views, err := c.engine.table(ctx, "SELECT schema_name, view_name, sql FROM duckdb_views() WHERE internal")
	if err != nil {
		return "", err
	}
	for _, v := range views {
		free := v[0] == planner.SchemaName || v[0] == "pg_catalog"
		if v[1] != name || v[0] != schema && (schema != "" || !free) {
			continue
		}
		_, query, _ := strings.Cut(v[2], " AS ")
		return strings.TrimRight(query, "; \n"), nil
	}
	return "", nil
}

// table is all rows of a query whose answer never changes.
func (e engine) table(ctx context.Context, sql string) ([][]string, error) {
	key := "ROWS " + sql
	if known, ok := e.memo.Get(key); ok {
		return known.([][]string), nil
	}
	c, err := e.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	rows, err := c.Strings(ctx, sql)
	if err != nil {
		return nil, err
	}
	e.memo.Put(key, rows)
	return rows, nil
}

// systemRow is one row of a base relation, by column.
type systemRow = map[string]any

// systemFunctions are DuckDB's functions that tell the catalog, with their
// rows; nil for those that have none here.
var systemFunctions = map[string]func(*systemCatalog) []systemRow{
	"duckdb_databases": (*systemCatalog).databases, "duckdb_schemas": (*systemCatalog).schemas,
	"duckdb_tables": (*systemCatalog).tableRows, "duckdb_columns": (*systemCatalog).columnRows,
	"duckdb_settings": (*systemCatalog).settings,
	"duckdb_views":    nil, "duckdb_constraints": nil, "duckdb_indexes": nil, "duckdb_sequences": nil,
	"duckdb_dependencies": nil, "duckdb_variables": nil, "duckdb_prepared_statements": nil, "duckdb_secrets": nil,
	"duckdb_temporary_files": nil,
}

// engineFunctions tell what every DuckDB of this version has.
var engineFunctions = map[string]bool{
	"duckdb_types": true, "duckdb_keywords": true, "duckdb_functions": true, "pragma_version": true, "pragma_platform": true,
}

// function is the query of a table function of the catalog with the arguments
// of its tree; empty if it is none.
func (x *expansion) function(name string, tree systemTree) (string, error) {
	args, _ := tree["children"].([]any)
	if name == "pragma_table_info" && len(args) == 1 {
		table, ok := constant(args[0])
		if !ok {
			return "", fault.New(fault.InvalidArgument, "pragma_table_info takes the name of a table as text")
		}
		return x.c.tableInfo(x.ctx, table)
	}
	rows, known := systemFunctions[name]
	if !known && !engineFunctions[name] || len(args) > 0 {
		return "", nil
	}
	if literal, ok := x.rows[name]; ok {
		return literal, x.count(literal)
	}
	literal, err := x.literal(name, rows)
	if err == nil {
		x.rows[name] = literal
	}
	return literal, err
}

// literal is a query that gives a base relation's rows.
func (x *expansion) literal(name string, rows func(*systemCatalog) []systemRow) (string, error) {
	columns, err := x.c.engine.table(x.ctx, "SELECT column_name, column_type FROM (DESCRIBE FROM "+name+"())")
	if err != nil {
		return "", err
	}
	var all []systemRow
	switch {
	case engineFunctions[name]:
		told, err := x.c.engine.table(x.ctx, "SELECT CAST(to_json(list(r)) AS VARCHAR) FROM "+name+"() r")
		if err != nil {
			return "", err
		}
		if err := json.Unmarshal([]byte(told[0][0]), &all); err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
	case rows != nil:
		catalog, err := x.c.readSystemCatalog(x.ctx)
		if err != nil {
			return "", err
		}
		all = rows(catalog)
	}
	query, err := rowsQuery(columns, all)
	if err != nil {
		return "", err
	}
	return query, x.count(query)
}

// rowsQuery is a query that gives rows: what differs between them as one
// literal of JSON, which DuckDB reads faster than a list of values, and what is
// the same in all as constants.
func rowsQuery(columns [][]string, rows []systemRow) (string, error) {
	items, types := make([]string, len(columns)), []string{}
	short := make([]systemRow, len(rows))
	for i := range short {
		short[i] = systemRow{}
	}
	for i, col := range columns {
		value, name := "NULL", col[0]
		if constant, ok := sameInAll(rows, name); !ok {
			key := strconv.Itoa(i)
			value = "r." + duck.Ident(key)
			types = append(types, fmt.Sprintf("%q: %q", key, col[1]))
			for j, r := range rows {
				if v := r[name]; v != nil {
					short[j][key] = v
				}
			}
		} else if constant != nil {
			value = duck.Literal(fmt.Sprint(constant))
		}
		items[i] = "CAST(" + value + " AS " + col[1] + ") AS " + duck.Ident(name)
	}
	query := "SELECT " + strings.Join(items, ", ")
	switch {
	case len(rows) == 0:
		return query + " WHERE false", nil
	case len(types) == 0: // then there is one, or they are all the same
		return query + " FROM range(" + strconv.Itoa(len(rows)) + ")", nil
	}
	data, err := json.Marshal(short)
	if err != nil {
		return "", fmt.Errorf("catalog: %w", err)
	}
	return query + " FROM (SELECT unnest(from_json(" + duck.Literal(string(data)) + ", " + duck.Literal("[{"+strings.Join(types, ", ")+"}]") + ")) AS r)", nil
}

// sameInAll is the value of a column if all rows have the same plain one; nil
// is NULL.
func sameInAll(rows []systemRow, column string) (value any, ok bool) {
	for i, r := range rows {
		switch r[column].(type) {
		case nil, string, bool, int, int64, float64:
		default:
			return nil, false
		}
		if i > 0 && r[column] != value {
			return nil, false
		}
		value = r[column]
	}
	return value, true
}

// systemCatalog is the catalog at one moment.
type systemCatalog struct {
	tables []meta.Table
	oids   map[string]int64 // of types, by DuckDB's id of them
}

func (c *Coordinator) readSystemCatalog(ctx context.Context) (*systemCatalog, error) {
	tables, err := c.Meta.Tables(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := c.engine.table(ctx, "SELECT logical_type, min(type_oid) FROM duckdb_types() WHERE type_oid IS NOT NULL GROUP BY 1")
	if err != nil {
		return nil, err
	}
	s := &systemCatalog{tables: tables, oids: map[string]int64{}}
	for _, r := range rows {
		if oid, err := strconv.ParseInt(r[1], 10, 64); err == nil {
			s.oids[r[0]] = oid
		}
	}
	return s, nil
}

func (s *systemCatalog) databases() []systemRow {
	return []systemRow{{"database_name": planner.CatalogName, "database_oid": catalogOID, "internal": false, "type": "duckdb", "readonly": false, "encrypted": false}}
}

func (s *systemCatalog) schemas() []systemRow {
	return []systemRow{{"oid": schemaOID, "database_name": planner.CatalogName, "database_oid": catalogOID, "schema_name": planner.SchemaName, "internal": false}}
}

// of is what rows about a table have in common.
func (s *systemCatalog) of(i int) systemRow {
	return systemRow{"database_name": planner.CatalogName, "database_oid": catalogOID, "schema_name": planner.SchemaName,
		"schema_oid": schemaOID, "table_name": s.tables[i].Name, "table_oid": tableOID + i, "internal": false}
}

func (s *systemCatalog) tableRows() (rows []systemRow) {
	for i, t := range s.tables {
		r, columns := s.of(i), t.Schema().Columns
		definitions := make([]string, len(columns))
		for j, col := range columns {
			definitions[j] = meta.QuoteIdent(col.Name) + " " + col.Type.SQL()
		}
		r["temporary"], r["has_primary_key"], r["index_count"], r["check_constraint_count"] = false, false, 0, 0
		r["estimated_size"], r["column_count"] = t.Stats.Rows, len(columns)
		r["sql"] = "CREATE TABLE " + meta.QuoteIdent(t.Name) + "(" + strings.Join(definitions, ", ") + ");"
		rows = append(rows, r)
	}
	return rows
}

func (s *systemCatalog) columnRows() (rows []systemRow) {
	for i, t := range s.tables {
		for j, col := range t.Schema().Columns {
			r := s.of(i)
			r["column_name"], r["column_index"], r["is_nullable"] = col.Name, j+1, true
			r["data_type"] = col.Type.SQL()
			s.describeType(r, col.Type.SQL())
			rows = append(rows, r)
		}
	}
	return rows
}

// numbers are the digits of number types, in the radix of the second.
var numbers = map[string][3]int{
	"TINYINT": {8, 2, 0}, "SMALLINT": {16, 2, 0}, "INTEGER": {32, 2, 0}, "BIGINT": {64, 2, 0}, "HUGEINT": {128, 2, 0},
	"UTINYINT": {8, 2, 0}, "USMALLINT": {16, 2, 0}, "UINTEGER": {32, 2, 0}, "UBIGINT": {64, 2, 0}, "UHUGEINT": {128, 2, 0},
	"FLOAT": {24, 2, 0}, "DOUBLE": {53, 2, 0},
}

var decimalType = regexp.MustCompile(`^DECIMAL\((\d+),\s*(\d+)\)$`)

// describeType adds a type's id and digits.
func (s *systemCatalog) describeType(r systemRow, sqlType string) {
	id := sqlType
	if n, ok := numbers[sqlType]; ok {
		r["numeric_precision"], r["numeric_precision_radix"], r["numeric_scale"] = n[0], n[1], n[2]
	}
	switch m := decimalType.FindStringSubmatch(sqlType); {
	case m != nil:
		precision, _ := strconv.Atoi(m[1])
		scale, _ := strconv.Atoi(m[2])
		r["numeric_precision"], r["numeric_precision_radix"], r["numeric_scale"] = precision, 10, scale
		id = "DECIMAL"
	case strings.HasSuffix(sqlType, "]"):
		id = "LIST"
	case strings.HasPrefix(sqlType, "STRUCT"):
		id = "STRUCT"
	case strings.HasPrefix(sqlType, "MAP"):
		id = "MAP"
	}
	if oid, ok := s.oids[id]; ok {
		r["data_type_id"] = oid
	}
}

func (s *systemCatalog) settings() (rows []systemRow) {
	for _, name := range sortedKeys(settings) {
		rows = append(rows, systemRow{"name": name, "value": settings[name].value, "description": settings[name].about,
			"input_type": "VARCHAR", "scope": "GLOBAL", "aliases": []string{}})
	}
	return rows
}
