//go:build duckdb_arrow

package duck

import (
	"context"
	"errors"
	"io"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	bind "github.com/duckdb/duckdb-go-bindings"

	"skein/internal/batch"
	"skein/internal/fault"
)

// ExecOver runs one statement over the batches of r without a copy of them.
// sql writes it for the name of the view under which they are found: in the
// instance, so that it is another each time. It does not close r.
//
// The statement takes the rows once, by SELECT * FROM view and nothing else,
// and uses all their columns: DuckDB reads wrong values where it asks for some
// of the columns only. DuckDB's threads wait in r, so it must not wait for
// others: its batches are in memory.
func (c *Conn) ExecOver(ctx context.Context, r batch.Reader, sql func(view string) string) (int64, error) {
	view := "arriving_" + strconv.FormatInt(c.instance.views.Add(1), 10)
	in := &recordReader{ctx: ctx, in: r}
	in.uses.Store(1)
	defer in.Release()
	rows := lend(in)
	defer rows.free() // DuckDB keeps the address until the view is gone
	if bind.ArrowScan(c.conn, view, rows.stream()) != bind.StateSuccess {
		return 0, fault.Newf(fault.Unimplemented, "DuckDB does not read the Arrow schema %s", r.Schema())
	}
	n, err := c.execOnce(ctx, sql(view))
	if _, dropErr := c.Exec(context.WithoutCancel(ctx), "DROP VIEW "+Ident(view)); err == nil && dropErr != nil {
		err = dropErr
	}
	if in.failed() != nil && ctx.Err() == nil {
		err = in.failed()
	}
	return n, err
}

// recordReader is a batch.Reader as Arrow's C interface takes it. DuckDB calls
// Next from one thread at a time.
type recordReader struct {
	ctx  context.Context
	in   batch.Reader
	uses atomic.Int64

	mu      sync.Mutex
	current arrow.RecordBatch
	err     error
}

var _ array.RecordReader = (*recordReader)(nil)

// Retain implements array.RecordReader.
func (r *recordReader) Retain() { r.uses.Add(1) }

// Release implements array.RecordReader.
func (r *recordReader) Release() {
	if r.uses.Add(-1) == 0 {
		r.current = nil
	}
}

// Schema implements array.RecordReader.
func (r *recordReader) Schema() *arrow.Schema { return r.in.Schema() }

// Next implements array.RecordReader.
func (r *recordReader) Next() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.current, r.err = r.in.Next(r.ctx)
	}
	return r.err == nil
}

// RecordBatch implements array.RecordReader.
func (r *recordReader) RecordBatch() arrow.RecordBatch { return r.current }

// Record implements array.RecordReader.
func (r *recordReader) Record() arrow.RecordBatch { return r.current }

// Err implements array.RecordReader.
func (r *recordReader) Err() error { return r.failed() }

func (r *recordReader) failed() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if errors.Is(r.err, io.EOF) {
		return nil
	}
	return r.err
}
