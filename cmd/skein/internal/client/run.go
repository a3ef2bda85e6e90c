package client

import (
	"context"
	"errors"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"

	"skein/internal/batch"
)

// Result is what a statement gave: rows, or how many it changed.
type Result struct {
	Rows    batch.Reader // nil for a statement without rows; the caller closes it
	Changed int64        // -1 if the server does not tell
}

// Run runs one statement. Ending ctx stops it, also while rows are read.
//
// It prepares the statement, because only the server knows whether it returns
// rows.
func (c *Client) Run(ctx context.Context, sql string) (*Result, error) {
	p, err := c.sql.Prepare(ctx, sql)
	if err != nil {
		return nil, c.Error(err)
	}
	if isUpdate(p) {
		defer closeStatement(ctx, p)
		n, err := p.ExecuteUpdate(ctx)
		if err != nil {
			return nil, c.Error(err)
		}
		return &Result{Changed: n}, nil
	}
	info, err := p.Execute(ctx)
	if err != nil {
		closeStatement(ctx, p)
		return nil, c.Error(err)
	}
	ctx, cancel := context.WithCancel(ctx)
	r := &rows{c: c, ctx: ctx, cancel: cancel, statement: p, schema: p.DatasetSchema(), endpoints: info.Endpoint}
	if err := r.open(); err != nil && !errors.Is(err, io.EOF) {
		r.Close()
		return nil, err
	}
	return &Result{Rows: r, Changed: -1}, nil
}

func isUpdate(p *flightsql.PreparedStatement) bool {
	if update, ok := p.IsUpdate(); ok {
		return update
	}
	return p.DatasetSchema() == nil || p.DatasetSchema().NumFields() == 0
}

// closeStatement frees the statement on the server even when ctx has ended. A
// server that cannot is no loss: it forgets statements by itself.
func closeStatement(ctx context.Context, p *flightsql.PreparedStatement) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	_ = p.Close(ctx)
}

// rows reads a result's endpoints one after the other, all over this
// connection. It implements batch.Reader.
type rows struct {
	c         *Client
	ctx       context.Context // of the whole result; gRPC streams end with it
	cancel    context.CancelFunc
	statement *flightsql.PreparedStatement
	schema    *arrow.Schema
	endpoints []*flight.FlightEndpoint
	current   *flight.Reader
	closed    bool
}

// open starts the next endpoint's stream; io.EOF if there is none.
func (r *rows) open() error {
	if len(r.endpoints) == 0 {
		return io.EOF
	}
	reader, err := r.c.sql.DoGet(r.ctx, r.endpoints[0].GetTicket())
	if err != nil {
		return r.c.Error(err)
	}
	r.endpoints = r.endpoints[1:]
	r.current, r.schema = reader, reader.Schema()
	return nil
}

// Schema implements batch.Reader.
func (r *rows) Schema() *arrow.Schema { return r.schema }

// Next implements batch.Reader.
func (r *rows) Next(context.Context) (arrow.RecordBatch, error) {
	for {
		if r.current == nil {
			if err := r.open(); err != nil {
				return nil, err
			}
		}
		if r.current.Next() {
			return r.current.RecordBatch(), nil
		}
		err := r.current.Err()
		r.current.Release()
		r.current = nil
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, r.c.Error(err)
		}
	}
}

// Close implements batch.Reader.
func (r *rows) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	if r.current != nil {
		r.current.Release()
		r.current = nil
	}
	r.endpoints = nil
	r.cancel()
	closeStatement(r.ctx, r.statement)
	return nil
}
