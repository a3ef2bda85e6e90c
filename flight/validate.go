package flight

import (
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"skein/internal/fault"
)

// validate refuses a batch whose buffers do not fit together, before anybody
// follows its offsets, and text that is not UTF-8.
func validate(b arrow.RecordBatch) error {
	for i, c := range b.Columns() {
		if err := validateColumn(c); err != nil {
			const most = 300 // characters: the message may quote the value
			text := []rune(strings.ToValidUTF8(fmt.Sprintf("column %q: %v", b.ColumnName(i), err), "?"))
			return fault.Newf(fault.InvalidArgument, "malformed Arrow data: %s", string(text[:min(len(text), most)]))
		}
	}
	return nil
}

func validateColumn(a arrow.Array) error {
	if !holdsNulls(a.DataType()) {
		return array.ValidateFull(a)
	}
	data := withNullBuffers(a.Data())
	defer data.Release()
	whole := array.MakeFromData(data)
	defer whole.Release()
	return array.ValidateFull(whole)
}

// holdsNulls tells whether there are values of the type without values.
func holdsNulls(t arrow.DataType) bool {
	if n, ok := t.(arrow.NestedType); ok {
		return slices.ContainsFunc(n.Fields(), func(f arrow.Field) bool { return holdsNulls(f.Type) })
	}
	return t.ID() == arrow.NULL
}

// withNullBuffers gives arrays of that type the absent buffer that the
// library's validation wants and its decoder leaves out.
func withNullBuffers(d arrow.ArrayData) arrow.ArrayData {
	if d.DataType().ID() == arrow.NULL {
		return array.NewData(arrow.Null, d.Len(), []*memory.Buffer{nil}, nil, d.Len(), d.Offset())
	}
	children := make([]arrow.ArrayData, len(d.Children()))
	for i, c := range d.Children() {
		children[i] = withNullBuffers(c)
		defer children[i].Release()
	}
	if len(children) == 0 {
		d.Retain()
		return d
	}
	return array.NewData(d.DataType(), d.Len(), d.Buffers(), children, d.NullN(), d.Offset())
}
