//go:build duckdb_arrow

package coordinator

import (
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"skein/internal/duck"
	"skein/internal/fault"
)

// nullExpr is a NULL of the type that other values of it have, so that all rows
// of parameters give results of one type.
func nullExpr(t arrow.DataType) string {
	if name := paramTypeName(t); name != "" {
		return "CAST(NULL AS " + name + ")"
	}
	return "NULL"
}

// paramTypeName is the DuckDB type of bound values; empty where it is open, or
// such values cannot be bound.
func paramTypeName(t arrow.DataType) string {
	switch t := t.(type) {
	case *arrow.DictionaryType:
		return paramTypeName(t.ValueType)
	case arrow.ExtensionType:
		if t.ExtensionName() == "arrow.uuid" {
			return "UUID"
		}
		return paramTypeName(t.StorageType())
	case *arrow.TimestampType:
		return timestampName(t)
	case arrow.DecimalType:
		return fmt.Sprintf("DECIMAL(%d,%d)", t.GetPrecision(), t.GetScale())
	case *arrow.MapType:
		return around("MAP(", ", ", ")", paramTypeName(t.KeyType()), paramTypeName(t.ItemType()))
	case arrow.ListLikeType:
		return around("", "", "[]", paramTypeName(t.Elem()))
	case *arrow.StructType:
		fields := make([]string, t.NumFields())
		for i, f := range t.Fields() {
			fields[i] = around(duck.Ident(f.Name)+" ", "", "", paramTypeName(f.Type))
		}
		return around("STRUCT(", ", ", ")", fields...)
	}
	if name, ok := plainParamTypes[t.ID()]; ok {
		return name
	}
	return paramTypes[t.ID()]
}

// around joins parts, none of which may be empty.
func around(before, between, after string, parts ...string) string {
	for _, p := range parts {
		if p == "" {
			return ""
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return before + strings.Join(parts, between) + after
}

// plainParamTypes are types whose values are not printed to be cast.
var plainParamTypes = map[arrow.Type]string{
	arrow.STRING: "VARCHAR", arrow.LARGE_STRING: "VARCHAR", arrow.STRING_VIEW: "VARCHAR",
	arrow.BINARY: "BLOB", arrow.LARGE_BINARY: "BLOB", arrow.BINARY_VIEW: "BLOB", arrow.FIXED_SIZE_BINARY: "BLOB",
	arrow.BOOL: "BOOLEAN", arrow.FLOAT32: "FLOAT", arrow.FLOAT64: "DOUBLE",
	arrow.DURATION: "INTERVAL", arrow.INTERVAL_MONTH_DAY_NANO: "INTERVAL", arrow.INTERVAL_MONTHS: "INTERVAL", arrow.INTERVAL_DAY_TIME: "INTERVAL",
}

func timestampName(t *arrow.TimestampType) string {
	switch {
	case t.TimeZone != "":
		return "TIMESTAMP WITH TIME ZONE"
	case t.Unit == arrow.Nanosecond:
		return "TIMESTAMP_NS"
	}
	return "TIMESTAMP"
}

// compoundExpr writes values that hold others, and intervals.
func compoundExpr(a arrow.Array) (expr string, ok bool, err error) {
	switch a := a.(type) {
	case array.ExtensionArray:
		if name := paramTypeName(a.DataType()); name == "UUID" {
			return cast(a.ValueStr(0), name), true, nil
		}
		expr, err = paramExpr(a.Storage())
	case *array.Map:
		expr, err = mapExpr(a)
	case array.ListLike:
		from, to := a.ValueOffsets(0)
		var items []string
		if items, err = exprsOf(a.ListValues(), from, to); err == nil {
			expr = "[" + strings.Join(items, ", ") + "]"
		}
	case *array.Struct:
		expr, err = structExpr(a)
	case *array.Duration:
		expr = intervalExpr(0, 0, int64(a.Value(0))*int64(a.DataType().(*arrow.DurationType).Unit.Multiplier())/1000)
		return expr, true, nil
	case *array.MonthDayNanoInterval:
		v := a.Value(0)
		return intervalExpr(v.Months, v.Days, v.Nanoseconds/1000), true, nil
	case *array.MonthInterval:
		return intervalExpr(int32(a.Value(0)), 0, 0), true, nil
	case *array.DayTimeInterval:
		v := a.Value(0)
		return intervalExpr(0, v.Days, int64(v.Milliseconds)*1000), true, nil
	default:
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	name := paramTypeName(a.DataType())
	if name == "" {
		return "", false, fault.Newf(fault.Unimplemented, "values of type %s cannot be bound; cast them to text", a.DataType())
	}
	return "CAST(" + expr + " AS " + name + ")", true, nil
}

// exprsOf writes a range of values.
func exprsOf(a arrow.Array, from, to int64) ([]string, error) {
	exprs := make([]string, 0, to-from)
	for i := from; i < to; i++ {
		one := array.NewSlice(a, i, i+1)
		e, err := paramExpr(one)
		one.Release()
		if err != nil {
			return nil, err
		}
		exprs = append(exprs, e)
	}
	return exprs, nil
}

func mapExpr(a *array.Map) (string, error) {
	from, to := a.ValueOffsets(0)
	keys, err := exprsOf(a.Keys(), from, to)
	if err != nil {
		return "", err
	}
	items, err := exprsOf(a.Items(), from, to)
	if err != nil {
		return "", err
	}
	return "MAP([" + strings.Join(keys, ", ") + "], [" + strings.Join(items, ", ") + "])", nil
}

func structExpr(a *array.Struct) (string, error) {
	t := a.DataType().(*arrow.StructType)
	fields := make([]string, a.NumField())
	for i := range fields {
		e, err := exprsOf(a.Field(i), 0, 1)
		if err != nil {
			return "", err
		}
		fields[i] = duck.Literal(t.Field(i).Name) + ": " + e[0]
	}
	return "{" + strings.Join(fields, ", ") + "}", nil
}

func intervalExpr(months, days int32, micros int64) string {
	return fmt.Sprintf("(to_months(%d) + to_days(%d) + to_microseconds(%d))", months, days, micros)
}
