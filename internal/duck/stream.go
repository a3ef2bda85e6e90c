//go:build duckdb_arrow

package duck

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	bind "github.com/duckdb/duckdb-go-bindings"

	"skein/internal/batch"
	"skein/internal/fault"
)

// Stream is a running query. It implements batch.Reader.
type Stream struct {
	p       *Prepared
	owned   bool // p was made for this stream alone
	once    bool // the statement must not run again
	res     bind.Result
	out     *arrow.Schema
	columns []gather // nil: DuckDB makes arrays of each chunk
	decode  bool
	alone   bool // chunks cannot be joined
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
	res, err := p.start(ctx)
	for try := 0; try < causeTries && lostCause(ctx, err); try++ {
		res, err = p.start(ctx)
	}
	if err != nil {
		return nil, err
	}
	return p.stream(res), nil
}

// streamOnce is Stream for a statement that must not run again.
func (p *Prepared) streamOnce(ctx context.Context) (*Stream, error) {
	defer p.c.watch(ctx)()
	res, err := p.start(ctx)
	if err != nil {
		return nil, err
	}
	s := p.stream(res)
	s.once = true
	return s, nil
}

func (p *Prepared) stream(res bind.Result) *Stream {
	s := &Stream{p: p, res: res, out: p.Schema(), columns: resultGathers(&res, p.schema)}
	s.decode = s.out != p.schema
	s.alone = slices.ContainsFunc(s.out.Fields(), func(f arrow.Field) bool { return hasUnion(f.Type) })
	return s
}

// resultGathers are those of a result's columns; nil where one has none.
func resultGathers(res *bind.Result, schema *arrow.Schema) []gather {
	types := make([]bind.LogicalType, bind.ColumnCount(res))
	for i := range types {
		types[i] = bind.ColumnLogicalType(res, bind.IdxT(i))
	}
	defer destroy(types)
	return gathers(types, schema)
}

// start runs the statement up to its first chunk. The caller destroys the
// result.
func (p *Prepared) start(ctx context.Context) (res bind.Result, err error) {
	var pending bind.PendingResult
	defer bind.DestroyPending(&pending)
	if bind.PendingPreparedStreaming(p.stmt, &pending) != bind.StateSuccess {
		return res, p.c.errorOf(ctx, bind.PendingError(pending))
	}
	await(pending)
	if bind.ExecutePending(pending, &res) != bind.StateSuccess {
		err = p.c.errorOf(ctx, bind.ResultError(&res))
		bind.DestroyResult(&res)
	}
	return res, err
}

// Schema implements batch.Reader.
func (s *Stream) Schema() *arrow.Schema { return s.out }

// Next implements batch.Reader.
func (s *Stream) Next(ctx context.Context) (b arrow.RecordBatch, err error) {
	s.release()
	switch {
	case s.closed:
		return nil, fault.New(fault.Internal, "duckdb: stream is closed")
	case s.columns != nil:
		b, err = s.gathered(ctx)
	default:
		b, err = s.joined(ctx)
	}
	if err != nil {
		return nil, err
	}
	s.current = b
	return b, nil
}

// gathered copies the next chunks into one batch.
func (s *Stream) gathered(ctx context.Context) (arrow.RecordBatch, error) {
	f := newFilling(&s.p.c.instance.memory, s.out, s.columns)
	for !s.done && !f.full() {
		chunk, err := s.fetch(ctx)
		if errors.Is(err, io.EOF) {
			s.done = true
			break
		}
		if err == nil {
			err = f.add(chunk, 0)
			bind.DestroyDataChunk(&chunk)
		}
		if err != nil {
			f.release()
			return nil, err
		}
	}
	if f.rows == 0 {
		return nil, io.EOF
	}
	return f.batch(), nil
}

// joined makes a batch of each of the next chunks and joins them.
func (s *Stream) joined(ctx context.Context) (arrow.RecordBatch, error) {
	var parts []arrow.RecordBatch
	defer func() {
		for _, p := range parts {
			p.Release()
		}
	}()
	rows, bytes := int64(0), int64(0)
	for !s.done && rows < batchRows && bytes < batchBytes && !(s.alone && rows > 0) {
		b, err := s.part(ctx)
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
		only := parts[0]
		parts = nil
		return only, nil
	}
	b, err := batch.Concat(s.out, parts)
	if err != nil {
		return nil, fmt.Errorf("duckdb: join chunks: %w", err)
	}
	return b, nil
}

// part returns DuckDB's next chunk as a batch, which the caller releases.
func (s *Stream) part(ctx context.Context) (arrow.RecordBatch, error) {
	chunk, err := s.fetch(ctx)
	if err != nil {
		return nil, err
	}
	defer bind.DestroyDataChunk(&chunk)
	b, ed := bind.DataChunkToArrowArray(s.p.opts, s.p.schema, chunk)
	defer bind.DestroyErrorData(&ed)
	if bind.ErrorDataHasError(ed) {
		return nil, s.p.c.classify(bind.ErrorDataMessage(ed))
	}
	if !s.decode {
		return b, nil
	}
	defer b.Release()
	return decodeBatch(s.out, b)
}

// fetch returns DuckDB's next chunk, which the caller destroys.
func (s *Stream) fetch(ctx context.Context) (chunk bind.DataChunk, err error) {
	if err := ctx.Err(); err != nil {
		return chunk, err
	}
	defer s.p.c.watch(ctx)()
	chunk = bind.FetchChunk(s.res)
	if chunk.Ptr != nil {
		return chunk, nil
	}
	if msg := bind.ResultError(&s.res); msg != "" {
		if err = s.p.c.errorOf(ctx, msg); !s.once {
			err = s.cause(ctx, err)
		}
		return chunk, err
	}
	if err := context.Cause(ctx); err != nil {
		return chunk, err // an interrupted stream may look like its end
	}
	return chunk, io.EOF
}

// causeTries is how often a failed statement is run again to learn why.
const causeTries = 5

// lostCause tells an interruption that nobody asked for: when one of DuckDB's
// threads fails it stops the others, and at times one of those is heard first.
func lostCause(ctx context.Context, err error) bool {
	return ctx.Err() == nil && fault.CodeOf(err) == fault.Canceled
}

// cause is the error of a stream that failed. Where it was lost the statement
// is run again until it tells.
func (s *Stream) cause(ctx context.Context, err error) error {
	for try := 0; try < causeTries && lostCause(ctx, err); try++ {
		again, startErr := s.p.start(ctx)
		if startErr != nil {
			err = startErr
			continue
		}
		for chunk := bind.FetchChunk(again); chunk.Ptr != nil; chunk = bind.FetchChunk(again) {
			bind.DestroyDataChunk(&chunk)
		}
		if msg := bind.ResultError(&again); msg != "" {
			err = s.p.c.errorOf(ctx, msg)
		}
		bind.DestroyResult(&again)
	}
	if lostCause(ctx, err) {
		return fault.New(fault.Internal, "duckdb: interrupted, and does not tell why")
	}
	return err
}

// hasUnion tells a type whose arrays Arrow's library cannot join.
func hasUnion(t arrow.DataType) bool {
	switch t := t.(type) {
	case arrow.UnionType:
		return true
	case arrow.NestedType:
		return slices.ContainsFunc(t.Fields(), func(f arrow.Field) bool { return hasUnion(f.Type) })
	}
	return false
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
