//go:build duckdb_arrow

package duck

import (
	"math"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"
	bind "github.com/duckdb/duckdb-go-bindings"

	"skein/internal/fault"
)

// vector is one column of a chunk.
type vector struct {
	rows  int
	data  unsafe.Pointer // DuckDB's, until the chunk is destroyed
	valid unsafe.Pointer // a bit for each row, as in Arrow; nil: no NULLs
}

func vectorOf(chunk bind.DataChunk, column, rows int) vector {
	v := bind.DataChunkGetVector(chunk, bind.IdxT(column))
	return vector{rows: rows, data: bind.VectorGetData(v), valid: bind.VectorGetValidity(v)}
}

// bitmap is the validity as bytes; valid is not nil.
func (v vector) bitmap() []byte { return unsafe.Slice((*byte)(v.valid), (v.rows+63)/64*8) }

// gather copies a column's vectors into the buffers of one Arrow array, but for
// its validity. DuckDB's own conversion makes an array of each vector, which
// would have to be joined: that costs three times as much.
type gather interface {
	// bytes is about what the vector will take.
	bytes(v vector) int64
	// copy makes the buffers, which the caller releases, of so many rows.
	copy(mem memory.Allocator, vectors []vector, rows int) ([]*memory.Buffer, error)
}

// gatherOf is how a column of the type becomes an array of the Arrow type; nil
// where only DuckDB knows.
func gatherOf(t bind.LogicalType, to arrow.DataType) gather {
	if e, ok := to.(arrow.ExtensionType); ok {
		to = e.StorageType()
	}
	id := bind.GetTypeId(t)
	switch {
	case id == bind.TypeVarchar && to.ID() == arrow.STRING, id == bind.TypeBlob && to.ID() == arrow.BINARY:
		return texts{}
	case id == bind.TypeEnum && to.ID() == arrow.DICTIONARY:
		return enumOf(t)
	case id == bind.TypeBoolean && to.ID() == arrow.BOOL:
		return booleans{}
	case id == bind.TypeDecimal && to.ID() == arrow.DECIMAL128:
		return decimals[bind.DecimalInternalType(t)]
	}
	if known, ok := fixedTypes[id]; ok && known.to == to.ID() {
		return known.as
	}
	return nil
}

// fixedTypes are those of which DuckDB and Arrow have the same bytes.
var fixedTypes = map[bind.Type]struct {
	to arrow.Type
	as fixed
}{
	bind.TypeTinyInt:   {arrow.INT8, 1},
	bind.TypeSmallInt:  {arrow.INT16, 2},
	bind.TypeInteger:   {arrow.INT32, 4},
	bind.TypeBigInt:    {arrow.INT64, 8},
	bind.TypeUTinyInt:  {arrow.UINT8, 1},
	bind.TypeUSmallInt: {arrow.UINT16, 2},
	bind.TypeUInteger:  {arrow.UINT32, 4},
	bind.TypeUBigInt:   {arrow.UINT64, 8},
	bind.TypeFloat:     {arrow.FLOAT32, 4},
	bind.TypeDouble:    {arrow.FLOAT64, 8},
	bind.TypeDate:      {arrow.DATE32, 4},
	bind.TypeTime:      {arrow.TIME64, 8},
	bind.TypeHugeInt:   {arrow.DECIMAL128, 16},

	bind.TypeTimestamp:   {arrow.TIMESTAMP, 8},
	bind.TypeTimestampS:  {arrow.TIMESTAMP, 8},
	bind.TypeTimestampMS: {arrow.TIMESTAMP, 8},
	bind.TypeTimestampNS: {arrow.TIMESTAMP, 8},
	bind.TypeTimestampTZ: {arrow.TIMESTAMP, 8},
}

var decimals = map[bind.Type]gather{
	bind.TypeSmallInt: widened[int16]{},
	bind.TypeInteger:  widened[int32]{},
	bind.TypeBigInt:   widened[int64]{},
	bind.TypeHugeInt:  fixed(16),
}

// fixed are values of so many bytes, the same for both.
type fixed int

func (p fixed) bytes(v vector) int64 { return int64(p) * int64(v.rows) }

func (p fixed) copy(mem memory.Allocator, vectors []vector, rows int) ([]*memory.Buffer, error) {
	b := newBuffer(mem, rows*int(p))
	at := b.Bytes()
	for _, v := range vectors {
		at = at[copy(at, unsafe.Slice((*byte)(v.data), v.rows*int(p))):]
	}
	return []*memory.Buffer{b}, nil
}

// widened are decimals that DuckDB keeps in fewer bytes than Arrow's 16.
type widened[T int16 | int32 | int64] struct{}

func (widened[T]) bytes(v vector) int64 { return 16 * int64(v.rows) }

func (widened[T]) copy(mem memory.Allocator, vectors []vector, rows int) ([]*memory.Buffer, error) {
	b := newBuffer(mem, rows*16)
	out := arrow.Decimal128Traits.CastFromBytes(b.Bytes())
	for _, v := range vectors {
		for i, value := range unsafe.Slice((*T)(v.data), v.rows) {
			out[i] = decimal128.FromI64(int64(value))
		}
		out = out[v.rows:]
	}
	return []*memory.Buffer{b}, nil
}

// booleans are bytes in DuckDB and bits in Arrow.
type booleans struct{}

func (booleans) bytes(v vector) int64 { return int64(v.rows) / 8 }

func (booleans) copy(mem memory.Allocator, vectors []vector, rows int) ([]*memory.Buffer, error) {
	b := newBuffer(mem, (rows+7)/8)
	bits := b.Bytes()
	clear(bits)
	at := 0
	for _, v := range vectors {
		for i, value := range unsafe.Slice((*byte)(v.data), v.rows) {
			bits[(at+i)>>3] |= (value & 1) << uint((at+i)&7)
		}
		at += v.rows
	}
	return []*memory.Buffer{b}, nil
}

// text is DuckDB's string: short ones are in it, of longer ones it has the
// first 4 bytes and where all are.
type text struct {
	length uint32
	short  [inlineBytes]byte
}

const inlineBytes = 12

func (t *text) long() []byte {
	return unsafe.Slice(*(**byte)(unsafe.Pointer(&t.short[4])), t.length)
}

// texts are strings and blobs.
type texts struct{}

func (texts) bytes(v vector) int64 {
	n := int64(4 * v.rows)
	values := unsafe.Slice((*text)(v.data), v.rows)
	if v.valid == nil {
		for i := range values {
			n += int64(values[i].length)
		}
		return n
	}
	bitmap := v.bitmap()
	for i := range values {
		if bitutil.BitIsSet(bitmap, i) {
			n += int64(values[i].length)
		}
	}
	return n
}

func (t texts) copy(mem memory.Allocator, vectors []vector, rows int) ([]*memory.Buffer, error) {
	size := int64(0)
	for _, v := range vectors {
		size += t.bytes(v) - int64(4*v.rows)
	}
	if size > math.MaxInt32 {
		return nil, fault.Newf(fault.TooLarge, "%d rows have %d bytes of text, Arrow's strings hold 2 GiB; select fewer columns or cut the values", rows, size)
	}
	offsets, values := newBuffer(mem, 4*(rows+1)), newBuffer(mem, int(size)+inlineBytes)
	ends := arrow.Int32Traits.CastFromBytes(offsets.Bytes())
	ends[0] = 0
	ends = ends[1:]
	at := 0
	for _, v := range vectors {
		at = appendTexts(values.Bytes(), at, ends, v)
		ends = ends[v.rows:]
	}
	values.ResizeNoShrink(int(size))
	return []*memory.Buffer{offsets, values}, nil
}

// appendTexts copies a vector's strings to out from at on, notes where each
// ends, and returns where the last one does. Out has room for inlineBytes more.
func appendTexts(out []byte, at int, ends []int32, v vector) int {
	values := unsafe.Slice((*text)(v.data), v.rows)
	var bitmap []byte
	if v.valid != nil {
		bitmap = v.bitmap()
	}
	for i := range values {
		if bitmap == nil || bitutil.BitIsSet(bitmap, i) {
			s := &values[i]
			if s.length <= inlineBytes {
				*(*[inlineBytes]byte)(out[at:]) = s.short
			} else {
				copy(out[at:], s.long())
			}
			at += int(s.length)
		}
		ends[i] = int32(at)
	}
	return at
}

// enum are values of an ENUM, which become strings: clients show the indices
// of a dictionary.
type enum[T uint8 | uint16 | uint32] struct{ names []string }

func enumOf(t bind.LogicalType) gather {
	names := make([]string, bind.EnumDictionarySize(t))
	for i := range names {
		names[i] = bind.EnumDictionaryValue(t, bind.IdxT(i))
	}
	switch bind.EnumInternalType(t) {
	case bind.TypeUTinyInt:
		return enum[uint8]{names}
	case bind.TypeUSmallInt:
		return enum[uint16]{names}
	}
	return enum[uint32]{names}
}

func (e enum[T]) bytes(v vector) (n int64) {
	e.each(v, func(_ int, name string) { n += 4 + int64(len(name)) })
	return n
}

// each calls f with each row's name, which is empty for NULL.
func (e enum[T]) each(v vector, f func(i int, name string)) {
	for i, value := range unsafe.Slice((*T)(v.data), v.rows) {
		if v.valid == nil || bitutil.BitIsSet(v.bitmap(), i) {
			f(i, e.names[value])
		} else {
			f(i, "")
		}
	}
}

func (e enum[T]) copy(mem memory.Allocator, vectors []vector, rows int) ([]*memory.Buffer, error) {
	size := int64(0)
	for _, v := range vectors {
		size += e.bytes(v) - int64(4*v.rows)
	}
	if size > math.MaxInt32 {
		return nil, fault.Newf(fault.TooLarge, "%d rows have %d bytes of ENUM names, Arrow's strings hold 2 GiB; select fewer rows", rows, size)
	}
	offsets, values := newBuffer(mem, 4*(rows+1)), newBuffer(mem, int(size))
	ends := arrow.Int32Traits.CastFromBytes(offsets.Bytes())
	ends[0] = 0
	row, at := 1, 0
	for _, v := range vectors {
		e.each(v, func(_ int, name string) {
			at += copy(values.Bytes()[at:], name)
			ends[row] = int32(at)
			row++
		})
	}
	return []*memory.Buffer{offsets, values}, nil
}

func newBuffer(mem memory.Allocator, size int) *memory.Buffer {
	b := memory.NewResizableBuffer(mem)
	b.Resize(size)
	return b
}

// gathers are those of all columns; nil where one of them has none. It does not
// destroy the types.
func gathers(types []bind.LogicalType, schema *arrow.Schema) []gather {
	all := make([]gather, len(types))
	for i, t := range types {
		if all[i] = gatherOf(t, schema.Field(i).Type); all[i] == nil {
			return nil
		}
	}
	return all
}

// gatherBatch copies chunks into one batch of the schema, which the caller
// releases.
func gatherBatch(mem memory.Allocator, schema *arrow.Schema, columns []gather, chunks []bind.DataChunk) (arrow.RecordBatch, error) {
	rows := 0
	vectors := make([]vector, len(chunks))
	for i, c := range chunks {
		vectors[i].rows = int(bind.DataChunkGetSize(c))
		rows += vectors[i].rows
	}
	arrays := make([]arrow.Array, 0, len(columns))
	defer func() {
		for _, a := range arrays {
			a.Release()
		}
	}()
	for i, column := range columns {
		for j, c := range chunks {
			vectors[j] = vectorOf(c, i, vectors[j].rows)
		}
		buffers, err := column.copy(mem, vectors, rows)
		if err != nil {
			return nil, err
		}
		valid, nulls := validity(mem, vectors, rows)
		buffers = append([]*memory.Buffer{valid}, buffers...)
		data := array.NewData(schema.Field(i).Type, rows, buffers, nil, nulls, 0)
		for _, b := range buffers {
			if b != nil {
				b.Release()
			}
		}
		arrays = append(arrays, array.MakeFromData(data))
		data.Release()
	}
	return array.NewRecordBatch(schema, arrays, int64(rows)), nil
}

// validity joins the vectors' bitmaps; nil if there is no NULL.
func validity(mem memory.Allocator, vectors []vector, rows int) (b *memory.Buffer, nulls int) {
	for _, v := range vectors {
		if v.valid != nil {
			nulls += v.rows - bitutil.CountSetBits(v.bitmap(), 0, v.rows)
		}
	}
	if nulls == 0 {
		return nil, 0
	}
	b = newBuffer(mem, (rows+7)/8)
	clear(b.Bytes())
	at := 0
	for _, v := range vectors {
		if v.valid == nil {
			bitutil.SetBitsTo(b.Bytes(), int64(at), int64(v.rows), true)
		} else {
			bitutil.CopyBitmap(v.bitmap(), 0, v.rows, b.Bytes(), at)
		}
		at += v.rows
	}
	return b, nulls
}
