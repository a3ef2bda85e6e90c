package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"skein/internal/fault"
	"skein/meta"
)

// errLostTable is why rows stay in the log of which the catalog knows nothing.
var errLostTable = fault.New(fault.FailedPrecondition,
	"the catalog does not know the table and tells of no drop, it was lost or restored: the rows stay in the log until skein meta restore or skein meta rebuild brings the table back, or it is made and dropped")

// endIfDropped forgets a table that the catalog does not have any more because
// it was dropped, deletes the files that were to be in it, and returns nil. A
// catalog that was lost tells of no drop in its history: then the rows are
// kept, and the error is errLostTable.
func (w *Worker) endIfDropped(ctx context.Context, t *table, files ...meta.File) error {
	changes, err := w.meta.History(ctx, meta.HistoryMax)
	if err != nil {
		return fmt.Errorf("history of the catalog: %w", err)
	}
	if !dropped(changes, t.name) {
		return fmt.Errorf("table %s: %w", t.name, errLostTable)
	}
	w.deleteFiles(ctx, files)
	w.drop(t)
	return nil
}

// dropped tells whether the history has a table's end: a drop, or another one
// that was made in its place.
func dropped(changes []meta.Change, name string) bool {
	made := 0
	for _, c := range changes {
		if c.Table != name {
			continue
		}
		if c.Kind == meta.ChangeCreate {
			made++
		}
		if c.Kind == meta.ChangeDrop || made > 1 {
			return true
		}
	}
	return false
}

// Relearn brings what the worker knows of the catalog up to it, after that was
// restored to another state: schemas may be gone that logged rows are of, units
// are not known as open any more, and others are that were committed long ago.
// All rows are flushed at once, so that queries see them again.
func (w *Worker) Relearn(ctx context.Context) error {
	var errs []error
	for _, t := range w.tableList("") {
		if err := w.relearn(ctx, t); err != nil && !errors.Is(err, meta.ErrTableNotFound) {
			errs = append(errs, err)
		}
	}
	w.mu.Lock()
	close(w.again)
	w.again = make(chan struct{})
	w.mu.Unlock()
	w.settled.Store(false)
	tables, err := w.meta.Tables(ctx)
	errs = append(errs, err)
	for _, t := range tables {
		errs = append(errs, w.closeUnitsOf(ctx, t, w.liveUnits))
	}
	err = errors.Join(errs...)
	w.settled.Store(err == nil)
	w.unsettled.Store(err != nil)
	return err
}

// retryNow is closed when tries that failed should be made again.
func (w *Worker) retryNow() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.again
}

// relearn reads one table anew, and seals all its units: whether the catalog
// knows their commit has to be found out.
func (w *Worker) relearn(ctx context.Context, t *table) error {
	entry, err := w.meta.Table(ctx, t.name)
	if err != nil {
		return err
	}
	if entry.UID != t.uid {
		return gone(t.name)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !continues(t.entry.Schemas, entry.Schemas) {
		t.generation++
		clear(t.layouts)
	}
	t.entry, t.next = entry, nil
	for _, u := range slices.Clone(t.units) {
		u.replayed = true
		switch {
		case u != t.active:
		case u.queuedRows > 0 || u.pending > 0 || u.link != nil:
			w.seal(u)
		default:
			t.active, u.gone = nil, true
			t.remove(u)
			close(u.flushed)
		}
	}
	return nil
}

// continues tells whether now has all schemas of old, in their places.
func continues(old, now []meta.Schema) bool {
	if len(now) < len(old) {
		return false
	}
	a, errA := json.Marshal(old)
	b, errB := json.Marshal(now[:len(old)])
	return errA == nil && errB == nil && (len(old) == 0 || bytes.Equal(a, b))
}

// readmit makes the catalog's schema hold the rows of a unit that were logged
// under schemas that the catalog has not any more. Rows that the schema of
// their version holds keep it.
func (w *Worker) readmit(ctx context.Context, u *unit) error {
	t := u.table
	t.mu.Lock()
	chunks, generation := slices.Clone(u.chunks), t.generation
	t.mu.Unlock()
	changed := false
	for i, c := range chunks {
		v, err := w.versionOf(ctx, t, c)
		if err != nil {
			return fmt.Errorf("rows under the restored schema: %w", err)
		}
		changed = changed || v != c.version
		chunks[i].version = v
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	u.generation = generation
	if changed {
		u.chunks, u.files = chunks, nil
		w.hot.dropUnit(u.id)
	}
	return nil
}

// versionOf is that of a schema that holds the rows: their own, or a new one.
func (w *Worker) versionOf(ctx context.Context, t *table, c chunk) (int, error) {
	objects, err := read(c.rows)
	if err != nil {
		return 0, err
	}
	t.mu.Lock()
	layout, err := t.layout(c.version)
	t.mu.Unlock()
	if err == nil && allFit(layout, objects) {
		return c.version, nil
	}
	return w.admit(ctx, t, objects)
}

// liveUnits are the units of a table that hold rows here, or may soon.
func (w *Worker) liveUnits(tableUID string) map[string]bool {
	live := map[string]bool{}
	w.mu.Lock()
	t := w.tables[tableUID]
	w.mu.Unlock()
	if t == nil {
		return live
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, u := range t.units {
		live[u.id] = true
	}
	if t.next != nil {
		live[t.next.id] = true
	}
	return live
}

// reclaim has the rows of a unit, which this node's log has lost, committed by
// the replica, if that has any.
func (w *Worker) reclaim(ctx context.Context, t meta.Table, open meta.OpenUnit) error {
	if open.Replica == "" || w.knownUnits(t.UID)[open.Unit] {
		return nil
	}
	peer, err := w.peerOf(ctx, open.Replica)
	if err == nil {
		err = peer.TakeOver(ctx, open.Unit)
	}
	if fault.CodeOf(err) == fault.NotFound {
		return nil
	}
	if err != nil {
		return fmt.Errorf("unit %s of table %s is lost here and its replica on node %s is awaited (if that is gone for good, stop this node, run skein meta nodes forget %s --yes, and start it again): %w",
			open.Unit, t.Name, open.Replica, open.Node, err)
	}
	return nil
}

// lostUnit is a unit of the table that the catalog has as open on this node,
// with a replica, and that is not here: its rows cannot be told. Empty if there
// is none.
func (w *Worker) lostUnit(ctx context.Context, table, uid string) (string, error) {
	units, err := w.meta.Units(ctx, table)
	if errors.Is(err, meta.ErrTableNotFound) {
		return "", nil
	}
	known := w.knownUnits(uid) // read after them: a unit is known before it is opened
	for _, u := range units.Open {
		if u.Node == w.o.NodeID && u.Replica != "" && !known[u.Unit] {
			return u.Unit, nil
		}
	}
	return "", err
}

// closeUnitsOf closes the units of this node that the catalog has as open and
// that are not among those that known tells.
func (w *Worker) closeUnitsOf(ctx context.Context, t meta.Table, known func(tableUID string) map[string]bool) error {
	listing, err := w.meta.Listing(ctx, t.Name)
	if errors.Is(err, meta.ErrTableNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	mine := known(t.UID) // read after the listing: a unit is known before it is opened
	for _, open := range listing.Open {
		if open.Node != w.o.NodeID || mine[open.Unit] {
			continue
		}
		if err := w.reclaim(ctx, t, open); err != nil {
			return err
		}
		now := time.Now()
		c := meta.Commit{Table: t.Name, TableUID: t.UID, Node: open.Node, Unit: open.Unit, Time: now}
		if open.Replica != "" {
			c.By = w.o.NodeID
		}
		err := w.meta.Commit(ctx, c)
		if err != nil && !errors.Is(err, meta.ErrTableNotFound) && !errors.Is(err, meta.ErrUnitTaken) && !errors.Is(err, meta.ErrUnitDone) {
			return err
		}
		w.noteCommitted(committed{Table: t.Name, TableUID: t.UID, Unit: open.Unit, Time: now})
	}
	return nil
}
