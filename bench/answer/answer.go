package answer

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// Kind is a class of types whose values compare with one another.
type Kind string

// The kinds. A type that is none of them is a kind of its own, by its Arrow
// name, and its values compare as text.
const (
	Number      Kind = "number" // integers and decimals of any width and scale
	Float       Kind = "float"
	Text        Kind = "text"
	Bool        Kind = "bool"
	Blob        Kind = "blob"
	Date        Kind = "date"
	Timestamp   Kind = "timestamp"   // without time zone
	TimestampTZ Kind = "timestamptz" // an instant
)

// Column is a result's column.
type Column struct {
	Name string
	Kind Kind
}

// Answer is a whole result. A cell is nil for NULL, a bool, a float64, or a
// string: numbers as plain decimals without trailing zeros, dates as
// 2006-01-02, timestamps in UTC as 2006-01-02T15:04:05.000000000.
type Answer struct {
	Columns []Column
	Rows    [][]any
}

// TimestampLayout is how a timestamp is written.
const TimestampLayout = "2006-01-02T15:04:05.000000000"

// Of reads batches of one schema. It does not release them, and the answer
// outlives them.
func Of(schema *arrow.Schema, batches []arrow.RecordBatch) Answer {
	var a Answer
	for _, f := range schema.Fields() {
		a.Columns = append(a.Columns, Column{Name: f.Name, Kind: kindOf(f.Type)})
	}
	for _, b := range batches {
		rows := make([][]any, b.NumRows())
		for i := range rows {
			rows[i] = make([]any, len(a.Columns))
		}
		for c, col := range b.Columns() {
			for i := range rows {
				rows[i][c] = cell(col, i)
			}
		}
		a.Rows = append(a.Rows, rows...)
	}
	return a
}

func kindOf(t arrow.DataType) Kind {
	switch t := t.(type) {
	case *arrow.TimestampType:
		if t.TimeZone != "" {
			return TimestampTZ
		}
		return Timestamp
	case *arrow.DictionaryType:
		return kindOf(t.ValueType)
	}
	switch id := t.ID(); {
	case arrow.IsInteger(id), arrow.IsDecimal(id):
		return Number
	case arrow.IsFloating(id):
		return Float
	}
	switch t.ID() {
	case arrow.STRING, arrow.LARGE_STRING, arrow.STRING_VIEW:
		return Text
	case arrow.BINARY, arrow.LARGE_BINARY, arrow.BINARY_VIEW, arrow.FIXED_SIZE_BINARY:
		return Blob
	case arrow.BOOL:
		return Bool
	case arrow.DATE32, arrow.DATE64:
		return Date
	}
	return Kind(t.String())
}

func cell(col arrow.Array, i int) any {
	if col.IsNull(i) {
		return nil
	}
	switch a := col.(type) {
	case *array.Boolean:
		return a.Value(i)
	case *array.Float16:
		return float64(a.Value(i).Float32())
	case *array.Float32:
		return float64(a.Value(i))
	case *array.Float64:
		return a.Value(i)
	case *array.Timestamp:
		unit := a.DataType().(*arrow.TimestampType).Unit
		return a.Value(i).ToTime(unit).UTC().Format(TimestampLayout)
	case *array.Date32:
		return a.Value(i).ToTime().UTC().Format(time.DateOnly)
	case *array.Date64:
		return a.Value(i).ToTime().UTC().Format(time.DateOnly)
	case *array.Dictionary:
		return cell(a.Dictionary(), a.GetValueIndex(i))
	}
	if s, ok := number(col, i); ok {
		return s
	}
	// Arrow's strings point into the batch, which may be freed.
	return strings.Clone(text(col, i))
}

// number writes integers and decimals.
func number(col arrow.Array, i int) (string, bool) {
	switch a := col.(type) {
	case *array.Decimal32:
		return withPoint(strconv.FormatInt(int64(a.Value(i)), 10), a.DataType().(*arrow.Decimal32Type).Scale), true
	case *array.Decimal64:
		return withPoint(strconv.FormatInt(int64(a.Value(i)), 10), a.DataType().(*arrow.Decimal64Type).Scale), true
	case *array.Decimal128:
		return withPoint(a.Value(i).BigInt().String(), a.DataType().(*arrow.Decimal128Type).Scale), true
	case *array.Decimal256:
		return withPoint(a.Value(i).BigInt().String(), a.DataType().(*arrow.Decimal256Type).Scale), true
	case *array.Int64:
		return strconv.FormatInt(a.Value(i), 10), true
	}
	if arrow.IsInteger(col.DataType().ID()) {
		return col.ValueStr(i), true
	}
	return "", false
}

func text(col arrow.Array, i int) string {
	switch a := col.(type) {
	case *array.String:
		return a.Value(i)
	case *array.LargeString:
		return a.Value(i)
	case *array.StringView:
		return a.Value(i)
	case *array.Binary:
		return fmt.Sprintf("%x", a.Value(i))
	case *array.LargeBinary:
		return fmt.Sprintf("%x", a.Value(i))
	case *array.BinaryView:
		return fmt.Sprintf("%x", a.Value(i))
	case *array.FixedSizeBinary:
		return fmt.Sprintf("%x", a.Value(i))
	}
	return col.ValueStr(i)
}
