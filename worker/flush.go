package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"

	"skein/internal/fault"
	"skein/meta"
)

// flush turns a sealed unit into files and commits them. It tries until that
// succeeds, the table is gone, or ctx ends.
func (w *Worker) flush(ctx context.Context, u *unit) {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval = min(100*time.Millisecond, w.o.RetryBackoffMax)
	pause.MaxInterval = w.o.RetryBackoffMax
	for {
		again := w.retryNow()
		if w.slots.Acquire(ctx, 1) != nil {
			return
		}
		start := time.Now()
		err := w.flushOnce(ctx, u)
		w.slots.Release(1)
		if ctx.Err() != nil {
			return
		}
		w.noteFlush(u, time.Since(start), err)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-u.flushed: // dropped
			return
		case <-again:
		case <-time.After(pause.NextBackOff()):
		}
	}
}

// noteFlush counts a try and logs when flushing a table begins to fail or to
// work again.
func (w *Worker) noteFlush(u *unit, took time.Duration, err error) {
	t := u.table
	t.mu.Lock()
	before := t.failing
	t.failing = err != nil
	u.lastError = err
	t.mu.Unlock()
	switch {
	case err != nil:
		w.metrics.flushFailures.Inc()
		if !before {
			w.log.Warn("flush does not work, its rows stay in the log and it is tried again", "table", t.name, "unit", u.id, "error", err)
		}
	default:
		w.metrics.flushes.Observe(took.Seconds())
		if before {
			w.log.Info("flush works again", "table", t.name)
		}
	}
}

// flushOnce is one try. It returns nil when the unit is over.
func (w *Worker) flushOnce(ctx context.Context, u *unit) error {
	t := u.table
	t.mu.Lock()
	replayed, over := u.replayed, u.gone
	t.mu.Unlock()
	if over {
		return nil
	}
	entry, err := w.refresh(ctx, t)
	if errors.Is(err, meta.ErrTableNotFound) {
		return w.endIfDropped(ctx, t)
	}
	if err == nil && replayed {
		if over, err = w.wasCommitted(ctx, u); err == nil && !over {
			u.files = nil // the other node may have deleted them, in a catalog that is no more
		}
	}
	if err != nil {
		return fmt.Errorf("read the catalog: %w", err)
	}
	chunks, err := w.currentRows(ctx, u, over)
	if err != nil {
		return err
	}
	now := time.Now()
	if !over {
		if err := w.uploadUnit(ctx, u, chunks, entry); err != nil {
			return err
		}
		err = w.commit(ctx, u, u.files, now)
	} else if u.replica != "" {
		err = w.commit(ctx, u, nil, now) // tells who it was
	}
	switch {
	case errors.Is(err, meta.ErrUnitTaken):
		w.yield(ctx, u, chunks, err)
	case errors.Is(err, meta.ErrUnitDone):
		w.lose(u, err)
	case errors.Is(err, meta.ErrTableNotFound):
		return w.endIfDropped(ctx, t, u.files...)
	case err != nil:
		return fmt.Errorf("commit: %w", err)
	}
	w.finish(u, now)
	w.free(ctx, u)
	return nil
}

func (w *Worker) commit(ctx context.Context, u *unit, files []meta.File, now time.Time) error {
	c := meta.Commit{Table: u.table.name, TableUID: u.table.uid, Node: w.o.NodeID, Unit: u.id, Add: files, Time: now}
	if u.replica != "" {
		c.By = w.o.NodeID
	}
	return w.meta.Commit(ctx, c)
}

// yield leaves a unit to the replica's node, which has committed it: the files
// that this node has or may have made of it will never be in the index.
func (w *Worker) yield(ctx context.Context, u *unit, chunks []chunk, err error) {
	w.log.Warn("another node has taken over unflushed rows of this one", "table", u.table.name, "unit", u.id, "node", u.replica)
	files := u.files
	if files == nil {
		files = madeOf(u, chunks)
	}
	w.deleteFiles(ctx, files)
	w.lose(u, err)
}

// lose notes that perhaps another node's commit of the unit is the one there is.
func (w *Worker) lose(u *unit, err error) {
	u.table.mu.Lock()
	defer u.table.mu.Unlock()
	u.taken = fault.Newf(fault.Unavailable, "the rows may not be stored, write them again: %w", err)
}

// currentRows are the rows of a unit, of schemas that the catalog has.
func (w *Worker) currentRows(ctx context.Context, u *unit, over bool) ([]chunk, error) {
	u.table.mu.Lock()
	stale := u.generation != u.table.generation
	u.table.mu.Unlock()
	if stale && !over {
		if err := w.readmit(ctx, u); err != nil {
			return nil, err
		}
	}
	u.table.mu.Lock()
	defer u.table.mu.Unlock()
	return u.chunks, nil
}

// wasCommitted tells whether the process that wrote the unit to the log had
// committed it: its files may have been merged into others since.
func (w *Worker) wasCommitted(ctx context.Context, u *unit) (bool, error) {
	listing, err := w.meta.Listing(ctx, u.table.name)
	if err != nil {
		return false, err
	}
	if listing.Units[u.id] {
		return true, nil
	}
	u.table.mu.Lock()
	u.replayed = false // it was not, and from now on only this process can
	u.table.mu.Unlock()
	return false, nil
}

// finish notes that the unit is committed: Hot does not tell of it any more.
func (w *Worker) finish(u *unit, at time.Time) {
	t := u.table
	t.mu.Lock()
	if u.gone {
		t.mu.Unlock()
		return
	}
	t.remove(u)
	u.unlink()
	w.budget.Release(u.reserved)
	u.reserved = 0
	u.pinnedTill = u.announced.Add(w.o.pinFor)
	pinned := u.pinnedTill.After(at)
	if pinned {
		w.pin(u)
	}
	t.mu.Unlock()
	if !pinned {
		w.hot.dropUnit(u.id)
	}
	w.noteCommitted(committed{Table: t.name, TableUID: t.uid, Unit: u.id, Time: at, segment: u.last})
	close(u.flushed)
}

// unlink ends the calls to the replica. The table's lock is held.
func (u *unit) unlink() {
	if u.link != nil {
		u.link.cancel()
	}
}

// remove takes a unit that is over out of the list. The table's lock is held.
func (t *table) remove(u *unit) {
	for i := range t.units {
		if t.units[i] == u {
			t.units = append(t.units[:i:i], t.units[i+1:]...)
			return
		}
	}
}

// drop forgets a table that is gone from the catalog, and its rows.
func (w *Worker) drop(t *table) {
	w.mu.Lock()
	if w.tables[t.uid] == t {
		delete(w.tables, t.uid)
	}
	w.mu.Unlock()
	t.mu.Lock()
	units := t.units
	t.dropped, t.units, t.active, t.next = true, nil, nil, nil
	for _, u := range units {
		u.unlink()
		w.budget.Release(u.reserved)
		u.reserved = 0
		u.gone = true
	}
	t.mu.Unlock()
	for _, u := range units {
		w.hot.dropUnit(u.id)
		close(u.flushed)
	}
}

// Discard forgets the rows of a dropped table, without waiting for the flush
// that would find out. Those of a table that a restore brought back stay.
func (w *Worker) Discard(ctx context.Context, tableUID string) error {
	name := w.replicas.tableOf(tableUID)
	w.mu.Lock()
	t := w.tables[tableUID]
	w.mu.Unlock()
	if t != nil {
		name = t.name
	}
	if name == "" {
		return nil
	}
	if now, err := w.meta.Table(ctx, name); err == nil && now.UID == tableUID || err != nil && !errors.Is(err, meta.ErrTableNotFound) {
		return err
	}
	w.replicas.dropTable(tableUID)
	if t == nil {
		return nil
	}
	w.drop(t)
	return w.wal.Append(ctx, append([]byte{entryDiscarded}, tableUID...))
}

// Flush turns the table's buffered rows, or those of all tables if the name is
// empty, into files and waits for the commit.
func (w *Worker) Flush(ctx context.Context, table string) error {
	_, err := w.flushAll(ctx, table, false)
	return err
}

// flushAll also closes units without rows if empty is set, when no write is
// under way. After an error it tells how many units are left.
func (w *Worker) flushAll(ctx context.Context, name string, empty bool) (left int, err error) {
	var units []*unit
	for _, t := range w.tableList(name) {
		t.mu.Lock()
		if u := t.next; u != nil && empty { // the catalog may have it as open
			t.units, t.next = append(t.units, u), nil
			w.seal(u)
		}
		if u := t.active; u != nil && (empty || u.queuedRows > 0) {
			w.seal(u)
		}
		for _, u := range t.units {
			if u.sealed {
				units = append(units, u)
			}
		}
		t.mu.Unlock()
	}
	for i, u := range units {
		select {
		case <-u.flushed:
		case <-ctx.Done():
			return len(units) - i, fmt.Errorf("flush of table %s: %w", u.table.name, u.reason(context.Cause(ctx)))
		}
	}
	return 0, nil
}

// reason is why the unit is not committed when waiting for it ended with err.
func (u *unit) reason(err error) error {
	u.table.mu.Lock()
	defer u.table.mu.Unlock()
	if u.lastError == nil {
		return err
	}
	return fault.Newf(fault.CodeOf(err), "%v; the last try ended with: %w", err, u.lastError)
}
