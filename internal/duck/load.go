//go:build duckdb_arrow

package duck

import (
	"context"
	"errors"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	bind "github.com/duckdb/duckdb-go-bindings"

	"skein/internal/batch"
	"skein/internal/fault"
)

// vectorRows is the size of DuckDB's vectors: a chunk holds no more.
const vectorRows = 2048

// Load appends all batches of r to a temporary table of this connection whose
// columns have the types that Arrow's convert to, and returns the rows
// appended.
//
// It goes chunk by chunk and not over a registered view, because DuckDB reads
// wrong values from a view of which a query takes only some columns.
func (c *Conn) Load(ctx context.Context, table string, r batch.Reader) (rows int64, err error) {
	schema, ed := bind.SchemaFromArrow(c.conn, r.Schema())
	defer bind.DestroyErrorData(&ed)
	if bind.ErrorDataHasError(ed) {
		return 0, fault.New(fault.Unimplemented, "Arrow type without a DuckDB form: "+bind.ErrorDataMessage(ed))
	}
	defer bind.DestroyArrowConvertedSchema(&schema)
	var app bind.Appender
	defer bind.AppenderDestroy(&app)
	if bind.AppenderCreateExt(c.conn, "temp", "main", table, &app) != bind.StateSuccess {
		return 0, appenderError(app)
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
		return rows, appenderError(app)
	}
	return rows, nil
}

func (c *Conn) append(app bind.Appender, schema bind.ArrowConvertedSchema, b arrow.RecordBatch) error {
	for from := int64(0); from < b.NumRows(); from += vectorRows {
		part := b.NewSlice(from, min(from+vectorRows, b.NumRows()))
		chunk, ed := bind.DataChunkFromArrow(c.conn, part, schema)
		part.Release()
		failed, msg := bind.ErrorDataHasError(ed), bind.ErrorDataMessage(ed)
		bind.DestroyErrorData(&ed)
		if failed {
			return classify(msg)
		}
		state := bind.AppendDataChunk(app, chunk)
		bind.DestroyDataChunk(&chunk)
		if state != bind.StateSuccess {
			return appenderError(app)
		}
	}
	return nil
}

func appenderError(app bind.Appender) error {
	ed := bind.AppenderErrorData(app)
	defer bind.DestroyErrorData(&ed)
	return classify(bind.ErrorDataMessage(ed))
}
