package flight

import (
	"context"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	arrowflight "github.com/apache/arrow-go/v18/arrow/flight"

	"skein/internal/fault"
)

// putReader is the batches that a client sends. A stream that is cut gives an
// error, never io.EOF.
type putReader struct {
	rows    arrowflight.MessageReader
	schema  *arrow.Schema
	started bool // the first batch waits in rows
	end     error
}

// newPutReader reads up to the first batch, so that the schema is known. The
// library reads it safely only with a batch.
func newPutReader(rows arrowflight.MessageReader) (*putReader, error) {
	r := &putReader{rows: rows, started: true}
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return nil, putError(err)
		}
		r.end = io.EOF
	}
	r.schema = rows.Schema()
	return r, nil
}

// Schema implements batch.Reader.
func (r *putReader) Schema() *arrow.Schema { return r.schema }

// Next implements batch.Reader.
func (r *putReader) Next(ctx context.Context) (arrow.RecordBatch, error) {
	if r.end == nil {
		r.end = ctx.Err()
	}
	if r.end != nil {
		return nil, r.end
	}
	if r.started || r.rows.Next() {
		r.started = false
		r.end = validate(r.rows.RecordBatch())
		return r.rows.RecordBatch(), r.end
	}
	if r.end = putError(r.rows.Err()); r.end == nil {
		r.end = io.EOF
	}
	return nil, r.end
}

// Close implements batch.Reader. The library releases the batches.
func (r *putReader) Close() error { return nil }

// putError classes the error of a stream that a client sends.
func putError(err error) error {
	if err = fault.From(err); err == nil || fault.CodeOf(err) != fault.Internal {
		return err
	}
	return fault.Wrap(fault.InvalidArgument, err)
}
