package worker

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"golang.org/x/sync/errgroup"

	"skein/meta"
	nodev1 "skein/proto/node/v1"
	"skein/worker/payload"
)

const (
	rowGroupRows = 122_880
	dayLayout    = "2006-01-02"
	deleteWait   = 30 * time.Second // for files that nothing refers to
)

// uploadUnit writes the unit's files to the object store and notes them in
// u.files. A try after one that did so uploads nothing.
func (w *Worker) uploadUnit(ctx context.Context, u *unit, chunks []chunk, entry meta.Table) error {
	if u.files != nil || len(chunks) == 0 {
		return nil
	}
	v := max(version(chunks), entry.SchemaVersion())
	layout, err := w.layout(ctx, u.table, v)
	if err != nil {
		return err
	}
	groups := group(chunks)
	files := make([]meta.File, len(groups))
	uploads, uctx := errgroup.WithContext(ctx)
	uploads.SetLimit(w.o.UploadsMax)
	for i, g := range groups {
		if uctx.Err() != nil {
			break
		}
		files[i] = g.file(u, v)
		uploads.Go(func() error { return w.uploadGroup(uctx, entry, &files[i], layout, g.rows) })
	}
	if err := uploads.Wait(); err != nil {
		return err
	}
	u.files = files
	return ctx.Err()
}

// fileGroup is the rows of one file.
type fileGroup struct {
	id, day string
	rows    []*nodev1.Record // by time; in the order of arrival where that is equal
}

// group splits the rows into files, ordered by id and day.
func group(chunks []chunk) []fileGroup {
	type key struct {
		id  string
		day int64
	}
	byKey := map[key][]*nodev1.Record{}
	for _, c := range chunks {
		for _, r := range c.rows {
			k := key{r.Id, floorDiv(r.TimestampUs, microsecondsPerDay)}
			byKey[k] = append(byKey[k], r)
		}
	}
	groups := make([]fileGroup, 0, len(byKey))
	for k, rows := range byKey {
		slices.SortStableFunc(rows, func(a, b *nodev1.Record) int { return cmp.Compare(a.TimestampUs, b.TimestampUs) })
		groups = append(groups, fileGroup{id: k.id, day: timeOf(rows[0].TimestampUs).Format(dayLayout), rows: rows})
	}
	slices.SortFunc(groups, func(a, b fileGroup) int {
		return cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(a.day, b.day))
	})
	return groups
}

func timeOf(us int64) time.Time { return time.UnixMicro(us).UTC() }

// file is the catalog's entry of the group, without its size.
func (g *fileGroup) file(u *unit, version int) meta.File {
	return meta.File{
		Path: meta.ObjectPath(u.table.name, meta.EncodeID(g.id), g.day, u.ns),
		ID:   g.id, HasID: true, Day: g.day, SchemaVersion: version, Rows: int64(len(g.rows)),
		MinTime: timeOf(g.rows[0].TimestampUs), MaxTime: timeOf(g.rows[len(g.rows)-1].TimestampUs),
		Unit: u.id,
	}
}

func (w *Worker) uploadGroup(ctx context.Context, entry meta.Table, f *meta.File, layout *payload.Layout, rows []*nodev1.Record) error {
	var b bytes.Buffer
	if err := writeRecords(&b, layout, newNote(entry, layout.Schema(), *f), slices.Values(rows)); err != nil {
		return fmt.Errorf("file %s: %w", f.Path, err)
	}
	f.Bytes = int64(b.Len())
	f.Ranges = w.ranges(bytes.NewReader(b.Bytes()), f, layout.Schema())
	if err := w.objects.Put(ctx, f.Path, bytes.NewReader(b.Bytes()), f.Bytes); err != nil {
		return fmt.Errorf("file %s: %w", f.Path, err)
	}
	w.metrics.uploaded.Add(float64(f.Bytes))
	return nil
}

const builtRows = 4096 // records that are turned into one Arrow batch

// writeRecords writes rows as a Parquet file of the layout's columns, with a
// note if that is not empty.
func writeRecords(out io.Writer, layout *payload.Layout, note string, rows func(yield func(*nodev1.Record) bool)) error {
	b, err := layout.NewBuilder(memory.DefaultAllocator)
	if err != nil {
		return err
	}
	defer b.Release()
	schema, err := layout.ArrowSchema()
	if err != nil {
		return err
	}
	props := parquet.NewWriterProperties(
		parquet.WithCompression(compress.Codecs.Zstd), parquet.WithMaxRowGroupLength(rowGroupRows),
		parquet.WithStats(true), parquet.WithPageIndexEnabled(true), parquet.WithCreatedBy("skein"))
	f, err := pqarrow.NewFileWriter(schema, struct{ io.Writer }{out}, props, pqarrow.DefaultWriterProps())
	if err != nil {
		return err
	}
	n := 0
	for r := range rows {
		o, err := payload.Parse(r.Payload)
		if err == nil {
			err = b.Append(r.Id, r.TimestampUs, o)
		}
		if err != nil {
			return fmt.Errorf("id %q: %w", r.Id, err)
		}
		if n++; n%builtRows == 0 {
			if err := writeBatch(f, b.NewBatch()); err != nil {
				return err
			}
		}
	}
	if err := writeBatch(f, b.NewBatch()); err != nil {
		return err
	}
	if note != "" {
		if err := f.AppendKeyValueMetadata(noteKey, note); err != nil {
			return err
		}
	}
	return f.Close()
}

// writeBatch releases the batch.
func writeBatch(f *pqarrow.FileWriter, b arrow.RecordBatch) error {
	defer b.Release()
	if b.NumRows() == 0 {
		return nil
	}
	return f.WriteBuffered(b)
}

// deleteFiles removes objects that no index refers to, as well as it can.
func (w *Worker) deleteFiles(ctx context.Context, files []meta.File) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deleteWait)
	defer cancel()
	for _, f := range files {
		if err := w.objects.Delete(ctx, f.Path); err != nil {
			w.log.Warn("an object that nothing refers to stays", "object", f.Path, "error", err)
		}
	}
}

// madeOf are the files, by path, that these rows become in a unit.
func madeOf(u *unit, chunks []chunk) (files []meta.File) {
	for _, g := range group(chunks) {
		files = append(files, g.file(u, 0))
	}
	return files
}
