package cache

import (
	"container/list"
	"context"
	"slices"

	"skein/internal/fault"
)

var errClosed = fault.New(fault.Unavailable, "object cache is closed")

// id names one content: objects are immutable, so key and size do.
type id struct {
	key  string
	size int64
}

// entry is one object here or on its way. Cache.mu guards its fields.
type entry struct {
	id
	holders int           // handles, and callers that wait for the load
	load    *load         // what is going on; nil if nothing
	onDisk  bool          // the file is there
	good    bool          // the file has been downloaded or checked by this process
	dead    bool          // not in the index any more: its load failed
	idle    *list.Element // in Cache.idle; nil while it is held or loaded
}

// load is one download or check, which many may wait for.
type load struct {
	done      chan struct{} // closed at its end; then err and abandoned stay
	err       error
	abandoned bool // everyone had stopped waiting
	cancel    context.CancelFunc
}

// hold finds or makes the entry and holds it. Load is what to wait for, nil if
// the file is ready.
func (c *Cache) hold(id id) (e *entry, l *load, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, nil, errClosed
	}
	e, ok := c.entries[id]
	if !ok {
		if err := c.reserve(id); err != nil {
			return nil, nil, err
		}
		e = c.add(id)
	}
	if e.idle != nil {
		c.idle.Remove(e.idle)
		e.idle = nil
	}
	e.holders++
	if e.load == nil && !(e.good && c.files.present(id)) {
		e.good = false
		c.start(e)
	}
	c.metrics.acquired(ok)
	return e, e.load, nil
}

// letGo ends one hold.
func (c *Cache) letGo(e *entry) {
	c.files.touch(e.id)
	c.mu.Lock()
	defer c.mu.Unlock()
	e.holders--
	switch {
	case e.dead || e.holders > 0:
	case e.load != nil:
		e.load.abandoned = true
		e.load.cancel() // finish does the rest
	default:
		c.rest(e)
	}
}

// rest makes an entry that nobody holds available for eviction.
func (c *Cache) rest(e *entry) {
	e.idle = c.idle.PushFront(e)
	if e.size > c.options.BytesMax {
		c.evict(e) // it would push out everything else first
	}
	c.shrink(c.options.BytesMax)
}

// start begins the load of an entry that is held.
func (c *Cache) start(e *entry) {
	ctx, cancel := context.WithCancel(c.ctx)
	l := &load{done: make(chan struct{}), cancel: cancel}
	e.load = l
	c.loads.Go(func() {
		defer cancel()
		c.finish(e, l, c.run(ctx, e))
	})
}

// finish tells the outcome of a load to those who wait for it.
func (c *Cache) finish(e *entry, l *load, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer close(l.done)
	e.load, l.err = nil, err
	if err == nil {
		e.good = true
		c.setOnDisk(e, true)
		if e.holders == 0 {
			c.rest(e)
		}
		return
	}
	onDisk := e.onDisk
	c.drop(e)
	if onDisk { // given up before its check ended: the file is as it was
		again := c.add(e.id)
		c.setOnDisk(again, true)
		c.rest(again)
	}
}

// reserve makes room for a new entry or says that there is none.
func (c *Cache) reserve(id id) error {
	limit := c.options.BytesMax
	if id.size > limit { // it never fits, so let the others stay
		limit = c.options.BytesHardMax
	}
	c.shrink(limit - id.size)
	if id.size > c.options.BytesHardMax-c.bytes {
		return fault.Newf(fault.ResourceExhausted,
			"object cache %s: no room for object %q of %d bytes: %d of at most %d are in use; retry later or give the cache more",
			c.files.dir, id.key, id.size, c.bytes, c.options.BytesHardMax)
	}
	return nil
}

// shrink evicts what was used longest ago until limit bytes or only held
// files are left.
func (c *Cache) shrink(limit int64) {
	for c.bytes > limit && c.idle.Len() > 0 {
		oldest, ok := c.idle.Back().Value.(*entry)
		if !ok {
			panic("BUG: idle list holds something else")
		}
		c.evict(oldest)
	}
}

func (c *Cache) evict(e *entry) {
	if err := c.files.remove(e.id); err != nil {
		c.log.Warn("object cache cannot remove a file", "key", e.key, "error", err)
	}
	c.drop(e)
	c.metrics.evictions.Inc()
}

// add puts a new entry into the index, neither held nor idle yet.
func (c *Cache) add(id id) *entry {
	e := &entry{id: id}
	c.entries[id] = e
	c.bytes += id.size
	return e
}

// drop takes the entry out of the index.
func (c *Cache) drop(e *entry) {
	c.setOnDisk(e, false)
	if e.idle != nil {
		c.idle.Remove(e.idle)
		e.idle = nil
	}
	delete(c.entries, e.id)
	c.bytes -= e.size
	e.dead = true
}

func (c *Cache) setOnDisk(e *entry, onDisk bool) {
	if e.onDisk == onDisk {
		return
	}
	e.onDisk = onDisk
	if onDisk {
		c.keys[e.key]++
	} else if c.keys[e.key]--; c.keys[e.key] == 0 {
		delete(c.keys, e.key)
	}
}

// adopt takes over files from before. They are checked when they are first
// acquired.
func (c *Cache) adopt(files []found) {
	c.mu.Lock()
	defer c.mu.Unlock()
	slices.SortFunc(files, func(a, b found) int { return a.used.Compare(b.used) })
	for _, f := range files {
		e := c.add(f.id)
		c.setOnDisk(e, true)
		e.idle = c.idle.PushFront(e)
	}
	c.shrink(c.options.BytesMax)
}
