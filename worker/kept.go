//go:build duckdb_arrow

package worker

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"skein/internal/batch"
	"skein/internal/duck"
	"skein/internal/fault"
	nodev1 "skein/proto/node/v1"
)

// LostNodeDetail is the detail of an Unavailable error that names the node
// whose kept rows could not be read.
const LostNodeDetail = "lost_node"

// partsMax bounds how many parts rows are dealt out to.
const partsMax = 4096

// keysMax bounds the expressions that rows are dealt out by.
const keysMax = 256

// errNotHeld is told of a query whose rows cannot be kept, or are not any
// more: its coordinator is gone, or this node started again.
var errNotHeld = fault.New(fault.Unavailable, "this node does not hold the query")

// keptID names the rows of one fragment among those of its query.
type keptID struct{ stage, number, attempt int32 }

func (k keptID) String() string { return fmt.Sprintf("%d/%d/%d", k.stage, k.number, k.attempt) }

func (k keptID) table(catalog string) string {
	return fmt.Sprintf("%s.main.kept_%d_%d_%d", catalog, k.stage, k.number, k.attempt)
}

// kept is a table of rows that a fragment gave.
type kept struct {
	name    string // quoted
	columns []*nodev1.Column
}

// Keep runs a fragment and keeps its rows until the query's Hold ends. Rows of
// one stage, number and attempt are kept once: while they are kept, or being
// made, a second call is AlreadyExists. A call that fails keeps nothing.
func (r *Runner) Keep(ctx context.Context, f *nodev1.Fragment) (res *nodev1.KeepResponse, err error) {
	id := keptID{f.GetStage(), f.GetNumber(), f.GetAttempt()}
	h, err := r.holds.get(f.GetQueryId())
	if err != nil {
		return nil, err
	}
	if err := h.reserve(id); err != nil {
		return nil, err
	}
	work, stop := either(ctx, h.ctx)
	defer stop()
	start := time.Now()
	made, res, err := r.keep(work, h, id, f)
	h.settle(id, made)
	if err != nil {
		return nil, h.cause(ctx, err)
	}
	res.ElapsedUs = time.Since(start).Microseconds()
	return res, nil
}

// keep makes the table and describes it.
func (r *Runner) keep(ctx context.Context, h *held, id keptID, f *nodev1.Fragment) (*kept, *nodev1.KeepResponse, error) {
	run, err := r.prepare(ctx, h, f)
	if err != nil {
		return nil, nil, err
	}
	defer run.Close()
	k := &kept{name: id.table(h.catalog)}
	if _, err := run.conn.Exec(ctx, "CREATE TABLE "+k.name+" AS "+f.Sql); err != nil {
		return nil, nil, run.blame(ctx, err)
	}
	res := &nodev1.KeepResponse{FetchedBytes: run.fetched}
	err = k.describe(ctx, run.conn, res)
	if err == nil && len(f.Bounds) > 0 {
		res.Bounds, err = k.bounds(ctx, run.conn, f.Bounds)
	}
	if err != nil {
		_, dropErr := run.conn.Exec(context.WithoutCancel(ctx), "DROP TABLE "+k.name)
		if dropErr != nil {
			return nil, nil, fmt.Errorf("%w; and its rows stay: %w", err, dropErr)
		}
		return nil, nil, err
	}
	return k, res, nil
}

// bounds tells the least and the greatest value of each column that has one.
func (k *kept) bounds(ctx context.Context, c *duck.Conn, columns []string) ([]*nodev1.Bounds, error) {
	if len(columns) > keysMax {
		return nil, fault.Newf(fault.InvalidArgument, "bounds of %d columns; the most is %d", len(columns), keysMax)
	}
	items := make([]string, 0, 3*len(columns))
	for _, name := range columns {
		col := duck.Ident(name)
		items = append(items, "count("+col+") > 0", "coalesce(CAST(min("+col+") AS VARCHAR), '')", "coalesce(CAST(max("+col+") AS VARCHAR), '')")
	}
	rows, err := c.Strings(ctx, "SELECT "+strings.Join(items, ", ")+" FROM "+k.name)
	if err != nil {
		return nil, err
	}
	var all []*nodev1.Bounds
	for i, name := range columns {
		if v := rows[0][3*i:]; v[0] == "true" {
			all = append(all, &nodev1.Bounds{Column: name, Min: v[1], Max: v[2]})
		}
	}
	return all, nil
}

// describe tells the columns, the rows and about how many bytes the rows take.
func (k *kept) describe(ctx context.Context, c *duck.Conn, res *nodev1.KeepResponse) error {
	described, err := c.Strings(ctx, "SELECT column_name, column_type FROM (DESCRIBE "+k.name+")")
	if err != nil {
		return err
	}
	for _, d := range described {
		k.columns = append(k.columns, &nodev1.Column{Name: d[0], Type: d[1]})
	}
	res.Columns = k.columns
	count, err := c.Strings(ctx, "SELECT count(*) FROM "+k.name)
	if err != nil {
		return err
	}
	if res.Rows, err = strconv.ParseInt(count[0][0], 10, 64); err != nil {
		return fmt.Errorf("rows of %s: %w", k.name, err)
	}
	width, err := k.width(ctx, c)
	res.Bytes = int64(width * float64(res.Rows))
	return err
}

// sampleRows is how many rows the width of a table is guessed from.
const sampleRows = 2048

// fixedWidths are the bytes that values of plain types take.
var fixedWidths = map[string]float64{
	"BOOLEAN": 1, "TINYINT": 1, "UTINYINT": 1, "SMALLINT": 2, "USMALLINT": 2, "INTEGER": 4, "UINTEGER": 4,
	"FLOAT": 4, "DATE": 4, "HUGEINT": 16, "UHUGEINT": 16, "UUID": 16, "INTERVAL": 16,
	"BIGINT": 8, "UBIGINT": 8, "DOUBLE": 8, "TIME": 8, "TIMESTAMP": 8, "TIMESTAMP WITH TIME ZONE": 8,
}

// width guesses the bytes that a row takes in memory.
func (k *kept) width(ctx context.Context, c *duck.Conn) (float64, error) {
	width := 0.0
	var lengths []string
	for _, col := range k.columns {
		if n, ok := fixedWidths[col.Type]; ok {
			width += n
			continue
		}
		if strings.HasPrefix(col.Type, "DECIMAL(") || strings.HasPrefix(col.Type, "ENUM(") {
			width += 8
			continue
		}
		width += 16 // of a string's head
		lengths = append(lengths, "coalesce(avg(strlen(CAST("+duck.Ident(col.Name)+" AS VARCHAR))), 0)")
	}
	if len(lengths) == 0 {
		return width, nil
	}
	sum, err := c.Strings(ctx, fmt.Sprintf("SELECT %s FROM (FROM %s LIMIT %d)", strings.Join(lengths, " + "), k.name, sampleRows))
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseFloat(sum[0][0], 64)
	if err != nil {
		return 0, fmt.Errorf("width of %s: %w", k.name, err)
	}
	return width + n, nil
}

// ReadKept streams kept rows, as the types that transportType tells. Rows that
// this node does not keep are Unavailable. The reader must be closed; the end
// of the query's Hold ends it, too.
func (r *Runner) ReadKept(ctx context.Context, read *nodev1.KeptRead) (batch.Reader, error) {
	if err := checkRead(read); err != nil {
		return nil, err
	}
	h, err := r.holds.get(read.GetQueryId())
	if err != nil {
		return nil, err
	}
	k, err := h.table(read)
	if err != nil {
		return nil, err
	}
	return h.reader(ctx, func(ctx context.Context) (*running, error) {
		conn, err := r.conn(ctx, h)
		if err != nil {
			return nil, err
		}
		run := &running{conn: conn}
		columns, err := k.wanted(read)
		if err == nil {
			err = run.query(ctx, "SELECT "+transportColumns(columns)+k.from(read))
		}
		if err != nil {
			run.Close()
			return nil, err
		}
		return run, nil
	})
}

// wanted are the columns of what a read wants.
func (k *kept) wanted(read *nodev1.KeptRead) ([]*nodev1.Column, error) {
	if read.GetOnly() == "" {
		return k.columns, nil
	}
	for _, c := range k.columns {
		if c.Name == read.Only {
			return []*nodev1.Column{c}, nil
		}
	}
	return nil, fault.Newf(fault.InvalidArgument, "the kept rows have no column %q", read.Only)
}

// from is the FROM and WHERE of what a read wants. Each part's reader hashes
// all rows: a partition is not stored.
func (k *kept) from(read *nodev1.KeptRead) string {
	sql := " FROM " + k.name
	switch {
	case read.GetFilter() != "":
		sql += " WHERE " + read.Filter
	case read.GetParts() > 1:
		sql += fmt.Sprintf(" WHERE hash(%s) %% %d = %d", strings.Join(read.Keys, ", "), read.Parts, read.Part)
	}
	return sql
}

func checkRead(read *nodev1.KeptRead) error {
	switch {
	case read == nil:
		return fault.New(fault.InvalidArgument, "a share must say what to read")
	case read.Parts < 0 || read.Parts > partsMax:
		return fault.Newf(fault.InvalidArgument, "%d parts, at most %d are possible", read.Parts, partsMax)
	case read.Parts > 0 && (read.Part < 0 || read.Part >= read.Parts):
		return fault.Newf(fault.InvalidArgument, "part %d of %d does not exist", read.Part, read.Parts)
	case read.Parts > 0 && (len(read.Keys) == 0 || len(read.Keys) > keysMax):
		return fault.Newf(fault.InvalidArgument, "parts by %d keys, there must be 1 to %d", len(read.Keys), keysMax)
	}
	return nil
}
