package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"skein/internal/fault"
	nodev1 "skein/proto/node/v1"
	"skein/worker/wal"
)

// The records of the replica log start with a byte that tells their kind.
const (
	replicaRows   = 1 // a nodev1.ReplicateRequest
	replicaFenced = 2 // JSON of a fence
	replicaOver   = 3 // JSON of the units that are over
)

// fence says that a unit takes no more rows, as this node commits it.
type fence struct {
	Unit   string
	Number int64 // of its files: not the one that the unit's own node uses
}

// replicas are rows that lie in the logs of other nodes, too, in a log of their
// own, until their units are committed.
type replicas struct {
	log      *wal.Log
	bytesMax int64
	// wanted tells by nil that the catalog has the unit as open, with this node
	// as its replica. It is asked before the first rows of a unit.
	wanted    func(ctx context.Context, r *nodev1.ReplicateRequest) error
	admitting chan struct{} // held by who asks wanted; 1 place

	mu    sync.Mutex
	units map[string]*replica
}

// replica is the rows of one unit.
type replica struct {
	node, table, uid, unit string
	ns                     int64 // number of the files of its own node

	busy chan struct{} // held by who takes the unit over; 1 place

	// Guarded by the lock of replicas.
	first   uint64    // segment of the log where its first rows are; 0 if none
	number  int64     // of its fence; 0 if it has none
	unknown time.Time // since when the catalog knows nothing of the unit
}

var (
	// errFenced is the answer to a node that counts as dead.
	errFenced = fault.New(fault.FailedPrecondition, "the unit is being taken over")
	// errNoReplica is the answer where earlier rows of the unit are not here: it
	// is over, or this node has lost its disk.
	errNoReplica = fault.New(fault.NotFound, "the unit is not kept here")
)

// openReplicas reads what the log in dir holds.
func openReplicas(dir string, o Options, wanted func(context.Context, *nodev1.ReplicateRequest) error) (*replicas, error) {
	log, err := wal.Open(filepath.Join(dir, "replicas"), wal.Options{SegmentBytes: min(o.SegmentBytes, max(o.ReplicaBytesMax/8, 1))})
	if err != nil {
		return nil, err
	}
	r := &replicas{log: log, bytesMax: o.ReplicaBytesMax, wanted: wanted, admitting: make(chan struct{}, 1), units: map[string]*replica{}}
	if err := log.Replay(r.replay); err != nil {
		log.Close()
		return nil, err
	}
	return r, nil
}

func (r *replicas) replay(segment uint64, b []byte) error {
	if len(b) == 0 {
		return fault.New(fault.Internal, "an empty record of the replica log")
	}
	switch b[0] {
	case replicaRows:
		var req nodev1.ReplicateRequest
		if err := proto.Unmarshal(b[1:], &req); err != nil {
			return fmt.Errorf("replica log: %w", err)
		}
		if r.units[req.Unit] == nil {
			u, err := newReplica(&req)
			if err != nil {
				return err
			}
			u.first = segment
			r.units[req.Unit] = u
		}
	case replicaFenced:
		var f fence
		if err := json.Unmarshal(b[1:], &f); err != nil {
			return fmt.Errorf("fence in the replica log: %w", err)
		}
		if u := r.units[f.Unit]; u != nil {
			u.number = f.Number
		}
	case replicaOver:
		var units []string
		if err := json.Unmarshal(b[1:], &units); err != nil {
			return fmt.Errorf("ends in the replica log: %w", err)
		}
		for _, u := range units {
			delete(r.units, u)
		}
	default:
		return fault.Newf(fault.FailedPrecondition, "the replica log has a record of kind %d, which this release does not know; start the newer release again", b[0])
	}
	return nil
}

func newReplica(r *nodev1.ReplicateRequest) (*replica, error) {
	e, err := readRowsEntry(r.Entry)
	if err != nil {
		return nil, err
	}
	return &replica{node: r.Node, table: r.Table, uid: r.TableUid, unit: r.Unit, ns: e.ns, busy: make(chan struct{}, 1)}, nil
}

// add writes rows of another node to the log and waits until they are on disk.
// The first entry of a unit has none. FailedPrecondition if the unit takes no
// more, NotFound if its first entry is not here.
func (r *replicas) add(ctx context.Context, req *nodev1.ReplicateRequest) error {
	if len(req.Entry) < rowsHeader || req.Entry[0] != entryRows || string(req.Entry[1:1+unitBytes]) != req.Unit || req.Node == "" {
		return fault.Newf(fault.InvalidArgument, "unit %.40q of node %.40q: it is no entry of its log", req.Unit, req.Node)
	}
	u, err := r.unit(req.Unit), error(nil)
	switch {
	case u != nil:
	case len(req.Entry) == rowsHeader:
		u, err = r.admit(ctx, req)
	default:
		err = fmt.Errorf("unit %s: %w", req.Unit, errNoReplica)
	}
	if err != nil {
		return err
	}
	record := make([]byte, 1, len(req.Entry)+len(req.Table)+len(req.TableUid)+len(req.Node)+recordBytes)
	record[0] = replicaRows
	if record, err = (proto.MarshalOptions{}).MarshalAppend(record, req); err != nil {
		return fault.Newf(fault.InvalidArgument, "unit %s: %w", req.Unit, err)
	}
	done := make(chan error, 1)
	if err := r.enqueue(u, record, done); err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// enqueue puts rows in line for the log, in one step with the look at their
// unit: so none is behind its fence.
func (r *replicas) enqueue(u *replica, record []byte, done chan<- error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.units[u.unit] != u {
		return fmt.Errorf("unit %s: %w", u.unit, errNoReplica)
	}
	if u.number != 0 {
		return fmt.Errorf("unit %s: %w", u.unit, errFenced)
	}
	if r.log.Bytes()+int64(len(record)) > r.bytesMax {
		return fault.Newf(fault.ResourceExhausted, "the replica log has its %d bytes, retry later", r.bytesMax)
	}
	return r.log.Enqueue(record, func(segment uint64, err error) {
		r.mu.Lock()
		if err == nil && u.first == 0 {
			u.first = segment
		}
		r.mu.Unlock()
		done <- err
	})
}

// admit begins a unit. It may be over already, where the request was long on
// its way: the catalog is asked. While it is, nobody else can begin the unit,
// take it over and drop it, so the answer holds.
func (r *replicas) admit(ctx context.Context, req *nodev1.ReplicateRequest) (*replica, error) {
	if err := acquire(ctx, r.admitting); err != nil {
		return nil, err
	}
	defer release(r.admitting)
	if u := r.unit(req.Unit); u != nil {
		return u, nil
	}
	if err := r.wanted(ctx, req); err != nil {
		return nil, err
	}
	u, err := newReplica(req)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.units[req.Unit] = u
	return u, nil
}

func (r *replicas) unit(id string) *replica {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.units[id]
}

// list returns the units by table.
func (r *replicas) list() map[string][]*replica {
	r.mu.Lock()
	defer r.mu.Unlock()
	byTable := map[string][]*replica{}
	for _, u := range r.units {
		byTable[u.table] = append(byTable[u.table], u)
	}
	return byTable
}

// fence lets the unit take no more rows, also after a restart, and tells the
// number of its files: the given one, unless it has one already. All rows that
// it took are on disk then.
func (r *replicas) fence(ctx context.Context, u *replica, number int64) (int64, error) {
	r.mu.Lock()
	if u.number == 0 {
		u.number = number
	}
	number = u.number
	r.mu.Unlock()
	text, err := json.Marshal(fence{u.unit, number})
	if err != nil {
		panic("BUG: a fence has no JSON form: " + err.Error())
	}
	// Once more after a restart: the rows before it may have been behind none.
	return number, r.log.Append(ctx, append([]byte{replicaFenced}, text...))
}

// rows reads what a fenced unit holds.
func (r *replicas) rows(u *replica) ([]chunk, error) {
	r.mu.Lock()
	first := u.first
	r.mu.Unlock()
	if first == 0 {
		return nil, nil
	}
	var chunks []chunk
	err := r.log.Scan(first, func(b []byte) error {
		if b[0] != replicaRows {
			return nil
		}
		var req nodev1.ReplicateRequest
		if err := proto.Unmarshal(b[1:], &req); err != nil || req.Unit != u.unit {
			return err
		}
		e, err := readRowsEntry(req.Entry)
		if err != nil {
			return err
		}
		var rows nodev1.AppendRequest
		if err := proto.Unmarshal(e.request, &rows); err != nil {
			return err
		}
		if len(rows.Records) > 0 {
			chunks = append(chunks, newChunk(rows.Records, e.version))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("replica of unit %s: %w", u.unit, err)
	}
	return chunks, nil
}

// fenced tells whether files of the unit may have been made here.
func (r *replicas) fenced(u *replica) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return u.number != 0
}

// drop forgets units that are over. If the log cannot be written they are found
// over after the next start.
func (r *replicas) drop(units ...string) {
	r.dropIf(func(*replica) bool { return true }, units)
}

// release forgets units that their node has committed. Those of which files may
// have been made here stay until these are gone.
func (r *replicas) release(units ...string) {
	r.dropIf(func(u *replica) bool { return u.number == 0 }, units)
}

// dropIf forgets those that which chooses, with the lock held.
func (r *replicas) dropIf(which func(*replica) bool, units []string) {
	r.mu.Lock()
	var known []string
	for _, id := range units {
		if u := r.units[id]; u != nil && which(u) {
			delete(r.units, id)
			known = append(known, id)
		}
	}
	r.mu.Unlock()
	if len(known) == 0 {
		return
	}
	text, err := json.Marshal(known)
	if err != nil {
		panic("BUG: units have no JSON form: " + err.Error())
	}
	_ = r.log.Enqueue(append([]byte{replicaOver}, text...), func(uint64, error) {})
}

// tableOf is the name of the table of that UID; empty if there is no unit of it.
func (r *replicas) tableOf(uid string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, u := range r.units {
		if u.uid == uid {
			return u.table
		}
	}
	return ""
}

// dropTable forgets the units of a table.
func (r *replicas) dropTable(uid string) {
	var units []string
	for _, held := range r.list() {
		for _, u := range held {
			if u.uid == uid {
				units = append(units, u.unit)
			}
		}
	}
	r.drop(units...)
}

// trim removes the segments that hold no rows of a unit that is not over.
func (r *replicas) trim() error {
	keep := r.log.Mark() // read first: rows not delivered yet lie there or later
	r.mu.Lock()
	for _, u := range r.units {
		if u.first != 0 {
			keep = min(keep, u.first)
		}
	}
	r.mu.Unlock()
	if r.log.First() == 0 || r.log.First() >= keep {
		return nil
	}
	_, err := r.log.Trim(keep)
	return err
}

// unknownSince notes that the catalog knows nothing of a unit, and tells since
// when; a zero now takes that back.
func (r *replicas) unknownSince(u *replica, now time.Time) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if u.unknown.IsZero() || now.IsZero() {
		u.unknown = now
	}
	return u.unknown
}
