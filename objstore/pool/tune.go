package pool

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"skein/internal/fault"
)

// Tuning is what can be changed while a pool is open, with the meaning that it
// has in Options. HedgeShare 0 means none.
type Tuning struct {
	HedgeShare   float64       `json:"hedge_share"`
	HedgeMin     time.Duration `json:"hedge_min_ns"`
	TryTimeout   time.Duration `json:"try_timeout_ns"`
	StallTimeout time.Duration `json:"stall_timeout_ns"`
	PutTimeout   time.Duration `json:"put_timeout_ns"`
	BreakAfter   int           `json:"break_after"`
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

// tuneTries bounds how often a change is tried while others change too.
const tuneTries = 8

// Tune lets change work on what holds now, for requests that begin from now
// on: here at once, and with Options.Tuning on the other nodes after their next
// probe. If the outcome is refused nothing has changed. change may be called
// several times.
func (p *Pool) Tune(ctx context.Context, change func(*Tuning)) (Tuning, error) {
	p.tuneLock.Lock()
	defer p.tuneLock.Unlock()
	if p.o.Tuning == nil {
		t := p.Tuning()
		change(&t)
		if err := t.check(); err != nil {
			return p.Tuning(), err
		}
		p.tune(t)
		return t, nil
	}
	for range tuneTries {
		version, old, err := p.loadTuning(ctx)
		if err != nil {
			return p.Tuning(), fmt.Errorf("settings of the object store pool: %w", err)
		}
		t := old
		change(&t)
		if err := t.check(); err != nil {
			return p.Tuning(), err
		}
		if t == old {
			p.tune(t)
			return t, nil
		}
		text, err := json.Marshal(t)
		if err != nil {
			panic("BUG: a tuning has no JSON: " + err.Error())
		}
		if won, err := p.o.Tuning.Swap(ctx, version, string(text)); err != nil {
			return p.Tuning(), fmt.Errorf("settings of the object store pool: %w", err)
		} else if won {
			p.tune(t)
			return t, nil
		}
	}
	return p.Tuning(), fault.New(fault.Aborted, "the settings of the object store pool change too often; try again")
}

// loadTuning reads what the nodes share; what this node has if that is nothing.
func (p *Pool) loadTuning(ctx context.Context) (version int64, t Tuning, err error) {
	version, text, err := p.o.Tuning.Load(ctx)
	t = p.Tuning()
	if err != nil || text == "" {
		return version, t, err
	}
	shared := t
	damage := json.Unmarshal([]byte(text), &shared)
	if damage == nil {
		damage = shared.check()
	}
	if damage != nil { // this node goes on with what it has
		p.o.Log.Warn("the shared settings of the object store pool cannot be used", "settings", text, "error", damage)
		shared = t
	}
	return version, shared, nil
}

// follow takes over what another node has tuned.
func (p *Pool) follow(ctx context.Context) error {
	p.tuneLock.Lock()
	defer p.tuneLock.Unlock()
	if p.o.Tuning == nil {
		return nil
	}
	version, t, err := p.loadTuning(ctx)
	if err == nil && version != p.tuned {
		p.tuned = version
		p.tune(t)
	}
	return err
}

func (p *Pool) tune(t Tuning) {
	if old := p.tuning.Swap(&t); *old != t {
		p.o.Log.Info("object store pool is tuned", "from", *old, "to", t)
	}
}
