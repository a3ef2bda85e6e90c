//go:build duckdb_arrow

package coordinator

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"skein/internal/fault"
	"skein/meta"
	"skein/planner"
	"skein/worker"
)

// definition is a statement that defines something, ready to run.
type definition struct {
	run func(ctx context.Context, c *Coordinator) error
}

// refused are statements that DuckDB has and this server must not run, or does
// not run yet, with what to do instead.
var refused = map[string]struct {
	code fault.Code
	hint string
}{
	"COPY":       {fault.InvalidArgument, "files are loaded with `skein load`, results are saved by the client"},
	"ATTACH":     {fault.InvalidArgument, "the server has one catalog"},
	"DETACH":     {fault.InvalidArgument, "the server has one catalog"},
	"PRAGMA":     {fault.InvalidArgument, "settings are the server's flags"},
	"INSTALL":    {fault.InvalidArgument, "extensions are built in"},
	"LOAD":       {fault.InvalidArgument, "extensions are built in"},
	"EXPORT":     {fault.InvalidArgument, "save query results on the client"},
	"IMPORT":     {fault.InvalidArgument, "files are loaded with `skein load`"},
	"CALL":       {fault.InvalidArgument, "procedures reach the server's state"},
	"UPDATE":     {fault.Unimplemented, "data files are immutable; make the table anew with CREATE OR REPLACE TABLE t AS SELECT"},
	"DELETE":     {fault.Unimplemented, "data files are immutable; make the table anew with CREATE OR REPLACE TABLE t AS SELECT, or let retention_days delete old days"},
	"MERGE":      {fault.Unimplemented, "data files are immutable; make the table anew with CREATE OR REPLACE TABLE t AS SELECT"},
	"TRUNCATE":   {fault.Unimplemented, "drop the table and create it again"},
	"WITH":       {fault.InvalidArgument, "what is behind it is no query; write INSERT INTO t WITH … SELECT"},
	"ALTER":      {fault.Unimplemented, "columns are added by writing them"},
	"BEGIN":      {fault.Unimplemented, "every statement is its own transaction"},
	"START":      {fault.Unimplemented, "every statement is its own transaction"},
	"COMMIT":     {fault.Unimplemented, "every statement is its own transaction"},
	"END":        {fault.Unimplemented, "every statement is its own transaction"},
	"ROLLBACK":   {fault.Unimplemented, "every statement is its own transaction, and what it did stays"},
	"ABORT":      {fault.Unimplemented, "every statement is its own transaction, and what it did stays"},
	"ANALYZE":    {fault.Unimplemented, "statistics are kept as files are written"},
	"VACUUM":     {fault.Unimplemented, "small files are merged as the server runs"},
	"CHECKPOINT": {fault.Unimplemented, "rows are durable when they are acknowledged"},
}

// parseDefinition reads CREATE TABLE and DROP TABLE; everything else that is
// no query is refused.
func (c *Coordinator) parseDefinition(ctx context.Context, q *planner.Query, sql string) (*definition, error) {
	if r, ok := refused[q.Keyword]; ok {
		return nil, fault.Newf(r.code, "%s is not served: %s", q.Keyword, r.hint)
	}
	if q.Keyword == "CREATE" || q.Keyword == "DROP" {
		if err := c.may(ctx, ToDefine); err != nil {
			return nil, err
		}
	}
	p := &ddlParser{tokens: tokenize(sql)}
	switch {
	case p.words("DROP", "TABLE"):
		return p.dropTable()
	case p.words("CREATE", "TABLE"):
		return p.createTable(ctx, c)
	case p.words("CREATE"), p.words("DROP"):
		return nil, fault.Newf(fault.Unimplemented, "%s of anything but a table is not supported", q.Keyword)
	case q.Keyword == "SELECT", q.Keyword == "FROM", q.Keyword == "VALUES": // with something else behind it
		return nil, fault.New(fault.InvalidArgument, "more than one statement in one request; send one at a time")
	}
	return nil, fault.Newf(fault.InvalidArgument, "statement %s is not known; SELECT, INSERT, CREATE TABLE, DROP TABLE, SHOW, DESCRIBE, EXPLAIN, SET and USE are", q.Keyword)
}

func (p *ddlParser) dropTable() (*definition, error) {
	o := DropOptions{Cascade: true} // as everywhere in SQL, a dropped table's rows go with it
	o.IfExists = p.words("IF", "EXISTS")
	name, err := p.tableName()
	if err != nil {
		return nil, err
	}
	if p.words("RESTRICT") {
		o.Cascade = false
	} else {
		p.words("CASCADE")
	}
	if err := p.end(); err != nil {
		return nil, err
	}
	return &definition{run: func(ctx context.Context, c *Coordinator) error {
		_, _, err := c.DropTable(ctx, name, o)
		return err
	}}, nil
}

func (p *ddlParser) createTable(ctx context.Context, c *Coordinator) (*definition, error) {
	ifNotExists := p.words("IF", "NOT", "EXISTS")
	name, err := p.tableName()
	if err != nil {
		return nil, err
	}
	t := meta.Table{Name: name}
	columns, declared, err := p.parenthesized()
	if err != nil {
		return nil, err
	}
	options := map[string]string{}
	if p.words("WITH") {
		if options, err = p.options(); err != nil {
			return nil, err
		}
	}
	if err := p.end(); err != nil {
		return nil, err
	}
	schema := recordSchema()
	if declared {
		if schema, err = c.declared(ctx, columns); err != nil {
			return nil, err
		}
	}
	if err := applyOptions(&t, &schema, options); err != nil {
		return nil, err
	}
	t.Schemas = []meta.Schema{schema}
	return &definition{run: func(ctx context.Context, c *Coordinator) error {
		_, err := c.create(ctx, t, ifNotExists)
		return err
	}}, nil
}

// declared lets DuckDB read column definitions, and returns them as they will
// be stored.
func (c *Coordinator) declared(ctx context.Context, columns string) (meta.Schema, error) {
	conn, err := c.DB.Conn(ctx)
	if err != nil {
		return meta.Schema{}, err
	}
	defer conn.Close()
	made, err := conn.Query(ctx, "CREATE TEMP TABLE definition ("+columns+")") // one statement, unlike Exec
	if err != nil {
		return meta.Schema{}, fault.New(fault.CodeOf(err), err.Error())
	}
	if err := made.Close(); err != nil {
		return meta.Schema{}, err
	}
	constraints, err := conn.Strings(ctx, "SELECT constraint_type FROM duckdb_constraints() WHERE table_name = 'definition' AND database_name = 'temp'")
	if err != nil {
		return meta.Schema{}, err
	}
	if len(constraints) > 0 {
		return meta.Schema{}, fault.Newf(fault.Unimplemented, "constraint %s is not supported: nothing would enforce it", constraints[0][0])
	}
	rows, err := conn.Strings(ctx, "SELECT column_name, data_type, coalesce(column_default, '') FROM duckdb_columns() WHERE table_name = 'definition' AND database_name = 'temp' ORDER BY column_index")
	if err != nil {
		return meta.Schema{}, err
	}
	var s meta.Schema
	for _, r := range rows {
		if r[2] != "" {
			return meta.Schema{}, fault.Newf(fault.Unimplemented, "column %s: DEFAULT is not supported", r[0])
		}
		stored, err := storedType(r[1])
		if err != nil {
			return meta.Schema{}, fmt.Errorf("column %s: %w", r[0], err)
		}
		t, err := worker.ParseType(stored)
		if err != nil {
			return meta.Schema{}, fmt.Errorf("column %s: %w", r[0], err)
		}
		s.Columns = append(s.Columns, meta.Column{Name: r[0], Type: t})
	}
	return s, nil
}

// notStored are words of types that Parquet keeps with loss or not at all; some
// have a form of their own at the top, but not inside a LIST or STRUCT.
var notStored = regexp.MustCompile(`\b(HUGEINT|UHUGEINT|ENUM|UUID|TIMESTAMP_S|TIMESTAMP_MS|BIT|BIGNUM|VARIANT|INTERVAL|UNION|TIME WITH TIME ZONE|JSON)\b|\[\d+\]`)

// storedType is the type in which Parquet keeps a column of a DuckDB type.
func storedType(t string) (string, error) {
	switch {
	case t == "HUGEINT", t == "UHUGEINT":
		return "DECIMAL(38,0)", nil
	case t == "TIMESTAMP_S", t == "TIMESTAMP_MS":
		return "TIMESTAMP", nil
	case t == "JSON", t == "UUID", strings.HasPrefix(t, "ENUM("): // meta's JSON is not the client's: it quotes text
		return "VARCHAR", nil
	}
	if word := notStored.FindString(t); word != "" {
		return "", fault.Newf(fault.Unimplemented, "type %s cannot be stored because of its %s; use VARCHAR for that", t, word)
	}
	return t, nil
}

// recordSchema is that of a table for the Write API before its first record.
func recordSchema() meta.Schema {
	return meta.Schema{Records: true, IDColumn: "id", TimeColumn: "timestamp", Columns: []meta.Column{
		{Name: "id", Type: meta.Type{Kind: "VARCHAR"}},
		{Name: "timestamp", Type: meta.Type{Kind: "TIMESTAMP WITH TIME ZONE"}},
	}}
}

// applyOptions reads the WITH list of a CREATE TABLE.
func applyOptions(t *meta.Table, s *meta.Schema, options map[string]string) error {
	for _, key := range sortedKeys(options) {
		value := options[key]
		var err error
		switch key {
		case "id":
			s.IDColumn, err = columnNamed(s, value)
		case "time":
			s.TimeColumn, err = columnNamed(s, value)
		case "buffer_size":
			t.Config.BufferSize, err = positive(value)
		case "flush_interval_seconds":
			t.Config.FlushIntervalSeconds, err = positive(value)
		case "retention_days":
			t.Config.RetentionDays, err = positive(value)
		case "backup_enabled":
			t.Config.BackupEnabled, err = boolean(value)
		case "replicated":
			t.Config.Replicated, err = boolean(value)
		case "id_buckets":
			if _, err = positive(value); err == nil {
				t.Config.Properties = map[string]string{key: value}
			}
		default:
			err = fault.New(fault.InvalidArgument, "is not known; there are id, time, buffer_size, flush_interval_seconds, retention_days, backup_enabled, replicated, id_buckets")
		}
		if err != nil {
			return fmt.Errorf("table option %s: %w", key, err)
		}
	}
	return checkTimeColumn(s)
}

func columnNamed(s *meta.Schema, name string) (string, error) {
	if s.Records {
		return "", fault.New(fault.InvalidArgument, "a table without declared columns has id and timestamp already")
	}
	if i := s.Column(name); i >= 0 {
		return s.Columns[i].Name, nil
	}
	return "", fault.Newf(fault.InvalidArgument, "column %s does not exist", name)
}

// checkTimeColumn sees to it that the time column tells a day.
func checkTimeColumn(s *meta.Schema) error {
	for _, c := range s.Columns {
		if c.Name == s.TimeColumn && !strings.HasPrefix(c.Type.Kind, "TIMESTAMP") && c.Type.Kind != "DATE" {
			return fault.Newf(fault.InvalidArgument, "time column %s has type %s; it must be a DATE or TIMESTAMP", c.Name, c.Type.Kind)
		}
	}
	return nil
}
