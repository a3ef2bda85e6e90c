//go:build duckdb_arrow

package coordinator

import (
	"context"
	"errors"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"skein/internal/fault"
	"skein/meta"
)

// command is a statement without rows, ready to run.
type command struct {
	params  *arrow.Schema
	execute func(ctx context.Context, params arrow.RecordBatch) (changed int64, err error)
}

// command reads a statement that is no query.
func (c *Coordinator) command(ctx context.Context, q *parsed) (*command, error) {
	p := &ddlParser{tokens: tokenize(q.sql)}
	switch q.Keyword {
	case "INSERT":
		in, err := c.parseInsert(ctx, q.sql)
		if err != nil {
			return nil, err
		}
		return &command{params: in.params, execute: func(ctx context.Context, params arrow.RecordBatch) (int64, error) {
			return in.execute(ctx, c, params)
		}}, nil
	case "SET", "RESET":
		p.words(q.Keyword)
		return nothing(q.Keyword, p.set(q.Keyword == "RESET"))
	case "USE":
		p.words("USE")
		return nothing(q.Keyword, p.use())
	case "PRAGMA":
		p.words("PRAGMA")
		if p.harmless() {
			return nothing(q.Keyword, nil)
		}
	case "CREATE":
		t, err := p.tableAs()
		if err != nil {
			return nil, err
		}
		if t != nil {
			return c.bindTableAs(ctx, t)
		}
	}
	d, err := c.parseDefinition(ctx, q.Query, q.sql)
	if err != nil {
		return nil, err
	}
	return withoutParams(q.Keyword, func(ctx context.Context) (int64, error) { return 0, d.run(ctx, c) }), nil
}

// nothing is a statement that has no effect, if err is nil.
func nothing(keyword string, err error) (*command, error) {
	if err != nil {
		return nil, err
	}
	return withoutParams(keyword, func(context.Context) (int64, error) { return 0, nil }), nil
}

func withoutParams(keyword string, run func(context.Context) (int64, error)) *command {
	return &command{params: noParams, execute: func(ctx context.Context, params arrow.RecordBatch) (int64, error) {
		if params != nil && params.NumCols() > 0 {
			return 0, fault.Newf(fault.InvalidArgument, "%s takes no parameters", keyword)
		}
		return run(ctx)
	}}
}

// use takes the name of the one schema.
func (p *ddlParser) use() error {
	if err := p.schemaName(); err != nil {
		return err
	}
	return p.end()
}

// harmlessPragmas have no effect here.
var harmlessPragmas = map[string]bool{
	"enable_progress_bar": true, "disable_progress_bar": true, "enable_print_progress_bar": true,
	"disable_print_progress_bar": true, "enable_object_cache": true, "disable_object_cache": true,
}

func (p *ddlParser) harmless() bool {
	t, ok := p.peek()
	if !ok || !harmlessPragmas[strings.ToLower(t.text)] {
		return false
	}
	p.tokens.list = p.tokens.list[1:]
	return p.end() == nil
}

// tableAs is a CREATE TABLE AS.
type tableAs struct {
	ingest      Ingest
	ifNotExists bool
	columns     []string // names, if they are given
	query       string
	noData      bool
}

// tableAs reads
//
//	CREATE [OR REPLACE] TABLE [IF NOT EXISTS] t [(column, …)] [WITH (option = value, …)] AS query [WITH [NO] DATA]
//
// It returns nil for another CREATE.
func (p *ddlParser) tableAs() (t *tableAs, err error) {
	t = &tableAs{ingest: Ingest{Mode: IngestCreate}}
	p.words("CREATE")
	replace := p.words("OR", "REPLACE")
	if replace {
		t.ingest.Mode = IngestReplace
	}
	if p.words("TEMP", "TABLE") || p.words("TEMPORARY", "TABLE") {
		return nil, fault.New(fault.Unimplemented, "temporary tables are not supported: create a table and drop it")
	}
	if !p.words("TABLE") {
		return nil, nil
	}
	t.ifNotExists = p.words("IF", "NOT", "EXISTS")
	if t.ingest.Table, err = p.tableName(); err != nil {
		return nil, err
	}
	before, typed := p.tokens, false
	if t.columns, err = p.columnNames(); err != nil || t.columns == nil {
		p.tokens = before
		if _, typed, err = p.parenthesized(); err != nil {
			return nil, err
		}
	}
	var options map[string]string
	if p.words("WITH") {
		if options, err = p.options(); err != nil {
			return nil, err
		}
	}
	if !p.words("AS") {
		if replace {
			return nil, fault.New(fault.Unimplemented, "CREATE OR REPLACE TABLE is served with AS query; without it, drop the table and create it")
		}
		return nil, nil
	}
	if replace && t.ifNotExists {
		return nil, fault.New(fault.InvalidArgument, "OR REPLACE and IF NOT EXISTS exclude each other")
	}
	if typed {
		return nil, fault.New(fault.Unimplemented, "CREATE TABLE AS takes its types from the query: name the columns alone, and cast in the query")
	}
	if err := t.setOptions(options); err != nil {
		return nil, err
	}
	return t, t.readQuery(p)
}

func (t *tableAs) setOptions(options map[string]string) error {
	for _, key := range sortedKeys(options) {
		switch key {
		case "id":
			t.ingest.IDColumn = options[key]
		case "time":
			t.ingest.TimeColumn = options[key]
		case "id_buckets":
			t.ingest.Properties = map[string]string{key: options[key]}
		default:
			return fault.Newf(fault.Unimplemented, "table option %s is not served in CREATE TABLE AS; create the table with it, then INSERT INTO it", key)
		}
	}
	return nil
}

// readQuery takes the query and what follows it.
func (t *tableAs) readQuery(p *ddlParser) (err error) {
	if t.query, err = p.rest(); err != nil {
		return err
	}
	q := &ddlParser{tokens: tokenize(t.query)}
	for _, ending := range [][]string{{"WITH", "NO", "DATA"}, {"WITH", "DATA"}} {
		list := q.tokens.list
		if len(list) <= len(ending) {
			continue
		}
		tail := &ddlParser{tokens: tokens{sql: t.query, list: list[len(list)-len(ending):]}}
		if from := list[len(list)-len(ending)].from; tail.words(ending...) {
			t.query, t.noData = t.query[:from], len(ending) == 3
			return nil
		}
	}
	return nil
}

// bindTableAs binds the query of a CREATE TABLE AS.
func (c *Coordinator) bindTableAs(ctx context.Context, t *tableAs) (*command, error) {
	if err := errors.Join(c.may(ctx, ToDefine), c.may(ctx, ToWrite)); err != nil {
		return nil, err
	}
	name, err := meta.ValidateTableName(t.ingest.Table)
	if err != nil {
		return nil, err
	}
	query := t.query
	if t.noData {
		query = "FROM (" + query + "\n) LIMIT 0"
	}
	q, st, err := c.readQuery(ctx, query)
	if err != nil {
		return nil, err
	}
	if len(t.columns) > st.Schema.NumFields() {
		return nil, fault.Newf(fault.InvalidArgument, "table %s: %d columns are named, the query gives %d", name, len(t.columns), st.Schema.NumFields())
	}
	if n := st.Params.NumFields(); n > 0 {
		return nil, fault.New(fault.InvalidArgument, "CREATE TABLE AS takes no parameters")
	}
	return withoutParams("CREATE TABLE AS", func(ctx context.Context) (int64, error) {
		_, err := c.Meta.Table(ctx, name)
		switch exists := err == nil; {
		case err != nil && !errors.Is(err, meta.ErrTableNotFound):
			return 0, err
		case exists && t.ifNotExists:
			return 0, nil
		}
		r, err := c.selected(ctx, q, nil)
		if err != nil {
			return 0, withoutPlace(err)
		}
		fields := r.Schema().Fields()
		for i, name := range t.columns {
			fields[i].Name = name
		}
		named := &renamed{Reader: r, schema: arrow.NewSchema(fields, nil)}
		defer named.Close()
		n, err := c.Ingest(ctx, t.ingest, named)
		if t.ifNotExists && errors.Is(err, meta.ErrTableExists) {
			return 0, nil
		}
		return n, err
	}), nil
}
