package flight

import (
	"context"
	"errors"
	"io"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"

	"skein/internal/batch"
	"skein/internal/fault"
)

func releaseAll(batches []arrow.RecordBatch) {
	for _, b := range batches {
		b.Release()
	}
}

// rowsOf yields each row as a batch, valid until the following one.
func rowsOf(batches []arrow.RecordBatch) iter.Seq[arrow.RecordBatch] {
	return func(yield func(arrow.RecordBatch) bool) {
		for _, b := range batches {
			for i := range b.NumRows() {
				row := b.NewSlice(i, i+1)
				more := yield(row)
				row.Release()
				if !more {
					return
				}
			}
		}
	}
}

// repeated is the results of one query for several rows of parameters, one
// after another. The next query starts when the one before is at its end.
type repeated struct {
	rows    []arrow.RecordBatch // the current one and those to come
	query   func(row arrow.RecordBatch) (batch.Reader, error)
	schema  *arrow.Schema
	current batch.Reader
}

// newRepeated takes over rows, of which there is at least one, and starts the
// first query.
func newRepeated(rows []arrow.RecordBatch, query func(arrow.RecordBatch) (batch.Reader, error)) (*repeated, error) {
	r := &repeated{rows: rows, query: query}
	first, err := query(rows[0])
	if err != nil {
		r.Close()
		return nil, err
	}
	r.current, r.schema = first, first.Schema()
	return r, nil
}

// Schema implements batch.Reader.
func (r *repeated) Schema() *arrow.Schema { return r.schema }

// Next implements batch.Reader.
func (r *repeated) Next(ctx context.Context) (arrow.RecordBatch, error) {
	for {
		if r.current == nil {
			return nil, io.EOF
		}
		b, err := r.current.Next(ctx)
		if !errors.Is(err, io.EOF) {
			return b, err
		}
		if err := r.advance(); err != nil {
			return nil, err
		}
	}
}

// advance leaves the query that is at its end and starts the next, if any.
func (r *repeated) advance() error {
	err := r.current.Close()
	r.current = nil
	r.rows[0].Release()
	r.rows = r.rows[1:]
	if err != nil || len(r.rows) == 0 {
		return err
	}
	next, err := r.query(r.rows[0])
	if err != nil {
		return err
	}
	r.current = next
	if !next.Schema().Equal(r.schema) {
		return fault.New(fault.InvalidArgument, "the rows of parameters give results of different types: bind rows of one type")
	}
	return nil
}

// Close implements batch.Reader.
func (r *repeated) Close() (err error) {
	if r.current != nil {
		err = r.current.Close()
		r.current = nil
	}
	releaseAll(r.rows)
	r.rows = nil
	return err
}
