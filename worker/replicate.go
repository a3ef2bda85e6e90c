package worker

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"skein/internal/fault"
	"skein/meta"
	"skein/meta/member"
	nodev1 "skein/proto/node/v1"
)

// Peer is the worker of another node.
type Peer interface {
	// Ready returns nil when a call would reach it.
	Ready(ctx context.Context) error
	// Replicate stores rows durably, beside its own. FailedPrecondition if it
	// has taken their unit over.
	Replicate(ctx context.Context, r *nodev1.ReplicateRequest) error
	// Release lets replicated rows of committed units go.
	Release(ctx context.Context, units []string) error
	// TakeOver commits the replicated rows of a unit; NotFound if there are none.
	TakeOver(ctx context.Context, unit string) error
}

const (
	inService     = time.Minute      // since the last heartbeat of a node that gets replicas
	suspectFor    = 30 * time.Second // how long a node that failed gets them last
	replicasTried = 3                // for one unit
	releaseWait   = 2 * time.Second  // for a call that frees a replica
)

// link is the way of a unit's rows to its replica. Its failed is guarded by the
// table's lock.
type link struct {
	node   string
	peer   Peer
	ctx    context.Context // of the calls; ends with the unit or the first failure
	cancel context.CancelFunc
	failed error
}

// flight is a write on its way to the log, and to the replica if there is one.
type flight struct {
	chunk   chunk
	done    chan<- landing
	logged  bool // the log has answered
	replied bool // likewise the replica
	segment uint64
	logErr  error
	refused error // the replica's node has taken the unit over
	alone   error // why the rows are in this node's log alone
}

// landing is the outcome of a flight. The rows of one that failed are not in
// the unit.
type landing struct {
	err   error
	unit  *unit // the write may be acknowledged only if this node commits it
	alone error // why
}

// land adds the writes to the unit that are on disk wherever they must be, in
// the order of the log. The table's lock is held.
func (w *Worker) land(u *unit) {
	for len(u.line) > 0 && u.line[0].logged && u.line[0].replied {
		f := u.line[0]
		u.line = u.line[1:]
		u.pending--
		l := landing{err: cmp.Or(f.logErr, f.refused)}
		switch {
		case l.err != nil || u.gone:
			u.queuedRows -= int64(len(f.chunk.rows))
			u.queuedBytes -= f.chunk.bytes
			w.budget.Release(f.chunk.bytes)
		default:
			u.add(f.chunk, f.segment)
			u.reserved += f.chunk.bytes
			if f.alone != nil {
				l.unit, l.alone = u, f.alone
			}
		}
		w.handOver(u)
		f.done <- l
	}
}

// send brings a log entry to the unit's replica. The table's lock is held.
func (w *Worker) send(u *unit, f *flight, entry []byte) {
	req := &nodev1.ReplicateRequest{Node: w.o.NodeID, Table: u.table.name, TableUid: u.table.uid, Unit: u.id, Entry: entry}
	w.wg.Go(func() {
		ctx, cancel := context.WithTimeout(u.link.ctx, w.o.ReplicaTimeout)
		err := u.link.peer.Replicate(ctx, req)
		cancel()
		w.relieveReplica(u.link.node, err)
		u.table.mu.Lock()
		defer u.table.mu.Unlock()
		f.replied = true
		switch {
		case err == nil:
		case fault.CodeOf(err) == fault.FailedPrecondition:
			f.refused = fault.Newf(fault.Unavailable, "node %s has taken over the unflushed rows of this node, which seemed dead; the rows may not be stored, write them again: %w", u.link.node, err)
		default:
			f.alone = err
		}
		if err != nil {
			w.unlink(u, err)
		}
		w.land(u)
	})
}

// unlink ends the replica of a unit: it is flushed at once, and the next one
// has another replica. The table's lock is held.
func (w *Worker) unlink(u *unit, err error) {
	if u.link.failed != nil {
		return
	}
	u.link.failed = err
	u.link.cancel()
	w.suspect(u.link.node)
	w.log.Warn("a replica does not answer, its unit is flushed", "table", u.table.name, "unit", u.id, "node", u.link.node, "error", err)
	if !u.sealed {
		w.seal(u)
	}
}

// awaitCommit waits until rows that are in this node's log alone are in files.
func (w *Worker) awaitCommit(ctx context.Context, l landing) error {
	timer := time.NewTimer(w.o.ReplicaWait)
	defer timer.Stop()
	select {
	case <-l.unit.flushed:
		l.unit.table.mu.Lock()
		defer l.unit.table.mu.Unlock()
		return l.unit.taken
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return fault.Newf(fault.Unavailable, "the table is replicated, node %s does not keep its rows (%w), and they could not be flushed for %s; they may be stored, retry",
			l.unit.replica, l.alone, w.o.ReplicaWait).RetryIn(time.Second)
	}
}

// connect chooses the replica of a new unit of a replicated table, and notes
// the unit in the log: one that the log does not know is lost.
func (w *Worker) connect(ctx context.Context, u *unit) error {
	n, peer, err := w.chooseReplica(ctx)
	if err != nil {
		return fmt.Errorf("table %s: %w", u.table.name, err)
	}
	u.table.mu.Lock()
	if u.link != nil { // of a try that failed
		u.link.cancel()
	}
	l := &link{node: n.ID, peer: peer}
	l.ctx, l.cancel = context.WithCancel(context.WithoutCancel(ctx))
	u.replica, u.link, u.segment = n.ID, l, 0
	u.table.mu.Unlock()
	done := make(chan error, 1)
	err = w.wal.Enqueue(newOpenedEntry(u), func(segment uint64, err error) {
		u.table.mu.Lock()
		defer u.table.mu.Unlock()
		if err == nil && l.ctx.Err() == nil {
			u.touch(segment)
		}
		done <- err
	})
	if err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		u.table.mu.Lock()
		defer u.table.mu.Unlock()
		l.cancel()
		u.segment = 0 // the catalog was not told of it: the log need not keep the note
		return context.Cause(ctx)
	}
}

// introduce begins the unit at its replica, which takes no rows of one whose
// earlier rows it might have lost. The catalog knows the unit by then.
func (w *Worker) introduce(ctx context.Context, u *unit) error {
	ctx, cancel := context.WithTimeout(ctx, w.o.ReplicaTimeout)
	defer cancel()
	header := make(rowsEntry, rowsHeader)
	header[0] = entryRows
	err := u.link.peer.Replicate(ctx, &nodev1.ReplicateRequest{Node: w.o.NodeID, Table: u.table.name, TableUid: u.table.uid, Unit: u.id, Entry: header.of(u)})
	w.relieveReplica(u.link.node, err)
	return err
}

// relieveReplica flushes what keeps the log of a node from being trimmed, if err
// says that it is full.
func (w *Worker) relieveReplica(node string, err error) {
	if fault.CodeOf(err) == fault.ResourceExhausted {
		w.sealAll(func(u *unit) bool { return u.link != nil && u.link.node == node })
	}
}

// opened says in the log that a unit has a replica.
type opened struct {
	Table, TableUID, Unit, Replica string
	NS                             int64
}

func newOpenedEntry(u *unit) []byte {
	b, err := json.Marshal(opened{Table: u.table.name, TableUID: u.table.uid, Unit: u.id, Replica: u.replica, NS: u.ns})
	if err != nil {
		panic("BUG: an opened unit has no JSON form: " + err.Error())
	}
	return append([]byte{entryOpened}, b...)
}

func readOpenedEntry(b []byte) (o opened, err error) {
	if err := json.Unmarshal(b[1:], &o); err != nil {
		return o, fmt.Errorf("log record of an opened unit: %w", err)
	}
	return o, nil
}

// chooseReplica returns the next worker after this one, by name, that can be
// reached; those that failed lately come last.
func (w *Worker) chooseReplica(ctx context.Context) (meta.Node, Peer, error) {
	nodes, err := w.meta.Nodes(ctx)
	if err != nil {
		return meta.Node{}, nil, fmt.Errorf("choose a replica: %w", err)
	}
	last := error(fault.New(fault.Unavailable, "there is none"))
	for _, n := range w.candidates(nodes) {
		peer := w.peer(n)
		if last = peer.Ready(ctx); last == nil {
			return n, peer, nil
		}
		if err := ctx.Err(); err != nil {
			return meta.Node{}, nil, context.Cause(ctx)
		}
		w.suspect(n.ID)
	}
	return meta.Node{}, nil, fault.Newf(fault.Unavailable,
		"the table is replicated and no other worker of a cluster is in service to keep its rows a second time (%w): start another node, or make the table without the setting replicated", last).RetryIn(time.Second)
}

// candidates are the other workers in service, in the order in which they are
// chosen.
func (w *Worker) candidates(nodes []meta.Node) []meta.Node {
	if w.peer == nil {
		return nil
	}
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	rank := func(n meta.Node) int {
		r := 0
		if n.ID < w.o.NodeID {
			r = 1 // after those that follow this node
		}
		if at, ok := w.suspects[n.ID]; ok && now.Sub(at) < suspectFor {
			r += 2
		}
		return r
	}
	others := slices.DeleteFunc(slices.Clone(nodes), func(n meta.Node) bool { return n.ID == w.o.NodeID || !serves(n) })
	slices.SortStableFunc(others, func(a, b meta.Node) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.ID, b.ID)) })
	return others
}

// serves tells whether a node may get replicas.
func serves(n meta.Node) bool {
	return !n.Left && n.Age <= inService && slices.Contains(n.Roles, member.RoleWorker)
}

func (w *Worker) suspect(node string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.suspects[node] = time.Now()
}

// peerOf is the worker of a node in service.
func (w *Worker) peerOf(ctx context.Context, node string) (Peer, error) {
	nodes, err := w.meta.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	for _, n := range nodes {
		if n.ID == node && serves(n) && w.peer != nil {
			return w.peer(n), nil
		}
	}
	return nil, fault.Newf(fault.Unavailable, "node %s is not in service", node)
}

// free tells the replica that its unit is committed. If that fails it finds out
// by itself.
func (w *Worker) free(ctx context.Context, u *unit) {
	if u.link == nil {
		return
	}
	u.table.mu.Lock()
	failed := u.link.failed
	u.table.mu.Unlock()
	if failed != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, releaseWait)
	defer cancel()
	_ = u.link.peer.Release(ctx, []string{u.id})
}
