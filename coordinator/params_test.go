//go:build duckdb_arrow

package coordinator

import (
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

func TestBoundDictionaryIsReleased(t *testing.T) {
	check := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer check.AssertSize(t, 0)
	b := array.NewDictionaryBuilder(check, &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Uint8, ValueType: arrow.BinaryTypes.String})
	defer b.Release()
	for _, name := range []string{"red", "it's green"} {
		if err := b.(*array.BinaryDictionaryBuilder).AppendString(name); err != nil {
			t.Fatal(err)
		}
	}
	a := b.NewArray()
	defer a.Release()
	second := array.NewSlice(a, 1, 2)
	defer second.Release()
	if got, err := paramExpr(second); got != "'it''s green'" || err != nil {
		t.Errorf("got %s, %v", got, err)
	}
}
