package client

import (
	"context"
	"errors"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"skein/internal/batch"
)

// sendBytes is about how large a batch may be when it is sent; larger ones are
// cut by rows.
const sendBytes = 4 << 20

// Ingest is one bulk load.
type Ingest struct {
	Table      string
	Mode       string                  // append, create, create_append or replace
	IDColumn   string                  // of a table that is made; may be empty
	TimeColumn string                  // likewise
	Sent       func(rows, bytes int64) // called after each batch; may be nil
}

// definition says what to do about the target table.
func definition(mode string) *flightsql.TableDefinitionOptions {
	d := &flightsql.TableDefinitionOptions{
		IfNotExist: flightsql.TableDefinitionOptionsTableNotExistOptionCreate,
		IfExists:   flightsql.TableDefinitionOptionsTableExistsOptionAppend,
	}
	switch mode {
	case "append":
		d.IfNotExist = flightsql.TableDefinitionOptionsTableNotExistOptionFail
	case "create":
		d.IfExists = flightsql.TableDefinitionOptionsTableExistsOptionFail
	case "replace":
		d.IfExists = flightsql.TableDefinitionOptionsTableExistsOptionReplace
	}
	return d
}

// Ingest sends all of r to a table in one statement: all rows are stored, or
// none. It returns how many the server stored. The caller closes r.
func (c *Client) Ingest(ctx context.Context, in Ingest, r batch.Reader) (int64, error) {
	// A stream that ends well is stored, so one whose source fails is cut off.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	options := map[string]string{}
	if in.IDColumn != "" {
		options["id"] = in.IDColumn
	}
	if in.TimeColumn != "" {
		options["time"] = in.TimeColumn
	}
	src := &sending{ctx: ctx, r: r, sent: in.Sent}
	defer src.drop()
	rows, err := c.sql.ExecuteIngest(ctx, src, &flightsql.ExecuteIngestOpts{
		TableDefinitionOptions: definition(in.Mode),
		Table:                  in.Table,
		Options:                options,
	})
	if src.err != nil {
		return 0, src.err
	}
	return rows, c.Error(err)
}

// sending gives a batch.Reader to the Flight library, in pieces of about
// sendBytes. It owns the piece that it gave last.
type sending struct {
	ctx     context.Context
	r       batch.Reader
	sent    func(rows, bytes int64)
	whole   arrow.RecordBatch // what is being cut; owned by r
	from    int64             // first row of whole that was not given yet
	piece   arrow.RecordBatch
	started bool
	err     error
}

func (s *sending) Retain()                        {}
func (s *sending) Release()                       {}
func (s *sending) Schema() *arrow.Schema          { return s.r.Schema() }
func (s *sending) RecordBatch() arrow.RecordBatch { return s.piece }
func (s *sending) Record() arrow.RecordBatch      { return s.piece }
func (s *sending) Err() error                     { return s.err }

// Next implements array.RecordReader.
func (s *sending) Next() bool {
	s.drop()
	if s.whole == nil || s.from >= s.whole.NumRows() {
		b, err := s.r.Next(s.ctx)
		switch {
		case errors.Is(err, io.EOF) && !s.started:
			s.started = true // the library sends nothing at all without a batch
			s.piece = empty(s.Schema())
			return true
		case errors.Is(err, io.EOF):
			return false
		case err != nil:
			s.err = err
			return false
		}
		s.whole, s.from = b, 0
	}
	s.started = true
	bytes := sizeOf(s.whole)
	rows := s.whole.NumRows()
	if bytes > sendBytes {
		rows = max(1, rows*sendBytes/bytes)
	}
	to := min(s.from+rows, s.whole.NumRows())
	s.piece = s.whole.NewSlice(s.from, to)
	if s.sent != nil {
		n := to - s.from
		s.sent(n, bytes*n/max(1, s.whole.NumRows()))
	}
	s.from = to
	return true
}

func (s *sending) drop() {
	if s.piece != nil {
		s.piece.Release()
		s.piece = nil
	}
}

func empty(schema *arrow.Schema) arrow.RecordBatch {
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	return b.NewRecordBatch()
}

func sizeOf(b arrow.RecordBatch) int64 {
	var n int64
	for _, c := range b.Columns() {
		n += int64(c.Data().SizeInBytes())
	}
	return n
}
