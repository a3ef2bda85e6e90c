package pool

import (
	"context"
	"errors"
	"fmt"
	"time"

	"skein/objstore/transfer"
)

const (
	leaseTTL = 15 * time.Second
	drainMax = time.Minute // for the journal to become empty while writers add to it
)

// comeBack starts the way back to the primary set, unless it runs here already
// or on another node.
func (p *Pool) comeBack() {
	ctx, cancel := context.WithCancelCause(p.stopped)
	if !p.back.CompareAndSwap(nil, &cancel) {
		cancel(nil)
		return
	}
	p.running.Go(func() {
		defer p.back.Store(nil)
		defer cancel(nil)
		err := p.returnUnder(ctx, cancel)
		if err != nil && !errors.Is(err, errLease) && p.stopped.Err() == nil {
			p.alert("return-failed", "primary", err.Error())
		}
	})
}

// returnUnder does the way back while it holds the lease.
func (p *Pool) returnUnder(ctx context.Context, cancel context.CancelCauseFunc) error {
	if _, held, err := p.agreement.Lease.Acquire(ctx, leaseTTL); err != nil || !held {
		return errors.Join(err, errLease)
	}
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		tick := time.NewTicker(leaseTTL / 3)
		defer tick.Stop()
		last := time.Now()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			_, held, err := p.agreement.Lease.Acquire(ctx, leaseTTL)
			if err == nil && held {
				last = time.Now()
			} else if err == nil || time.Since(last) > leaseTTL {
				cancel(errLease)
				return
			}
		}
	}()
	err := p.returnNow(ctx)
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	cancel(nil)
	<-renewed
	release, done := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer done()
	_ = p.agreement.Lease.Release(release) // it ends by itself
	return err
}

// returnNow copies back what the primary set misses, then puts it in charge.
// Each step may be repeated. Whoever has lost the lease can do no harm: copies
// are of immutable objects, and the switch compares its epoch.
func (p *Pool) returnNow(ctx context.Context) error {
	s, err := p.load(ctx)
	if err != nil {
		return err
	}
	if s.Mode == Primary {
		_, err := p.mover.Drain(ctx) // from nodes that could not reach the primary set
		return err
	}
	start := time.Now()
	if s.Mode == Backup {
		if won, err := p.change(ctx, s, Returning, "the primary object store answers again"); err != nil || !won {
			return err
		}
		s = p.State()
		p.alert("returning", "primary", s.Reason)
	}
	if err := p.drain(ctx); err != nil {
		return err
	}
	done, err := transfer.Sync(ctx, p.backup, p.primary, transfer.SyncOptions{Check: p.o.ReturnCheck, Want: p.wanted(ctx)})
	if err != nil {
		return fmt.Errorf("copying back to the primary object store: %w", err)
	}
	if err := p.drain(ctx); err != nil {
		return err
	}
	reason := fmt.Sprintf("all objects are back: %d looked at, %d copied by listing, in %s", done.Objects, done.Copied, time.Since(start).Round(time.Millisecond))
	won, err := p.change(ctx, s, Primary, reason)
	if won {
		p.alert("returned", "primary", reason)
	}
	return err
}

// wanted leaves out objects that stay in the backup set, and those that the
// journal is about to delete.
func (p *Pool) wanted(ctx context.Context) func(string) bool {
	return func(key string) bool {
		if p.o.Stays != nil && p.o.Stays(key) {
			return false
		}
		if !p.pending.Load() {
			return true
		}
		value, found, err := p.agreement.Journal.Find(ctx, key)
		if err != nil || !found {
			return true
		}
		task, err := transfer.ParseTask(value)
		return err != nil || !task.Delete
	}
}

// drain empties the journal. If writers add to it all the time a few records
// may be left: they are read from the backup until they are copied.
func (p *Pool) drain(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, drainMax)
	defer cancel()
	parked, err := p.mover.Drain(limited)
	if parked > 0 {
		p.o.Log.Error("objects cannot be copied back; they are served from the backup", "objects", parked)
	}
	if err == nil || ctx.Err() != nil || limited.Err() == nil {
		return err
	}
	waiting, _, lenErr := p.agreement.Journal.Len(ctx)
	if lenErr == nil && waiting <= p.o.StragglersMax {
		return nil
	}
	return err
}
