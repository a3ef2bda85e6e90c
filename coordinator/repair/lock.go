package repair

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"skein/internal/fault"
	"skein/meta"
)

// Operation is the lock of what must not meet a restore: restores, and what
// takes objects away that the index does not name.
const Operation = "restore"

const lockTTL = time.Minute

// lock takes the lock. What is written with the context is fenced by it, or as
// it was before, if it was fenced. The context ends when the lock may be lost.
func (s *Service) lock(ctx context.Context) (context.Context, func(), error) {
	owner := rand.Text()
	token, err := s.d.Catalog.Lock(ctx, Operation, owner, lockTTL)
	if errors.Is(err, meta.ErrLocked) {
		return nil, nil, fault.Newf(fault.FailedPrecondition, "a repair, a restore or a clean-up runs already; wait until it is done: %w", err)
	}
	if err != nil {
		return nil, nil, err
	}
	if meta.WriterOf(ctx).Operation == "" {
		ctx = meta.Fenced(ctx, Operation, token)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var renewing sync.WaitGroup
	renewing.Go(func() { s.renew(ctx, cancel, owner, token) })
	return ctx, func() {
		cancel(nil)
		renewing.Wait()
		limited, done := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer done()
		_ = s.d.Catalog.Unlock(limited, Operation, owner) // it ends by itself
	}, nil
}

// renew keeps the lock until ctx ends, and ends it when the lock may be lost.
func (s *Service) renew(ctx context.Context, cancel context.CancelCauseFunc, owner string, token int64) {
	tick := time.NewTicker(lockTTL / 4)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		start := time.Now()
		got, err := s.d.Catalog.Lock(ctx, Operation, owner, lockTTL)
		switch {
		case err == nil && got == token:
			last = start
		case err == nil, errors.Is(err, meta.ErrLocked), time.Since(last) > lockTTL/2:
			cancel(fmt.Errorf("the lock of the repair is lost: %w", meta.ErrFenced))
			return
		}
	}
}
