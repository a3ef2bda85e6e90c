//go:build duckdb_arrow

package duck

import (
	"math"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"
	bind "github.com/duckdb/duckdb-go-bindings"

	"skein/internal/fault"
)

// batchRows is how many rows a batch is filled up to. DuckDB's own chunks have
// 2,048, which halves the speed of Flight.
const batchRows = 16 * 1024

// batchBytes closes a batch early, so that encoded messages stay well below
// the 16 MiB that clients accept.
const batchBytes = 8 << 20

// chunkRows is how many rows a full chunk of DuckDB's has.
const chunkRows = 2048

// column is one of a batch that is being filled. Of its buffers the first is
// the validity, which is nil as long as there is no NULL.
type column struct {
	gather
	mem   memory.Allocator
	rows  int
	nulls int
	size  int // bytes of texts
	all   [3]*memory.Buffer
}

// grow makes room for v's values of so many bytes each in a buffer, and returns
// it.
func (c *column) grow(buffer int, v vector, each int) []byte {
	return c.growBytes(buffer, (c.rows+v.rows)*each, 0, v)[c.rows*each:]
}

// growBits likewise makes room for bits, and returns the whole buffer.
func (c *column) growBits(buffer int, v vector) []byte {
	return c.growBytes(buffer, (c.rows+v.rows+7)/8, 0, v)
}

// growEnds makes room for where v's texts end, and returns it.
func (c *column) growEnds(v vector) []int32 {
	ends := arrow.Int32Traits.CastFromBytes(c.growBytes(0, 4*(c.rows+v.rows+1), 0, v))
	if c.rows == 0 {
		ends[0] = 0
	}
	return ends[c.rows+1:]
}

// growBytes lets a buffer have a size, and some bytes more behind it to write
// over. When the first chunk is full it takes what a whole batch will need.
func (c *column) growBytes(buffer, size, behind int, v vector) []byte {
	b := c.all[1+buffer]
	if b == nil {
		b = memory.NewResizableBuffer(c.mem)
		c.all[1+buffer] = b
		if v.rows >= chunkRows {
			b.Reserve(min(size*(batchRows/chunkRows)+behind, batchBytes))
		}
	}
	if size+behind > b.Cap() {
		b.Reserve(max(size+behind, 2*b.Cap()))
	}
	b.ResizeNoShrink(size)
	return b.Buf()[:size+behind]
}

// roomForText tells the size that the texts have with so many bytes more.
func (c *column) roomForText(more int) (int, error) {
	if size := c.size + more; size <= math.MaxInt32 {
		return size, nil
	}
	return 0, fault.Newf(fault.TooLarge, "%d rows have %d bytes of text, Arrow's strings hold 2 GiB; select fewer columns or cut the values", c.rows, c.size+more)
}

// addValid appends the validity of v.
func (c *column) addValid(v vector) {
	nulls := 0
	if v.valid != nil {
		nulls = v.rows - bitutil.CountSetBits(v.bitmap(), 0, v.rows)
	}
	if c.nulls == 0 && nulls == 0 {
		return
	}
	if c.all[0] == nil {
		c.all[0] = memory.NewResizableBuffer(c.mem)
		c.all[0].Reserve(batchRows / 8)
	}
	c.all[0].ResizeNoShrink((c.rows + v.rows + 7) / 8)
	bits := c.all[0].Bytes()
	if c.nulls == 0 {
		bitutil.SetBitsTo(bits, 0, int64(c.rows), true)
	}
	if nulls == 0 {
		bitutil.SetBitsTo(bits, int64(c.rows), int64(v.rows), true)
	} else {
		bitutil.CopyBitmap(v.bitmap(), 0, v.rows, bits, c.rows)
	}
	c.nulls += nulls
}

// bytes is what the buffers hold.
func (c *column) bytes() (n int) {
	for _, b := range c.all {
		if b != nil {
			n += b.Len()
		}
	}
	return n
}

// array is the column's, and leaves it empty. The caller releases it.
func (c *column) array(t arrow.DataType) arrow.Array {
	data := array.NewData(t, c.rows, slices.Clone(c.all[:1+c.buffers()]), nil, c.nulls, 0)
	defer data.Release()
	a := array.MakeFromData(data)
	c.release()
	return a
}

func (c *column) release() {
	for i, b := range c.all {
		if b != nil {
			b.Release()
			c.all[i] = nil
		}
	}
	c.rows, c.nulls, c.size = 0, 0, 0
}

// filling is a batch that is being made of chunks.
type filling struct {
	schema  *arrow.Schema
	columns []column
	rows    int
}

func newFilling(mem memory.Allocator, schema *arrow.Schema, gathers []gather) *filling {
	f := &filling{schema: schema, columns: make([]column, len(gathers))}
	for i, g := range gathers {
		f.columns[i] = column{gather: g, mem: mem}
	}
	return f
}

// add appends a chunk, whose columns begin with the one that is given.
func (f *filling) add(chunk bind.DataChunk, first int) error {
	rows := int(bind.DataChunkGetSize(chunk))
	for i := range f.columns {
		c := &f.columns[i]
		v := vectorOf(chunk, first+i, rows)
		c.addValid(v)
		if err := c.add(c, v); err != nil {
			return err
		}
		c.rows += rows
	}
	f.rows += rows
	return nil
}

// full tells that the batch should take no more.
func (f *filling) full() bool {
	if f.rows >= batchRows {
		return true
	}
	bytes := 0
	for i := range f.columns {
		bytes += f.columns[i].bytes()
	}
	return bytes >= batchBytes
}

// batch is what was added, and leaves nothing. The caller releases it.
func (f *filling) batch() arrow.RecordBatch {
	arrays := make([]arrow.Array, len(f.columns))
	for i := range f.columns {
		arrays[i] = f.columns[i].array(f.schema.Field(i).Type)
	}
	b := array.NewRecordBatch(f.schema, arrays, int64(f.rows))
	for _, a := range arrays {
		a.Release()
	}
	f.rows = 0
	return b
}

func (f *filling) release() {
	for i := range f.columns {
		f.columns[i].release()
	}
}
