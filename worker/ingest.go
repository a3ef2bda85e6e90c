package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/oklog/ulid/v2"
	"golang.org/x/sync/errgroup"

	"skein/internal/batch"
	"skein/internal/duck"
	"skein/internal/fault"
	"skein/meta"
)

// Limits of one ingest.
const (
	IngestDaysMax  = 4_000               // days of the time column
	IngestFilesMax = meta.CommitFilesMax // files, which are committed in one step
)

// ingest is one bulk load.
type ingest struct {
	w       *Worker
	table   meta.Table
	conn    *duck.Conn
	unit    string
	arrived string   // day
	exprs   []string // of the table's columns over the stage
	names   string   // of the table's columns, quoted
	key     string   // quoted column of a part's number, none of the table's
	parts   partition
	uploads *errgroup.Group
	files   []*meta.File
}

// Ingest writes rows, whose columns are named as the table's, into files and
// uploads them. It does not commit: the caller adds the files to the index in
// one step, as the unit that they name. After an error it deletes what it
// uploaded, as well as it can. It does not close rows.
func (w *Worker) Ingest(ctx context.Context, table meta.Table, rows batch.Reader) (files []meta.File, n int64, err error) {
	ctx, leave, err := w.calls.enter(ctx)
	if err != nil {
		return nil, 0, err
	}
	defer leave()
	conn, err := w.db.Conn(ctx)
	if err != nil {
		return nil, 0, err
	}
	defer conn.Close()
	in := &ingest{w: w, table: table, conn: conn, unit: ulid.Make().String(), arrived: time.Now().UTC().Format(dayLayout)}
	uploads, uctx := errgroup.WithContext(ctx)
	uploads.SetLimit(w.o.UploadsMax)
	in.uploads = uploads
	n, err = in.run(uctx, rows)
	if uerr := uploads.Wait(); uerr != nil && (err == nil || errors.Is(err, context.Canceled)) {
		err = uerr
	}
	for _, f := range in.files {
		files = append(files, *f)
	}
	if err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		w.deleteUnnamed(ctx, table.Name, files)
		return nil, 0, fmt.Errorf("table %s: %w", table.Name, err)
	}
	w.metrics.ingested.Add(float64(n))
	return files, n, nil
}

// deleteUnnamed deletes what a load has stored in vain, but for what a rebuild
// of the index has found meanwhile. Where the index cannot be read, all stays.
func (w *Worker) deleteUnnamed(ctx context.Context, table string, files []meta.File) {
	if len(files) == 0 {
		return
	}
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), deleteWait)
	defer cancel()
	unnamed, err := meta.Unnamed(limited, w.meta, table, files)
	if err != nil {
		w.log.Warn("objects of a load that failed stay", "table", table, "objects", len(files), "error", err)
		return
	}
	w.deleteFiles(ctx, unnamed)
}

// run writes chunk after chunk. Those that are cut into partitions are staged.
func (in *ingest) run(ctx context.Context, rows batch.Reader) (n int64, err error) {
	if err := in.prepare(ctx, rows.Schema()); err != nil {
		return 0, err
	}
	storage := newStorageReader(rows)
	defer storage.Close()
	chunk := &chunkReader{Reader: storage, bytesMax: in.w.o.IngestBytesMax}
	if !in.parts.any() {
		in.conn.Close() // who holds one must not wait for more
		return in.runWhole(ctx, chunk)
	}
	chunk.bytesMax *= sortedChunks
	for !chunk.ended {
		chunk.rows, chunk.bytes, chunk.rowsMax = 0, 0, in.chunkRows(n)
		loaded, err := in.chunk(ctx, chunk)
		if err != nil {
			return n, err
		}
		n += loaded
	}
	return n, nil
}

// filesEven is into about how many files at least a large load is cut, so that
// several workers get even shares of it.
const filesEven = 16

// chunkRows is how many rows the next chunk has at most after so many. Without
// partitions each chunk is a file, and files grow with the load: a small one
// is divided evenly, and a large one is not in very many files.
func (in *ingest) chunkRows(before int64) int64 {
	if in.parts.any() {
		return in.w.o.IngestRowsMax * sortedChunks
	}
	groups := (before/filesEven + rowGroupRows - 1) / rowGroupRows
	return min(max(groups, 1)*rowGroupRows, in.w.o.IngestRowsMax)
}

// chunk stages and writes one chunk.
func (in *ingest) chunk(ctx context.Context, rows *chunkReader) (int64, error) {
	if err := createStage(ctx, in.conn, "stage", rows.Schema()); err != nil {
		return 0, err
	}
	n, err := in.conn.Load(ctx, "stage", rows)
	if err == nil && n > 0 {
		err = in.writeParts(ctx, "SELECT "+strings.Join(in.exprs, ", ")+" FROM stage")
	}
	if err == nil {
		_, err = in.conn.Exec(ctx, "DROP TABLE stage")
	}
	return n, err
}

// sortedChunks is how much larger a chunk is that is cut into partitions: each
// chunk makes a file of each.
const sortedChunks = 8

// prepare makes the stage and the expressions that turn it into the table's
// columns.
func (in *ingest) prepare(ctx context.Context, schema *arrow.Schema) error {
	cols, err := in.w.arrowColumns(ctx, in.conn, schema)
	if err != nil {
		return err
	}
	s := in.table.Schema()
	if err := IngestSchema(s, cols); err != nil {
		return err
	}
	for _, c := range s.Columns {
		from := meta.Schema{Columns: cols}
		expr := meta.MissingExpr(c.Type)
		if i := from.Column(c.Name); i >= 0 {
			expr = fmt.Sprintf("CAST(%s AS %s)", meta.ReadExpr(cols[i].Name, cols[i].Type, c.Type), c.Type.SQL())
		}
		in.exprs = append(in.exprs, expr+" AS "+meta.QuoteIdent(c.Name))
	}
	names := make([]string, len(s.Columns))
	for i, c := range s.Columns {
		names[i] = meta.QuoteIdent(c.Name)
	}
	in.names, in.key = strings.Join(names, ", "), "_part"
	for s.Column(in.key) >= 0 {
		in.key += "_"
	}
	in.parts, err = newPartition(in.table, in.arrived)
	return err
}

func (in *ingest) path(segment, day string) string {
	return meta.ObjectPath(in.table.Name, segment, day, in.w.names.next())
}

// copy writes a query's rows into a file and starts its upload.
func (in *ingest) copy(ctx context.Context, query string, f *meta.File) error {
	if err := in.add(f); err != nil {
		return err
	}
	local := in.w.tempFile()
	if _, err := in.conn.Exec(ctx, in.copySQL(query, local, f)); err != nil {
		os.Remove(local)
		return err
	}
	in.upload(ctx, local, f)
	return ctx.Err()
}

// add notes that the ingest has a file.
func (in *ingest) add(f *meta.File) error {
	if len(in.files) >= IngestFilesMax {
		return fault.Newf(fault.InvalidArgument, "the rows make more than %d files (one for each id and day); load fewer at once, or make the table with fewer id_buckets or without a time column", IngestFilesMax)
	}
	f.SchemaVersion, f.Unit = in.table.SchemaVersion(), in.unit
	in.files = append(in.files, f)
	return nil
}

func (in *ingest) copySQL(query, local string, f *meta.File) string {
	return fmt.Sprintf("COPY (%s) TO %s (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE %d, KV_METADATA {%s: %s})", query, duck.Literal(local), rowGroupRows,
		noteKey, duck.Literal(newNote(in.table, in.table.Schema(), *f)))
}

// upload uploads a local file and removes it.
func (in *ingest) upload(ctx context.Context, local string, f *meta.File) {
	in.uploads.Go(func() error {
		defer os.Remove(local)
		return in.w.uploadFile(ctx, local, f, in.table.Schema())
	})
}

// uploadFile uploads a file of the schema's columns, and fills in what its
// entry in the index lacks.
func (w *Worker) uploadFile(ctx context.Context, local string, f *meta.File, s meta.Schema) error {
	r, err := os.Open(local)
	if err != nil {
		return fault.Newf(fault.Unavailable, "temporary file: %w", err)
	}
	defer r.Close()
	info, err := r.Stat()
	if err != nil {
		return fault.Newf(fault.Unavailable, "temporary file: %w", err)
	}
	f.Bytes = info.Size()
	f.Ranges = w.ranges(r, f, s)
	if err := w.objects.Put(ctx, f.Path, r, f.Bytes); err != nil {
		return fmt.Errorf("file %s: %w", f.Path, err)
	}
	w.metrics.uploaded.Add(float64(f.Bytes))
	return nil
}

// chunkReader ends after about rowsMax rows or bytesMax bytes, and can then be
// read on.
type chunkReader struct {
	batch.Reader
	rowsMax, bytesMax int64
	rows, bytes       int64
	ended             bool // of the other reader
}

func (c *chunkReader) Next(ctx context.Context) (arrow.RecordBatch, error) {
	if c.ended || c.rows >= c.rowsMax || c.bytes >= c.bytesMax {
		return nil, io.EOF
	}
	b, err := c.Reader.Next(ctx)
	if errors.Is(err, io.EOF) {
		c.ended = true
	}
	if err != nil {
		return nil, err
	}
	c.rows += b.NumRows()
	for _, col := range b.Columns() {
		c.bytes += int64(col.Data().SizeInBytes())
	}
	return b, nil
}
