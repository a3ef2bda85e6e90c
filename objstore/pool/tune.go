package pool

import (
	"time"

	"skein/internal/fault"
)

// Tuning is what can be changed while a pool is open, with the meaning that it
// has in Options. HedgeShare 0 means none.
type Tuning struct {
	HedgeShare   float64
	HedgeMin     time.Duration
	TryTimeout   time.Duration
	StallTimeout time.Duration
	PutTimeout   time.Duration
	BreakAfter   int
}

// Bounds of a Tuning.
const (
	waitMin       = time.Millisecond
	waitMax       = 10 * time.Minute
	breakAfterMax = 1000
)

func (t Tuning) check() error {
	if !(t.HedgeShare >= 0 && t.HedgeShare <= 1) { // NaN is neither
		return fault.Newf(fault.InvalidArgument, "share of second requests %g: use 0 to 1", t.HedgeShare)
	}
	for name, d := range map[string]time.Duration{
		"least wait before a second request": t.HedgeMin, "time of a try": t.TryTimeout,
		"time of a pause": t.StallTimeout, "time of a try to store": t.PutTimeout,
	} {
		if d < waitMin || d > waitMax {
			return fault.Newf(fault.InvalidArgument, "%s %s: use %s to %s", name, d, waitMin, waitMax)
		}
	}
	if t.BreakAfter < 1 || t.BreakAfter > breakAfterMax {
		return fault.Newf(fault.InvalidArgument, "failures that open a circuit %d: use 1 to %d", t.BreakAfter, breakAfterMax)
	}
	return nil
}

// Tuning is what holds now.
func (p *Pool) Tuning() Tuning { return *p.tuning.Load() }

// Tune lets change work on what holds now, for requests that begin from now
// on. If the outcome is refused nothing has changed.
func (p *Pool) Tune(change func(*Tuning)) (Tuning, error) {
	for {
		old := p.tuning.Load()
		t := *old
		change(&t)
		if err := t.check(); err != nil {
			return *old, err
		}
		if p.tuning.CompareAndSwap(old, &t) {
			if t != *old {
				p.o.Log.Info("object store pool is tuned", "from", *old, "to", t)
			}
			return t, nil
		}
	}
}
