//go:build duckdb_arrow

package coordinator

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	nodev1 "skein/proto/node/v1"
)

// statsTimeout bounds the question to one node.
const statsTimeout = 5 * time.Second

// countersKept is the longest window that Stats can tell of.
const countersKept = 7 * 24 * time.Hour

// counters counts queries and writes minute by minute.
type counters struct {
	mu      sync.Mutex
	minutes []minute // ordered by start
	running int32
}

type minute struct {
	start           time.Time
	queries, writes int64
	queryTime       time.Duration
}

func (c *counters) now() *minute {
	start := time.Now().Truncate(time.Minute)
	if n := len(c.minutes); n > 0 && !c.minutes[n-1].start.Before(start) {
		return &c.minutes[n-1]
	}
	for len(c.minutes) > 0 && c.minutes[0].start.Before(start.Add(-countersKept)) {
		c.minutes = c.minutes[1:]
	}
	c.minutes = append(c.minutes, minute{start: start})
	return &c.minutes[len(c.minutes)-1]
}

// query counts a query that begins now; the caller calls end when it is over.
func (c *counters) query() (end func()) {
	start := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running++
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.running--
		m := c.now()
		m.queries++
		m.queryTime += time.Since(start)
	})
}

func (c *counters) wrote(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now().writes += int64(n)
}

func (c *counters) active() int32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running
}

// NodeStats counts what this node did within the window.
func (c *Coordinator) NodeStats(window time.Duration) *nodev1.StatsResponse {
	k := &c.counters
	k.mu.Lock()
	defer k.mu.Unlock()
	r := &nodev1.StatsResponse{ActiveQueries: k.running}
	from := time.Now().Add(-window)
	for _, m := range k.minutes {
		if m.start.Add(time.Minute).After(from) {
			r.Queries += m.queries
			r.Writes += m.writes
			r.QuerySeconds += m.queryTime.Seconds()
		}
	}
	return r
}

// Stats counts over the window on all live nodes, and sums up the tables.
func (c *Coordinator) Stats(ctx context.Context, window time.Duration) (Stats, error) {
	tables, err := c.Meta.Tables(ctx)
	if err != nil {
		return Stats{}, err
	}
	s := Stats{Tables: len(tables)}
	for _, t := range tables {
		s.Bytes += t.Stats.Bytes
	}
	nodes, err := c.Nodes(ctx, false)
	if err != nil {
		return Stats{}, err
	}
	var mu sync.Mutex
	var seconds float64
	g, ctx := errgroup.WithContext(ctx)
	for _, n := range nodes {
		g.Go(func() error {
			r, err := c.statsOf(ctx, n.ID, c.worker(n), window)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			s.Queries += r.Queries
			s.Writes += r.Writes
			seconds += r.QuerySeconds
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return Stats{}, err
	}
	if s.Queries > 0 {
		s.QueryTimeAvg = time.Duration(seconds / float64(s.Queries) * float64(time.Second))
	}
	return s, nil
}

func (c *Coordinator) statsOf(ctx context.Context, id string, w Worker, window time.Duration) (*nodev1.StatsResponse, error) {
	if id == c.opts.Node.ID {
		return c.NodeStats(window), nil
	}
	ctx, cancel := context.WithTimeout(ctx, statsTimeout)
	defer cancel()
	return w.Stats(ctx, window)
}
