//go:build duckdb_arrow

package coordinator

import (
	"context"
	"slices"
	"sync"
	"time"

	"skein/internal/fault"
	"skein/meta"
	"skein/meta/member"
)

// suspectFor is how long a node that did not answer is asked last.
const suspectFor = 10 * time.Second

// members is what this node knows of the others, a second old at most.
type members struct {
	mu       sync.Mutex
	read     time.Time
	nodes    []meta.Node
	place    *meta.Placement // of the ring; nil before the first look
	suspects map[string]time.Time
}

// membership is this node's place in the cluster.
func (c *Coordinator) membership() *member.Member {
	node := func() meta.Node {
		n := c.opts.Node
		n.ActiveQueries = c.counters.active()
		return n
	}
	return member.New(c.Meta, node, member.Options{
		Interval: c.opts.HeartbeatInterval, Expiry: c.opts.HeartbeatExpiry, Changed: c.members.forget, Log: c.Log,
	})
}

// Start registers the node, and keeps beating, reaping and rebuilding the ring
// until Stop.
func (c *Coordinator) Start(ctx context.Context) error { return c.member.Start(ctx) }

// drainMax bounds how long a node that stops is still asked for its unflushed
// rows while it flushes them. What is left then is flushed when nobody asks any
// more, or stays in its log.
const drainMax = 10 * time.Second

// Stop leaves the cluster: first the ring, so that nobody sends new rows, and
// the cluster itself once no query needs this node for rows that are in no
// file.
func (c *Coordinator) Stop(ctx context.Context) error {
	if c.Local != nil && !c.opts.Embedded {
		if err := c.drain(ctx); err != nil {
			c.Log.Warn("rows are not flushed before this node leaves", "error", err)
		}
	}
	return c.member.Stop(ctx)
}

func (c *Coordinator) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, drainMax)
	defer cancel()
	if err := c.member.Drain(ctx); err != nil {
		return err
	}
	select {
	case <-time.After(c.opts.ViewAge): // others know it by then
	case <-ctx.Done():
		return ctx.Err()
	}
	return c.Local.Flush(ctx, "")
}

// forget lets the next view be read anew.
func (m *members) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.read = time.Time{}
}

// Roles of a node.
const (
	RoleCoordinator = member.RoleCoordinator
	RoleWorker      = member.RoleWorker
)

func (c *Coordinator) alive(n meta.Node) bool { return c.member.Alive(n) }

// view returns the nodes and who owns what, read again when they are old.
func (c *Coordinator) view(ctx context.Context) ([]meta.Node, *meta.Placement, error) {
	m := &c.members
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.read.IsZero() && time.Since(m.read) < c.opts.ViewAge {
		return m.nodes, m.place, nil
	}
	nodes, err := c.Meta.Nodes(ctx)
	if err != nil {
		return nil, nil, err
	}
	ring, err := c.Meta.Ring(ctx)
	if err != nil {
		return nil, nil, err
	}
	if m.place == nil || !m.place.Ring().Equal(ring) {
		m.place = ring.Place()
	}
	m.nodes, m.read = nodes, time.Now()
	return nodes, m.place, nil
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
