//go:build duckdb_arrow

package coordinator

import (
	"context"
	"slices"
	"time"

	"skein/meta"
)

// Reload forgets what this node has read from the catalog, after that was
// restored, and registers the node there at once: a catalog that was lost knows
// no nodes until they beat.
func (c *Coordinator) Reload(ctx context.Context) error {
	c.listings.mu.Lock()
	clear(c.listings.m)
	c.listings.mu.Unlock()
	c.plans.forget()
	n := c.opts.Node
	n.ActiveQueries = c.counters.active()
	if err := c.Meta.Heartbeat(ctx, n); err != nil {
		return err
	}
	nodes, err := c.Meta.Nodes(ctx)
	if err != nil {
		return err
	}
	var workers []string
	for _, n := range nodes {
		if c.alive(n) && slices.Contains(n.Roles, RoleWorker) {
			workers = append(workers, n.ID)
		}
	}
	err = c.Meta.SetRing(ctx, meta.NewRing(workers))
	c.members.mu.Lock()
	c.members.read = time.Time{}
	c.members.mu.Unlock()
	return err
}
