package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"skein/internal/fault"
	"skein/meta"
	"skein/worker/payload"
)

// table is what the worker knows of one incarnation of a table.
type table struct {
	name, uid string
	opening   chan struct{} // held by who opens a unit; 1 place
	evolving  chan struct{} // held by who changes the schema; 1 place

	mu      sync.Mutex
	entry   meta.Table // as last read; no Schemas if never
	layouts map[int]*payload.Layout
	// generation grows when the catalog is restored to schemas that do not go
	// on with those known before.
	generation int

	active  *unit   // takes new rows
	next    *unit   // being opened
	units   []*unit // active or sealed, oldest first
	pinned  []*unit // committed, kept for queries that began before
	dropped bool
	failing bool // the last flush failed
}

func newTable(name, uid string) *table {
	return &table{
		name: name, uid: uid, layouts: map[int]*payload.Layout{},
		opening: make(chan struct{}, 1), evolving: make(chan struct{}, 1),
	}
}

// table finds the incarnation of a table for a write. It asks the catalog only
// when it does not know it.
func (w *Worker) table(ctx context.Context, name, uid string) (*table, error) {
	w.mu.Lock()
	t := w.tables[uid]
	w.mu.Unlock()
	if t == nil {
		t = newTable(name, uid)
	}
	if t.name != name {
		return nil, gone(name)
	}
	t.mu.Lock()
	known := len(t.entry.Schemas) > 0
	t.mu.Unlock()
	if known {
		return t, nil
	}
	if _, err := w.refresh(ctx, t); err != nil {
		return nil, err
	}
	return w.keep(t), nil
}

// keep adds t to the known tables, unless its incarnation is there already.
func (w *Worker) keep(t *table) *table {
	w.mu.Lock()
	defer w.mu.Unlock()
	if other := w.tables[t.uid]; other != nil {
		return other
	}
	w.tables[t.uid] = t
	return t
}

// refresh reads the table's entry anew. ErrTableNotFound if this incarnation
// is gone.
func (w *Worker) refresh(ctx context.Context, t *table) (meta.Table, error) {
	entry, err := w.meta.Table(ctx, t.name)
	if err != nil {
		return entry, err
	}
	if entry.UID != t.uid {
		return entry, gone(t.name)
	}
	t.mu.Lock()
	shorter := len(entry.Schemas) < len(t.entry.Schemas)
	t.mu.Unlock()
	if shorter { // nothing but a restore takes schemas away
		if err := w.relearn(ctx, t); err != nil {
			return entry, err
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if entry.Revision >= t.entry.Revision {
		t.entry = entry
	}
	return t.entry, nil
}

func gone(name string) error {
	return fmt.Errorf("table %s was dropped and made again: %w", name, meta.ErrTableNotFound)
}

// layout is the form of the schema of that version.
func (w *Worker) layout(ctx context.Context, t *table, version int) (*payload.Layout, error) {
	t.mu.Lock()
	known := version < len(t.entry.Schemas)
	t.mu.Unlock()
	if !known {
		if _, err := w.refresh(ctx, t); err != nil {
			return nil, err
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.layout(version)
}

// layout is called with t.mu held.
func (t *table) layout(version int) (*payload.Layout, error) {
	if l := t.layouts[version]; l != nil {
		return l, nil
	}
	if version < 0 || version >= len(t.entry.Schemas) {
		return nil, fault.Newf(fault.Internal, "table %s has no schema version %d", t.name, version)
	}
	l, err := payload.NewLayout(t.entry.Schemas[version])
	if err != nil {
		return nil, fmt.Errorf("table %s: %w", t.name, err)
	}
	if len(t.layouts) >= layoutsMax {
		clear(t.layouts)
	}
	t.layouts[version] = l
	return l, nil
}

const layoutsMax = 16 // schema versions of a table kept ready

// current is the newest known schema.
func (t *table) current() (entry meta.Table, l *payload.Layout, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l, err = t.layout(t.entry.SchemaVersion())
	return t.entry, l, err
}

// Limits of schemas that the Write API grows.
const (
	NewColumnsMax = 1_000 // that one write adds, fields of nested objects counted
	ColumnsMax    = 4_096 // of a table, likewise
)

// evolveTriesMax bounds how often a write starts over because another node
// changed the schema at the same time.
const evolveTriesMax = 20

// admit makes sure that the catalog's schema holds the objects, and returns
// its version.
func (w *Worker) admit(ctx context.Context, t *table, objects []payload.Object) (version int, err error) {
	entry, layout, err := t.current()
	if err != nil || allFit(layout, objects) {
		return entry.SchemaVersion(), err
	}
	if err := acquire(ctx, t.evolving); err != nil {
		return 0, err
	}
	defer release(t.evolving)
	for range evolveTriesMax {
		if entry, layout, err = t.current(); err != nil {
			return 0, err
		}
		merged, err := merge(layout, objects)
		if err != nil {
			return 0, fmt.Errorf("table %s: %w", t.name, err)
		}
		if merged == nil {
			return entry.SchemaVersion(), nil
		}
		entry.Schemas = append(slices.Clone(entry.Schemas), *merged)
		stored, err := w.meta.UpdateTable(ctx, entry)
		if errors.Is(err, meta.ErrConflict) {
			_, err = w.refresh(ctx, t)
		} else if err == nil {
			t.mu.Lock()
			t.entry = stored
			t.mu.Unlock()
		}
		if err != nil {
			return 0, fmt.Errorf("table %s: new columns: %w", t.name, err)
		}
	}
	return 0, fault.Newf(fault.Aborted, "table %s: other nodes change its columns at the same time, retry", t.name)
}

func allFit(l *payload.Layout, objects []payload.Object) bool {
	for _, o := range objects {
		if !l.Fits(o) {
			return false
		}
	}
	return true
}

// merge is the schema that holds l's and the objects' columns; nil if l's does.
func merge(l *payload.Layout, objects []payload.Object) (*meta.Schema, error) {
	if allFit(l, objects) {
		return nil, nil
	}
	s := l.Schema()
	for _, o := range objects {
		if !l.Fits(o) {
			s, _ = meta.MergeSchemas(s, o.Columns())
		}
	}
	before, after := countColumns(l.Schema().Columns), countColumns(s.Columns)
	if after-before > NewColumnsMax {
		return nil, fault.Newf(fault.InvalidArgument, "a write adds %d columns, at most %d are allowed; keep variable names in values, not in field names", after-before, NewColumnsMax)
	}
	if after > ColumnsMax && after > before {
		return nil, fault.Newf(fault.InvalidArgument, "a write would give it %d columns, at most %d are allowed; keep variable names in values, not in field names", after, ColumnsMax)
	}
	grown, err := payload.NewLayout(s)
	if err == nil && !allFit(grown, objects) {
		err = fault.New(fault.Internal, "the merged schema does not hold the rows")
	}
	return &s, err
}

// countColumns counts columns and, at any depth, fields of STRUCTs.
func countColumns(cols []meta.Column) int {
	n := len(cols)
	for _, c := range cols {
		t := &c.Type
		for t.Kind == meta.KindList && t.Elem != nil {
			t = t.Elem
		}
		n += countColumns(t.Fields)
	}
	return n
}

// acquire takes the place of a lock that is waited for no longer than ctx.
func acquire(ctx context.Context, lock chan struct{}) error {
	select {
	case lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func release(lock chan struct{}) { <-lock }
