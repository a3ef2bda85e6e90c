//go:build duckdb_arrow

package coordinator

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"skein/internal/duck"
	"skein/internal/fault"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// paramExprs writes the one row of params as SQL expressions that give just
// those values. nil means that no values were given.
func paramExprs(params arrow.RecordBatch, want int) ([]string, error) {
	if params == nil {
		return nil, nil
	}
	if params.NumRows() != 1 {
		return nil, fault.Newf(fault.InvalidArgument, "%d rows of parameters; one was expected", params.NumRows())
	}
	if int(params.NumCols()) != want {
		return nil, fault.Newf(fault.InvalidArgument, "the statement has %d parameters, %d values were given", want, params.NumCols())
	}
	exprs := make([]string, want)
	for i, col := range params.Columns() {
		e, err := paramExpr(col)
		if err != nil {
			return nil, fmt.Errorf("parameter %d: %w", i+1, err)
		}
		exprs[i] = e
	}
	return exprs, nil
}

func paramExpr(a arrow.Array) (string, error) {
	if a.IsNull(0) {
		return nullExpr(a.DataType()), nil
	}
	switch a := a.(type) {
	case *array.Null: // has no bitmap, so that IsNull says no
		return "NULL", nil
	case *array.String:
		return textExpr(a.Value(0))
	case *array.LargeString:
		return textExpr(a.Value(0))
	case *array.StringView:
		return textExpr(a.Value(0))
	case *array.BinaryView:
		return blob(a.Value(0)), nil
	case *array.Boolean:
		return strconv.FormatBool(a.Value(0)), nil
	case *array.Float32:
		return cast(float(float64(a.Value(0)), 32), "FLOAT"), nil
	case *array.Float64:
		return cast(float(a.Value(0), 64), "DOUBLE"), nil
	case *array.Binary:
		return blob(a.Value(0)), nil
	case *array.LargeBinary:
		return blob(a.Value(0)), nil
	case *array.FixedSizeBinary:
		return blob(a.Value(0)), nil
	case *array.Dictionary:
		value := array.NewSlice(a.Dictionary(), int64(a.GetValueIndex(0)), int64(a.GetValueIndex(0))+1)
		defer value.Release()
		return paramExpr(value)
	case *array.Timestamp:
		return timestampExpr(a), nil
	}
	if t, ok := paramTypes[a.DataType().ID()]; ok {
		return cast(a.ValueStr(0), t), nil
	}
	if d, ok := a.DataType().(arrow.DecimalType); ok {
		return cast(a.ValueStr(0), fmt.Sprintf("DECIMAL(%d,%d)", d.GetPrecision(), d.GetScale())), nil
	}
	if e, ok, err := compoundExpr(a); ok || err != nil {
		return e, err
	}
	return "", fault.Newf(fault.Unimplemented, "values of type %s cannot be bound; cast them to text", a.DataType())
}

// paramTypes are the types whose printed form DuckDB casts back.
var paramTypes = map[arrow.Type]string{
	arrow.INT8: "TINYINT", arrow.INT16: "SMALLINT", arrow.INT32: "INTEGER", arrow.INT64: "BIGINT",
	arrow.UINT8: "UTINYINT", arrow.UINT16: "USMALLINT", arrow.UINT32: "UINTEGER", arrow.UINT64: "UBIGINT",
	arrow.DATE32: "DATE", arrow.DATE64: "DATE", arrow.TIME32: "TIME", arrow.TIME64: "TIME",
}

func cast(value, t string) string { return "CAST(" + duck.Literal(value) + " AS " + t + ")" }

func textExpr(s string) (string, error) {
	if strings.ContainsRune(s, 0) {
		return "", fault.New(fault.InvalidArgument, "text with a NUL character cannot be bound")
	}
	return duck.Literal(s), nil
}

func float(v float64, bits int) string {
	switch {
	case math.IsNaN(v):
		return "nan"
	case math.IsInf(v, 1):
		return "inf"
	case math.IsInf(v, -1):
		return "-inf"
	}
	return strconv.FormatFloat(v, 'g', -1, bits)
}

func blob(b []byte) string {
	var s strings.Builder
	for _, x := range b {
		fmt.Fprintf(&s, `\x%02X`, x)
	}
	return cast(s.String(), "BLOB")
}

func timestampExpr(a *array.Timestamp) string {
	t := a.DataType().(*arrow.TimestampType)
	value := a.Value(0).ToTime(t.Unit).UTC().Format("2006-01-02 15:04:05.999999999")
	if t.TimeZone != "" {
		value += "+00"
	}
	return cast(value, timestampName(t))
}
