//go:build duckdb_arrow

package worker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"skein/internal/duck"
	"skein/internal/fault"
	nodev1 "skein/proto/node/v1"
)

// heldMax bounds the queries that are held at once.
const heldMax = 1024

// keptMax bounds the tables that one query keeps here.
const keptMax = 16384

// holds are the queries whose rows may be kept here.
type holds struct {
	mu      sync.Mutex
	queries map[string]*held
}

// held is one query's rows: a DuckDB database in memory, of its own. Unlike
// that of dropped tables its memory is free at once when it is detached, also
// while other queries' transactions are open.
type held struct {
	catalog string // quoted
	ctx     context.Context
	end     context.CancelCauseFunc

	mu      sync.Mutex
	ended   bool
	lost    <-chan struct{}  // closed when DuckDB has lost the rows
	tables  map[keptID]*kept // nil while a table is being made
	readers map[*heldReader]bool
	making  sync.WaitGroup
}

// Hold lets the query keep rows, and calls ready when it may. It returns when
// ctx ends, with its error: then the query's Keep, Run and ReadKept on this
// node have been stopped, and what it kept is freed. A query can be held only
// once at a time; a second Hold is Unavailable.
func (r *Runner) Hold(ctx context.Context, queryID string, ready func()) error {
	if queryID == "" {
		return fault.New(fault.InvalidArgument, "a query must have an id to be held")
	}
	h, err := r.holds.add(queryID)
	if err != nil {
		return err
	}
	defer r.holds.remove(queryID)
	lost, err := r.attach(ctx, h.catalog)
	if err != nil {
		h.stop()
		return err
	}
	h.open(lost)
	ready()
	select {
	case <-ctx.Done():
	case <-lost:
	}
	h.stop()
	if err := r.detach(context.WithoutCancel(ctx), h); err != nil {
		return fmt.Errorf("kept rows are not freed: %w", err)
	}
	if ctx.Err() == nil {
		return errNotHeld
	}
	return ctx.Err()
}

// attach makes the query's database, and returns what is closed when DuckDB
// loses it.
func (r *Runner) attach(ctx context.Context, catalog string) (lost <-chan struct{}, err error) {
	c, err := r.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	_, err = c.Exec(ctx, "ATTACH ':memory:' AS "+catalog)
	return c.Lost(), err
}

// detach frees the query's database, unless DuckDB has lost it.
func (r *Runner) detach(ctx context.Context, h *held) error {
	c, err := r.db.Spare()
	if err != nil {
		return err
	}
	defer c.Close()
	if !h.reachable(c) {
		return nil
	}
	_, err = c.Exec(ctx, "DETACH "+h.catalog)
	return err
}

func (s *holds) add(queryID string) (*held, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.queries[queryID] != nil:
		return nil, fault.Newf(fault.Unavailable, "query %s is held here already", queryID)
	case len(s.queries) >= heldMax:
		return nil, fault.Newf(fault.ResourceExhausted, "%d queries keep rows on this node; retry when some are done", heldMax)
	case s.queries == nil:
		s.queries = map[string]*held{}
	}
	h := &held{catalog: duck.Ident("kept_" + rand.Text()), ended: true, tables: map[keptID]*kept{}, readers: map[*heldReader]bool{}}
	h.ctx, h.end = context.WithCancelCause(context.Background())
	s.queries[queryID] = h
	return h, nil
}

func (s *holds) remove(queryID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.queries, queryID)
}

// get returns a held query; errNotHeld if it is not.
func (s *holds) get(queryID string) (*held, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.queries[queryID]; h != nil {
		return h, nil
	}
	return nil, errNotHeld
}

// open lets work begin.
func (h *held) open(lost <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended, h.lost = false, lost
}

// reachable tells whether a connection sees what is kept: it does not if it
// belongs to a DuckDB that was started later.
func (h *held) reachable(c *duck.Conn) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lost == c.Lost()
}

// stop ends all work and waits for it. No more begins.
func (h *held) stop() {
	h.end(errNotHeld)
	h.mu.Lock()
	h.ended = true
	readers := slices.Collect(maps.Keys(h.readers))
	h.mu.Unlock()
	for _, r := range readers {
		r.abandon()
	}
	h.making.Wait()
}

// reserve makes room for a table. settle must follow.
func (h *held) reserve(id keptID) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, twice := h.tables[id]
	switch {
	case h.ended:
		return errNotHeld
	case id.stage < 0 || id.number < 0 || id.attempt < 0:
		return fault.Newf(fault.InvalidArgument, "fragment %s: its numbers must not be negative", id)
	case twice:
		return fault.Newf(fault.AlreadyExists, "fragment %s: its rows are kept already, or being made; another attempt needs another number", id)
	case len(h.tables) >= keptMax:
		return fault.Newf(fault.ResourceExhausted, "the query keeps the rows of %d fragments on this node, no more are possible", keptMax)
	}
	h.making.Add(1)
	h.tables[id] = nil
	return nil
}

// settle tells what came of a table; nil if nothing.
func (h *held) settle(id keptID, k *kept) {
	h.mu.Lock()
	defer h.mu.Unlock()
	defer h.making.Done()
	if k == nil {
		delete(h.tables, id)
		return
	}
	h.tables[id] = k
}

// table finds what is to be read; Unavailable if it is not kept.
func (h *held) table(read *nodev1.KeptRead) (*kept, error) {
	id := keptID{read.GetStage(), read.GetNumber(), read.GetAttempt()}
	h.mu.Lock()
	defer h.mu.Unlock()
	if k := h.tables[id]; k != nil && !h.ended {
		return k, nil
	}
	return nil, fault.Newf(fault.Unavailable, "rows of fragment %s are not kept here", id)
}

// cause is err, or that the query is held no more if that is behind it.
func (h *held) cause(ctx context.Context, err error) error {
	if h == nil || err == nil || h.ctx.Err() == nil || ctx.Err() != nil {
		return err
	}
	if errors.Is(err, context.Canceled) || fault.CodeOf(err) == fault.Canceled {
		return errNotHeld
	}
	return err
}

// either returns a context that ends with either, with its cause.
func either(ctx, other context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	unlink := context.AfterFunc(other, func() { cancel(context.Cause(other)) })
	return ctx, func() { unlink(); cancel(nil) }
}
