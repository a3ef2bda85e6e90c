package catalog

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"skein/meta"
)

// Operation is the lock of what must not meet a restore: other restores, and
// deletions of objects that the index does not name.
const Operation = "restore"

const (
	lockTTL   = time.Minute
	lockRenew = lockTTL / 4
)

// exclusive does work while nobody else restores. The context that work gets
// ends when the lock is lost, and fences its writes by it unless they are
// fenced already.
func (s *Service) exclusive(ctx context.Context, work func(ctx context.Context) error) error {
	owner := s.o.Node
	if len(owner) > meta.NodeIDMax-lockSuffix {
		owner = owner[:meta.NodeIDMax-lockSuffix]
	}
	owner += "/" + rand.Text()[:lockSuffix-1]
	token, err := s.Catalog.Lock(ctx, Operation, owner, lockTTL)
	if errors.Is(err, meta.ErrLocked) {
		return fmt.Errorf("a restore, a rebuild or a clean-up runs already: %w", err)
	}
	if err != nil {
		return err
	}
	working, stop := context.WithCancelCause(ctx)
	if meta.WriterOf(ctx).Operation == "" {
		working = meta.Fenced(working, Operation, token)
	}
	var renewing sync.WaitGroup
	renewing.Go(func() {
		tick := time.NewTicker(lockRenew)
		defer tick.Stop()
		renewed := time.Now()
		for {
			select {
			case <-working.Done():
				return
			case <-tick.C:
			}
			got, err := s.Catalog.Lock(working, Operation, owner, lockTTL)
			switch {
			case err == nil && got == token:
				renewed = time.Now()
			case err == nil, errors.Is(err, meta.ErrLocked), time.Since(renewed) > lockTTL-lockRenew:
				stop(meta.ErrFenced)
			}
		}
	})
	err = work(working)
	if cause := context.Cause(working); err != nil && errors.Is(cause, meta.ErrFenced) {
		err = cause
	}
	stop(nil)
	renewing.Wait()
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = s.Catalog.Unlock(limited, Operation, owner) // it ends by itself
	return err
}

// lockSuffix is how many bytes tell two owners of one node apart.
const lockSuffix = 9
