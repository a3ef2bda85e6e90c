//go:build duckdb_arrow

package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/oklog/ulid/v2"

	"skein/coordinator/catalog"
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
	if in.StatementID != "" {
		return c.ingestOnce(ctx, in, rows)
	}
	return c.ingest(ctx, in, "", rows)
}

// ingest stores the rows in one commit. If unit is not empty it is that of the
// commit, which another node may make as well.
func (c *Coordinator) ingest(ctx context.Context, in Ingest, unit string, rows batch.Reader) (int64, error) {
	target, err := c.target(ctx, in, rows.Schema())
	if err != nil {
		return 0, err
	}
	target.unit = unit
	files, n, err := c.Loader.Ingest(ctx, target.table, rows)
	if err != nil {
		return 0, err
	}
	if unit != "" {
		for i := range files {
			files[i].Unit = unit
		}
	}
	if err := c.publish(ctx, target, files); err != nil {
		if !settled(err) { // the index may hold the files
			return 0, fmt.Errorf("table %s: it is not known whether the rows are stored: %w", in.Table, err)
		}
		return 0, errors.Join(err, c.deleteUnnamed(ctx, in.Table, files))
	}
	c.counters.wrote(int(n))
	return n, nil
}

// deleteTimeout bounds the deletion of files that nothing refers to.
const deleteTimeout = time.Minute

// deleteUnnamed deletes what was stored in vain, but for what a rebuild of the
// index has found meanwhile.
func (c *Coordinator) deleteUnnamed(ctx context.Context, table string, files []meta.File) error {
	if len(files) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deleteTimeout)
	defer cancel()
	unnamed, err := meta.Unnamed(ctx, c.Meta, table, files)
	if err != nil {
		return fmt.Errorf("%d objects that were stored in vain stay: %w", len(files), err)
	}
	return c.deleteFiles(ctx, unnamed)
}

// target is where an ingest goes.
type target struct {
	table   meta.Table
	create  bool   // the table is made when the rows are in the store
	replace bool   // and takes the place of the one that is there
	unit    string // of the commit; any if empty
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
	return target{table: made, create: true, replace: in.Mode == IngestReplace}, err
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
	if t.create {
		return c.place(ctx, t, files)
	}
	m := meta.Commit{Table: t.table.Name, TableUID: t.table.UID, Node: c.opts.Node.ID, Unit: t.unit, Add: files, Time: time.Now().UTC()}
	switch {
	case t.unit != "":
		m.By = ulid.Make().String() // this load alone: another one of its name has files of its own
	case len(files) > 0:
		m.Unit = files[0].Unit
	default:
		m.Unit = ulid.Make().String()
	}
	if err := c.commit(ctx, m); err != nil || t.unit != "" {
		return err
	}
	if err := c.Meta.ForgetUnits(ctx, t.table.Name, []string{m.Unit}); err != nil {
		c.Log.Warn("forget ingest unit", "table", t.table.Name, "error", err)
	}
	return nil
}

// Limits of a table's placing, which goes on when its client has gone.
const (
	placeTimeout = 2 * time.Minute
	placeTries   = 20 // against rows that are stored in the old table meanwhile
	placeWait    = 50 * time.Millisecond
)

// place makes a table of the uploaded files, in one step: readers see the old
// table, if one is replaced, or the new one with all of its rows. What fails
// leaves what there was. The files of the old table are deleted later.
func (c *Coordinator) place(ctx context.Context, t target, files []meta.File) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), placeTimeout)
	defer cancel()
	name, stage := t.table.Name, "ingest_"+ulid.Make().String()
	defer func() { _ = c.Meta.DropStage(ctx, name, stage) }() // stages end by themselves
	var old replaced
	var err error
	for range placeTries {
		now, readErr := c.present(ctx, name)
		switch {
		case readErr != nil:
			err = readErr
		case now.uid == t.table.UID: // the answer was lost
			c.placed(ctx, name, old)
			return nil
		default:
			old = now
			if err = c.placeOver(ctx, t, old, stage, files); err == nil {
				c.placed(ctx, name, old)
				return nil
			}
		}
		if settled(err) && !errors.Is(err, meta.ErrConflict) && !errors.Is(err, meta.ErrStageGone) {
			return err
		}
		select {
		case <-time.After(placeWait):
		case <-ctx.Done():
			return err
		}
	}
	return err
}

// replaced is the table that another takes the place of; without UID there is
// none.
type replaced struct {
	uid               string
	revision, version int64
	rows              int64
	files             []meta.File
}

// placeOver is one try.
func (c *Coordinator) placeOver(ctx context.Context, t target, old replaced, stage string, files []meta.File) error {
	if old.uid != "" && !t.replace {
		return fmt.Errorf("table %s: %w", t.table.Name, meta.ErrTableExists)
	}
	for page := range slices.Chunk(files, meta.PageMax) {
		if err := c.Meta.StageFiles(ctx, t.table.Name, stage, page); err != nil {
			return err
		}
	}
	change := meta.NewChange(ctx, meta.ChangeCreate, t.table.Name, fmt.Sprintf("with %d files", len(files)))
	if old.uid != "" { // that it is a drop lets workers forget the old table's rows
		change.Kind = meta.ChangeDrop
		change.What = fmt.Sprintf("%d files, %d rows; replaced by a table of %d files", len(old.files), old.rows, len(files))
	}
	next := t.table
	next.Stats.LastWrite = time.Now().UTC()
	var units []string
	if t.unit != "" {
		units = []string{t.unit}
	}
	_, err := c.Meta.ReplaceTable(ctx, meta.Replacement{Table: next, Units: units, Stage: stage, Count: int64(len(files)), Version: old.version, Revision: old.revision, Change: change})
	return err
}

// present is the table of the name as it is.
func (c *Coordinator) present(ctx context.Context, name string) (old replaced, err error) {
	err = c.Meta.ReadImage(ctx, name, func(img meta.Image) error {
		old = replaced{uid: img.Table.UID, revision: img.Table.Revision, version: img.Version, rows: img.Table.Stats.Rows}
		for page, err := range img.Files {
			if err != nil {
				return err
			}
			old.files = append(old.files, page...)
		}
		return nil
	})
	if errors.Is(err, meta.ErrTableNotFound) {
		return replaced{}, nil
	}
	return old, err
}

// placed forgets the table that was replaced.
func (c *Coordinator) placed(ctx context.Context, name string, old replaced) {
	c.listings.forget(name)
	c.plans.forget()
	if old.uid == "" {
		return
	}
	c.discard(ctx, old.uid)
	if err := c.deleteLater(ctx, name, old.files); err != nil {
		c.Log.Warn("files of a replaced table stay", "table", name, "files", len(old.files), "error", err)
	}
}

// deleteLater puts files that left the index into the queue of deletions:
// queries that began before still read them, and a restore of the table finds
// them. Who works on the queue deletes nothing that an index names again.
func (c *Coordinator) deleteLater(ctx context.Context, table string, files []meta.File) error {
	store, ok := c.Objects.(catalog.Putter)
	if !ok {
		return fault.New(fault.Unimplemented, "the object store keeps no queue of deletions")
	}
	objects := make(map[string]string, len(files))
	for _, f := range files {
		objects[f.Path] = table
	}
	return catalog.QueueDeletions(ctx, store, catalog.GraceDefault, objects)
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
