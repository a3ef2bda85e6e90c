package worker

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"

	"skein/meta"
)

// noteCommitted writes to the log that a unit needs no replay, without waiting,
// and remembers to let the catalog forget it. If the log cannot be written the
// unit is found committed at the next start.
func (w *Worker) noteCommitted(c committed) {
	w.mu.Lock()
	w.forget = append(w.forget, c)
	w.mu.Unlock()
	_ = w.wal.Enqueue(newCommittedEntry([]committed{c}), func(_ uint64, err error) {
		if err != nil {
			return
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		for i := range w.forget {
			if w.forget[i].Unit == c.Unit {
				w.forget[i].logged = true
			}
		}
	})
}

// trim removes the log's segments that hold no row of a unit that is not over.
func (w *Worker) trim(ctx context.Context) {
	keep := w.wal.Mark() // read first: rows not delivered yet lie there or later
	oldest := w.wal.First()
	if oldest == 0 || time.Now().Before(w.trimNext) {
		return
	}
	for _, t := range w.tableList("") {
		t.mu.Lock()
		for _, u := range t.units {
			if u.segment != 0 {
				keep = min(keep, u.segment)
			}
		}
		if u := t.next; u != nil && u.segment != 0 {
			keep = min(keep, u.segment)
		}
		t.mu.Unlock()
	}
	if oldest >= keep {
		return
	}
	if !w.carryOver(ctx) {
		return
	}
	if _, err := w.wal.Trim(keep); err != nil {
		w.log.Warn("the log cannot be trimmed", "error", err)
		w.trimNext = time.Now().Add(trimPause)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.forget {
		if s := w.forget[i].segment; s != 0 && s < keep {
			w.forget[i].logged = true
		}
	}
}

const trimPause = 10 * time.Second // after a failure

// carriedMax bounds the units that are written to the log again. The catalog
// keeps those beyond it for ever if the process ends before it forgets them.
const carriedMax = 10_000

// carryOver writes the units that the catalog is still to forget to the end of
// the log, before its start is trimmed. It tells false if it was interrupted.
func (w *Worker) carryOver(ctx context.Context) bool {
	w.mu.Lock()
	list := w.forget[max(0, len(w.forget)-carriedMax):]
	entry := newCommittedEntry(list)
	w.mu.Unlock()
	if len(list) == 0 {
		return true
	}
	_ = w.wal.Append(ctx, entry) // on a full disk trimming is what helps
	return ctx.Err() == nil
}

// forgetCommitted lets the catalog forget units that were committed long ago
// and that no replay can bring back.
func (w *Worker) forgetCommitted(ctx context.Context, now time.Time) {
	if now.Before(w.forgetNext) {
		return
	}
	w.forgetNext = now.Add(min(w.o.forgetAfter, forgetEvery))
	due := map[string][]string{}
	w.mu.Lock()
	for _, c := range w.forget {
		if c.logged && now.Sub(c.Time) >= w.o.forgetAfter && len(due[c.Table]) < forgetBatch {
			due[c.Table] = append(due[c.Table], c.Unit)
		}
	}
	w.mu.Unlock()
	done := map[string]bool{}
	for table, units := range due {
		ctx, cancel := context.WithTimeout(ctx, forgetWait)
		err := w.meta.ForgetUnits(ctx, table, units)
		cancel()
		if err != nil && !errors.Is(err, meta.ErrTableNotFound) {
			continue // the next round tries again
		}
		for _, u := range units {
			done[u] = true
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var kept []committed
	for _, c := range w.forget {
		if !done[c.Unit] {
			kept = append(kept, c)
		}
	}
	w.forget = kept
}

const (
	forgetEvery = 5 * time.Second // how often the catalog is told
	forgetBatch = 1_000           // units in one call
	forgetWait  = 5 * time.Second // for one call
)

// closeLostUnits closes the units of this node that the catalog has as open
// but the log does not know: the process ended between the two, or the log is
// lost. It tries until it succeeds or ctx ends.
func (w *Worker) closeLostUnits(ctx context.Context) {
	pause := backoff.NewExponentialBackOff()
	pause.MaxInterval = w.o.RetryBackoffMax
	_, _ = backoff.Retry(ctx, func() (struct{}, error) {
		return struct{}{}, w.settle(ctx)
	}, backoff.WithBackOff(pause), backoff.WithMaxElapsedTime(0))
}

// settle is one try of closeLostUnits.
func (w *Worker) settle(ctx context.Context) error {
	tables, err := w.meta.Tables(ctx)
	for _, t := range tables {
		if err = errors.Join(err, w.closeUnitsOf(ctx, t, w.knownUnits)); ctx.Err() != nil {
			break
		}
	}
	if err == nil {
		w.settled.Store(true)
	}
	return err
}

// knownUnits are the units of a table that this process has or just had.
func (w *Worker) knownUnits(tableUID string) map[string]bool {
	known := w.liveUnits(tableUID)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.forget {
		known[c.Unit] = true
	}
	return known
}
