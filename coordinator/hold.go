//go:build duckdb_arrow

package coordinator

import (
	"context"
	"sync"
	"time"

	"skein/internal/fault"
)

// hold keeps the query's rows on one worker.
type hold struct {
	stop  context.CancelFunc
	ready chan struct{}
	err   error // once failed is closed
	fails chan struct{}
}

func (e *execution) hold(worker string, w Worker) *hold {
	if h := e.holds[worker]; h != nil {
		return h
	}
	ctx, stop := context.WithCancel(e.ctx)
	h := &hold{stop: stop, ready: make(chan struct{}), fails: make(chan struct{})}
	e.holds[worker] = h
	e.owned.Go(func() {
		defer close(h.fails)
		h.err = w.Hold(ctx, e.id, sync.OnceFunc(func() { close(h.ready) }))
	})
	return h
}

// failed tells that the rows which were kept are gone.
func (h *hold) failed() bool {
	if h == nil {
		return false
	}
	select {
	case <-h.fails:
		return true
	default:
		return false
	}
}

// holdWait is how long a worker may take to get ready for a query, which is
// nothing to do: one that takes longer hangs, or has too much to do.
const holdWait = 5 * time.Second

// wait returns when rows may be kept.
func (h *hold) wait(ctx context.Context) error {
	select {
	case <-h.ready:
		return nil
	case <-h.fails:
		if ctx.Err() == nil && (h.err == nil || fault.CodeOf(h.err) == fault.Canceled) { // another fragment gave the worker up
			return fault.New(fault.Unavailable, "the worker holds no rows for the query")
		}
		return h.err
	case <-time.After(holdWait):
		return fault.Newf(fault.Unavailable, "it did not answer for %v", holdWait)
	case <-ctx.Done():
		return ctx.Err()
	}
}
