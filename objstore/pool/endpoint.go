package pool

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"skein/internal/fault"
	"skein/objstore"
)

var (
	// errSlow ends a try that took too long while another endpoint could be
	// asked.
	errSlow = fault.New(fault.Unavailable, "endpoint is too slow")
	// errLost ends a try that another one beat.
	errLost = fault.New(fault.Canceled, "another endpoint was faster")
)

// endpoint is one server with what this node has seen of it.
type endpoint struct {
	name    string
	set     string // primary or backup
	store   objstore.Store
	breaker *gobreaker.TwoStepCircuitBreaker[any]
	metrics *metrics

	inFlight atomic.Int64
	latency  atomic.Uint64 // moving mean in seconds, as bits
	sick     atomic.Bool   // its last probes failed
	why      atomic.Value  // string: how the last probe failed
	bad      int           // probes that failed in a row; the watcher's
}

func (p *Pool) newEndpoint(set string, e Endpoint) *endpoint {
	ep := &endpoint{name: e.Name, set: set, store: e.Store, metrics: p.metrics}
	ep.breaker = gobreaker.NewTwoStepCircuitBreaker[any](gobreaker.Settings{
		Name: e.Name, Timeout: p.o.BreakFor,
		ReadyToTrip:  func(c gobreaker.Counts) bool { return int(c.ConsecutiveFailures) >= p.tuning.Load().BreakAfter },
		IsSuccessful: func(err error) bool { return !breaks(err) },
		IsExcluded:   func(err error) bool { return errors.Is(err, errLost) || fault.CodeOf(err) == fault.Canceled },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			p.o.Log.Info("circuit of object store", "endpoint", e.Name, "from", from.String(), "to", to.String())
		},
	})
	return ep
}

// breaks tells errors that say the endpoint cannot serve anybody now.
func breaks(err error) bool {
	code := fault.CodeOf(err)
	return err != nil && (code == fault.Unavailable || code == fault.DeadlineExceeded)
}

// elsewhere tells errors after which another endpoint may do better.
func elsewhere(err error) bool {
	switch fault.CodeOf(err) {
	case fault.Unavailable, fault.DeadlineExceeded, fault.ResourceExhausted, fault.PermissionDenied, fault.FailedPrecondition:
		return true
	}
	return false
}

// healthy tells whether the endpoint is worth a try.
func (e *endpoint) healthy() bool {
	return !e.sick.Load() && e.breaker.State() != gobreaker.StateOpen
}

// mean is the mean latency in seconds.
func (e *endpoint) mean() float64 { return math.Float64frombits(e.latency.Load()) }

// score is the expected wait: less is better.
func (e *endpoint) score() float64 {
	return (e.mean() + 0.001) * float64(e.inFlight.Load()+1)
}

// weight is what a new measurement counts in the mean.
const weight = 0.2

func (e *endpoint) observe(d time.Duration) {
	for {
		old := e.latency.Load()
		mean := math.Float64frombits(old)
		if mean == 0 {
			mean = d.Seconds()
		}
		if e.latency.CompareAndSwap(old, math.Float64bits(mean+weight*(d.Seconds()-mean))) {
			return
		}
	}
}

// begin counts a request in. The caller calls done once, with its error. ok is
// false if the circuit is open.
func (e *endpoint) begin(op string) (done func(error), ok bool) {
	report, err := e.breaker.Allow()
	if err != nil {
		return nil, false
	}
	e.inFlight.Add(1)
	start := time.Now()
	return func(err error) {
		e.inFlight.Add(-1)
		took := time.Since(start)
		if err == nil || took.Seconds() > e.mean() {
			e.observe(took)
		}
		e.metrics.request(e, op, err)
		report(err)
	}, true
}

// force is begin for a last resort: it asks an endpoint whose circuit is open.
func (e *endpoint) force(op string) func(error) {
	if done, ok := e.begin(op); ok {
		return done
	}
	e.inFlight.Add(1)
	return func(err error) {
		e.inFlight.Add(-1)
		e.metrics.request(e, op, err)
	}
}

// do runs f as one request.
func (e *endpoint) do(ctx context.Context, op string, f func(context.Context, objstore.Store) error) error {
	done := e.force(op)
	err := f(ctx, e.store)
	done(err)
	return err
}
