//go:build duckdb_arrow

package worker

import (
	"context"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"

	"skein/internal/batch"
	"skein/internal/fault"
)

// heldReader streams rows of a held query. When the hold ends it frees what it
// has in DuckDB, whatever its reader does; only the batch that the reader
// looks at lives on until the reader asks for the next or closes.
type heldReader struct {
	h      *held
	ctx    context.Context // ends with the hold or Close
	cancel context.CancelFunc
	schema *arrow.Schema

	mu      sync.Mutex // held while DuckDB works for it
	rows    *running   // nil once freed
	current arrow.RecordBatch
	closed  bool
}

// reader makes a reader of what open starts.
func (h *held) reader(ctx context.Context, open func(context.Context) (*running, error)) (batch.Reader, error) {
	r := &heldReader{h: h}
	r.mu.Lock() // whoever abandons it waits until it is open
	defer r.mu.Unlock()
	h.mu.Lock()
	ended := h.ended
	if !ended {
		h.readers[r] = true
	}
	h.mu.Unlock()
	if ended {
		return nil, errNotHeld
	}
	r.ctx, r.cancel = context.WithCancel(h.ctx)
	work, stop := either(ctx, r.ctx)
	defer stop()
	rows, err := open(work)
	if err != nil {
		r.leave()
		return nil, h.cause(ctx, err)
	}
	r.rows, r.schema = rows, rows.Schema()
	return r, nil
}

// leave forgets the reader.
func (r *heldReader) leave() {
	r.cancel()
	r.h.mu.Lock()
	defer r.h.mu.Unlock()
	delete(r.h.readers, r)
}

// Schema implements batch.Reader.
func (r *heldReader) Schema() *arrow.Schema { return r.schema }

// Next implements batch.Reader.
func (r *heldReader) Next(ctx context.Context) (arrow.RecordBatch, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.release()
	switch {
	case r.closed:
		return nil, fault.New(fault.Canceled, "the result is closed")
	case r.rows == nil:
		return nil, errNotHeld
	}
	work, stop := either(ctx, r.ctx)
	defer stop()
	b, err := r.rows.Next(work)
	if err != nil {
		return nil, r.h.cause(ctx, err)
	}
	b.Retain() // rows may be freed before the reader is done with it
	r.current = b
	return b, nil
}

func (r *heldReader) release() {
	if r.current != nil {
		r.current.Release()
		r.current = nil
	}
}

// Close implements batch.Reader.
func (r *heldReader) Close() error {
	r.cancel()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.release()
	return r.free()
}

// abandon frees what DuckDB has; the hold is over, which stops Next.
func (r *heldReader) abandon() {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.free() // its reader hears of the hold's end
}

func (r *heldReader) free() error {
	if r.rows == nil {
		return nil
	}
	err := r.rows.Close()
	r.rows = nil
	r.leave()
	return err
}
