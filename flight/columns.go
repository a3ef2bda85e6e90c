package flight

import (
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"

	"skein/meta"
)

// describedSchema is a table's schema with what metadata calls tell of each
// column: type name, precision, scale, remarks.
func describedSchema(t *meta.Table, columns *arrow.Schema) *arrow.Schema {
	stored := t.Schema()
	fields := columns.Fields()
	for i, f := range fields {
		remarks := ""
		switch {
		case stored.IDColumn != "" && strings.EqualFold(f.Name, stored.IDColumn):
			remarks = "partitions the table"
		case stored.TimeColumn != "" && strings.EqualFold(f.Name, stored.TimeColumn):
			remarks = "gives a row its day"
		}
		fields[i].Metadata = columnMetadata(t.Name, f.Type, remarks)
	}
	return arrow.NewSchema(fields, nil)
}

func columnMetadata(table string, t arrow.DataType, remarks string) arrow.Metadata {
	b := flightsql.NewColumnMetadataBuilder().
		CatalogName(Catalog).SchemaName(DBSchema).TableName(table).
		TypeName(typeName(t)).Remarks(remarks).
		IsAutoIncrement(false).IsReadOnly(false).IsSearchable(true).
		IsCaseSensitive(t.ID() == arrow.STRING)
	if precision, scale, ok := precisionOf(t); ok {
		b.Precision(precision).Scale(scale)
	}
	return b.Metadata()
}

// typeName is DuckDB's name of an Arrow type.
func typeName(t arrow.DataType) string {
	switch t := t.(type) {
	case *arrow.TimestampType:
		if t.TimeZone != "" {
			return "TIMESTAMP WITH TIME ZONE"
		}
		return "TIMESTAMP"
	case arrow.DecimalType:
		return fmt.Sprintf("DECIMAL(%d,%d)", t.GetPrecision(), t.GetScale())
	case *arrow.DictionaryType:
		return typeName(t.ValueType)
	case *arrow.MapType:
		return "MAP(" + typeName(t.KeyType()) + ", " + typeName(t.ItemType()) + ")"
	case *arrow.StructType:
		parts := make([]string, t.NumFields())
		for i, f := range t.Fields() {
			parts[i] = `"` + strings.ReplaceAll(f.Name, `"`, `""`) + `" ` + typeName(f.Type)
		}
		return "STRUCT(" + strings.Join(parts, ", ") + ")"
	case *arrow.FixedSizeListType:
		return fmt.Sprintf("%s[%d]", typeName(t.Elem()), t.Len())
	case arrow.ListLikeType:
		return typeName(t.Elem()) + "[]"
	case arrow.ExtensionType:
		return strings.ToUpper(strings.TrimPrefix(t.ExtensionName(), "arrow."))
	}
	if name, ok := leafNames()[t.ID()]; ok {
		return name
	}
	return strings.ToUpper(t.Name())
}

func leafNames() map[arrow.Type]string {
	return map[arrow.Type]string{
		arrow.NULL: `"NULL"`, arrow.BOOL: "BOOLEAN",
		arrow.INT8: "TINYINT", arrow.INT16: "SMALLINT", arrow.INT32: "INTEGER", arrow.INT64: "BIGINT",
		arrow.UINT8: "UTINYINT", arrow.UINT16: "USMALLINT", arrow.UINT32: "UINTEGER", arrow.UINT64: "UBIGINT",
		arrow.FLOAT16: "FLOAT", arrow.FLOAT32: "FLOAT", arrow.FLOAT64: "DOUBLE",
		arrow.STRING: "VARCHAR", arrow.LARGE_STRING: "VARCHAR", arrow.STRING_VIEW: "VARCHAR",
		arrow.BINARY: "BLOB", arrow.LARGE_BINARY: "BLOB", arrow.BINARY_VIEW: "BLOB", arrow.FIXED_SIZE_BINARY: "BLOB",
		arrow.DATE32: "DATE", arrow.DATE64: "DATE", arrow.TIME32: "TIME", arrow.TIME64: "TIME",
		arrow.INTERVAL_MONTHS: "INTERVAL", arrow.INTERVAL_DAY_TIME: "INTERVAL", arrow.INTERVAL_MONTH_DAY_NANO: "INTERVAL",
		arrow.DURATION: "INTERVAL",
	}
}

// precisionOf is the size of a column, in digits, characters or bytes, and its
// digits after the point.
func precisionOf(t arrow.DataType) (precision, scale int32, ok bool) {
	switch t := t.(type) {
	case arrow.DecimalType:
		return t.GetPrecision(), t.GetScale(), true
	case *arrow.TimestampType:
		return 26, fraction(t.Unit), true
	case *arrow.Time32Type:
		return 15, fraction(t.Unit), true
	case *arrow.Time64Type:
		return 15, fraction(t.Unit), true
	}
	sizes := map[arrow.Type]int32{
		arrow.BOOL: 1, arrow.INT8: 3, arrow.UINT8: 3, arrow.INT16: 5, arrow.UINT16: 5, arrow.INT32: 10, arrow.UINT32: 10,
		arrow.INT64: 19, arrow.UINT64: 20, arrow.FLOAT32: 7, arrow.FLOAT64: 15, arrow.DATE32: 10,
		arrow.STRING: textSizeMax, arrow.BINARY: textSizeMax,
	}
	precision, ok = sizes[t.ID()]
	return precision, 0, ok
}

func fraction(u arrow.TimeUnit) int32 { return 3 * int32(u) }
