// Package lead elects one of many nodes for the work that only one may do: the
// ring, backups, retention, checks.
//
// It owns when a node leads. It does not know what the work is, nor how locks
// are kept. A leader that was paused may believe that it still leads: the store
// refuses what it writes (meta.ErrFenced), because its context is meta.Fenced
// by the token of its term.
package lead

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"skein/meta"
)

// Operation is the lock of the cluster's one leader.
const Operation = "leader"

const unlockTimeout = time.Second

// Locker is what an election needs of meta.Store.
type Locker interface {
	Lock(ctx context.Context, operation, owner string, ttl time.Duration) (token int64, err error)
	Unlock(ctx context.Context, operation, owner string) error
}

// Options of an election.
type Options struct {
	Operation string        // the lock; Operation if empty
	TTL       time.Duration // of the lock: a leader that dies is replaced after it; 15s if zero
	Every     time.Duration // between renewals, and tries of the others; a third of TTL if zero
	Log       *slog.Logger  // none if nil
}

func (o *Options) defaults() {
	if o.Operation == "" {
		o.Operation = Operation
	}
	if o.TTL == 0 {
		o.TTL = 15 * time.Second
	}
	if o.Every == 0 {
		o.Every = o.TTL / 3
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// Run stands for election in the name of owner, which no other one may have,
// until ctx ends. In each of its terms it calls work; that must end soon after
// its context, which ends when the lock may be lost. Work that ends before its
// term gives the lock back, and the next election follows.
func Run(ctx context.Context, locks Locker, owner string, o Options, work func(ctx context.Context)) {
	o.defaults()
	for ctx.Err() == nil {
		start := time.Now()
		token, err := locks.Lock(ctx, o.Operation, owner, o.TTL)
		switch {
		case err == nil:
			o.Log.Info("this node leads", "operation", o.Operation, "token", token)
			term(ctx, locks, owner, o, start, token, work)
			o.Log.Info("this node leads no more", "operation", o.Operation, "token", token)
		case !errors.Is(err, meta.ErrLocked) && ctx.Err() == nil:
			o.Log.Warn("election", "operation", o.Operation, "error", err)
		}
		sleep(ctx, o.Every)
	}
}

// term leads until the lock is lost or may be, or work is done.
func term(ctx context.Context, locks Locker, owner string, o Options, renewed time.Time, token int64, work func(context.Context)) {
	working, stop := context.WithCancel(meta.Fenced(ctx, o.Operation, token))
	done := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		defer close(done)
		work(working)
	})
	defer func() {
		stop()
		wait.Wait()
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), unlockTimeout)
		defer cancel()
		_ = locks.Unlock(limited, o.Operation, owner) // it ends by itself
	}()
	ticker := time.NewTicker(o.Every)
	defer ticker.Stop()
	for {
		last := renewed.Add(o.TTL - o.Every/2) // later the lock may be another's
		limited, cancel := context.WithDeadline(ctx, last)
		held := renew(limited, locks, owner, o, ticker.C, done, token)
		cancel()
		if held.IsZero() {
			return
		}
		renewed = held
	}
}

// renew waits for the next renewal, until ctx ends, and tells when it asked for
// the one that it got; zero if the term is over.
func renew(ctx context.Context, locks Locker, owner string, o Options, tick <-chan time.Time, done <-chan struct{}, token int64) time.Time {
	for {
		select {
		case <-done:
			return time.Time{}
		case <-ctx.Done():
			return time.Time{}
		case <-tick:
		}
		start := time.Now()
		got, err := locks.Lock(ctx, o.Operation, owner, o.TTL)
		switch {
		case err == nil && got == token:
			return start
		case err == nil, errors.Is(err, meta.ErrLocked):
			return time.Time{}
		}
	}
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
