//go:build duckdb_arrow

package coordinator

import (
	"context"
	"slices"
	"sync"
	"time"

	"skein/internal/fault"
	"skein/meta"
)

// suspectFor is how long a node that did not answer is asked last.
const suspectFor = 10 * time.Second

// members is what this node knows of the others, a second old at most.
type members struct {
	mu       sync.Mutex
	read     time.Time
	nodes    []meta.Node
	ring     meta.Ring
	suspects map[string]time.Time
}

// Start registers the node, and keeps beating, reaping and rebuilding the ring
// until Stop.
func (c *Coordinator) Start(ctx context.Context) error {
	if err := c.beat(ctx); err != nil {
		return err
	}
	ctx, c.stop = context.WithCancel(context.WithoutCancel(ctx))
	c.done = make(chan struct{})
	go func() {
		defer close(c.done)
		t := time.NewTicker(c.opts.HeartbeatInterval)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
				if err := c.beat(ctx); err != nil {
					c.Log.Warn("heartbeat", "error", err)
				}
			}
		}
	}()
	return nil
}

// Stop leaves the cluster at once.
func (c *Coordinator) Stop(ctx context.Context) error {
	if c.stop == nil {
		return nil
	}
	c.stop()
	<-c.done
	c.stop = nil
	if err := c.Meta.Leave(ctx, c.opts.Node.ID); err != nil {
		return err
	}
	return c.rebuildRing(ctx)
}

// beat renews this node, takes silent ones out, and brings the ring up to
// date. Every node does so; the steps are idempotent.
func (c *Coordinator) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.opts.HeartbeatInterval)
	defer cancel()
	n := c.opts.Node
	n.ActiveQueries = c.counters.active()
	if err := c.Meta.Heartbeat(ctx, n); err != nil {
		return err
	}
	gone, err := c.Meta.Reap(ctx, c.opts.HeartbeatExpiry)
	if err != nil {
		return err
	}
	for _, id := range gone {
		c.Log.Warn("node expired", "node", id)
	}
	return c.rebuildRing(ctx)
}

func (c *Coordinator) rebuildRing(ctx context.Context) error {
	nodes, err := c.Meta.Nodes(ctx)
	if err != nil {
		return err
	}
	var ids []string
	for _, n := range nodes {
		if c.alive(n) && slices.Contains(n.Roles, RoleWorker) {
			ids = append(ids, n.ID)
		}
	}
	if err := c.Meta.SetRing(ctx, meta.NewRing(ids)); err != nil {
		return err
	}
	c.members.mu.Lock()
	c.members.read = time.Time{}
	c.members.mu.Unlock()
	return nil
}

// Roles of a node.
const (
	RoleCoordinator = "coordinator"
	RoleWorker      = "worker"
)

func (c *Coordinator) alive(n meta.Node) bool { return !n.Left && n.Age <= c.opts.HeartbeatExpiry }

// view returns the nodes and the ring, read again when they are old.
func (c *Coordinator) view(ctx context.Context) ([]meta.Node, meta.Ring, error) {
	m := &c.members
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.read.IsZero() && time.Since(m.read) < c.opts.ViewAge {
		return m.nodes, m.ring, nil
	}
	nodes, err := c.Meta.Nodes(ctx)
	if err != nil {
		return nil, meta.Ring{}, err
	}
	ring, err := c.Meta.Ring(ctx)
	if err != nil {
		return nil, meta.Ring{}, err
	}
	m.nodes, m.ring, m.read = nodes, ring, time.Now()
	return nodes, ring, nil
}

// workers returns the live workers by ID; those that lately did not answer
// only if there are no others.
func (c *Coordinator) workers(ctx context.Context) (map[string]meta.Node, error) {
	nodes, _, err := c.view(ctx)
	if err != nil {
		return nil, err
	}
	good, all := map[string]meta.Node{}, map[string]meta.Node{}
	for _, n := range nodes {
		if !c.alive(n) || !slices.Contains(n.Roles, RoleWorker) {
			continue
		}
		all[n.ID] = n
		if !c.members.isSuspect(n.ID) {
			good[n.ID] = n
		}
	}
	if len(good) > 0 {
		return good, nil
	}
	if len(all) == 0 {
		return nil, fault.New(fault.Unavailable, "no worker is alive; start one with --roles worker")
	}
	return all, nil
}

// worker returns the client of a node.
func (c *Coordinator) worker(n meta.Node) Worker {
	if n.ID == c.opts.Node.ID && c.Local != nil {
		return c.Local
	}
	return c.Remote(n)
}

func (m *members) suspect(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.suspects == nil {
		m.suspects = map[string]time.Time{}
	}
	m.suspects[id] = time.Now()
}

func (m *members) isSuspect(id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, ok := m.suspects[id]
	if ok && time.Since(at) > suspectFor {
		delete(m.suspects, id)
		return false
	}
	return ok
}

// Nodes lists the cluster's nodes.
func (c *Coordinator) Nodes(ctx context.Context, includeInactive bool) ([]meta.Node, error) {
	nodes, err := c.Meta.Nodes(ctx)
	if err != nil || includeInactive {
		return nodes, err
	}
	return slices.DeleteFunc(nodes, func(n meta.Node) bool { return !c.alive(n) }), nil
}
