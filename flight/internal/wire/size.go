package wire

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// Size is about how many bytes b takes in a message. Unlike the sizes of its
// buffers it counts only the rows of a slice.
func Size(b arrow.RecordBatch) int64 {
	var n int64
	for _, c := range b.Columns() {
		n += sizeOf(c)
	}
	return n
}

func sizeOf(a arrow.Array) int64 {
	rows := int64(a.Len())
	if rows == 0 {
		return 0
	}
	n := rows/8 + 1 // validity
	switch a := a.(type) {
	case interface{ ValueBytes() []byte }: // strings and binaries
		return n + 4*rows + int64(len(a.ValueBytes()))
	case *array.Struct:
		for i := range a.NumField() {
			n += sizeOf(a.Field(i))
		}
		return n
	case array.ExtensionArray:
		return sizeOf(a.Storage())
	case *array.ListView, *array.LargeListView:
		return n + sizeOfData(a.Data())
	case array.ListLike:
		return n + 8*rows + sizeOfRange(a)
	}
	if t, ok := a.DataType().(arrow.FixedWidthDataType); ok {
		return n + (rows*int64(t.BitWidth())+7)/8
	}
	return n + sizeOfData(a.Data())
}

// sizeOfRange is the size of the elements that the lists' rows refer to.
func sizeOfRange(a array.ListLike) int64 {
	from, _ := a.ValueOffsets(0)
	_, to := a.ValueOffsets(a.Len() - 1)
	if to <= from {
		return 0
	}
	part := array.NewSlice(a.ListValues(), from, to)
	defer part.Release()
	return sizeOf(part)
}

// sizeOfData counts whole buffers, for types that are rare in results.
func sizeOfData(d arrow.ArrayData) int64 {
	var n int64
	for _, b := range d.Buffers() {
		if b != nil {
			n += int64(b.Len())
		}
	}
	for _, c := range d.Children() {
		n += sizeOfData(c)
	}
	return n
}
