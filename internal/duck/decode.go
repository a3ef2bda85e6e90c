package duck

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// decodedSchema is schema with ENUM columns, which Arrow carries as
// dictionaries, told as plain strings: clients show a dictionary's indices.
// It is schema itself when there is none.
func decodedSchema(schema *arrow.Schema) *arrow.Schema {
	var fields []arrow.Field
	for i, f := range schema.Fields() {
		d, ok := f.Type.(*arrow.DictionaryType)
		if !ok {
			continue
		}
		if fields == nil {
			fields = append(fields, schema.Fields()...)
		}
		fields[i].Type = d.ValueType
	}
	if fields == nil {
		return schema
	}
	return arrow.NewSchema(fields, nil)
}

// decodeBatch turns dictionary columns into strings. The caller releases the
// result; b stays the caller's too.
func decodeBatch(out *arrow.Schema, b arrow.RecordBatch) (arrow.RecordBatch, error) {
	cols := make([]arrow.Array, b.NumCols())
	for i := range cols {
		d, ok := b.Column(i).(*array.Dictionary)
		if !ok {
			cols[i] = b.Column(i)
			cols[i].Retain()
			continue
		}
		c, err := decodeColumn(d)
		if err != nil {
			return nil, err
		}
		cols[i] = c
	}
	r := array.NewRecordBatch(out, cols, b.NumRows())
	for _, c := range cols {
		c.Release()
	}
	return r, nil
}

func decodeColumn(d *array.Dictionary) (arrow.Array, error) {
	values, ok := d.Dictionary().(*array.String)
	if !ok {
		return nil, fmt.Errorf("duckdb: dictionary of %s", d.Dictionary().DataType())
	}
	b := array.NewStringBuilder(memory.DefaultAllocator)
	defer b.Release()
	for i := range d.Len() {
		if d.IsNull(i) {
			b.AppendNull()
		} else {
			b.Append(values.Value(d.GetValueIndex(i)))
		}
	}
	return b.NewArray(), nil
}
