package flight

import (
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"

	"skein/internal/render"
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
		TypeName(render.SQLType(t)).Remarks(remarks).
		IsAutoIncrement(false).IsReadOnly(false).IsSearchable(true).
		IsCaseSensitive(t.ID() == arrow.STRING)
	if precision, scale, ok := precisionOf(t); ok {
		b.Precision(precision).Scale(scale)
	}
	return b.Metadata()
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
