package flight

import (
	"context"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	arrowflight "github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql/schema_ref"
	flightpb "github.com/apache/arrow-go/v18/arrow/flight/gen/flight"
)

// typeInfo is one SQL type as ODBC and JDBC describe it.
type typeInfo struct {
	name     string
	code     flightpb.XdbcDataType
	size     int32 // digits, characters or bytes; 0 if it has none
	quote    string
	params   []string
	unsigned bool
	number   bool // has a radix
	maxScale int32
}

const textSizeMax = 1<<31 - 1 // characters or bytes of one value

// typeInfos is ordered by code, as JDBC wants it.
func typeInfos() []typeInfo {
	return []typeInfo{
		{name: "BOOLEAN", code: flightpb.XdbcDataType_XDBC_BIT, size: 1},
		{name: "TINYINT", code: flightpb.XdbcDataType_XDBC_TINYINT, size: 3, number: true},
		{name: "UTINYINT", code: flightpb.XdbcDataType_XDBC_TINYINT, size: 3, number: true, unsigned: true},
		{name: "BIGINT", code: flightpb.XdbcDataType_XDBC_BIGINT, size: 19, number: true},
		{name: "UBIGINT", code: flightpb.XdbcDataType_XDBC_BIGINT, size: 20, number: true, unsigned: true},
		{name: "BLOB", code: flightpb.XdbcDataType_XDBC_VARBINARY, size: textSizeMax, quote: "'"},
		{name: "DECIMAL", code: flightpb.XdbcDataType_XDBC_DECIMAL, size: 38, number: true, maxScale: 38, params: []string{"precision", "scale"}},
		{name: "HUGEINT", code: flightpb.XdbcDataType_XDBC_DECIMAL, size: 38, number: true},
		{name: "INTEGER", code: flightpb.XdbcDataType_XDBC_INTEGER, size: 10, number: true},
		{name: "UINTEGER", code: flightpb.XdbcDataType_XDBC_INTEGER, size: 10, number: true, unsigned: true},
		{name: "SMALLINT", code: flightpb.XdbcDataType_XDBC_SMALLINT, size: 5, number: true},
		{name: "USMALLINT", code: flightpb.XdbcDataType_XDBC_SMALLINT, size: 5, number: true, unsigned: true},
		{name: "FLOAT", code: flightpb.XdbcDataType_XDBC_FLOAT, size: 7, number: true},
		{name: "DOUBLE", code: flightpb.XdbcDataType_XDBC_DOUBLE, size: 15, number: true},
		{name: "INTERVAL", code: flightpb.XdbcDataType_XDBC_INTERVAL, quote: "'"},
		{name: "VARCHAR", code: flightpb.XdbcDataType_XDBC_VARCHAR, size: textSizeMax, quote: "'", params: []string{"length"}},
		{name: "JSON", code: flightpb.XdbcDataType_XDBC_VARCHAR, size: textSizeMax, quote: "'"},
		{name: "UUID", code: flightpb.XdbcDataType_XDBC_VARCHAR, size: 36, quote: "'"},
		{name: "DATE", code: flightpb.XdbcDataType_XDBC_DATE, size: 10, quote: "'"},
		{name: "TIME", code: flightpb.XdbcDataType_XDBC_TIME, size: 15, quote: "'", maxScale: 6},
		{name: "TIMESTAMP", code: flightpb.XdbcDataType_XDBC_TIMESTAMP, size: 26, quote: "'", maxScale: 6},
		{name: "TIMESTAMP WITH TIME ZONE", code: flightpb.XdbcDataType_XDBC_TIMESTAMP, size: 32, quote: "'", maxScale: 6},
	}
}

// GetFlightInfoXdbcTypeInfo implements flightsql.Server.
func (s *sqlServer) GetFlightInfoXdbcTypeInfo(_ context.Context, _ flightsql.GetXdbcTypeInfo, d *arrowflight.FlightDescriptor) (*arrowflight.FlightInfo, error) {
	return infoOf(d, schema_ref.XdbcTypeInfo, d.Cmd), nil
}

// DoGetXdbcTypeInfo implements flightsql.Server.
func (s *sqlServer) DoGetXdbcTypeInfo(_ context.Context, c flightsql.GetXdbcTypeInfo) (*arrow.Schema, chunks, error) {
	return send(schema_ref.XdbcTypeInfo, build(schema_ref.XdbcTypeInfo, func(b *array.RecordBuilder) {
		for _, t := range typeInfos() {
			if c.GetDataType() == nil || *c.GetDataType() == int32(t.code) {
				t.append(b)
			}
		}
	}))
}

// append adds one row; nil is NULL.
func (t typeInfo) append(b *array.RecordBuilder) {
	const nullable, searchable = 1, 3
	code, subcode := int32(t.code), any(nil)
	switch t.code {
	case flightpb.XdbcDataType_XDBC_DATE:
		code, subcode = int32(flightpb.XdbcDataType_XDBC_DATETIME), int32(flightpb.XdbcDatetimeSubcode_XDBC_SUBCODE_DATE)
	case flightpb.XdbcDataType_XDBC_TIME:
		code, subcode = int32(flightpb.XdbcDataType_XDBC_DATETIME), int32(flightpb.XdbcDatetimeSubcode_XDBC_SUBCODE_TIME)
	case flightpb.XdbcDataType_XDBC_TIMESTAMP:
		code, subcode = int32(flightpb.XdbcDataType_XDBC_DATETIME), int32(flightpb.XdbcDatetimeSubcode_XDBC_SUBCODE_TIMESTAMP)
	}
	size, quote, unsigned, radix := any(nil), any(nil), any(nil), any(nil)
	if t.size > 0 {
		size = t.size
	}
	if t.quote != "" {
		quote = t.quote
	}
	if t.number {
		unsigned, radix = t.unsigned, int32(10)
	}
	for i, v := range []any{
		t.name, int32(t.code), size, quote, quote, t.params, int32(nullable), t.code == flightpb.XdbcDataType_XDBC_VARCHAR,
		int32(searchable), unsigned, false, false, t.name, int32(0), t.maxScale, code, subcode, radix, nil,
	} {
		appendValue(b.Field(i), v)
	}
}

func appendValue(b array.Builder, value any) {
	switch v := value.(type) {
	case nil:
		b.AppendNull()
	case string:
		b.(*array.StringBuilder).Append(v)
	case int32:
		b.(*array.Int32Builder).Append(v)
	case bool:
		b.(*array.BooleanBuilder).Append(v)
	case []string:
		l := b.(*array.ListBuilder)
		l.Append(v != nil)
		l.ValueBuilder().(*array.StringBuilder).AppendValues(v, nil)
	}
}
