package cache

import (
	"container/list"
	"context"

	"skein/internal/fault"
)

// id names one content: objects are immutable, so key and size do.
type id struct {
	key  string
	size int64
}

// entry is one object here or on its way. Its fields belong to Cache.mu, but
// load, which is set before anyone else sees it.
type entry struct {
	id
	holders int           // handles, and callers that wait for the load
	load    *load         // nil if the file is known to be good
	onDisk  bool          // the file is there; known to be good once load has ended
	dead    bool          // no longer in the index: its load failed
	idle    *list.Element // in Cache.idle; nil while it is held
}

// load is one download or check, which many may wait for.
type load struct {
	done      chan struct{} // closed at its end; then err and abandoned stay
	err       error
	abandoned bool // everyone has stopped waiting
	cancel    context.CancelFunc
}

// hold finds or makes the entry and holds it. The load of what it returns, if
// any, has been started.
func (c *Cache) hold(id id) (*entry, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, fault.New(fault.Unavailable, "object cache is closed")
	}
	e, ok := c.entries[id]
	switch {
	case !ok:
		if err := c.reserve(id); err != nil {
			return nil, err
		}
		e = c.add(id, false)
		c.start(e)
		c.metrics.misses.Inc()
	case e.load == nil && e.unchecked():
		c.start(e)
		c.metrics.hits.Inc()
	default:
		c.metrics.hits.Inc()
	}
	e.holders++
	if e.idle != nil {
		c.idle.Remove(e.idle)
		e.idle = nil
	}
	return e, nil
}
