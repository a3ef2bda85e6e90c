package node

import (
	"context"
	"io"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	arrowflight "github.com/apache/arrow-go/v18/arrow/flight"

	"skein/internal/fault"
)

// result reads a fragment's batches from a peer. It implements batch.Reader.
type result struct {
	ctx    context.Context // of the call
	remote *Remote
	stop   func() // ends the call
	tail   *tail
	schema *arrow.Schema

	mu     sync.Mutex // held while receiving; Close ends the call before it takes it
	rows   *arrowflight.Reader
	closed bool
}

// tail remembers how the stream ended: Arrow's reader takes every error that
// wraps io.EOF for a good end.
type tail struct {
	arrowflight.DataStreamReader
	err error
}

// Recv implements arrowflight.DataStreamReader.
func (t *tail) Recv() (*arrowflight.FlightData, error) {
	d, err := t.DataStreamReader.Recv()
	t.err = err
	return d, err
}

// newResult waits for the schema. It takes over stop.
func newResult(ctx context.Context, r *Remote, stream arrowflight.DataStreamReader, stop func()) (*result, error) {
	res := &result{ctx: ctx, remote: r, stop: stop, tail: &tail{DataStreamReader: stream}}
	rows, err := arrowflight.NewRecordReader(res.tail)
	if err != nil {
		err = res.failure(err)
		stop()
		return nil, err
	}
	res.rows, res.schema = rows, rows.Schema()
	return res, nil
}

// Schema implements batch.Reader.
func (r *result) Schema() *arrow.Schema { return r.schema }

// Next implements batch.Reader. When ctx ends, so does the call.
func (r *result) Next(ctx context.Context) (arrow.RecordBatch, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, fault.New(fault.Canceled, "the result is closed")
	}
	if err := ctx.Err(); err != nil {
		r.stop()
		return nil, err
	}
	unwatch := context.AfterFunc(ctx, r.stop)
	defer unwatch()
	for r.rows.Next() {
		if b := r.rows.RecordBatch(); b.NumRows() > 0 {
			return b, nil
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return nil, r.failure(r.rows.Err())
}

// failure is the end of the stream: io.EOF only if the peer ended it, without
// an error. The decoder's errors may wrap io.EOF, so only their text goes on.
func (r *result) failure(decode error) error {
	switch {
	case r.tail.err == io.EOF && decode == nil:
		return io.EOF
	case r.tail.err == io.EOF:
		return fault.Newf(fault.Unavailable, "node at %s: result ends too early: %v", r.remote.address, decode)
	case r.tail.err != nil:
		return r.remote.classify(r.ctx, r.tail.err)
	}
	return fault.Newf(fault.Internal, "node at %s: unreadable result: %v", r.remote.address, decode)
}

// Close implements batch.Reader. It ends a Next that waits.
func (r *result) Close() error {
	r.stop()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.closed = true
		r.rows.Release()
	}
	return nil
}
