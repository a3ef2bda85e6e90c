package member

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"skein/internal/fault"
	"skein/meta"
)

// Roles of a node.
const (
	RoleCoordinator = "coordinator"
	RoleWorker      = "worker"
)

// Protocol is the number of what nodes say to each other and of what they keep
// in the catalog. A release raises it by one at most, and understands the one
// before: so nodes of both may be in a cluster while it is upgraded.
const Protocol = 1

// Catalog is what a member needs of meta.Store.
type Catalog interface {
	Heartbeat(ctx context.Context, n meta.Node) error
	Leave(ctx context.Context, id string) error
	Nodes(ctx context.Context) ([]meta.Node, error)
	Reap(ctx context.Context, expiry time.Duration) ([]string, error)
	SetRing(ctx context.Context, r meta.Ring) error
}

// Options of a member.
type Options struct {
	Interval time.Duration // between beats; 30s if zero
	Expiry   time.Duration // after which a silent node is out of service; 60s if zero
	Protocol int           // of this node; Protocol if zero
	Changed  func()        // is told after each look at the ring; nobody if nil
	Log      *slog.Logger  // none if nil
}

// Member is one node's membership.
type Member struct {
	catalog Catalog
	node    func() meta.Node
	o       Options
	stop    context.CancelFunc
	done    chan struct{}

	draining atomic.Bool

	mu      sync.Mutex
	workers []string // that ring is of
	ring    meta.Ring
}

// New returns the membership of a node, which node tells as it is at each
// beat. Start begins it.
func New(c Catalog, node func() meta.Node, o Options) *Member {
	if o.Interval == 0 {
		o.Interval = 30 * time.Second
	}
	if o.Expiry == 0 {
		o.Expiry = 60 * time.Second
	}
	if o.Protocol == 0 {
		o.Protocol = Protocol
	}
	if o.Changed == nil {
		o.Changed = func() {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Member{catalog: c, node: node, o: o}
}

// Start registers the node, and keeps beating until Stop. FailedPrecondition
// if it would not understand another node.
func (m *Member) Start(ctx context.Context) error {
	if err := m.compatible(ctx); err != nil {
		return err
	}
	if err := m.Beat(ctx); err != nil {
		return err
	}
	ctx, m.stop = context.WithCancel(context.WithoutCancel(ctx))
	m.done = make(chan struct{})
	go func() {
		defer close(m.done)
		t := time.NewTicker(m.o.Interval)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
				if err := m.Beat(ctx); err != nil && ctx.Err() == nil {
					m.o.Log.Warn("heartbeat", "error", err)
				}
			}
		}
	}()
	return nil
}

// Drain takes this node off the ring, while it stays a member that others may
// ask for what it holds: before it flushes that and stops. One that was not
// started does nothing.
func (m *Member) Drain(ctx context.Context) error {
	if m.stop == nil {
		return nil
	}
	m.draining.Store(true)
	return m.Beat(ctx)
}

// Stop leaves the cluster at once. A second call does nothing.
func (m *Member) Stop(ctx context.Context) error {
	if m.stop == nil {
		return nil
	}
	m.stop()
	<-m.done
	m.stop = nil
	if err := m.catalog.Leave(ctx, m.node().ID); err != nil {
		return err
	}
	return m.tend(ctx)
}

// Beat renews this node, and tends the ring.
func (m *Member) Beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, m.o.Interval)
	defer cancel()
	if err := m.catalog.Heartbeat(ctx, m.self()); err != nil {
		return err
	}
	gone, err := m.catalog.Reap(ctx, m.o.Expiry)
	if err != nil {
		return err
	}
	for _, id := range gone {
		m.o.Log.Warn("node expired", "node", id)
	}
	return m.tend(ctx)
}

// tend puts the workers that are alive on the ring, and no others.
func (m *Member) tend(ctx context.Context) error {
	nodes, err := m.catalog.Nodes(ctx)
	if err != nil {
		return err
	}
	var ids []string
	for _, n := range nodes {
		if m.Alive(n) && slices.Contains(n.Roles, RoleWorker) {
			ids = append(ids, n.ID)
		}
	}
	defer m.o.Changed()
	return m.catalog.SetRing(ctx, m.ringOf(ids))
}

// ringOf makes the ring of the workers, unless it is the last one again.
func (m *Member) ringOf(ids []string) meta.Ring {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !slices.Equal(ids, m.workers) {
		m.workers, m.ring = ids, meta.NewRing(ids)
	}
	return m.ring
}

// compatible tells by FailedPrecondition that a node in service speaks a
// protocol that this one does not understand, or the other way round.
func (m *Member) compatible(ctx context.Context) error {
	nodes, err := m.catalog.Nodes(ctx)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		theirs := max(n.Protocol, 1) // the first releases do not say it
		if n.ID == m.node().ID || !m.Alive(n) || max(theirs, m.o.Protocol)-min(theirs, m.o.Protocol) <= 1 {
			continue
		}
		return fault.Newf(fault.FailedPrecondition, "node %s (release %s) speaks protocol %d, this one %d: upgrade all nodes one step at a time", n.ID, n.Version, theirs, m.o.Protocol)
	}
	return nil
}

// self is this node as it registers.
func (m *Member) self() meta.Node {
	n := m.node()
	n.Protocol = m.o.Protocol
	if m.draining.Load() {
		n.Roles = slices.DeleteFunc(slices.Clone(n.Roles), func(r string) bool { return r == RoleWorker })
	}
	return n
}

// Alive tells whether a node is in service.
func (m *Member) Alive(n meta.Node) bool { return !n.Left && n.Age <= m.o.Expiry }
