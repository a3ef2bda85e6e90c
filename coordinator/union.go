//go:build duckdb_arrow

package coordinator

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"

	"skein/internal/batch"
	"skein/internal/fault"
)

// ahead is a reader whose first batch has been read already.
type ahead struct {
	batch.Reader
	first arrow.RecordBatch
	err   error // of the first Next, io.EOF at most
	begun bool
}

// peek reads a reader's first batch. It takes the reader over if it succeeds.
func peek(ctx context.Context, r batch.Reader) (batch.Reader, error) {
	b, err := r.Next(ctx)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return &ahead{Reader: r, first: b, err: err}, nil
}

// Next implements batch.Reader.
func (a *ahead) Next(ctx context.Context) (arrow.RecordBatch, error) {
	if !a.begun {
		a.begun = true
		return a.first, a.err
	}
	if a.err != nil {
		return nil, a.err
	}
	return a.Reader.Next(ctx)
}

// unionAhead is how many batches of a union may wait to be read.
const unionAhead = 4

// union is the batches of several fragments in the order in which they come.
// Slow readers hold the fragments back.
type union struct {
	schema  *arrow.Schema
	batches chan arrow.RecordBatch // each is retained for the reader
	current arrow.RecordBatch
	cancel  context.CancelCauseFunc
	ctx     context.Context
	done    sync.WaitGroup
	once    sync.Once
}

// newUnion starts all fragments and returns when each has its first batch, or
// one has failed.
func newUnion(ctx context.Context, e *execution, fragments []*fragment) (batch.Reader, *fragment, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	var failed *fragment
	var first sync.Once
	u := &union{ctx: ctx, cancel: cancel, batches: make(chan arrow.RecordBatch, unionAhead)}
	readers := make([]batch.Reader, len(fragments))
	var opening sync.WaitGroup
	for i, f := range fragments {
		opening.Go(func() {
			reader, err := e.opened(ctx, f)
			if err != nil {
				first.Do(func() { // others fail because they are stopped
					failed = f
					cancel(err)
				})
				return
			}
			readers[i] = reader
		})
	}
	opening.Wait()
	if err := context.Cause(ctx); err != nil {
		closeAll(readers)
		cancel(nil)
		return nil, failed, err
	}
	u.schema = readers[0].Schema()
	for _, r := range readers[1:] {
		if !r.Schema().Equal(u.schema) {
			closeAll(readers)
			cancel(nil)
			return nil, nil, fault.Newf(fault.Internal, "fragments disagree about the schema: %s and %s", u.schema, r.Schema())
		}
	}
	for _, r := range readers {
		u.done.Go(func() { u.pump(r) })
	}
	go func() {
		u.done.Wait()
		close(u.batches)
	}()
	return u, nil, nil
}

func closeAll(readers []batch.Reader) {
	for _, r := range readers {
		if r != nil {
			r.Close()
		}
	}
}

// pump moves one fragment's batches into the union, and ends all when it
// fails.
func (u *union) pump(r batch.Reader) {
	defer r.Close()
	for {
		b, err := r.Next(u.ctx)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			u.cancel(err)
			return
		}
		b.Retain()
		select {
		case u.batches <- b:
		case <-u.ctx.Done():
			b.Release()
			return
		}
	}
}

// Schema implements batch.Reader.
func (u *union) Schema() *arrow.Schema { return u.schema }

// Next implements batch.Reader.
func (u *union) Next(ctx context.Context) (arrow.RecordBatch, error) {
	u.release()
	select {
	case b, ok := <-u.batches:
		if !ok {
			// A failed fragment ends the others: that is no end of the rows.
			if err := context.Cause(u.ctx); err != nil {
				return nil, err
			}
			return nil, io.EOF
		}
		u.current = b
		return b, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (u *union) release() {
	if u.current != nil {
		u.current.Release()
		u.current = nil
	}
}

// Close implements batch.Reader.
func (u *union) Close() error {
	u.once.Do(func() {
		u.cancel(context.Canceled)
		u.release()
		for b := range u.batches {
			b.Release()
		}
	})
	return nil
}
