package pool

import (
	"context"
	"errors"
	"io"
	"time"

	"skein/internal/fault"
	"skein/objstore"
	"skein/objstore/transfer"
)

// readers gives the endpoints to ask for an object, and the set whose word
// that it does not exist is final; nil if both must say so. Endpoints that are
// not healthy come last.
func (p *Pool) readers(ctx context.Context, key string) (order []*endpoint, sure *set) {
	first, second := p.primary, p.backup
	if second == nil {
		return first.order(), first
	}
	sure = p.primary
	if p.onBackup() {
		first, second, sure = second, first, nil
	}
	all := append(first.order(), second.order()...)
	if sure != nil && p.o.Spread != nil && p.o.Spread(ctx, key) {
		return ranked(all), sure
	}
	var sick []*endpoint
	for _, e := range all {
		if e.healthy() {
			order = append(order, e)
		} else {
			sick = append(sick, e)
		}
	}
	return append(order, sick...), sure
}

// read asks for an object, also where the journal says that it is.
func read[T any](ctx context.Context, p *Pool, op, key string, f func(context.Context, objstore.Store) (T, error), drop func(T)) (try[T], error) {
	order, sure := p.readers(ctx, key)
	t, err := race(ctx, p, op, order, sure, f, drop)
	if p.backup == nil || sure == nil || !errors.Is(err, objstore.ErrNotFound) {
		return t, err
	}
	// The primary set has no such object. It may be on its way back, from a
	// node that could not reach the primary set or knows a newer state.
	state, loadErr := p.load(ctx)
	value, found, findErr := p.agreement.Journal.Find(ctx, key)
	if findErr == nil && found {
		task, parseErr := transfer.ParseTask(value)
		found = parseErr == nil && !task.Delete
	}
	if loadErr != nil || findErr != nil || found || state.Mode != Primary {
		return race(ctx, p, op, p.backup.order(), p.backup, f, drop)
	}
	return t, err
}

// Get implements objstore.Store. A body that breaks, stalls or is slow is read
// on from another endpoint.
func (p *Pool) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if err := objstore.ValidateKey(key); err != nil {
		return nil, err
	}
	if err := objstore.ValidateRange(key, offset, length); err != nil {
		return nil, err
	}
	r := &reader{ctx: ctx, p: p, key: key, offset: offset, left: length, lone: p.lone()}
	t, err := read(ctx, p, "get", key, r.open, closeBody)
	if err != nil {
		return nil, err
	}
	r.take(t)
	return r, nil
}

func closeBody(body io.ReadCloser) { body.Close() }

// lone tells whether there is nobody else to ask.
func (p *Pool) lone() bool { return p.backup == nil && len(p.primary.endpoints) == 1 }

// resumesMax bounds how often one body is taken up again.
const resumesMax = 8

// reader is a body that outlives its endpoint.
type reader struct {
	ctx    context.Context
	p      *Pool
	key    string
	offset int64 // of the next byte
	left   int64 // bytes wanted; -1 to the end
	lone   bool  // nobody else to ask: no limits but those of the store

	from    *endpoint
	body    io.ReadCloser
	cancel  context.CancelCauseFunc
	stall   *time.Timer
	resumes int
	patient bool // all others were tried: slowness is borne
	waited  time.Duration
	got     int64 // bytes while waited
	err     error
}

func (r *reader) open(ctx context.Context, s objstore.Store) (io.ReadCloser, error) {
	return s.Get(ctx, r.key, r.offset, r.left)
}

func (r *reader) take(t try[io.ReadCloser]) {
	r.from, r.body, r.cancel = t.e, t.value, t.cancel
	r.waited, r.got = 0, 0
	if !r.lone && !r.patient {
		r.stall = time.AfterFunc(time.Hour, func() { t.cancel(errSlow) })
		r.stall.Stop()
	}
}

func (r *reader) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	for r.err == nil {
		if r.stall != nil {
			r.stall.Reset(r.p.tuning.Load().StallTimeout)
		}
		start := time.Now()
		n, err := r.body.Read(b)
		if r.stall != nil {
			r.stall.Stop()
		}
		r.waited += time.Since(start)
		r.got += int64(n)
		r.offset += int64(n)
		if r.left > 0 {
			r.left -= int64(n)
		}
		switch {
		case errors.Is(err, io.EOF):
			r.err = io.EOF
		case err != nil:
			r.err = r.resume(err)
		case r.slow():
			r.err = r.resume(errSlow)
		}
		if n > 0 {
			return n, nil
		}
	}
	return 0, r.err
}

// slow tells a body that moves, but not fast enough.
func (r *reader) slow() bool {
	return r.stall != nil && r.waited > r.p.tuning.Load().StallTimeout && float64(r.got) < float64(r.p.o.SlowBytes)*r.waited.Seconds()
}

// resume goes on elsewhere; nil if that went well.
func (r *reader) resume(cause error) error {
	if r.left == 0 {
		return io.EOF
	}
	if r.ctx.Err() != nil {
		return cause
	}
	if errors.Is(cause, objstore.ErrNotFound) || fault.CodeOf(cause) == fault.Canceled && r.stall == nil {
		return cause
	}
	r.resumes++
	if r.resumes > resumesMax || r.lone {
		return cause
	}
	r.release(errSlow)
	r.from.do(r.ctx, "read", func(context.Context, objstore.Store) error { return errSlow }) //nolint:errcheck // tells the circuit
	order, sure := r.p.readers(r.ctx, r.key)
	others := order[:0:0]
	for _, e := range order {
		if e != r.from {
			others = append(others, e)
		}
	}
	// The one that failed comes last, and then has all the time it needs.
	t, err := race(r.ctx, r.p, "get", append(others, r.from), sure, r.open, closeBody)
	if err != nil {
		return err
	}
	r.patient = t.e == r.from
	r.take(t)
	return nil
}

func (r *reader) release(cause error) {
	if r.stall != nil {
		r.stall.Stop()
		r.stall = nil
	}
	r.cancel(cause)
	r.body.Close()
}

func (r *reader) Close() error {
	if r.err != errClosed { //nolint:errorlint // set so below
		r.err = errClosed
		r.release(nil)
	}
	return nil
}

var errClosed = fault.New(fault.FailedPrecondition, "object is read after its reader was closed")

// Stat implements objstore.Store.
func (p *Pool) Stat(ctx context.Context, key string) (objstore.Info, error) {
	if err := objstore.ValidateKey(key); err != nil {
		return objstore.Info{}, err
	}
	t, err := read(ctx, p, "stat", key, func(ctx context.Context, s objstore.Store) (objstore.Info, error) { return s.Stat(ctx, key) }, func(objstore.Info) {})
	if err != nil {
		return objstore.Info{}, err
	}
	t.cancel(nil)
	return t.value, nil
}
