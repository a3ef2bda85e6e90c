package flight

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"skein/internal/batch"
)

// TestJavaTypes sees to it that values stay the same, also in the middle of a
// batch, and that types are those that JDBC reads right.
func TestJavaTypes(t *testing.T) {
	dict := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Uint8, ValueType: arrow.BinaryTypes.String}
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "b", Type: arrow.PrimitiveTypes.Uint8, Nullable: true}, {Name: "l", Type: arrow.ListOf(arrow.PrimitiveTypes.Uint64), Nullable: true},
		{Name: "s", Type: arrow.StructOf(arrow.Field{Name: "e", Type: dict, Nullable: true}, arrow.Field{Name: "n", Type: arrow.PrimitiveTypes.Int64, Nullable: true}), Nullable: true},
		{Name: "m", Type: arrow.MapOf(arrow.BinaryTypes.String, arrow.PrimitiveTypes.Uint32), Nullable: true},
		{Name: "a", Type: arrow.FixedSizeListOf(2, arrow.PrimitiveTypes.Uint16), Nullable: true},
		{Name: "d", Type: &arrow.Decimal128Type{Precision: 12, Scale: 2}, Nullable: true},
	}, nil)
	const rows = `[
		{"b": 1, "l": [1], "s": {"e": "first", "n": 1}, "m": [{"key": "k", "value": 1}], "a": [1, 2], "d": "0.50"},
		{"b": 255, "l": [18446744073709551615, null], "s": {"e": "x", "n": 2}, "m": [{"key": "k", "value": 4294967295}], "a": [65535, null], "d": "1.25"},
		{"b": null, "l": null, "s": null, "m": null, "a": null, "d": null},
		{"b": 0, "l": [], "s": {"e": null, "n": null}, "m": [], "a": [null, 0], "d": "-3.00"}]`
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	all, _, err := array.RecordFromJSON(mem, schema, strings.NewReader(rows))
	if err != nil {
		t.Fatal(err)
	}
	part := all.NewSlice(1, 4)
	all.Release()
	defer part.Release()
	part.Retain()
	r := newJavaReader(batch.NewSlice(schema, part))
	defer r.Close()
	if got := fmt.Sprint(r.Schema().Field(0).Type, r.Schema().Field(1).Type, r.Schema().Field(2).Type); got != "int16 list<item: decimal(20, 0), nullable> struct<e: utf8 nullable, n: int64 nullable>" {
		t.Errorf("types %s", got)
	}
	got, err := r.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range int(part.NumCols()) {
		for row := range int(part.NumRows()) {
			have, want := unquoted(got.Column(i).ValueStr(row)), unquoted(part.Column(i).ValueStr(row))
			if have != want {
				t.Errorf("column %d row %d: %s, want %s", i, row, have, want)
			}
		}
	}
	if v := got.Column(5).DataType(); !arrow.TypeEqual(v, schema.Field(5).Type) {
		t.Errorf("a decimal became %s", v)
	}
	if _, err := r.Next(t.Context()); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

// unquoted is a value's text, in which decimals are quoted within lists.
func unquoted(s string) string { return strings.ReplaceAll(s, `"`, "") }
