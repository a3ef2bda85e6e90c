// Package batch is the stream of Arrow record batches that results travel in,
// from DuckDB through fragments to the doors, and the plain tools over it.
//
// It does not know where a stream comes from or who reads it.
package batch

import (
	"context"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Reader is a stream of record batches of one schema. It is read by one
// goroutine at a time.
type Reader interface {
	Schema() *arrow.Schema
	// Next returns the next batch, valid until the following call to Next or
	// Close. The caller must not release it, but may retain it. io.EOF ends
	// the stream.
	Next(ctx context.Context) (arrow.RecordBatch, error)
	// Close frees what the stream holds and stops its producer. It may be
	// called at any time, and more than once.
	Close() error
}

// Slice is a Reader over batches in memory. It takes over their ownership.
type Slice struct {
	schema  *arrow.Schema
	batches []arrow.RecordBatch
	next    int
}

// NewSlice returns a Reader of the given batches, which it releases at Close.
func NewSlice(schema *arrow.Schema, batches ...arrow.RecordBatch) *Slice {
	return &Slice{schema: schema, batches: batches}
}

// Schema implements Reader.
func (s *Slice) Schema() *arrow.Schema { return s.schema }

// Next implements Reader.
func (s *Slice) Next(ctx context.Context) (arrow.RecordBatch, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.next >= len(s.batches) {
		return nil, io.EOF
	}
	s.next++
	return s.batches[s.next-1], nil
}

// Close implements Reader.
func (s *Slice) Close() error {
	for _, b := range s.batches {
		b.Release()
	}
	s.batches = nil
	return nil
}

// Concat joins batches of one schema into one that the caller releases. It
// does not release its inputs.
func Concat(schema *arrow.Schema, batches []arrow.RecordBatch) (arrow.RecordBatch, error) {
	cols := make([]arrow.Array, schema.NumFields())
	defer func() {
		for _, c := range cols {
			if c != nil {
				c.Release()
			}
		}
	}()
	var rows int64
	for _, b := range batches {
		rows += b.NumRows()
	}
	parts := make([]arrow.Array, len(batches))
	for i := range cols {
		for j, b := range batches {
			parts[j] = b.Column(i)
		}
		c, err := array.Concatenate(parts, memory.DefaultAllocator)
		if err != nil {
			return nil, err
		}
		cols[i] = c
	}
	return array.NewRecordBatch(schema, cols, rows), nil
}
