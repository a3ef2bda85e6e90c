//go:build duckdb_arrow

package coordinator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"skein/internal/batch"
	"skein/internal/duck"
	"skein/internal/fault"
)

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
	row     int               // next of rows
	bound   int64             // row of params that it is for
	values  []string          // of params, as text
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

// done tells that all rows are in chunks.
func (v *insertedValues) done() bool {
	return v.row == len(v.rows.rows) && (v.params == nil || v.bound+1 >= v.params.NumRows())
}

// advance starts the next chunk; there is one.
func (v *insertedValues) advance(ctx context.Context) error {
	var s strings.Builder
	for n := 0; !v.done() && n < chunkRowsMax && s.Len() < chunkBytesMax; n++ {
		if v.row == len(v.rows.rows) {
			v.row, v.values = 0, nil
			v.bound++
		}
		if v.params != nil && v.values == nil {
			if err := v.bind(); err != nil {
				return err
			}
		}
		v.rows.write(&s, v.row, v.values)
		v.row++
	}
	r, err := v.conn.Query(ctx, s.String())
	if err != nil {
		return err
	}
	v.current = r
	return nil
}

// bind takes the values of the current row of parameters.
func (v *insertedValues) bind() (err error) {
	row := v.params.NewSlice(v.bound, v.bound+1)
	defer row.Release()
	if v.values, err = paramExprs(row, int(v.params.NumCols())); err != nil {
		return fmt.Errorf("row %d: %w", v.bound+1, err)
	}
	return nil
}

// Schema implements batch.Reader.
func (v *insertedValues) Schema() *arrow.Schema { return v.schema }

// Next implements batch.Reader.
func (v *insertedValues) Next(ctx context.Context) (arrow.RecordBatch, error) {
	for {
		b, err := v.current.Next(ctx)
		if !errors.Is(err, io.EOF) || v.done() {
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
