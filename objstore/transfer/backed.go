package transfer

import (
	"context"
	"io"
	"log/slog"
	"time"

	"skein/objstore"
)

// queueTimeout bounds what a write waits for the queue.
const queueTimeout = 2 * time.Second

// Backed is a store whose objects are copied to a backup by a Mover: it queues
// what changes. A queue that does not answer fails no write; Sync finds later
// what is missing.
type Backed struct {
	objstore.Store
	Queue Queue
	Wants func(ctx context.Context, key string) bool // whether an object is backed up; all if nil
	Grace time.Duration                              // before a deletion reaches the backup
	Log   *slog.Logger
}

// LateMax is what the Mover of a Backed store needs for Options.LateMax: the
// object is queued before it is stored, so that no crash loses it.
const LateMax = 10 * time.Minute

// Put implements objstore.Store.
func (b *Backed) Put(ctx context.Context, key string, r io.Reader, size int64) error {
	if objstore.ValidateKey(key) == nil && (b.Wants == nil || b.Wants(ctx, key)) {
		b.note(ctx, key, func(ctx context.Context) error { return QueueCopies(ctx, b.Queue, key) })
	}
	return b.Store.Put(ctx, key, r, size)
}

// Delete implements objstore.Store.
func (b *Backed) Delete(ctx context.Context, key string) error {
	if err := b.Store.Delete(ctx, key); err != nil {
		return err
	}
	b.note(ctx, key, func(ctx context.Context) error { return QueueDeletions(ctx, b.Queue, b.Grace, key) })
	return nil
}

func (b *Backed) note(ctx context.Context, key string, f func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), queueTimeout)
	defer cancel()
	if err := f(ctx); err != nil {
		b.Log.Warn("backup of object is not queued; the next comparison of the stores finds it", "key", key, "error", err)
	}
}
