//go:build duckdb_arrow

package duck

import (
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	bind "github.com/duckdb/duckdb-go-bindings"
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
	// buffers is how many there are.
	buffers() int
	// add appends a vector to the column.
	add(c *column, v vector) error
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

func (fixed) buffers() int { return 1 }

func (p fixed) add(c *column, v vector) error {
	copy(c.grow(0, v, int(p)), unsafe.Slice((*byte)(v.data), v.rows*int(p)))
	return nil
}

// widened are decimals that DuckDB keeps in fewer bytes than Arrow's 16.
type widened[T int16 | int32 | int64] struct{}

func (widened[T]) buffers() int { return 1 }

func (widened[T]) add(c *column, v vector) error {
	out := arrow.Decimal128Traits.CastFromBytes(c.grow(0, v, 16))
	for i, value := range unsafe.Slice((*T)(v.data), v.rows) {
		out[i] = decimal128.FromI64(int64(value))
	}
	return nil
}

// booleans are bytes in DuckDB and bits in Arrow.
type booleans struct{}

func (booleans) buffers() int { return 1 }

func (booleans) add(c *column, v vector) error {
	bits := c.growBits(0, v)
	for i, value := range unsafe.Slice((*byte)(v.data), v.rows) {
		bitutil.SetBitTo(bits, c.rows+i, value != 0)
	}
	return nil
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

func (texts) buffers() int { return 2 }

func (texts) add(c *column, v vector) error {
	size, err := c.roomForText(textBytes(v))
	if err != nil {
		return err
	}
	ends := c.growEnds(v)
	values := c.growBytes(1, size, inlineBytes, v)
	c.size = appendTexts(values, c.size, ends, v)
	return nil
}

// textBytes is how long a vector's strings are together.
func textBytes(v vector) (n int) {
	values := unsafe.Slice((*text)(v.data), v.rows)
	if v.valid == nil {
		for i := range values {
			n += int(values[i].length)
		}
		return n
	}
	bitmap := v.bitmap()
	for i := range values {
		if bitutil.BitIsSet(bitmap, i) {
			n += int(values[i].length)
		}
	}
	return n
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

func (enum[T]) buffers() int { return 2 }

func (e enum[T]) add(c *column, v vector) error {
	n := 0
	e.each(v, func(_ int, name string) { n += len(name) })
	size, err := c.roomForText(n)
	if err != nil {
		return err
	}
	ends := c.growEnds(v)
	values := c.growBytes(1, size, 0, v)
	e.each(v, func(i int, name string) {
		c.size += copy(values[c.size:], name)
		ends[i] = int32(c.size)
	})
	return nil
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
