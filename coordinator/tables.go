//go:build duckdb_arrow

package coordinator

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/oklog/ulid/v2"
	"golang.org/x/sync/errgroup"

	"skein/internal/batch"
	"skein/internal/fault"
	"skein/meta"
	"skein/worker"
)

// Limits of listings.
const (
	pageLimitDefault = 100
	pageLimitMax     = 10_000
)

// CreateTable makes a table for records. created is false if it was there
// already and ifNotExists is set.
func (c *Coordinator) CreateTable(ctx context.Context, name string, cfg meta.Config, ifNotExists bool) (created bool, err error) {
	return c.create(ctx, meta.Table{Name: name, Config: cfg, Schemas: []meta.Schema{recordSchema()}}, ifNotExists)
}

func (c *Coordinator) create(ctx context.Context, t meta.Table, ifNotExists bool) (created bool, err error) {
	if err := c.may(ctx, ToDefine); err != nil {
		return false, err
	}
	if t.Name, err = meta.ValidateTableName(t.Name); err != nil {
		return false, err
	}
	if t.Config.BufferSize < 0 || t.Config.FlushIntervalSeconds < 0 || t.Config.RetentionDays < 0 {
		return false, fault.New(fault.InvalidArgument, "buffer_size, flush_interval_seconds and retention_days must not be negative; 0 is the default")
	}
	if err := checkProperties(t.Config.Properties); err != nil {
		return false, err
	}
	t.UID, t.Created = ulid.Make().String(), time.Now().UTC()
	err = c.Meta.CreateTable(ctx, t)
	if ifNotExists && errors.Is(err, meta.ErrTableExists) {
		return false, nil
	}
	return err == nil, err
}

// idBucketsMax is the most files of one day that an ingest may make for the
// sake of ids.
const idBucketsMax = 4096

// checkProperties refuses what an ingest would find wrong only later. Other
// properties are the user's own.
func checkProperties(properties map[string]string) error {
	value, ok := properties[worker.IDBucketsProperty]
	if !ok {
		return nil
	}
	if n, err := strconv.Atoi(value); err != nil || n < 1 || n > idBucketsMax {
		return fault.Newf(fault.InvalidArgument, "table property %s = %q: it must be a number from 1 to %d", worker.IDBucketsProperty, value, idBucketsMax)
	}
	return nil
}

// dropTimeout bounds a drop, which goes on when its client has gone.
const dropTimeout = 2 * time.Minute

// DropTable removes a table with its rows. Its files are deleted later.
func (c *Coordinator) DropTable(ctx context.Context, name string, o DropOptions) (filesDeleted int, existed bool, err error) {
	if err := c.may(ctx, ToDefine); err != nil {
		return 0, false, err
	}
	if name, err = meta.ValidateTableName(name); err != nil {
		return 0, false, err
	}
	v, err := c.snapshotForDrop(ctx, name, o)
	if errors.Is(err, meta.ErrTableNotFound) && o.IfExists {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dropTimeout) // its objects would be nobody's
	defer cancel()
	files, err := c.Meta.DropTable(ctx, name, v.UID)
	if err != nil {
		return 0, false, err
	}
	c.listings.forget(name)
	c.plans.forget()
	c.discard(ctx, v.UID)
	return len(files), true, c.deleteLater(ctx, name, files)
}

// snapshotForDrop finds the table, and refuses a plain drop of one that holds
// rows.
func (c *Coordinator) snapshotForDrop(ctx context.Context, name string, o DropOptions) (*meta.Table, error) {
	if o.Cascade {
		t, err := c.Meta.Table(ctx, name)
		return &t, err
	}
	t, err := c.DescribeTable(ctx, name)
	if err == nil && t.Stats.Rows > 0 {
		return nil, fault.Newf(fault.FailedPrecondition, "table %s holds %d rows; drop it with cascade=true to delete them", name, t.Stats.Rows)
	}
	return &t, err
}

// discardTimeout bounds what only saves the workers some work.
const discardTimeout = 5 * time.Second

// discard tells the workers to forget the dropped table's buffers. A worker
// that does not hear it finds out when it flushes.
func (c *Coordinator) discard(ctx context.Context, uid string) {
	nodes, err := c.workers(ctx)
	if err != nil {
		c.Log.Warn("discard buffers", "error", err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, discardTimeout)
	defer cancel()
	for _, n := range nodes {
		if err := c.worker(n).Discard(ctx, uid); err != nil {
			c.Log.Warn("discard buffers", "node", n.ID, "error", err)
		}
	}
}

// deletesMax is how many objects are deleted at once.
const deletesMax = 16

func (c *Coordinator) deleteFiles(ctx context.Context, files []meta.File) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(deletesMax)
	for _, f := range files {
		g.Go(func() error {
			if err := c.Objects.Delete(ctx, f.Path); err != nil {
				return fmt.Errorf("the table is dropped, but object %s is left: %w", f.Path, err)
			}
			return nil
		})
	}
	return g.Wait()
}

// DescribeTable returns a table whose Stats count every acknowledged row, also
// those that are still in buffers.
func (c *Coordinator) DescribeTable(ctx context.Context, name string) (meta.Table, error) {
	name, err := meta.ValidateTableName(name)
	if err != nil {
		return meta.Table{}, err
	}
	v, err := c.snapshot(ctx, name)
	if err != nil {
		return meta.Table{}, err
	}
	t := v.Table
	t.Config = t.Config.WithDefaults()
	t.Stats = v.stats()
	return t, nil
}

// stats sums up the view itself, so that counts and rows are of one moment.
func (v *tableView) stats() meta.Stats {
	s := meta.Stats{LastWrite: v.Stats.LastWrite}
	span := func(from, to time.Time) {
		if !from.IsZero() && (s.Oldest.IsZero() || from.Before(s.Oldest)) {
			s.Oldest = from
		}
		if to.After(s.Newest) {
			s.Newest = to
		}
	}
	for _, f := range v.files {
		s.Rows, s.Files, s.Bytes = s.Rows+f.Rows, s.Files+1, s.Bytes+f.Bytes
		span(f.MinTime, f.MaxTime)
	}
	for _, h := range v.hot {
		s.Rows += h.unit.Rows
		if written := time.UnixMicro(h.unit.WrittenUs).UTC(); h.unit.WrittenUs != 0 && written.After(s.LastWrite) {
			s.LastWrite = written
		}
		span(time.UnixMicro(h.unit.MinTimeUs).UTC(), time.UnixMicro(h.unit.MaxTimeUs).UTC())
	}
	return s
}

// ListTables lists the tables whose name matches a pattern with * and ?.
func (c *Coordinator) ListTables(ctx context.Context, pattern string, page, limit int) (TablePage, error) {
	if page < 0 || limit < 0 || limit > pageLimitMax {
		return TablePage{}, fault.Newf(fault.InvalidArgument, "page %d, limit %d: page counts from 1, limit is 1 to %d", page, limit, pageLimitMax)
	}
	p := TablePage{Page: or(page, 1), Limit: or(limit, pageLimitDefault)}
	pattern = strings.ToLower(or(pattern, "*"))
	if strings.ContainsAny(pattern, `[]\/`) {
		return TablePage{}, fault.Newf(fault.InvalidArgument, "pattern %q: only * and ? stand for other characters", pattern)
	}
	tables, err := c.Meta.Tables(ctx)
	if err != nil {
		return TablePage{}, err
	}
	var names []string
	for _, t := range tables {
		if ok, err := path.Match(pattern, t.Name); err != nil {
			return TablePage{}, fault.Newf(fault.InvalidArgument, "pattern %q: %w", pattern, err)
		} else if ok {
			names = append(names, t.Name)
		}
	}
	p.Total = len(names)
	from := min((p.Page-1)*p.Limit, len(names))
	for _, name := range names[from:min(from+p.Limit, len(names))] {
		t, err := c.DescribeTable(ctx, name)
		if errors.Is(err, meta.ErrTableNotFound) {
			continue // dropped meanwhile
		}
		if err != nil {
			return TablePage{}, err
		}
		p.Tables = append(p.Tables, t)
	}
	return p, nil
}

// ArrowSchema is the schema of SELECT * FROM the table.
func (c *Coordinator) ArrowSchema(ctx context.Context, name string) (*arrow.Schema, error) {
	s, err := c.Prepare(ctx, "SELECT * FROM "+meta.QuoteIdent(name))
	if err != nil {
		return nil, err
	}
	return s.Schema, nil
}

var showTablesSchema = arrow.NewSchema([]arrow.Field{{Name: "name", Type: arrow.BinaryTypes.String, Nullable: true}}, nil)

func (c *Coordinator) showTables(ctx context.Context) (batch.Reader, error) {
	tables, err := c.Meta.Tables(ctx)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(tables))
	for i, t := range tables {
		names[i] = t.Name
	}
	return textRows(showTablesSchema, names), nil
}

// textRows is a result of text columns, given column by column.
func textRows(schema *arrow.Schema, columns ...[]string) batch.Reader {
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	for i, values := range columns {
		b.Field(i).(*array.StringBuilder).AppendValues(values, nil)
	}
	if len(columns[0]) == 0 {
		return batch.NewSlice(schema)
	}
	return batch.NewSlice(schema, b.NewRecordBatch())
}
