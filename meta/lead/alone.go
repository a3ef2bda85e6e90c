package lead

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"skein/meta"
)

// RestoreOperation is the lock of what must not meet a restore: other restores,
// repairs, and deletions of objects that the index does not name.
const RestoreOperation = "restore"

const (
	aloneTTL    = time.Minute
	aloneEvery  = aloneTTL / 4
	aloneStands = 5 * time.Second // how long Still trusts that the lock is held
)

// Held is a lock while work is done.
type Held struct {
	locks            Locker
	operation, owner string
	token            int64

	mu      sync.Mutex
	renewed time.Time // when the lock was last asked for, of the times that it was got
}

// Alone does work while owner, which no other one may be, has the lock of an
// operation; ErrLocked if another has it. The context of the work ends when the
// lock may be lost, and fences its writes by it unless they are fenced already.
func Alone(ctx context.Context, locks Locker, operation, owner string, work func(ctx context.Context, h *Held) error) error {
	h := &Held{locks: locks, operation: operation, owner: owner, renewed: time.Now()}
	var err error
	if h.token, err = locks.Lock(ctx, operation, owner, aloneTTL); err != nil {
		return err
	}
	working, stop := context.WithCancelCause(ctx)
	if meta.WriterOf(ctx).Operation == "" {
		working = meta.Fenced(working, operation, h.token)
	}
	var renewing sync.WaitGroup
	renewing.Go(func() { h.keep(working, stop) })
	err = work(working, h)
	if cause := context.Cause(working); err != nil && errors.Is(cause, meta.ErrFenced) {
		err = cause
	}
	stop(nil)
	renewing.Wait()
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), unlockTimeout)
	defer cancel()
	_ = locks.Unlock(limited, operation, owner) // it ends by itself
	return err
}

// keep renews the lock until ctx ends, and ends it when the lock may be lost.
func (h *Held) keep(ctx context.Context, stop context.CancelCauseFunc) {
	tick := time.NewTicker(aloneEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if err := h.renew(ctx); errors.Is(err, meta.ErrFenced) || h.age() > aloneTTL-aloneEvery {
			stop(h.lost())
			return
		}
	}
}

func (h *Held) lost() error { return fmt.Errorf("lock %s: %w", h.operation, meta.ErrFenced) }

func (h *Held) age() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Since(h.renewed)
}

func (h *Held) renew(ctx context.Context) error {
	start := time.Now()
	token, err := h.locks.Lock(ctx, h.operation, h.owner, aloneTTL)
	switch {
	case err == nil && token == h.token:
		h.mu.Lock()
		defer h.mu.Unlock()
		h.renewed = start
		return nil
	case err == nil, errors.Is(err, meta.ErrLocked):
		return h.lost()
	}
	return err
}

// Still tells whether the lock is held, by nil or ErrFenced. Ask right before
// each step that no token fences, such as the deletion of an object, and make
// the steps short: a process that was paused finds out here. It asks the store
// again when the last answer is some seconds old.
func (h *Held) Still(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if h.age() < aloneStands {
		return nil
	}
	return h.renew(ctx)
}
