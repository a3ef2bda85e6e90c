package render

import (
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
)

var plainTypes = map[arrow.Type]string{
	arrow.NULL: "NULL", arrow.BOOL: "BOOLEAN",
	arrow.INT8: "TINYINT", arrow.INT16: "SMALLINT", arrow.INT32: "INTEGER", arrow.INT64: "BIGINT",
	arrow.UINT8: "UTINYINT", arrow.UINT16: "USMALLINT", arrow.UINT32: "UINTEGER", arrow.UINT64: "UBIGINT",
	arrow.FLOAT16: "FLOAT", arrow.FLOAT32: "FLOAT", arrow.FLOAT64: "DOUBLE",
	arrow.STRING: "VARCHAR", arrow.LARGE_STRING: "VARCHAR", arrow.STRING_VIEW: "VARCHAR",
	arrow.BINARY: "BLOB", arrow.LARGE_BINARY: "BLOB", arrow.BINARY_VIEW: "BLOB", arrow.FIXED_SIZE_BINARY: "BLOB",
	arrow.DATE32: "DATE", arrow.DATE64: "DATE", arrow.TIME32: "TIME", arrow.TIME64: "TIME",
	arrow.DURATION: "INTERVAL", arrow.INTERVAL_MONTHS: "INTERVAL", arrow.INTERVAL_DAY_TIME: "INTERVAL",
	arrow.INTERVAL_MONTH_DAY_NANO: "INTERVAL",
}

var timestampTypes = map[arrow.TimeUnit]string{
	arrow.Second: "TIMESTAMP_S", arrow.Millisecond: "TIMESTAMP_MS", arrow.Microsecond: "TIMESTAMP", arrow.Nanosecond: "TIMESTAMP_NS",
}

// SQLType is the SQL name of an Arrow type, such as BIGINT, DECIMAL(15,2),
// VARCHAR[] or STRUCT(a BIGINT, b DATE).
func SQLType(t arrow.DataType) string {
	if name, ok := plainTypes[t.ID()]; ok {
		return name
	}
	switch t := t.(type) {
	case *arrow.TimestampType:
		if t.TimeZone != "" {
			return "TIMESTAMP WITH TIME ZONE"
		}
		return timestampTypes[t.Unit]
	case arrow.DecimalType:
		return fmt.Sprintf("DECIMAL(%d,%d)", t.GetPrecision(), t.GetScale())
	case *arrow.DictionaryType:
		return SQLType(t.ValueType)
	case *arrow.RunEndEncodedType:
		return SQLType(t.Encoded())
	case *arrow.StructType:
		return "STRUCT(" + fieldTypes(t.Fields()) + ")"
	case arrow.UnionType:
		return "UNION(" + fieldTypes(t.Fields()) + ")"
	case *arrow.MapType:
		return "MAP(" + SQLType(t.KeyType()) + ", " + SQLType(t.ItemType()) + ")"
	case *arrow.FixedSizeListType:
		return fmt.Sprintf("%s[%d]", SQLType(t.Elem()), t.Len())
	case arrow.ListLikeType:
		return SQLType(t.Elem()) + "[]"
	case arrow.ExtensionType:
		if t.ExtensionName() == "arrow.uuid" {
			return "UUID"
		}
		return SQLType(t.StorageType())
	}
	return strings.ToUpper(t.Name())
}

func fieldTypes(fields []arrow.Field) string {
	parts := make([]string, len(fields))
	for i, f := range fields {
		parts[i] = identifier(f.Name) + " " + SQLType(f.Type)
	}
	return strings.Join(parts, ", ")
}

// identifier quotes a name that is not plain.
func identifier(name string) string {
	for i, r := range name {
		plain := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || i > 0 && r >= '0' && r <= '9'
		if !plain {
			return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
		}
	}
	return name
}
