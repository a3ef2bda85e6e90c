package transfer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"skein/internal/fault"
	"skein/objstore"
)

// Options of a Mover.
type Options struct {
	Name     string        // of the direction, for metrics and logs, such as backup
	Parallel int           // tasks at once; 16 if zero
	Lease    time.Duration // longest time of one task; 10m if zero
	Hold     time.Duration // how long a task is hidden from others unless its node goes on with it; 30s if zero, at most Lease
	Poll     time.Duration // how often an empty queue is asked; 1s if zero
	TriesMax int           // tries of a task before it is parked; 12 if zero
	RetryMin time.Duration // before the second try, then twice as long each; 1s if zero
	RetryMax time.Duration // 5m if zero

	// LateMax is how long a copy whose object is nowhere yet is tried: its
	// writer records it before it stores it. Done at once if zero, because
	// the object was deleted.
	LateMax time.Duration
	// Verify compares each copy with its source.
	Verify bool
	// DeleteBoth deletes from the source too: it may have been copied back
	// there since.
	DeleteBoth bool

	Log        *slog.Logger          // nil: none
	Registerer prometheus.Registerer // nil: no metrics
}

func (o Options) complete() Options {
	setDefault(&o.Name, "transfer")
	setDefault(&o.Parallel, 16)
	setDefault(&o.Lease, 10*time.Minute)
	setDefault(&o.Hold, 30*time.Second)
	o.Hold = min(o.Hold, o.Lease)
	setDefault(&o.Poll, time.Second)
	setDefault(&o.TriesMax, 12)
	setDefault(&o.RetryMin, time.Second)
	setDefault(&o.RetryMax, 5*time.Minute)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

func setDefault[T optional](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

type optional interface{ int | string | time.Duration }

// Mover works off a queue: it copies objects from one store to the other and
// deletes there. Several movers, on several nodes, may share a queue.
type Mover struct {
	from, to objstore.Store
	queue    Queue
	o        Options
	metrics  *metrics
}

// NewMover makes a mover; Run or Drain works.
func NewMover(from, to objstore.Store, q Queue, o Options) *Mover {
	o = o.complete()
	return &Mover{from: from, to: to, queue: q, o: o, metrics: newMetrics(o.Registerer)}
}

// Run works until ctx ends. It holds Parallel tasks at most, and takes new
// ones as soon as others are done.
func (m *Mover) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	places := make(chan struct{}, m.o.Parallel)
	for {
		select {
		case places <- struct{}{}: // a place is free
			<-places
		case <-ctx.Done():
			return
		}
		records, err := m.take(ctx, cap(places)-len(places))
		if err != nil && ctx.Err() == nil {
			m.o.Log.Warn("queue of objects cannot be read", "queue", m.o.Name, "error", err)
		}
		for _, r := range records {
			places <- struct{}{}
			running.Go(func() {
				defer func() { <-places }()
				m.do(ctx, r)
			})
		}
		if len(records) > 0 {
			continue
		}
		m.measure(ctx)
		select {
		case <-time.After(m.o.Poll):
		case <-ctx.Done():
			return
		}
	}
}

// takeTimeout bounds one question to the queue.
const takeTimeout = 20 * time.Second

// take hears the answer out even when ctx ends: what it has taken nobody else
// would get before the lease is over.
func (m *Mover) take(ctx context.Context, limit int) ([]Record, error) {
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), takeTimeout)
	defer cancel()
	return m.queue.Take(limited, limit, m.o.Hold)
}

// Drain works until nothing waits. What is parked stays: it returns how much.
func (m *Mover) Drain(ctx context.Context) (parked int64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { m.Run(ctx) })
	defer running.Wait()
	defer cancel()
	tick := time.NewTicker(min(m.o.Poll, 20*time.Millisecond))
	defer tick.Stop()
	for {
		waiting, parked, err := m.queue.Len(ctx)
		if err != nil || waiting == 0 {
			return parked, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return parked, ctx.Err()
		}
	}
}

// do does one task and settles its record.
func (m *Mover) do(ctx context.Context, r Record) {
	limited, cancel := context.WithTimeout(ctx, m.o.Lease)
	defer cancel()
	release := m.hold(limited, r)
	start := time.Now()
	op, bytes, err := m.act(limited, r)
	release()
	m.metrics.observe(m.o.Name, op, bytes, start, err)
	pause := m.pause(r.Tries)
	if ctx.Err() != nil {
		pause = 0 // it stops: the record is for the next one, at once
	}
	settle, done := context.WithTimeout(context.WithoutCancel(ctx), takeTimeout)
	defer done()
	if err := m.settle(settle, r, err, pause); err != nil {
		m.o.Log.Warn("queue of objects cannot be written", "queue", m.o.Name, "key", r.Key, "error", err)
	}
}

// hold keeps the record hidden from others until release, which waits.
func (m *Mover) hold(ctx context.Context, r Record) (release func()) {
	ctx, cancel := context.WithCancel(ctx)
	var holding sync.WaitGroup
	holding.Go(func() {
		tick := time.NewTicker(m.o.Hold / 3)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if err := m.queue.Retry(ctx, r, m.o.Hold); err != nil && ctx.Err() == nil {
					m.o.Log.Debug("object is not held", "queue", m.o.Name, "key", r.Key, "error", err) // doing it twice is harmless
				}
			case <-ctx.Done():
				return
			}
		}
	})
	return func() { cancel(); holding.Wait() }
}

func (m *Mover) settle(ctx context.Context, r Record, err error, pause time.Duration) error {
	switch {
	case err == nil:
		return m.queue.Done(ctx, r)
	case errors.Is(err, errLate), m.waits(ctx, err):
		return m.queue.Retry(ctx, r, min(pause, m.o.RetryMin*10))
	case r.Tries >= m.o.TriesMax:
		m.o.Log.Error("object is parked after too many tries", "queue", m.o.Name, "key", r.Key, "tries", r.Tries, "error", err)
		return m.queue.Park(ctx, r, err.Error())
	}
	m.o.Log.Debug("object is tried again", "queue", m.o.Name, "key", r.Key, "tries", r.Tries, "error", err)
	return m.queue.Retry(ctx, r, pause)
}

// waits tells errors that are a store's and not the object's: however long it
// is away, nothing is parked for that.
func (m *Mover) waits(ctx context.Context, err error) bool {
	switch fault.CodeOf(err) {
	case fault.Unavailable, fault.Canceled, fault.DeadlineExceeded, fault.ResourceExhausted:
		return true
	case fault.PermissionDenied, fault.FailedPrecondition:
		return m.from.Ping(ctx) != nil || m.to.Ping(ctx) != nil
	}
	return false
}

// pause grows with the tries; half of it is chance.
func (m *Mover) pause(tries int) time.Duration {
	d := min(m.o.RetryMin<<min(max(tries-1, 0), 20), m.o.RetryMax)
	if d <= 0 {
		d = m.o.RetryMax
	}
	return d/2 + rand.N(d/2+1)
}

var errLate = fault.New(fault.NotFound, "object is recorded and not stored yet")

func (m *Mover) act(ctx context.Context, r Record) (op string, bytes int64, err error) {
	t, err := ParseTask(r.Value)
	if err != nil {
		return "unknown", 0, fault.Newf(fault.InvalidArgument, "object %q: its task cannot be read: %w", r.Key, err)
	}
	if t.Delete {
		err := m.to.Delete(ctx, r.Key)
		if err == nil && m.o.DeleteBoth {
			err = m.from.Delete(ctx, r.Key)
		}
		return "delete", 0, err
	}
	if r.Tries > 1 && Same(ctx, m.from, m.to, r.Key) == nil {
		return "copy", 0, nil // an earlier try did it
	}
	bytes, err = Copy(ctx, m.from, m.to, r.Key)
	if err == nil && m.o.Verify {
		err = Same(ctx, m.from, m.to, r.Key)
	}
	if errors.Is(err, objstore.ErrNotFound) {
		return "copy", 0, m.missing(ctx, r.Key, t)
	}
	return "copy", bytes, err
}

// missing decides about an object that is not in the source.
func (m *Mover) missing(ctx context.Context, key string, t Task) error {
	if m.o.LateMax == 0 {
		return nil
	}
	if _, err := m.to.Stat(ctx, key); err == nil {
		return nil // it is where it should be
	}
	if time.Since(t.Queued) < m.o.LateMax {
		return fmt.Errorf("object %q: %w", key, errLate)
	}
	m.o.Log.Warn("object was recorded and never stored", "queue", m.o.Name, "key", key, "recorded", t.Queued)
	return nil
}

func (m *Mover) measure(ctx context.Context) {
	if waiting, parked, err := m.queue.Len(ctx); err == nil {
		m.metrics.length(m.o.Name, waiting, parked)
	}
}
