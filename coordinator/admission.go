//go:build duckdb_arrow

package coordinator

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"skein/internal/fault"
)

// admission lets so many queries run at once; a bounded number waits, for a
// bounded time.
type admission struct {
	running *semaphore.Weighted
	waiting atomic.Int64
	queue   int64
	wait    time.Duration
}

func newAdmission(o Options) *admission {
	return &admission{running: semaphore.NewWeighted(int64(o.QueriesMax)), queue: int64(o.QueueMax), wait: o.QueueWait}
}

// enter returns once the query may run. The caller calls leave when it is
// over.
func (a *admission) enter(ctx context.Context) (leave func(), err error) {
	leave = func() { a.running.Release(1) }
	if a.running.TryAcquire(1) {
		return leave, nil
	}
	if a.waiting.Add(1) > a.queue {
		a.waiting.Add(-1)
		return nil, fault.Newf(fault.ResourceExhausted, "too many queries: %d wait already; retry later, or raise --queries-max", a.queue).RetryIn(a.wait / 10)
	}
	defer a.waiting.Add(-1)
	waited, cancel := context.WithTimeout(ctx, a.wait)
	defer cancel()
	if err := a.running.Acquire(waited, 1); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fault.Newf(fault.ResourceExhausted, "the query waited %v for others to end; retry later, or raise --queries-max", a.wait).RetryIn(a.wait / 10)
	}
	return leave, nil
}
