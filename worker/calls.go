package worker

import (
	"context"
	"sync"
)

// calls are the writes that are under way, so that Close can wait for them.
type calls struct {
	mu      sync.Mutex
	closing bool
	active  sync.WaitGroup
	ended   context.Context // ends when Close waits no longer
	end     context.CancelFunc
}

func newCalls() *calls {
	c := &calls{}
	c.ended, c.end = context.WithCancel(context.Background())
	return c
}

// enter begins a call, or returns errClosed. The call's context ends also when
// Close waits no longer; leave must be called.
func (c *calls) enter(ctx context.Context) (_ context.Context, leave func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return nil, nil, errClosed
	}
	c.active.Add(1)
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(c.ended, func() { cancel(errClosed) })
	return ctx, func() {
		stop()
		cancel(nil)
		c.active.Done()
	}, nil
}

// close lets no more calls in and waits for those under way, which it stops
// when ctx ends. It tells false if it was called before.
func (c *calls) close(ctx context.Context) bool {
	c.mu.Lock()
	again := c.closing
	c.closing = true
	c.mu.Unlock()
	defer context.AfterFunc(ctx, c.end)()
	c.active.Wait()
	c.end()
	return !again
}
