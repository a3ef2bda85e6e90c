//go:build duckdb_arrow

package coordinator

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"skein/internal/batch"
	"skein/internal/fault"
	"skein/meta"
	"skein/planner"
)

// insert is an INSERT that was read: a query whose rows go into a table by the
// ingest path, all of them or none.
type insert struct {
	table   meta.Table
	columns []meta.Column // of the table, in the order of the query's
	query   string        // gives the columns, with their types
	rows    *valueRows    // of query, where it is a list of VALUES with parameters
	q       *parsed       // query
	free    bool          // rows holds no query
	params  *arrow.Schema
}

// parseInsert reads
//
//	INSERT INTO t [(column, …)] [BY POSITION | BY NAME] query
func (c *Coordinator) parseInsert(ctx context.Context, sql string) (*insert, error) {
	if err := c.may(ctx, ToWrite); err != nil {
		return nil, err
	}
	if c.Loader == nil {
		return nil, fault.New(fault.Unimplemented, "this node has no worker role; send INSERT to a worker")
	}
	p := &ddlParser{tokens: tokenize(sql)}
	if p.words("INSERT", "OR") {
		return nil, fault.New(fault.Unimplemented, "INSERT OR is not served: tables have no keys that rows could collide on; use INSERT INTO")
	}
	if !p.words("INSERT", "INTO") {
		p.words("INSERT")
		return nil, p.unexpected("INTO")
	}
	name, err := p.tableName()
	if err != nil {
		return nil, err
	}
	if name, err = meta.ValidateTableName(name); err != nil {
		return nil, err
	}
	t, err := c.Meta.Table(ctx, name)
	if err != nil {
		return nil, unknownTable(name, err)
	}
	names, err := p.columnNames()
	if err != nil {
		return nil, err
	}
	byName := p.words("BY", "NAME")
	if !byName {
		p.words("BY", "POSITION")
	}
	if byName && names != nil {
		return nil, fault.New(fault.InvalidArgument, "INSERT BY NAME takes the columns from the query: leave the list of columns out")
	}
	if err := p.noClauses(); err != nil {
		return nil, err
	}
	in := &insert{table: t}
	return in, c.bindInsert(ctx, in, p, names, byName)
}

// columnNames takes (name, …) if that is next. A query in parentheses is none.
func (p *ddlParser) columnNames() (names []string, err error) {
	if len(p.tokens.list) < 3 || p.tokens.list[0].text != "(" {
		return nil, nil
	}
	if next := p.tokens.list[2].text; next != "," && next != ")" {
		return nil, nil
	}
	p.sign("(")
	for {
		t, ok := p.peek()
		if !ok || t.kind != 'w' && t.kind != '"' {
			return nil, p.unexpected("a column name")
		}
		names = append(names, t.text)
		p.tokens.list = p.tokens.list[1:]
		if p.sign(")") {
			return names, nil
		}
		if !p.sign(",") {
			return nil, p.unexpected(", or )")
		}
	}
}

// noClauses refuses what may follow the query of an INSERT.
func (p *ddlParser) noClauses() error {
	depth := 0
	for i, t := range p.tokens.list {
		switch {
		case t.kind == 's' && t.text == "(":
			depth++
		case t.kind == 's' && t.text == ")":
			depth--
		case depth == 0 && t.kind == 'w' && strings.EqualFold(t.text, "RETURNING"):
			return fault.New(fault.Unimplemented, "RETURNING is not served: query the rows after the INSERT")
		case depth == 0 && t.kind == 'w' && strings.EqualFold(t.text, "CONFLICT") && i > 0 && strings.EqualFold(p.tokens.list[i-1].text, "ON"):
			return fault.New(fault.Unimplemented, "ON CONFLICT is not served: tables have no keys that rows could collide on")
		}
	}
	return nil
}

// rest is the statement's text from the next token to its end.
func (p *ddlParser) rest() (text string, err error) {
	list := p.tokens.list
	for len(list) > 0 && list[len(list)-1].kind == 's' && list[len(list)-1].text == ";" {
		list = list[:len(list)-1]
	}
	if len(list) == 0 {
		return "", p.unexpected("a query")
	}
	return p.tokens.sql[list[0].from:list[len(list)-1].to], nil
}

// bindInsert binds the query of an INSERT, which p is at, to the columns of
// the table that it names.
func (c *Coordinator) bindInsert(ctx context.Context, in *insert, p *ddlParser, names []string, byName bool) (err error) {
	schema := in.table.Schema()
	if names == nil {
		for _, col := range schema.Columns {
			names = append(names, col.Name)
		}
	}
	query, err := p.rest()
	if err != nil {
		return err
	}
	if p.words("DEFAULT", "VALUES") {
		return fault.New(fault.Unimplemented, "DEFAULT VALUES is not served: columns have no defaults; write the values")
	}
	if !byName {
		if in.columns, err = columnsNamed(in.table, names); err != nil {
			return err
		}
		if in.rows = readValues(p.tokens, in.columns); in.rows != nil {
			query = in.rows.text()
		}
	}
	if in.rows != nil {
		return c.bindValues(ctx, in, query)
	}
	q, st, err := c.readQuery(ctx, query)
	if err != nil {
		return err
	}
	if byName {
		names = names[:0]
		for _, f := range st.Schema.Fields() {
			names = append(names, f.Name)
		}
		if in.columns, err = columnsNamed(in.table, names); err != nil {
			return err
		}
	}
	if n := st.Schema.NumFields(); n != len(in.columns) {
		return fault.Newf(fault.InvalidArgument, "table %s: %d columns are to be filled, the query gives %d", in.table.Name, len(in.columns), n)
	}
	if in.query = in.casts(query); len(q.Tables) > 0 && len(q.text) < c.opts.SQLBytesMax {
		// A query that gives the types already needs no other around it, which
		// it could be harder to divide with.
		given, err := c.Loader.ArrowColumns(ctx, st.Schema)
		if err == nil && slices.EqualFunc(given, in.columns, func(a, b meta.Column) bool { return a.Type.SQL() == b.Type.SQL() }) {
			in.q, in.query, in.params = q, query, st.Params
			return nil
		}
	}
	if in.q, st, err = c.readQuery(ctx, in.query); err != nil {
		return err
	}
	in.params = st.Params
	return nil
}

// bindValues binds rows of values. What reads no table is bound and run here.
func (c *Coordinator) bindValues(ctx context.Context, in *insert, query string) (err error) {
	if in.query, in.free = query, in.rows.plain; !in.free {
		if in.q, err = c.parseText(ctx, query); err != nil {
			return withoutPlace(err)
		}
		in.free = !in.rows.nested && len(in.q.Tables) == 0 && in.q.text == query
	}
	switch {
	case in.free && in.rows.paramsMax() == 0:
		in.params = noParams // what is wrong with a value is told when it is stored
	case in.free:
		conn, err := c.DB.Conn(ctx)
		if err != nil {
			return err
		}
		defer conn.Close()
		p, err := conn.Prepare(ctx, query)
		if err != nil {
			return withoutPlace(err)
		}
		defer p.Close()
		in.params = p.Params()
	default:
		st, err := c.describe(ctx, in.q)
		if err != nil {
			return withoutPlace(err)
		}
		in.params = st.Params
	}
	if in.rows.paramsMax() != in.params.NumFields() {
		return fault.New(fault.InvalidArgument, "parameters are numbered from $1 without gaps")
	}
	return nil
}

// readQuery reads and binds the query inside a statement.
func (c *Coordinator) readQuery(ctx context.Context, query string) (*parsed, *Statement, error) {
	q, err := c.parseText(ctx, query)
	if err != nil {
		return nil, nil, withoutPlace(err)
	}
	if q.Kind != planner.Select {
		return nil, nil, fault.Newf(fault.InvalidArgument, "%s is no query whose rows could be stored", q.Keyword)
	}
	st, err := c.describe(ctx, q)
	return q, st, withoutPlace(err)
}

// columnsNamed are the table's columns of those names, each at most once.
func columnsNamed(t meta.Table, names []string) ([]meta.Column, error) {
	s, seen := t.Schema(), map[int]bool{}
	columns := make([]meta.Column, len(names))
	for i, name := range names {
		at := s.Column(name)
		if at < 0 {
			hint := ""
			if s.Records {
				hint = "; new fields come with records of the Write API or a bulk load"
			}
			return nil, fault.Newf(fault.InvalidArgument, "table %s has no column %s%s", t.Name, name, hint)
		}
		if seen[at] {
			return nil, fault.Newf(fault.InvalidArgument, "column %s is named twice", name)
		}
		seen[at], columns[i] = true, s.Columns[at]
	}
	return columns, nil
}

// casts is the query with its columns made into those of the table.
func (in *insert) casts(query string) string {
	items, names := make([]string, len(in.columns)), make([]string, len(in.columns))
	for i, col := range in.columns {
		names[i] = fmt.Sprintf("c%d", i)
		items[i] = fmt.Sprintf("CAST(%s AS %s) AS %s", names[i], col.Type.SQL(), meta.QuoteIdent(col.Name))
	}
	return "SELECT " + strings.Join(items, ", ") + " FROM (" + query + "\n) AS q(" + strings.Join(names, ", ") + ")"
}

// execute stores the rows once for each row of params, or once if there are no
// parameters.
func (in *insert) execute(ctx context.Context, c *Coordinator, params arrow.RecordBatch) (int64, error) {
	want := in.params.NumFields()
	if params == nil && want > 0 {
		return 0, fault.Newf(fault.InvalidArgument, "the statement has %d parameters, no values were given", want)
	}
	if params != nil && int(params.NumCols()) != want {
		return 0, fault.Newf(fault.InvalidArgument, "the statement has %d parameters, %d values were given", want, params.NumCols())
	}
	if want > 0 && params.NumRows() == 0 {
		return 0, nil
	}
	r, err := in.read(ctx, c, params)
	if err != nil {
		return 0, withoutPlace(err)
	}
	named := &renamed{Reader: r, schema: in.renamed(r.Schema())}
	defer named.Close()
	return c.Ingest(ctx, Ingest{Table: in.table.Name, Mode: IngestAppend}, named)
}

func (in *insert) read(ctx context.Context, c *Coordinator, params arrow.RecordBatch) (batch.Reader, error) {
	if in.free {
		return newInsertedValues(ctx, c, in.rows, params)
	}
	if params == nil || params.NumRows() <= 1 {
		return c.selected(ctx, in.q, params)
	}
	return newInsertedQueries(ctx, c, in.query, params)
}

// renamed names the columns as the table does.
func (in *insert) renamed(s *arrow.Schema) *arrow.Schema {
	fields := s.Fields()
	for i := range fields {
		fields[i].Name = in.columns[i].Name
	}
	return arrow.NewSchema(fields, nil)
}

// withoutPlace drops the place of an error, which is one in another text than
// the user's.
func withoutPlace(err error) error {
	if err == nil || fault.CodeOf(err) != fault.InvalidArgument && fault.CodeOf(err) != fault.NotFound {
		return err
	}
	text := err.Error()
	if i := strings.LastIndex(text, " (line "); i >= 0 && strings.HasSuffix(text, ")") {
		text = text[:i]
	}
	return fault.New(fault.CodeOf(err), text)
}
