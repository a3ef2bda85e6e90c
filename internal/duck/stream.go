//go:build duckdb_arrow

package duck

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	bind "github.com/duckdb/duckdb-go-bindings"

	"skein/internal/batch"
	"skein/internal/fault"
)

// batchRows is how many rows a batch is filled up to. DuckDB's own chunks have
// 2,048, which halves the speed of Flight.
const batchRows = 16 * 1024

// batchBytes closes a batch early, so that encoded messages stay well below
// the 16 MiB that clients accept.
const batchBytes = 8 << 20

// Stream is a running query. It implements batch.Reader.
type Stream struct {
	p       *Prepared
	owned   bool // p was made for this stream alone
	res     bind.Result
	out     *arrow.Schema
	decode  bool
	current arrow.RecordBatch
	done    bool
	closed  bool
}

// Query runs one statement and streams its result. The caller closes the
// stream before it uses the connection again.
func (c *Conn) Query(ctx context.Context, sql string) (*Stream, error) {
	p, err := c.Prepare(ctx, sql)
	if err != nil {
		return nil, err
	}
	s, err := p.Stream(ctx)
	if err != nil {
		p.Close()
		return nil, err
	}
	s.owned = true
	return s, nil
}

// Stream runs the statement. It has no parameters left to bind.
func (p *Prepared) Stream(ctx context.Context) (*Stream, error) {
	defer p.c.watch(ctx)()
	var pending bind.PendingResult
	defer bind.DestroyPending(&pending)
	if bind.PendingPreparedStreaming(p.stmt, &pending) != bind.StateSuccess {
		return nil, errorOf(ctx, bind.PendingError(pending))
	}
	s := &Stream{p: p, out: p.Schema()}
	s.decode = s.out != p.schema
	if bind.ExecutePending(pending, &s.res) != bind.StateSuccess {
		defer bind.DestroyResult(&s.res)
		return nil, errorOf(ctx, bind.ResultError(&s.res))
	}
	return s, nil
}

// Schema implements batch.Reader.
func (s *Stream) Schema() *arrow.Schema { return s.out }

// Next implements batch.Reader.
func (s *Stream) Next(ctx context.Context) (arrow.RecordBatch, error) {
	s.release()
	if s.closed {
		return nil, fault.New(fault.Internal, "duckdb: stream is closed")
	}
	var parts []arrow.RecordBatch
	defer func() {
		for _, p := range parts {
			p.Release()
		}
	}()
	rows, bytes := int64(0), int64(0)
	for !s.done && rows < batchRows && bytes < batchBytes {
		b, err := s.fetch(ctx)
		if errors.Is(err, io.EOF) {
			s.done = true
			break
		}
		if err != nil {
			return nil, err
		}
		parts = append(parts, b)
		rows += b.NumRows()
		bytes += sizeOf(b)
	}
	switch len(parts) {
	case 0:
		return nil, io.EOF
	case 1:
		s.current, parts = parts[0], nil
	default:
		b, err := batch.Concat(s.out, parts)
		if err != nil {
			return nil, fmt.Errorf("duckdb: join chunks: %w", err)
		}
		s.current = b
	}
	return s.current, nil
}

// fetch returns DuckDB's next chunk, which the caller releases.
func (s *Stream) fetch(ctx context.Context) (arrow.RecordBatch, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	defer s.p.c.watch(ctx)()
	chunk := bind.FetchChunk(s.res)
	if chunk.Ptr == nil {
		if msg := bind.ResultError(&s.res); msg != "" {
			return nil, errorOf(ctx, msg)
		}
		if err := context.Cause(ctx); err != nil {
			return nil, err // an interrupted stream may look like its end
		}
		return nil, io.EOF
	}
	defer bind.DestroyDataChunk(&chunk)
	b, ed := bind.DataChunkToArrowArray(s.p.opts, s.p.schema, chunk)
	defer bind.DestroyErrorData(&ed)
	if bind.ErrorDataHasError(ed) {
		return nil, classify(bind.ErrorDataMessage(ed))
	}
	if !s.decode {
		return b, nil
	}
	defer b.Release()
	return decodeBatch(s.out, b)
}

func (s *Stream) release() {
	if s.current != nil {
		s.current.Release()
		s.current = nil
	}
}

// Close implements batch.Reader.
func (s *Stream) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	s.release()
	bind.DestroyResult(&s.res)
	if s.owned {
		s.p.Close()
	}
	return nil
}

// sizeOf is about how many bytes the batch's buffers hold. A string view of a
// shared buffer counts whole, which errs on the safe side.
func sizeOf(b arrow.RecordBatch) int64 {
	var n int64
	for _, c := range b.Columns() {
		n += int64(c.Data().SizeInBytes())
	}
	return n
}
