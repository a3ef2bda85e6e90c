package flight

import (
	"container/list"
	"crypto/rand"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"skein/coordinator"
	"skein/flight/internal/wire"
	"skein/internal/fault"
)

// prepared is a client's prepared statement and the values bound to it.
type prepared struct {
	sql       string
	statement *coordinator.Statement
	params    []arrow.RecordBatch // nil if none were bound; released by the table
}

// release gives back what preparedTable.get returned.
func (p *prepared) release() { releaseAll(p.params) }

// preparedTable holds prepared statements by handle. Clients that vanish do
// not close theirs, so it is bounded: past its limits the one that was idle
// longest goes, and any that is idle for too long.
type preparedTable struct {
	max      int
	bytesMax int64
	idle     time.Duration

	mu       sync.Mutex
	byHandle map[string]*list.Element // of *held
	order    *list.List               // of *held, the last used at the front
	bytes    int64
	timer    *time.Timer // runs while the table is not empty
}

type held struct {
	prepared
	handle string
	bytes  int64
	used   time.Time
}

func newPreparedTable(o Options) *preparedTable {
	return &preparedTable{
		max: o.PreparedMax, bytesMax: o.PreparedBytes, idle: o.PreparedIdle,
		byHandle: map[string]*list.Element{}, order: list.New(),
	}
}

// add holds a statement and returns its handle, which nobody can guess.
func (t *preparedTable) add(sql string, st *coordinator.Statement) ([]byte, error) {
	h := &held{prepared: prepared{sql: sql, statement: st}, handle: rand.Text(), used: time.Now()}
	h.bytes = sizeOf(&h.prepared)
	t.mu.Lock()
	defer t.mu.Unlock()
	if h.bytes > t.bytesMax {
		return nil, fault.New(fault.ResourceExhausted, "no room for a prepared statement of this size")
	}
	t.byHandle[h.handle] = t.order.PushFront(h)
	t.bytes += h.bytes
	t.trim()
	if t.timer == nil {
		t.timer = time.AfterFunc(t.idle, t.expire)
	}
	return []byte(h.handle), nil
}

// get returns the statement as it is now; the caller releases it.
func (t *preparedTable) get(handle []byte) (*prepared, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h, err := t.touch(handle)
	if err != nil {
		return nil, err
	}
	for _, b := range h.params {
		b.Retain()
	}
	p := h.prepared
	return &p, nil
}

// bind replaces the values bound to a statement and takes over params.
func (t *preparedTable) bind(handle []byte, params []arrow.RecordBatch) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	h, err := t.touch(handle)
	if err != nil {
		releaseAll(params)
		return err
	}
	releaseAll(h.params)
	h.params = params
	bytes := sizeOf(&h.prepared)
	t.bytes += bytes - h.bytes
	h.bytes = bytes
	t.trim()
	return nil
}

func (t *preparedTable) remove(handle []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.byHandle[string(handle)]; e != nil {
		t.drop(e)
	}
}

func (t *preparedTable) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.order.Len() > 0 {
		t.drop(t.order.Back())
	}
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
}

func (t *preparedTable) touch(handle []byte) (*held, error) {
	e := t.byHandle[string(handle)]
	if e == nil {
		return nil, fault.New(fault.NotFound, "unknown prepared statement: it was closed or unused for too long, prepare it again")
	}
	t.order.MoveToFront(e)
	h := e.Value.(*held)
	h.used = time.Now()
	return h, nil
}

// trim drops the statements that were idle longest until the table is within
// its limits; the one used last stays.
func (t *preparedTable) trim() {
	for t.order.Len() > 1 && (t.order.Len() > t.max || t.bytes > t.bytesMax) {
		t.drop(t.order.Back())
	}
}

// expire drops what is idle for too long and runs again when the next will be.
func (t *preparedTable) expire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for e := t.order.Back(); e != nil; e = t.order.Back() {
		if left := t.idle - time.Since(e.Value.(*held).used); left > 0 {
			t.timer = time.AfterFunc(left, t.expire)
			return
		}
		t.drop(e)
	}
	t.timer = nil
}

// sizeOf is about the memory that a statement takes.
func sizeOf(p *prepared) int64 {
	const field = 256 // bytes, of a schema
	n := int64(len(p.sql)) + field*int64(datasetSchema(p.statement).NumFields()+paramCount(p.statement))
	for _, b := range p.params {
		n += wire.Size(b)
	}
	return n
}

func (t *preparedTable) drop(e *list.Element) {
	h := t.order.Remove(e).(*held)
	delete(t.byHandle, h.handle)
	t.bytes -= h.bytes
	releaseAll(h.params)
}
