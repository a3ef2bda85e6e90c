package pool

import (
	"context"
	"errors"
	"fmt"
	"time"

	"skein/internal/fault"
	"skein/objstore"
)

// try is one request of a race.
type try[T any] struct {
	e      *endpoint
	value  T
	err    error
	cancel context.CancelCauseFunc
	took   time.Duration
}

// race asks the endpoints in order: the next one when the one before has
// failed or is slow. The first answer wins and the others are cancelled. The
// caller calls the winner's cancel when it needs its answer no more; drop
// frees answers that come too late.
//
// ErrNotFound is an answer only from an endpoint of the sure set; sure nil
// means that all must say so.
func race[T any](ctx context.Context, p *Pool, op string, order []*endpoint, sure *set,
	f func(context.Context, objstore.Store) (T, error), drop func(T)) (try[T], error) {
	r := &racing[T]{ctx: ctx, p: p, op: op, order: order, sure: sure, f: f, drop: drop, results: make(chan try[T], len(order))}
	winner, err := r.run()
	r.end(winner.e)
	return winner, err
}

type racing[T any] struct {
	ctx     context.Context
	p       *Pool
	op      string
	order   []*endpoint
	sure    *set
	f       func(context.Context, objstore.Store) (T, error)
	drop    func(T)
	results chan try[T]
	cancels []context.CancelCauseFunc
	asked   []*endpoint
	open    int // tries without a result
	errs    []error
	absent  error // ErrNotFound from somebody who is not sure
}

func (r *racing[T]) run() (try[T], error) {
	hedge := time.NewTimer(r.p.hedger.wait())
	defer hedge.Stop()
	r.next()
	for r.open > 0 {
		select {
		case t := <-r.results:
			r.open--
			if t.err == nil {
				r.p.hedger.observe(t.took)
				return t, nil
			}
			t.cancel(nil)
			if err := r.failed(t); err != nil {
				return try[T]{}, err
			}
			if r.open == 0 || elsewhere(t.err) {
				r.next()
			}
		case <-hedge.C:
			if len(r.asked) < len(r.order) && r.order[len(r.asked)].healthy() && r.p.hedger.take() {
				r.p.metrics.hedged(r.op)
				r.next()
			}
		case <-r.ctx.Done():
			return try[T]{}, r.ctx.Err()
		}
	}
	return try[T]{}, r.lost()
}

// lastResort is how many times longer the last endpoint may take.
const lastResort = 10

// next asks the next endpoint, if there is one.
func (r *racing[T]) next() {
	if len(r.asked) == len(r.order) {
		return
	}
	e := r.order[len(r.asked)]
	r.asked = append(r.asked, e)
	ctx, cancel := context.WithCancelCause(r.ctx)
	r.cancels = append(r.cancels, cancel)
	r.open++
	limit := r.p.tuning.Load().TryTimeout
	switch {
	case len(r.order) == 1:
		limit = 0 // nobody else could do better
	case len(r.asked) == len(r.order):
		limit *= lastResort
	}
	r.p.running.Go(func() {
		t := try[T]{e: e, cancel: cancel}
		done := e.force(r.op)
		start := time.Now()
		if limit > 0 {
			timer := time.AfterFunc(limit, func() { cancel(errSlow) })
			defer timer.Stop()
		}
		t.value, t.err = r.f(ctx, e.store)
		t.took = time.Since(start)
		if cause := context.Cause(ctx); t.err != nil && cause != nil && r.ctx.Err() == nil {
			t.err = fmt.Errorf("object store %s: %w", e.name, cause)
		}
		done(t.err)
		r.results <- t
	})
}

// failed decides about an error: non-nil ends the race.
func (r *racing[T]) failed(t try[T]) error {
	switch {
	case r.ctx.Err() != nil:
		return t.err
	case errors.Is(t.err, objstore.ErrNotFound):
		if r.sure != nil && t.e.set == r.sure.name {
			return t.err
		}
		r.absent = t.err
	case !elsewhere(t.err):
		return t.err
	default:
		r.errs = append(r.errs, t.err)
	}
	return nil
}

// lost is the error when nobody has answered.
func (r *racing[T]) lost() error {
	switch {
	case len(r.errs) == 0:
		return r.absent
	case r.absent != nil:
		return fault.Newf(fault.Unavailable, "%w (the other object store has no such object)", errors.Join(r.errs...))
	}
	return fault.Wrap(fault.CodeOf(r.errs[0]), errors.Join(r.errs...))
}

// end cancels all tries but the winner's and frees what they bring.
func (r *racing[T]) end(winner *endpoint) {
	for i, cancel := range r.cancels {
		if r.asked[i] != winner {
			cancel(errLost)
		}
	}
	if left := r.open; left > 0 {
		r.p.running.Go(func() {
			for range left {
				if t := <-r.results; t.err == nil {
					r.drop(t.value)
				}
			}
		})
	}
}
