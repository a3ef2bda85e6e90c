package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"skein/internal/fault"
	"skein/meta"
	nodev1 "skein/proto/node/v1"
	"skein/worker/payload"
)

// Limits of a write.
const (
	PayloadBytesMax = 16 << 20 // of one record
	partRowsMax     = 4096     // of a write that are logged together
	partBytesMax    = 8 << 20
)

// Times of records, in microseconds since 1970 UTC.
const (
	timeMin = -62135596800_000_000     // year 1
	timeMax = 253402300800_000_000 - 1 // year 9999
)

var errClosed = fault.New(fault.Unavailable, "the worker is shutting down, retry on another node")

// Append stores records of the Write API. When it returns nil they are in the
// log on disk, and seen by Hot. It keeps the request's records, which must not
// change any more. After an error some may be stored; none is if an argument
// is bad.
func (w *Worker) Append(ctx context.Context, req *nodev1.AppendRequest) error {
	ctx, leave, err := w.calls.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	objects, err := read(req.Records)
	if err != nil {
		return fmt.Errorf("table %s: %w", req.Table, err)
	}
	t, err := w.table(ctx, req.Table, req.TableUid)
	if err != nil {
		return err
	}
	version, err := w.admit(ctx, t, objects)
	if err != nil {
		w.dropIfGone(ctx, t, err)
		return err
	}
	for _, part := range parts(req.Records) {
		if err := w.store(ctx, t, newChunk(part, version)); err != nil {
			return fmt.Errorf("table %s: %w", t.name, err)
		}
	}
	return nil
}

// read checks the records and reads their payloads.
func read(records []*nodev1.Record) ([]payload.Object, error) {
	objects := make([]payload.Object, len(records))
	for i, r := range records {
		err := meta.ValidateID(r.Id)
		if err == nil {
			objects[i], err = readPayload(r)
		}
		switch {
		case err == nil:
		case len(records) == 1:
			return nil, err
		default:
			return nil, fmt.Errorf("record %d of %d: %w", i+1, len(records), err)
		}
	}
	return objects, nil
}

func readPayload(r *nodev1.Record) (payload.Object, error) {
	if r.TimestampUs < timeMin || r.TimestampUs > timeMax {
		return payload.Object{}, fault.Newf(fault.InvalidArgument, "timestamp of id %q is not in the years 1 to 9999", r.Id)
	}
	if len(r.Payload) > PayloadBytesMax {
		return payload.Object{}, fault.Newf(fault.TooLarge, "payload of id %q has %d bytes, at most %d are allowed", r.Id, len(r.Payload), PayloadBytesMax)
	}
	o, err := payload.Parse(r.Payload)
	if err != nil {
		return o, fmt.Errorf("id %q: %w", r.Id, err)
	}
	return o, nil
}

// parts splits records into what is logged together.
func parts(records []*nodev1.Record) [][]*nodev1.Record {
	var parts [][]*nodev1.Record
	start, bytes := 0, 0
	for i, r := range records {
		n := len(r.Id) + len(r.Payload)
		if i > start && (i-start >= partRowsMax || bytes+n > partBytesMax) {
			parts = append(parts, records[start:i])
			start, bytes = i, 0
		}
		bytes += n
	}
	if start < len(records) {
		parts = append(parts, records[start:])
	}
	return parts
}

// store logs one chunk and waits until it is on disk and buffered.
func (w *Worker) store(ctx context.Context, t *table, c chunk) error {
	entry, err := newRowsEntry(t, c)
	if err != nil {
		return err
	}
	if err := w.reserve(ctx, c.bytes); err != nil {
		return err
	}
	done := make(chan landing, 1)
	if err := w.enqueue(ctx, t, c, entry, done); err != nil {
		w.budget.Release(c.bytes)
		return err
	}
	select {
	case l := <-done:
		if err = l.err; err == nil && l.unit != nil {
			err = w.awaitCommit(ctx, l)
		}
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err == nil {
		w.metrics.rows.Add(float64(len(c.rows)))
	}
	return err
}

// reserve waits for room in the buffer.
func (w *Worker) reserve(ctx context.Context, bytes int64) error {
	if bytes > w.o.BufferBytesMax {
		return fault.Newf(fault.TooLarge, "a write of %d bytes does not fit the worker's buffer of %d, split it", bytes, w.o.BufferBytesMax)
	}
	if w.budget.TryAcquire(bytes) {
		return nil
	}
	notify(w.pressure)
	limited, cancel := context.WithTimeout(ctx, w.o.BufferWait)
	defer cancel()
	if w.budget.Acquire(limited, bytes) == nil {
		return nil
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	w.metrics.refused.Inc()
	return fault.Newf(fault.ResourceExhausted, "the worker's buffer of %d bytes is full, retry later", w.o.BufferBytesMax).RetryIn(time.Second)
}

// enqueue puts the chunk in line for the log as part of the table's active
// unit, and sends it to the unit's replica if there is one. done gets the
// outcome of both.
func (w *Worker) enqueue(ctx context.Context, t *table, c chunk, entry rowsEntry, done chan<- landing) error {
	groups := groupsOf(c.rows)
	u, err := w.lockActive(ctx, t, groups)
	if err != nil {
		return err
	}
	defer t.mu.Unlock()
	logged := entry.of(u)
	f := &flight{chunk: c, done: done, replied: u.link == nil}
	err = w.wal.Enqueue(logged, func(segment uint64, err error) {
		t.mu.Lock()
		defer t.mu.Unlock()
		f.logged, f.segment, f.logErr = true, segment, err
		if err == nil {
			u.touch(segment)
		}
		w.land(u)
	})
	if err != nil {
		return err
	}
	u.line = append(u.line, f)
	if u.link != nil {
		w.send(u, f, logged)
	}
	if u.queuedRows == 0 {
		u.first = time.Now()
	}
	u.pending++
	u.queuedRows += int64(len(c.rows))
	u.queuedBytes += c.bytes
	for g := range groups {
		u.groups[g] = struct{}{}
	}
	if u.queuedRows >= int64(t.entry.Config.WithDefaults().BufferSize) || u.queuedBytes >= w.o.UnitBytesMax {
		w.seal(u)
	}
	return nil
}

// lockActive returns the unit that takes new rows, with the table's lock held.
func (w *Worker) lockActive(ctx context.Context, t *table, groups map[uint64]struct{}) (*unit, error) {
	for {
		t.mu.Lock()
		switch u := t.active; {
		case t.dropped:
			t.mu.Unlock()
			return nil, gone(t.name)
		case u != nil && u.takes(groups) && (u.link != nil) == t.entry.Config.Replicated:
			return u, nil
		case u != nil:
			w.seal(u)
		}
		t.mu.Unlock()
		if err := w.openUnit(ctx, t); err != nil {
			w.dropIfGone(ctx, t, err)
			return nil, err
		}
	}
}

// openUnit makes an active unit, after the catalog, and the replica if it has
// one, know that this node may hold rows of it.
func (w *Worker) openUnit(ctx context.Context, t *table) error {
	if err := acquire(ctx, t.opening); err != nil {
		return err
	}
	defer release(t.opening)
	for try := 1; ; try++ {
		again, err := w.tryOpen(ctx, t)
		if !again || try == replicasTried {
			return err
		}
	}
}

// tryOpen is one try of openUnit; again tells that another replica may do.
func (w *Worker) tryOpen(ctx context.Context, t *table) (again bool, err error) {
	t.mu.Lock()
	if t.active != nil {
		t.mu.Unlock()
		return false, nil
	}
	if err := t.checkEmpty(); err != nil {
		t.mu.Unlock()
		return false, err
	}
	if t.next == nil { // else the last try failed
		t.next = newUnit(t, w.names.next())
	}
	u := t.next
	u.generation = t.generation
	replicated := t.entry.Config.Replicated
	t.mu.Unlock()
	if replicated {
		if err := w.connect(ctx, u); err != nil {
			return false, err
		}
	}
	var refused error // by the replica
	if err = w.meta.OpenUnit(ctx, t.name, t.uid, meta.OpenUnit{Node: w.o.NodeID, Unit: u.id, Replica: u.replica}); err != nil {
		err = fmt.Errorf("open unit %s: %w", u.id, err)
	} else if replicated {
		refused = w.introduce(ctx, u)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	expected := t.next == u // else Relearn may have closed it in the catalog
	if expected && err != nil && !replicated {
		return false, err // the next try takes it again
	}
	if expected {
		t.next = nil
	}
	if !slices.Contains(t.units, u) {
		t.units = append(t.units, u)
	}
	switch {
	case refused != nil:
		// The replica may know the unit nevertheless, so it never gets another one.
		w.unlink(u, refused)
		err = fault.Newf(fault.Unavailable, "table %s is replicated and node %s does not take its rows: %w; retry", t.name, u.replica, refused).RetryIn(time.Second)
		return ctx.Err() == nil, err
	case !expected || err != nil:
		// The catalog may have it as open nevertheless: the flush closes it there.
		u.unlink()
		w.seal(u)
		return err == nil, err
	}
	t.active = u
	return false, nil
}

// emptyMax bounds the units of a table that could not be opened and are not yet
// closed in the catalog.
const emptyMax = 16

// checkEmpty is an error while there are too many sealed units that never took
// rows. The table's lock is held.
func (t *table) checkEmpty() error {
	n, last := 0, error(nil)
	for _, u := range t.units {
		if u.sealed && u.queuedRows == 0 {
			n, last = n+1, cmp.Or(u.lastError, last)
		}
	}
	if n < emptyMax {
		return nil
	}
	if last == nil {
		last = fault.New(fault.Unavailable, "it does not answer")
	}
	return fault.Newf(fault.Unavailable, "table %s: %d units could not be opened and wait to be closed in the catalog (%w), retry later", t.name, n, last).RetryIn(time.Second)
}

// dropIfGone forgets a table that was dropped from the catalog.
func (w *Worker) dropIfGone(ctx context.Context, t *table, err error) {
	if errors.Is(err, meta.ErrTableNotFound) {
		_ = w.endIfDropped(ctx, t) // the flush tells
	}
}
