//go:build duckdb_arrow

package coordinator

import "context"

// Reload forgets what this node has read from the catalog, after that was
// restored, and registers the node there at once: a catalog that was lost knows
// no nodes until they beat.
func (c *Coordinator) Reload(ctx context.Context) error {
	c.listings.mu.Lock()
	clear(c.listings.m)
	c.listings.mu.Unlock()
	c.plans.forget()
	return c.member.Beat(ctx)
}
