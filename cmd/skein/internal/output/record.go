package output

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"skein/internal/batch"
)

// Rows makes a result of values that are strings or int64s, so that what does
// not come as Arrow is printed by the same code. An empty string is NULL.
// Each column's type is that of zero's value.
func Rows(names []string, zero []any, rows [][]any) batch.Reader {
	fields := make([]arrow.Field, len(names))
	for i, n := range names {
		fields[i] = arrow.Field{Name: n, Type: arrow.BinaryTypes.String, Nullable: true}
		if _, ok := zero[i].(int64); ok {
			fields[i].Type = arrow.PrimitiveTypes.Int64
		}
	}
	schema := arrow.NewSchema(fields, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	for _, row := range rows {
		for i, v := range row {
			appendValue(b.Field(i), v)
		}
	}
	return batch.NewSlice(schema, b.NewRecordBatch())
}

func appendValue(b array.Builder, v any) {
	switch b := b.(type) {
	case *array.Int64Builder:
		b.Append(v.(int64))
	case *array.StringBuilder:
		if s := fmt.Sprint(v); s != "" {
			b.Append(s)
		} else {
			b.AppendNull()
		}
	}
}
