package pool

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"skein/objstore"
	"skein/objstore/transfer"
)

// Pool is an objstore.Store over a primary and a backup set of endpoints.
type Pool struct {
	o               Options
	agreement       *Agreement // nil without a backup
	primary, backup *set       // backup may be nil
	hedger          *hedger
	metrics         *metrics
	mover           *transfer.Mover // from backup to primary

	tuning   atomic.Pointer[Tuning]
	tuneLock sync.Mutex // held to change it
	tuned    int64      // version of the shared one that was followed

	state   atomic.Pointer[State]
	pending atomic.Bool                             // the journal had records when last looked at
	back    atomic.Pointer[context.CancelCauseFunc] // ends the way back that this node works on; nil if it does not

	stopped context.Context // ends with Close
	stop    context.CancelFunc
	running sync.WaitGroup // the watcher, tries of races, the way back
}

// Open makes a pool and begins to watch its endpoints. It asks the catalog for
// the state, so that a node which starts during an outage begins at the right
// set. Endpoints need not answer. The caller closes the pool, and then the
// stores of the endpoints.
func Open(ctx context.Context, o Options) (*Pool, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	p := &Pool{o: o, metrics: newMetrics(o.Registerer)}
	p.hedger = &hedger{tuning: &p.tuning}
	p.tuning.Store(&Tuning{HedgeShare: max(o.HedgeShare, 0), HedgeMin: o.HedgeMin, TryTimeout: o.TryTimeout,
		StallTimeout: o.StallTimeout, PutTimeout: o.PutTimeout, BreakAfter: o.BreakAfter})
	p.state.Store(&State{Mode: Primary})
	p.primary = p.newSet(primaryName, o.Primary)
	if len(o.Backup) > 0 {
		p.agreement = o.Agreement
		p.backup = p.newSet(backupName, o.Backup)
		p.mover = transfer.NewMover(p.backup, p.primary, p.agreement.Journal, transfer.Options{
			Name: "return", Poll: 100 * time.Millisecond, RetryMin: 200 * time.Millisecond, LateMax: o.LateMax, Verify: true, DeleteBoth: true,
			Log: o.Log, Registerer: o.Registerer,
		})
		if _, err := p.load(ctx); err != nil {
			return nil, err
		}
		p.pending.Store(true) // until the journal was looked at
	}
	if err := p.follow(ctx); err != nil {
		return nil, err
	}
	p.stopped, p.stop = context.WithCancel(context.WithoutCancel(ctx))
	p.probe(p.stopped)
	p.running.Go(func() { p.watch(p.stopped) })
	return p, nil
}

func (p *Pool) newSet(name string, endpoints []Endpoint) *set {
	s := &set{name: name}
	for _, e := range endpoints {
		s.endpoints = append(s.endpoints, p.newEndpoint(name, e))
	}
	return s
}

// Close stops watching and waits for what runs. Readers must be closed before.
func (p *Pool) Close() error {
	p.stop()
	p.running.Wait()
	return nil
}

// Primary is the primary set alone.
func (p *Pool) Primary() objstore.Store { return p.primary }

// Backup is the backup set alone; nil if there is none.
func (p *Pool) Backup() objstore.Store {
	if p.backup == nil {
		return nil
	}
	return p.backup
}

// EndpointStatus is what this node sees of an endpoint.
type EndpointStatus struct {
	Name, Set string
	Healthy   bool
	Circuit   string // closed, half-open, open
	Latency   time.Duration
	InFlight  int64
	Why       string // how the last probe failed; empty if it did not
}

// Status is what this node sees of the pool.
type Status struct {
	State     State
	PrimaryUp bool
	BackupUp  bool
	Endpoints []EndpointStatus
	Pending   int64 // records of the journal; -1 if it cannot be asked
	Parked    int64
}

// Status tells how the pool is.
func (p *Pool) Status(ctx context.Context) Status {
	s := Status{State: p.State(), PrimaryUp: p.primary.up(), BackupUp: p.backup.up()}
	for _, set := range []*set{p.primary, p.backup} {
		if set == nil {
			continue
		}
		for _, e := range set.endpoints {
			why, _ := e.why.Load().(string)
			s.Endpoints = append(s.Endpoints, EndpointStatus{
				Name: e.name, Set: set.name, Healthy: e.healthy(), Circuit: e.breaker.State().String(),
				Latency: time.Duration(e.mean() * float64(time.Second)), InFlight: e.inFlight.Load(), Why: why,
			})
		}
	}
	if p.backup != nil {
		var err error
		if s.Pending, s.Parked, err = p.agreement.Journal.Len(ctx); err != nil {
			s.Pending = -1
		}
	}
	return s
}

func (p *Pool) alert(kind, subject, message string) {
	a := Alert{Kind: kind, Subject: subject, Message: message, At: time.Now().UTC()}
	p.o.Log.Warn("object store pool", "alert", kind, "subject", subject, "message", message)
	p.metrics.alert(kind)
	if p.o.Alert != nil {
		p.o.Alert(a)
	}
}

// errDown ends the way back when the primary set is down again.
var errDown = errors.New("the primary object store does not answer again")

// errLease says that another node does the work, or has taken it over.
var errLease = errors.New("another node has the lease")
