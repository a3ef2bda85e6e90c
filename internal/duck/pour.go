//go:build duckdb_arrow

package duck

/*
#include <stdint.h>
#include <stdlib.h>

extern void skeinTake(void *info, void *chunk, void *out);
typedef void (*take_t)(void *, void *, void *);
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime/cgo"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	bind "github.com/duckdb/duckdb-go-bindings"

	"skein/internal/fault"
)

// takeName is the function whose calls take rows away.
const takeName = "skein_take"

// Pour runs statements whose rows may come in any order. DuckDB's threads make
// batches of them where they are; a Stream's are copied to one buffer, from
// which one thread at a time makes batches, at more than twice the cost.
type Pour struct {
	schema  *arrow.Schema
	columns []gather
}

// Pour learns the columns of a statement without parameters; nil if some of
// them only a Stream can give.
func (c *Conn) Pour(ctx context.Context, sql string) (*Pour, error) {
	p, err := c.Prepare(ctx, sql)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	if p.schema == nil || bind.NParams(p.stmt) > 0 || !p.ReturnsRows() {
		return nil, nil
	}
	types := make([]bind.LogicalType, p.schema.NumFields())
	for i := range types {
		types[i] = bind.PreparedStatementColumnLogicalType(p.stmt, bind.IdxT(i))
	}
	defer destroy(types)
	columns := gathers(types, p.schema)
	if columns == nil {
		return nil, nil
	}
	return &Pour{schema: p.Schema(), columns: columns}, nil
}

// Schema is that of the batches.
func (p *Pour) Schema() *arrow.Schema { return p.schema }

// Run runs the statement on a connection, and returns when all rows were given
// to out, which releases the batches. It is called by several threads at once,
// and as long as it does not return other statements may not go on, either.
func (p *Pour) Run(ctx context.Context, c *Conn, sql string, out func(arrow.RecordBatch)) error {
	s := &sink{pour: p, instance: c.instance, out: out}
	number := c.instance.sinks.add(s)
	defer c.instance.sinks.remove(number)
	names := make([]string, len(p.columns))
	for i := range names {
		names[i] = "c" + strconv.Itoa(i)
	}
	columns := strings.Join(names, ", ")
	err := c.runOnce(ctx, fmt.Sprintf("SELECT bool_or(%s(%d::BIGINT, %s)) FROM (%s\n) AS rows(%s)", takeName, number, columns, strings.TrimRight(sql, "; \n"), columns))
	if err = s.end(err); lostCause(ctx, err) {
		return c.causeOf(ctx, sql)
	}
	return err
}

// runOnce runs a statement whose result does not matter, and not again: its
// rows are gone already.
func (c *Conn) runOnce(ctx context.Context, sql string) error {
	p, err := c.Prepare(ctx, sql)
	if err != nil {
		return err
	}
	defer p.Close()
	r, err := p.streamOnce(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	if _, err = r.Next(ctx); errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// causeOf runs a statement that was interrupted, and nobody knows why, until it
// tells. It never returns nil.
func (c *Conn) causeOf(ctx context.Context, sql string) error {
	r, err := c.Query(ctx, sql)
	if err != nil {
		return err
	}
	defer r.Close()
	for err == nil {
		_, err = r.Next(ctx)
	}
	if errors.Is(err, io.EOF) {
		return fault.New(fault.Internal, "duckdb: interrupted, and does not tell why")
	}
	return err
}

// sink makes batches of one statement's chunks.
type sink struct {
	pour     *Pour
	instance *instance
	out      func(arrow.RecordBatch)

	mu     sync.Mutex
	idle   []*filling // that no thread adds to
	err    error
	over   bool           // no more chunks are taken
	taking sync.WaitGroup // calls of take
}

// take adds a chunk, whose first column is the sink's number, to a batch.
func (s *sink) take(chunk bind.DataChunk) error {
	f := s.filling()
	if f == nil {
		return fault.New(fault.Canceled, "the statement is over")
	}
	defer s.taking.Done()
	err := f.add(chunk, 1)
	if err == nil && f.full() {
		s.out(f.batch())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle = append(s.idle, f)
	if s.err == nil {
		s.err = err
	}
	return err
}

// filling is one that no other thread adds to, while it is taking; nil if the
// statement is over.
func (s *sink) filling() *filling {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return nil
	}
	s.taking.Add(1)
	if n := len(s.idle); n > 0 {
		f := s.idle[n-1]
		s.idle = s.idle[:n-1]
		return f
	}
	return newFilling(&s.instance.memory, s.pour.schema, s.pour.columns)
}

// end gives the batches that are not full, unless the statement failed.
func (s *sink) end(err error) error {
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
	s.taking.Wait()
	if s.err != nil {
		err = s.err // which DuckDB has told as an error of the function's
	}
	for _, f := range s.idle {
		if err == nil && f.rows > 0 {
			s.out(f.batch())
		}
		f.release()
	}
	return err
}

// sinks are those of an instance, by number.
type sinks struct {
	mu     sync.Mutex
	all    map[int64]*sink
	handle *C.uintptr_t // of the sinks, for DuckDB
}

func (s *sinks) add(k *sink) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if n := rand.Int64(); s.all[n] == nil {
			s.all[n] = k
			return n
		}
	}
}

func (s *sinks) remove(number int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, number)
}

func (s *sinks) get(number int64) *sink {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[number]
}

// register makes the function known to an instance. The caller frees the sinks
// when the instance is closed.
func (s *sinks) register(conn bind.Connection) error {
	s.all = map[int64]*sink{}
	s.handle = (*C.uintptr_t)(C.malloc(C.sizeof_uintptr_t))
	*s.handle = C.uintptr_t(cgo.NewHandle(s))
	f := bind.CreateScalarFunction()
	defer bind.DestroyScalarFunction(&f)
	number, values, result := bind.CreateLogicalType(bind.TypeBigInt), bind.CreateLogicalType(bind.TypeAny), bind.CreateLogicalType(bind.TypeBoolean)
	defer destroy([]bind.LogicalType{number, values, result})
	bind.ScalarFunctionSetName(f, takeName)
	bind.ScalarFunctionAddParameter(f, number)
	bind.ScalarFunctionSetVarargs(f, values)
	bind.ScalarFunctionSetReturnType(f, result)
	bind.ScalarFunctionSetSpecialHandling(f) // rows with NULLs are taken, too
	bind.ScalarFunctionSetVolatile(f)        // each row once
	bind.ScalarFunctionSetExtraInfo(f, unsafe.Pointer(s.handle), nil)
	bind.ScalarFunctionSetFunction(f, unsafe.Pointer(C.take_t(C.skeinTake)))
	if bind.RegisterScalarFunction(conn, f) != bind.StateSuccess {
		return fault.Newf(fault.Internal, "duckdb: function %s is not accepted", takeName)
	}
	return nil
}

func (s *sinks) free() {
	if s.handle != nil {
		cgo.Handle(*s.handle).Delete()
		C.free(unsafe.Pointer(s.handle))
	}
}

//export skeinTake
func skeinTake(info, chunk, out unsafe.Pointer) {
	called := bind.FunctionInfo{Ptr: info}
	handle := *(*cgo.Handle)(bind.ScalarFunctionGetExtraInfo(called))
	if err := handle.Value().(*sinks).take(bind.DataChunk{Ptr: chunk}, bind.Vector{Ptr: out}); err != nil {
		bind.ScalarFunctionSetError(called, err.Error())
	}
}

// take gives a chunk to the sink that it names.
func (s *sinks) take(chunk bind.DataChunk, out bind.Vector) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.Newf(fault.Internal, "%s: %v", takeName, p)
		}
	}()
	rows := int(bind.DataChunkGetSize(chunk))
	if rows == 0 {
		return nil
	}
	numbers := vectorOf(chunk, 0, rows)
	var k *sink
	if numbers.valid == nil {
		k = s.get(*(*int64)(numbers.data))
	}
	if k == nil || int(bind.DataChunkGetColumnCount(chunk)) != 1+len(k.pour.columns) {
		return fault.Newf(fault.InvalidArgument, "%s is for internal use", takeName)
	}
	clear(unsafe.Slice((*byte)(bind.VectorGetData(out)), rows))
	return k.take(chunk)
}
