//go:build duckdb_arrow

package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/oklog/ulid/v2"

	"skein/internal/batch"
	"skein/internal/fault"
	"skein/meta"
)

// Ingest loads a stream of batches into a table: all rows or none, durable
// when it returns nil.
func (c *Coordinator) Ingest(ctx context.Context, in Ingest, rows batch.Reader) (int64, error) {
	if err := c.may(ctx, ToWrite); err != nil {
		return 0, err
	}
	if c.Loader == nil {
		return 0, fault.New(fault.Unimplemented, "this node has no worker role; send bulk loads to a worker")
	}
	name, err := meta.ValidateTableName(in.Table)
	if err != nil {
		return 0, err
	}
	in.Table = name
	target, err := c.target(ctx, in, rows.Schema())
	if err != nil {
		return 0, err
	}
	files, n, err := c.Loader.Ingest(ctx, target.table, rows)
	if err != nil {
		return 0, err
	}
	if err := c.publish(ctx, target, files); err != nil {
		if !settled(err) { // the index may hold the files
			return 0, fmt.Errorf("table %s: it is not known whether the rows are stored: %w", name, err)
		}
		return 0, errors.Join(err, c.deleteFiles(context.WithoutCancel(ctx), files))
	}
	c.counters.wrote(int(n))
	return n, nil
}

// target is where an ingest goes.
type target struct {
	table   meta.Table
	create  bool   // the table is made when the rows are in the store
	replace string // UID of the table that goes away in the same breath
}

func (c *Coordinator) target(ctx context.Context, in Ingest, schema *arrow.Schema) (target, error) {
	if schema.NumFields() == 0 {
		return target{}, fault.New(fault.InvalidArgument, "the stream has no columns")
	}
	columns, err := c.Loader.ArrowColumns(ctx, schema)
	if err != nil {
		return target{}, err
	}
	t, err := c.Meta.Table(ctx, in.Table)
	switch exists := err == nil; {
	case err != nil && !errors.Is(err, meta.ErrTableNotFound):
		return target{}, err
	case exists && in.Mode == IngestCreate:
		return target{}, fmt.Errorf("table %s: %w", in.Table, meta.ErrTableExists)
	case !exists && in.Mode == IngestAppend:
		return target{}, fmt.Errorf("table %s: %w", in.Table, meta.ErrTableNotFound)
	case exists && in.Mode != IngestReplace:
		t, err = c.widen(ctx, t, columns)
		return target{table: t}, err
	}
	if err := c.may(ctx, ToDefine); err != nil {
		return target{}, err
	}
	made, err := newTable(in, columns)
	return target{table: made, create: true, replace: t.UID}, err
}

// newTable is the table that an ingest makes.
func newTable(in Ingest, columns []meta.Column) (meta.Table, error) {
	s := meta.Schema{Columns: columns}
	var err error
	if in.IDColumn != "" {
		if s.IDColumn, err = columnNamed(&s, in.IDColumn); err != nil {
			return meta.Table{}, fmt.Errorf("id: %w", err)
		}
	}
	if in.TimeColumn != "" {
		if s.TimeColumn, err = columnNamed(&s, in.TimeColumn); err != nil {
			return meta.Table{}, fmt.Errorf("time: %w", err)
		}
	}
	if err := errors.Join(checkTimeColumn(&s), checkProperties(in.Properties)); err != nil {
		return meta.Table{}, err
	}
	return meta.Table{Name: in.Table, UID: ulid.Make().String(), Created: time.Now().UTC(),
		Config: meta.Config{Properties: in.Properties}, Schemas: []meta.Schema{s}}, nil
}

// widenTries bounds how often a schema change is tried against others.
const widenTries = 10

// widen adds the stream's columns to the table's schema. A record table keeps
// its id and timestamp; a declared one takes only the columns that it has.
func (c *Coordinator) widen(ctx context.Context, t meta.Table, columns []meta.Column) (meta.Table, error) {
	for range widenTries {
		if err := fits(t, columns); err != nil {
			return t, err
		}
		merged, changed := meta.MergeSchemas(t.Schema(), columns)
		if !changed || !t.Schema().Records {
			return t, nil
		}
		t.Schemas = append(t.Schemas, merged)
		updated, err := c.Meta.UpdateTable(ctx, t)
		if err == nil {
			return updated, nil
		}
		if !errors.Is(err, meta.ErrConflict) {
			return t, err
		}
		if t, err = c.Meta.Table(ctx, t.Name); err != nil {
			return t, err
		}
	}
	return t, fmt.Errorf("table %s: %w", t.Name, meta.ErrConflict)
}

func fits(t meta.Table, columns []meta.Column) error {
	s := t.Schema()
	given := map[string]string{}
	for _, col := range columns {
		i := s.Column(col.Name)
		switch {
		case i >= 0:
			given[s.Columns[i].Name] = col.Type.SQL()
		case !s.Records:
			return fault.Newf(fault.InvalidArgument, "table %s has no column %s", t.Name, col.Name)
		}
	}
	if !s.Records {
		return nil
	}
	if given["id"] != "VARCHAR" || given["timestamp"] != "TIMESTAMP WITH TIME ZONE" {
		return fault.Newf(fault.InvalidArgument, "table %s holds records: the stream must have the columns id VARCHAR and timestamp TIMESTAMP WITH TIME ZONE, it has id %s and timestamp %s",
			t.Name, or(given["id"], "missing"), or(given["timestamp"], "missing"))
	}
	return nil
}

// publish makes the uploaded files part of the table in one step. Until then
// nobody sees them.
func (c *Coordinator) publish(ctx context.Context, t target, files []meta.File) error {
	if t.replace != "" {
		old, err := c.Meta.DropTable(ctx, t.table.Name, t.replace)
		if err != nil {
			return err
		}
		c.discard(ctx, t.replace)
		defer func() {
			if err := c.deleteFiles(ctx, old); err != nil {
				c.Log.Warn("replaced table", "error", err)
			}
		}()
	}
	if t.create {
		if err := c.Meta.CreateTable(ctx, t.table); err != nil {
			return err
		}
	}
	unit := ulid.Make().String()
	if len(files) > 0 {
		unit = files[0].Unit
	}
	err := c.commit(ctx, meta.Commit{Table: t.table.Name, TableUID: t.table.UID, Node: c.opts.Node.ID, Unit: unit, Add: files, Time: time.Now().UTC()})
	if err != nil && t.create {
		if _, dropErr := c.Meta.DropTable(ctx, t.table.Name, t.table.UID); dropErr != nil {
			err = errors.Join(err, dropErr)
		}
	}
	if err != nil {
		return err
	}
	if err := c.Meta.ForgetUnits(ctx, t.table.Name, []string{unit}); err != nil {
		c.Log.Warn("forget ingest unit", "table", t.table.Name, "error", err)
	}
	return nil
}

// Limits of a commit, which goes on when its client has gone.
const (
	commitTimeout = 30 * time.Second
	commitTries   = 4
	commitWait    = 250 * time.Millisecond
)

// commit repeats a commit whose answer was lost: the second one of a unit
// changes nothing.
func (c *Coordinator) commit(ctx context.Context, m meta.Commit) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	for try := 1; ; try++ {
		err := c.Meta.Commit(ctx, m)
		if err == nil || settled(err) || try == commitTries {
			return err
		}
		select {
		case <-time.After(commitWait):
		case <-ctx.Done():
			return err
		}
	}
}

// settled tells that the catalog refused a change, and not that its answer
// was lost.
func settled(err error) bool {
	switch fault.CodeOf(err) {
	case fault.Unavailable, fault.DeadlineExceeded, fault.Canceled, fault.Internal:
		return false
	}
	return true
}
