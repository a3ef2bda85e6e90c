//go:build duckdb_arrow

package duck

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	bind "github.com/duckdb/duckdb-go-bindings"

	"skein/internal/batch"
	"skein/internal/fault"
)

// vectorRows is the size of DuckDB's vectors: a chunk holds no more.
const vectorRows = 2048

// Load appends all batches of r to a temporary table of this connection whose
// columns have the types that Arrow's convert to, or such as those cast to
// without loss, and returns the rows appended. On error it appends nothing.
//
// It goes chunk by chunk and not over a registered view, because DuckDB reads
// wrong values from a view of which a query takes only some columns.
func (c *Conn) Load(ctx context.Context, table string, r batch.Reader) (rows int64, err error) {
	// Without a transaction each of the appender's 200,000 rows are one.
	if _, err := c.Exec(ctx, "BEGIN TRANSACTION"); err != nil {
		return 0, err
	}
	rows, err = c.load(ctx, table, r)
	end := "COMMIT"
	if err != nil {
		rows, end = 0, "ROLLBACK"
	}
	if _, endErr := c.Exec(context.WithoutCancel(ctx), end); err == nil && endErr != nil {
		return 0, endErr
	}
	return rows, err
}

func (c *Conn) load(ctx context.Context, table string, r batch.Reader) (rows int64, err error) {
	schema, ed := bind.SchemaFromArrow(c.conn, r.Schema())
	defer bind.DestroyErrorData(&ed)
	if bind.ErrorDataHasError(ed) {
		return 0, fault.New(fault.Unimplemented, "Arrow type without a DuckDB form: "+bind.ErrorDataMessage(ed))
	}
	defer bind.DestroyArrowConvertedSchema(&schema)
	var app bind.Appender
	defer bind.AppenderDestroy(&app)
	if bind.AppenderCreateExt(c.conn, "temp", "main", table, &app) != bind.StateSuccess {
		return 0, c.appenderError(app)
	}
	for {
		b, err := r.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return rows, err
		}
		if err := c.append(app, schema, b); err != nil {
			return rows, err
		}
		rows += b.NumRows()
	}
	if bind.AppenderClose(app) != bind.StateSuccess {
		return rows, c.appenderError(app)
	}
	return rows, nil
}

func (c *Conn) append(app bind.Appender, schema bind.ArrowConvertedSchema, b arrow.RecordBatch) error {
	for from := int64(0); from < b.NumRows(); from += vectorRows {
		part, err := slice(b, from, min(from+vectorRows, b.NumRows()))
		if err != nil {
			return fault.Wrap(fault.Unimplemented, err)
		}
		chunk, ed := bind.DataChunkFromArrow(c.conn, part, schema)
		part.Release()
		failed, msg := bind.ErrorDataHasError(ed), bind.ErrorDataMessage(ed)
		bind.DestroyErrorData(&ed)
		if failed {
			return c.classify(msg)
		}
		state := bind.AppendDataChunk(app, chunk)
		bind.DestroyDataChunk(&chunk)
		if state != bind.StateSuccess {
			return c.appenderError(app)
		}
	}
	return nil
}

// slice returns rows of b, which the caller releases. It copies columns that
// have others inside: DuckDB ignores where a part of such a one begins, and
// reads past its end.
func slice(b arrow.RecordBatch, from, to int64) (arrow.RecordBatch, error) {
	part := b.NewSlice(from, to)
	for i, c := range part.Columns() {
		if !isNested(c.DataType()) || startsAtZero(c.Data()) && to == b.NumRows() {
			continue
		}
		whole, err := array.Concatenate([]arrow.Array{c}, memory.DefaultAllocator)
		if err != nil {
			part.Release()
			return nil, fmt.Errorf("column %s: %w", b.ColumnName(i), err)
		}
		changed, err := part.SetColumn(i, whole)
		whole.Release()
		part.Release()
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", b.ColumnName(i), err)
		}
		part = changed
	}
	return part, nil
}

func isNested(t arrow.DataType) bool {
	if e, ok := t.(arrow.ExtensionType); ok {
		return isNested(e.StorageType())
	}
	_, ok := t.(arrow.NestedType)
	return ok
}

// startsAtZero tells that neither the array nor one inside begins in the
// middle of its buffers.
func startsAtZero(d arrow.ArrayData) bool {
	return d.Offset() == 0 && !slices.ContainsFunc(d.Children(), func(c arrow.ArrayData) bool { return !startsAtZero(c) })
}

func (c *Conn) appenderError(app bind.Appender) error {
	ed := bind.AppenderErrorData(app)
	defer bind.DestroyErrorData(&ed)
	return c.classify(bind.ErrorDataMessage(ed))
}
