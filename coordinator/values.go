//go:build duckdb_arrow

package coordinator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"skein/internal/batch"
	"skein/internal/duck"
	"skein/internal/fault"
	"skein/meta"
)

// valueRows is the list of a VALUES, cut at its items, so that each is cast to
// its column as an INSERT does it, and parameters have the columns' types.
type valueRows struct {
	columns []meta.Column
	pieces  []valuePiece
}

// valuePiece is some text and what follows it.
type valuePiece struct {
	text  string
	param int // number of the parameter behind the text, from 1; 0 for none
}

// readValues reads VALUES (…), … with one item for each column; nil if the
// tokens are something else, or hold quotes that only DuckDB reads surely.
func readValues(t tokens, columns []meta.Column) *valueRows {
	p := &ddlParser{tokens: t}
	if !p.words("VALUES") {
		return nil
	}
	v, b := &valueRows{columns: columns}, &valueReader{p: p}
	for {
		if !p.sign("(") {
			return nil
		}
		b.write("(")
		for i, col := range columns {
			if i > 0 {
				b.write(", ")
			}
			if !b.item(col.Type.SQL(), i == len(columns)-1) {
				return nil
			}
		}
		b.write(")")
		if !p.sign(",") {
			break
		}
		b.write(", ")
	}
	if p.end() != nil {
		return nil
	}
	b.flush(0)
	v.pieces = b.pieces
	return v
}

// valueReader copies items from tokens to pieces.
type valueReader struct {
	p      *ddlParser
	pieces []valuePiece
	open   strings.Builder
	params int
}

func (b *valueReader) write(s string) { b.open.WriteString(s) }

func (b *valueReader) flush(param int) {
	b.pieces = append(b.pieces, valuePiece{b.open.String(), param})
	b.open.Reset()
}

// item copies one item up to the , or ) behind it, inside a cast.
func (b *valueReader) item(sqlType string, last bool) bool {
	list := b.p.tokens.list
	b.write("CAST(")
	from, depth := 0, 0
	for i, t := range list {
		if i > 0 && t.kind == '\'' && list[i-1].kind == 'w' && list[i-1].to == t.from {
			return false // E'…' and its like
		}
		if t.kind != 's' {
			continue
		}
		switch t.text {
		case "(", "[", "{":
			depth++
		case "]", "}":
			depth--
		case "$":
			if i+1 >= len(list) || !b.param(list, &from, i, true) {
				return false
			}
		case "?":
			b.param(list, &from, i, false)
		case ")", ",":
			if depth == 0 {
				if i == 0 || (t.text == ")") != last {
					return false
				}
				b.copy(list, from, i)
				b.write(" AS " + sqlType + ")")
				b.p.tokens.list = list[i+1:]
				return true
			}
			if t.text == ")" {
				depth--
			}
		}
	}
	return false
}

// param takes the parameter at token i: ?, ?1 or $1.
func (b *valueReader) param(list []token, from *int, i int, numbered bool) bool {
	n, end := b.params+1, i+1
	if i+1 < len(list) && list[i+1].kind == 'w' && list[i+1].from == list[i].to {
		given, err := strconv.Atoi(list[i+1].text)
		if err != nil || given < 1 {
			return false
		}
		n, end, numbered = given, i+2, true
	} else if numbered {
		return false
	}
	if !numbered {
		b.params++
	}
	b.copy(list, *from, i)
	b.flush(n)
	*from = end
	return true
}

// copy writes tokens from…to as they are in the statement. DEFAULT is NULL: no
// column has another.
func (b *valueReader) copy(list []token, from, to int) {
	if to == from+1 && from == 0 && list[0].kind == 'w' && strings.EqualFold(list[0].text, "DEFAULT") {
		b.write("NULL")
		return
	}
	if to > from {
		b.write(b.p.tokens.sql[list[from].from:list[to-1].to])
	}
}

// text is a query of the rows; values, if not nil, stand for the parameters.
func (v *valueRows) text(values []string) string {
	var s strings.Builder
	s.WriteString("VALUES ")
	v.write(&s, values)
	return s.String()
}

func (v *valueRows) write(s *strings.Builder, values []string) {
	for _, p := range v.pieces {
		s.WriteString(p.text)
		switch {
		case p.param == 0:
		case values == nil:
			fmt.Fprintf(s, "$%d", p.param)
		default:
			s.WriteString(values[p.param-1])
		}
	}
}

// paramsMax is the highest number of a parameter.
func (v *valueRows) paramsMax() int {
	n := 0
	for _, p := range v.pieces {
		n = max(n, p.param)
	}
	return n
}

// Limits of one statement that rows of values are made into.
const (
	chunkBytesMax = 512 << 10
	chunkRowsMax  = 1000
)

// insertedValues is the rows of VALUES for many rows of parameters, made chunk
// by chunk in this node's DuckDB: they depend on no table.
type insertedValues struct {
	conn    *duck.Conn
	rows    *valueRows
	params  arrow.RecordBatch // nil for none
	next    int64             // row of params
	current batch.Reader
	schema  *arrow.Schema
}

func newInsertedValues(ctx context.Context, c *Coordinator, rows *valueRows, params arrow.RecordBatch) (*insertedValues, error) {
	conn, err := c.DB.Conn(ctx)
	if err != nil {
		return nil, err
	}
	v := &insertedValues{conn: conn, rows: rows, params: params}
	if err := v.advance(ctx); err != nil {
		v.Close()
		return nil, err
	}
	v.schema = v.current.Schema()
	return v, nil
}

// advance starts the next chunk; there is one.
func (v *insertedValues) advance(ctx context.Context) error {
	text, err := v.chunk()
	if err != nil {
		return err
	}
	r, err := v.conn.Query(ctx, text)
	if err != nil {
		return err
	}
	v.current = r
	return nil
}

func (v *insertedValues) chunk() (string, error) {
	if v.params == nil {
		v.next = 1
		return v.rows.text(nil), nil
	}
	var s strings.Builder
	s.WriteString("VALUES ")
	for n := 0; v.next < v.params.NumRows() && n < chunkRowsMax && s.Len() < chunkBytesMax; n++ {
		if n > 0 {
			s.WriteString(", ")
		}
		row := v.params.NewSlice(v.next, v.next+1)
		values, err := paramExprs(row, int(v.params.NumCols()))
		row.Release()
		if err != nil {
			return "", fmt.Errorf("row %d: %w", v.next+1, err)
		}
		v.rows.write(&s, values)
		v.next++
	}
	return s.String(), nil
}

// Schema implements batch.Reader.
func (v *insertedValues) Schema() *arrow.Schema { return v.schema }

// Next implements batch.Reader.
func (v *insertedValues) Next(ctx context.Context) (arrow.RecordBatch, error) {
	for {
		b, err := v.current.Next(ctx)
		if !errors.Is(err, io.EOF) || v.params == nil || v.next >= v.params.NumRows() {
			return b, err
		}
		if err := v.current.Close(); err != nil {
			return nil, err
		}
		if err := v.advance(ctx); err != nil {
			return nil, err
		}
	}
}

// Close implements batch.Reader.
func (v *insertedValues) Close() (err error) {
	if v.current != nil {
		err = v.current.Close()
	}
	v.conn.Close()
	return err
}

// insertedQueries is a query's rows for one row of parameters after another.
type insertedQueries struct {
	query   func(row arrow.RecordBatch) (batch.Reader, error)
	params  arrow.RecordBatch
	next    int64
	row     arrow.RecordBatch
	current batch.Reader
	schema  *arrow.Schema
}

func newInsertedQueries(ctx context.Context, c *Coordinator, sql string, params arrow.RecordBatch) (*insertedQueries, error) {
	q := &insertedQueries{params: params, query: func(row arrow.RecordBatch) (batch.Reader, error) {
		q, err := c.parseText(ctx, sql)
		if err != nil {
			return nil, err
		}
		return c.selected(ctx, q, row)
	}}
	if err := q.advance(); err != nil {
		q.Close()
		return nil, err
	}
	q.schema = q.current.Schema()
	return q, nil
}

func (q *insertedQueries) advance() error {
	if err := q.Close(); err != nil {
		return err
	}
	q.row = q.params.NewSlice(q.next, q.next+1)
	q.next++
	r, err := q.query(q.row)
	if err != nil {
		return err
	}
	q.current = r
	return nil
}

// Schema implements batch.Reader.
func (q *insertedQueries) Schema() *arrow.Schema { return q.schema }

// Next implements batch.Reader.
func (q *insertedQueries) Next(ctx context.Context) (arrow.RecordBatch, error) {
	for {
		b, err := q.current.Next(ctx)
		if !errors.Is(err, io.EOF) || q.next >= q.params.NumRows() {
			return b, err
		}
		if err := q.advance(); err != nil {
			return nil, err
		}
	}
}

// Close implements batch.Reader.
func (q *insertedQueries) Close() (err error) {
	if q.current != nil {
		err = q.current.Close()
		q.current = nil
	}
	if q.row != nil {
		q.row.Release()
		q.row = nil
	}
	return err
}

// renamed is a reader with other names of its columns.
type renamed struct {
	batch.Reader
	schema  *arrow.Schema
	current arrow.RecordBatch
}

// Schema implements batch.Reader.
func (r *renamed) Schema() *arrow.Schema { return r.schema }

// Next implements batch.Reader.
func (r *renamed) Next(ctx context.Context) (arrow.RecordBatch, error) {
	r.release()
	b, err := r.Reader.Next(ctx)
	if err != nil {
		return nil, err
	}
	if int(b.NumCols()) != r.schema.NumFields() {
		return nil, fault.New(fault.InvalidArgument, "the rows of parameters give results of different types; bind rows of one type")
	}
	r.current = array.NewRecordBatch(r.schema, b.Columns(), b.NumRows())
	return r.current, nil
}

func (r *renamed) release() {
	if r.current != nil {
		r.current.Release()
		r.current = nil
	}
}

// Close implements batch.Reader.
func (r *renamed) Close() error {
	r.release()
	return r.Reader.Close()
}
