package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"skein/internal/fault"
	"skein/meta"
	nodev1 "skein/proto/node/v1"
)

const (
	lookTime    = 5 * time.Second // how often units with a replica are looked at
	unknownKeep = time.Hour       // how long rows are kept of a unit that the catalog does not know
)

// Replicate stores rows of another node durably until their unit is committed.
// FailedPrecondition if the unit is not, or not any more, that node's.
func (w *Worker) Replicate(ctx context.Context, req *nodev1.ReplicateRequest) error {
	ctx, leave, err := w.calls.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return w.replicas.add(ctx, req)
}

// Release forgets replicated rows of units that their node has committed.
func (w *Worker) Release(_ context.Context, units []string) error {
	w.replicas.release(units...)
	return nil
}

// TakeOver commits the replicated rows of a unit, because its node has lost
// them. NotFound if there are none here.
func (w *Worker) TakeOver(ctx context.Context, unit string) error {
	ctx, leave, err := w.calls.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	u := w.replicas.unit(unit)
	if u == nil {
		return fault.Newf(fault.NotFound, "there is no replica of unit %s on node %s", unit, w.o.NodeID)
	}
	if err := w.takeOver(ctx, u); errors.Is(err, meta.ErrTableNotFound) { // which is no answer to the question
		return fault.Newf(fault.Unavailable, "the catalog does not know the table now: %w", err)
	} else if err != nil {
		return err
	}
	return nil
}

// wanted asks the catalog whether rows of a unit may come.
func (w *Worker) wanted(ctx context.Context, r *nodev1.ReplicateRequest) error {
	units, err := w.meta.Units(ctx, r.Table)
	if err != nil {
		return err
	}
	if slices.Contains(units.Open, meta.OpenUnit{Node: r.Node, Unit: r.Unit, Replica: w.o.NodeID}) {
		return nil
	}
	return fmt.Errorf("unit %s: %w", r.Unit, errNoReplica)
}

// watch looks at what lies here for other nodes, and at the replicas of this
// node's units, until ctx ends.
func (w *Worker) watch(ctx context.Context) {
	ticker := time.NewTicker(w.o.lookEvery)
	defer ticker.Stop()
	s := &silence{missing: map[string]time.Time{}}
	for {
		w.lookAtReplicas(ctx, s)
		if w.unsettled.Load() && w.settle(ctx) == nil {
			w.unsettled.Store(false)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// silence is what is known of nodes that may be dead.
type silence struct {
	answers time.Time            // since when the catalog has answered each time; zero if it does not
	missing map[string]time.Time // nodes that are not in the catalog -> since when
}

// note takes in what the catalog answered at now.
func (s *silence) note(nodes []meta.Node, err error, now time.Time) {
	if err != nil {
		s.answers = time.Time{}
		return
	}
	if s.answers.IsZero() {
		s.answers = now
	}
	for _, n := range nodes {
		delete(s.missing, n.ID)
	}
}

// of tells whether a node has not been heard of for so long. A catalog that was
// away has heard of nobody: its nodes get as much time to be heard again.
func (s *silence) of(nodes []meta.Node, node string, limit time.Duration, now time.Time) bool {
	if s.answers.IsZero() || now.Sub(s.answers) < limit {
		return false
	}
	for _, n := range nodes {
		if n.ID == node {
			return n.Age > limit
		}
	}
	if s.missing[node].IsZero() {
		s.missing[node] = now
	}
	return now.Sub(s.missing[node]) > limit
}

func (w *Worker) lookAtReplicas(ctx context.Context, s *silence) {
	byTable, linked := w.replicas.list(), w.linked()
	if len(byTable) == 0 && len(linked) == 0 {
		*s = silence{missing: map[string]time.Time{}}
		_ = w.replicas.trim()
		return
	}
	nodes, err := w.meta.Nodes(ctx)
	s.note(nodes, err, time.Now())
	if err != nil {
		return
	}
	w.leaveReplicas(linked, nodes)
	for table, held := range byTable {
		if err := w.lookAtTable(ctx, table, held, func(node string) bool {
			return w.o.TakeoverAfter > 0 && s.of(nodes, node, w.o.TakeoverAfter, time.Now())
		}); err != nil && ctx.Err() == nil {
			w.log.Warn("replicated rows of other nodes", "table", table, "error", err)
		}
	}
	if err := w.replicas.trim(); err != nil {
		w.log.Warn("the replica log cannot be trimmed", "error", err)
	}
}

// lookAtTable drops what is over and takes over what nodes hold that are dead.
func (w *Worker) lookAtTable(ctx context.Context, table string, held []*replica, dead func(node string) bool) error {
	units, err := w.meta.Units(ctx, table)
	if errors.Is(err, meta.ErrTableNotFound) {
		return w.dropTableReplicas(ctx, table, held)
	}
	if err != nil {
		return err
	}
	open := map[string]bool{}
	for _, u := range units.Open {
		open[u.Unit] = true
	}
	var over []string
	var errs []error
	for _, u := range held {
		switch {
		case units.Committed[u.unit] && w.replicas.fenced(u):
			errs = append(errs, w.takeOver(ctx, u)) // for the files that this node may have made
		case units.Committed[u.unit]:
			over = append(over, u.unit)
		case !open[u.unit]:
			// Its node has committed it and had it forgotten, or the catalog was lost.
			since := w.replicas.unknownSince(u, time.Now())
			if time.Since(since) > unknownKeep {
				w.log.Warn("replicated rows of a unit that the catalog does not know are dropped", "table", table, "unit", u.unit, "node", u.node)
				over = append(over, u.unit)
			}
		default:
			w.replicas.unknownSince(u, time.Time{})
			if dead(u.node) {
				errs = append(errs, w.takeOver(ctx, u))
			}
		}
	}
	w.replicas.drop(over...)
	return errors.Join(errs...)
}

// dropTableReplicas forgets the rows of a table that was dropped. The catalog
// may be lost instead: then it tells of no drop.
func (w *Worker) dropTableReplicas(ctx context.Context, table string, held []*replica) error {
	changes, err := w.meta.History(ctx, meta.HistoryMax)
	if err != nil || !dropped(changes, table) {
		return err
	}
	for _, u := range held {
		w.replicas.drop(u.unit)
	}
	return nil
}

// takeOver commits a unit of another node with the rows that are here. It is
// over, whoever has committed it, when the error is nil.
func (w *Worker) takeOver(ctx context.Context, r *replica) error {
	if err := acquire(ctx, r.busy); err != nil {
		return err
	}
	defer release(r.busy)
	if w.replicas.unit(r.unit) != r {
		return nil // somebody else has just done it
	}
	number := w.names.next()
	for number == r.ns {
		number = w.names.next()
	}
	number, err := w.replicas.fence(ctx, r, number)
	if err != nil {
		return fmt.Errorf("fence unit %s: %w", r.unit, err)
	}
	chunks, err := w.replicas.rows(r)
	if err != nil {
		return err
	}
	if err := w.commitReplica(ctx, r, number, chunks); err != nil {
		return fmt.Errorf("take over unit %s of node %s: %w", r.unit, r.node, err)
	}
	w.replicas.drop(r.unit)
	return nil
}

// commitReplica writes files of its own, and commits them unless the unit's node
// was first.
func (w *Worker) commitReplica(ctx context.Context, r *replica, number int64, chunks []chunk) error {
	t := w.keep(newTable(r.table, r.uid))
	entry, err := w.refresh(ctx, t)
	if err != nil {
		return err
	}
	units, err := w.meta.Units(ctx, r.table)
	if err != nil {
		return err
	}
	u := newUnit(t, number)
	u.id, u.chunks, u.sealed, u.generation = r.unit, chunks, true, generationUnknown
	if units.Committed[r.unit] {
		return w.leaveReplica(ctx, r, u)
	}
	if chunks, err = w.currentRows(ctx, u, false); err != nil {
		return err
	}
	if err := w.slots.Acquire(ctx, 1); err != nil {
		return err
	}
	defer w.slots.Release(1)
	if err := w.uploadUnit(ctx, u, chunks, entry); err != nil {
		return err
	}
	err = w.meta.Commit(ctx, meta.Commit{Table: t.name, TableUID: t.uid, Node: r.node, Unit: r.unit, Add: u.files, Time: time.Now(), By: w.o.NodeID, IfOpen: true})
	switch {
	case errors.Is(err, meta.ErrUnitTaken): // so these files are not in the index
		w.deleteFiles(ctx, u.files)
		return nil
	case errors.Is(err, meta.ErrUnitDone):
		return nil
	case errors.Is(err, meta.ErrTableNotFound):
		if changes, e := w.meta.History(ctx, meta.HistoryMax); e == nil && dropped(changes, t.name) {
			w.deleteFiles(ctx, u.files)
		}
		return err
	case err != nil:
		return err
	}
	w.deleteFiles(ctx, madeOf(&unit{id: r.unit, ns: r.ns, table: t}, chunks)) // its node's, if it had made them: they will never be in the index
	rows := 0
	for _, c := range chunks {
		rows += len(c.rows)
	}
	w.metrics.takeovers.Inc()
	w.log.Warn("took over unflushed rows of a node", "node", r.node, "table", t.name, "unit", r.unit, "rows", rows)
	return nil
}

// leaveReplica deletes the files that this node may have made of a unit before
// its own node committed it.
func (w *Worker) leaveReplica(ctx context.Context, r *replica, u *unit) error {
	files := madeOf(u, u.chunks)
	if len(files) == 0 {
		return nil
	}
	// A commit that can do nothing but tell whose the unit is: a restore may just
	// have made it open again, and then what it removes is not in the index.
	err := w.meta.Commit(ctx, meta.Commit{Table: r.table, TableUID: r.uid, Node: r.node, Unit: r.unit, Remove: []string{files[0].Path}, By: w.o.NodeID, IfOpen: true})
	if errors.Is(err, meta.ErrUnitTaken) {
		w.deleteFiles(ctx, files)
		return nil
	}
	if errors.Is(err, meta.ErrUnitDone) {
		return nil
	}
	return err
}

// linked are the units that take rows and have a replica.
func (w *Worker) linked() (units []*unit) {
	for _, t := range w.tableList("") {
		t.mu.Lock()
		if u := t.active; u != nil && u.link != nil {
			units = append(units, u)
		}
		t.mu.Unlock()
	}
	return units
}

// leaveReplicas flushes units whose replica went out of service.
func (w *Worker) leaveReplicas(linked []*unit, nodes []meta.Node) {
	for _, u := range linked {
		if slices.ContainsFunc(nodes, func(n meta.Node) bool { return n.ID == u.replica && serves(n) }) {
			continue
		}
		u.table.mu.Lock()
		if !u.sealed {
			w.unlink(u, fault.New(fault.Unavailable, "it is not in service"))
		}
		u.table.mu.Unlock()
	}
}
