package format

import (
	"bytes"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// TestFailFreesDictionaries: Arrow's writer keeps those of the last batch.
func TestFailFreesDictionaries(t *testing.T) {
	check := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer check.AssertSize(t, 0)
	enum := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Uint8, ValueType: arrow.BinaryTypes.String}
	schema := arrow.NewSchema([]arrow.Field{{Name: "e", Type: arrow.ListOf(enum), Nullable: true}}, nil)
	rows := array.NewRecordBuilder(check, schema)
	defer rows.Release()
	list := rows.Field(0).(*array.ListBuilder)
	list.Append(true)
	if err := list.ValueBuilder().(*array.BinaryDictionaryBuilder).AppendString("red"); err != nil {
		t.Fatal(err)
	}
	b := rows.NewRecordBatch()
	defer b.Release()
	var out bytes.Buffer
	w := NewWriter(Arrow, &out, schema)
	if err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	size := out.Len()
	if w.Fail(nil) || out.Len() != size {
		t.Errorf("Fail wrote %d bytes", out.Len()-size)
	}
}
