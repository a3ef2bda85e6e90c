package transfer

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"

	"skein/objstore"
)

// queueTimeout bounds what a write waits for the queue.
const queueTimeout = 2 * time.Second

// Backed is a store whose objects are copied to a backup by a Mover: it queues
// what changes. A queue that does not answer fails no write: Run queues later
// what it has missed.
type Backed struct {
	objstore.Store
	Queue Queue
	Wants func(ctx context.Context, key string) bool // whether an object is backed up; all if nil
	Grace time.Duration                              // before a deletion reaches the backup
	Log   *slog.Logger

	mu   sync.Mutex
	late map[string]bool // keys that are not queued yet, and whether they were deleted
}

const (
	lateKeysMax = 1_000_000 // of one Backed; Sync finds what is beyond
	lateAtOnce  = 500
	lateEvery   = time.Second
)

// LateMax is what the Mover of a Backed store needs for Options.LateMax: the
// object is queued before it is stored, so that no crash loses it.
const LateMax = 10 * time.Minute

// Put implements objstore.Store.
func (b *Backed) Put(ctx context.Context, key string, r io.Reader, size int64) error {
	if objstore.ValidateKey(key) == nil && (b.Wants == nil || b.Wants(ctx, key)) {
		b.note(ctx, key, false)
	}
	return b.Store.Put(ctx, key, r, size)
}

// Delete implements objstore.Store.
func (b *Backed) Delete(ctx context.Context, key string) error {
	if err := b.Store.Delete(ctx, key); err != nil {
		return err
	}
	b.note(ctx, key, true)
	return nil
}

// note queues a change, or keeps it for later.
func (b *Backed) note(ctx context.Context, key string, deleted bool) {
	if err := b.queue(ctx, deleted, key); err != nil {
		b.Log.Warn("backup of object is not queued yet", "key", key, "error", err)
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.late == nil {
			b.late = map[string]bool{}
		}
		if _, known := b.late[key]; known || len(b.late) < lateKeysMax {
			b.late[key] = deleted
		}
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.late, key) // what came before does not matter any more
}

func (b *Backed) queue(ctx context.Context, deleted bool, keys ...string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), queueTimeout)
	defer cancel()
	if deleted {
		return QueueDeletions(ctx, b.Queue, b.Grace, keys...)
	}
	return QueueCopies(ctx, b.Queue, keys...)
}

// Run queues what the queue did not take at once, until ctx ends.
func (b *Backed) Run(ctx context.Context) {
	tick := time.NewTicker(lateEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-tick.C:
		case <-ctx.Done(): // a last try
		}
		for b.catchUp(ctx) {
		}
	}
}

// catchUp queues some of what is late, and tells whether there is more that
// can be queued now.
func (b *Backed) catchUp(ctx context.Context) bool {
	b.mu.Lock()
	var copies, deletions []string
	for key, deleted := range b.late {
		if len(copies)+len(deletions) == lateAtOnce {
			break
		}
		if deleted {
			deletions = append(deletions, key)
		} else {
			copies = append(copies, key)
		}
	}
	b.mu.Unlock()
	for _, some := range []struct {
		deleted bool
		keys    []string
	}{{false, copies}, {true, deletions}} {
		if len(some.keys) == 0 {
			continue
		}
		if err := b.queue(ctx, some.deleted, some.keys...); err != nil {
			return false
		}
		b.mu.Lock()
		for _, key := range some.keys {
			if b.late[key] == some.deleted {
				delete(b.late, key)
			}
		}
		b.mu.Unlock()
	}
	return len(copies)+len(deletions) == lateAtOnce
}
