package flight_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	arrowflight "github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql/schema_ref"
	flightpb "github.com/apache/arrow-go/v18/arrow/flight/gen/flight"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"skein/flight"
	"skein/meta"
)

// rows fetches a result as text, columns joined by "|".
func (d *door) rows(t *testing.T, info *arrowflight.FlightInfo, err error, schema *arrow.Schema) []string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	told, err := arrowflight.DeserializeSchema(info.Schema, memory.DefaultAllocator)
	if err != nil || !told.Equal(schema) {
		t.Fatalf("info tells %v: %v", told, err)
	}
	r, err := d.client.DoGet(t.Context(), info.Endpoint[0].Ticket)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	if !r.Schema().Equal(schema) {
		t.Errorf("the result has %v, want %v", r.Schema(), schema)
	}
	var lines []string
	for r.Next() {
		b := r.RecordBatch()
		for i := range int(b.NumRows()) {
			cells := make([]string, b.NumCols())
			for j, c := range b.Columns() {
				cells[j] = c.ValueStr(i)
			}
			lines = append(lines, strings.Join(cells, "|"))
		}
	}
	if r.Err() != nil {
		t.Fatal(r.Err())
	}
	return lines
}

func withTables(c *coord) *coord {
	for _, name := range []string{"a_b", "axb", "events", "orders", "users", "users_old", "dropped"} {
		c.tables = append(c.tables, meta.Table{Name: name, Schemas: []meta.Schema{{IDColumn: "id", TimeColumn: "at"}}})
		if name != "dropped" {
			c.schemas[name] = arrow.NewSchema([]arrow.Field{
				{Name: "id", Type: arrow.BinaryTypes.String, Nullable: true},
				{Name: "at", Type: &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}, Nullable: true},
				{Name: "price", Type: &arrow.Decimal128Type{Precision: 12, Scale: 2}, Nullable: true},
				{Name: "tags", Type: arrow.ListOf(arrow.BinaryTypes.String), Nullable: true},
			}, nil)
		}
	}
	return c
}

func TestTables(t *testing.T) {
	d := open(t, withTables(newCoord()), nil, flight.Options{})
	ptr := func(s string) *string { return &s }
	all := []string{"a_b", "axb", "events", "orders", "users", "users_old", "dropped"}
	for name, k := range map[string]struct {
		o    *flightsql.GetTablesOpts
		want []string
	}{
		"all":             {&flightsql.GetTablesOpts{}, all},
		"percent":         {&flightsql.GetTablesOpts{TableNameFilterPattern: ptr("%")}, all},
		"prefix":          {&flightsql.GetTablesOpts{TableNameFilterPattern: ptr("users%")}, []string{"users", "users_old"}},
		"exact":           {&flightsql.GetTablesOpts{TableNameFilterPattern: ptr("users")}, []string{"users"}},
		"upper case":      {&flightsql.GetTablesOpts{TableNameFilterPattern: ptr("USERS")}, []string{"users"}},
		"underscore":      {&flightsql.GetTablesOpts{TableNameFilterPattern: ptr("a_b")}, []string{"a_b", "axb"}},
		"escaped":         {&flightsql.GetTablesOpts{TableNameFilterPattern: ptr(`a\_b`)}, []string{"a_b"}},
		"star is no glob": {&flightsql.GetTablesOpts{TableNameFilterPattern: ptr("*")}, nil},
		"nothing":         {&flightsql.GetTablesOpts{TableNameFilterPattern: ptr("")}, nil},
		"TABLE":           {&flightsql.GetTablesOpts{TableTypes: []string{"TABLE"}}, all},
		"BASE TABLE":      {&flightsql.GetTablesOpts{TableTypes: []string{"VIEW", "BASE TABLE"}}, all},
		"VIEW":            {&flightsql.GetTablesOpts{TableTypes: []string{"VIEW"}}, nil},
		"catalog":         {&flightsql.GetTablesOpts{Catalog: ptr("skein")}, all},
		"other catalog":   {&flightsql.GetTablesOpts{Catalog: ptr("other")}, nil},
		"empty catalog":   {&flightsql.GetTablesOpts{Catalog: ptr("")}, nil},
		"schema":          {&flightsql.GetTablesOpts{DbSchemaFilterPattern: ptr("ma%")}, all},
		"other schema":    {&flightsql.GetTablesOpts{DbSchemaFilterPattern: ptr("x%")}, nil},
	} {
		info, err := d.client.GetTables(t.Context(), k.o)
		var got []string
		for _, row := range d.rows(t, info, err, schema_ref.Tables) {
			cells := strings.Split(row, "|")
			got = append(got, cells[2])
			if cells[0] != "skein" || cells[1] != "main" || cells[3] != "TABLE" {
				t.Errorf("%s: %s", name, row)
			}
		}
		if !slices.Equal(got, k.want) {
			t.Errorf("%s: %v, want %v", name, got, k.want)
		}
	}
}

func TestTablesWithSchemas(t *testing.T) {
	c := withTables(newCoord())
	d := open(t, c, nil, flight.Options{})
	info, err := d.client.GetTables(t.Context(), &flightsql.GetTablesOpts{IncludeSchema: true})
	if err != nil {
		t.Fatal(err)
	}
	r, err := d.client.DoGet(t.Context(), info.Endpoint[0].Ticket)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	n := 0
	for r.Next() {
		for i := range int(r.RecordBatch().NumRows()) {
			n++
			s, err := arrowflight.DeserializeSchema(r.RecordBatch().Column(4).(*array.Binary).Value(i), memory.DefaultAllocator)
			if err != nil {
				t.Fatal(err)
			}
			var told []string
			for j, f := range s.Fields() {
				if want := c.schemas["users"].Field(j); f.Name != want.Name || f.Nullable != want.Nullable || !arrow.TypeEqual(f.Type, want.Type) {
					t.Errorf("column %v, want %v", f, want)
				}
				m := flightsql.ColumnMetadata{Data: &f.Metadata}
				name, _ := m.TypeName()
				precision, _ := m.Precision()
				scale, _ := m.Scale()
				remarks, _ := m.Remarks()
				told = append(told, fmt.Sprintf("%s %d %d %s", name, precision, scale, remarks))
			}
			want := []string{"VARCHAR 2147483647 0 partitions the table", "TIMESTAMP WITH TIME ZONE 26 6 gives a row its day", "DECIMAL(12,2) 12 2 ", "VARCHAR[] 0 0 "}
			if !slices.Equal(told, want) {
				t.Errorf("%q", told)
			}
		}
	}
	if r.Err() != nil || n != 6 { // the dropped one is left out
		t.Error(n, r.Err())
	}
}

func TestCatalogsAndSchemas(t *testing.T) {
	d := open(t, newCoord(), nil, flight.Options{})
	ctx := t.Context()
	info, err := d.client.GetCatalogs(ctx)
	if got := d.rows(t, info, err, schema_ref.Catalogs); !slices.Equal(got, []string{"skein"}) {
		t.Error(got)
	}
	main, other := "m_in", "other"
	for _, k := range []struct {
		o    *flightsql.GetDBSchemasOpts
		want int
	}{{&flightsql.GetDBSchemasOpts{}, 1}, {&flightsql.GetDBSchemasOpts{DbSchemaFilterPattern: &main}, 1}, {&flightsql.GetDBSchemasOpts{Catalog: &other}, 0}} {
		info, err = d.client.GetDBSchemas(ctx, k.o)
		if got := d.rows(t, info, err, schema_ref.DBSchemas); len(got) != k.want || k.want == 1 && got[0] != "skein|main" {
			t.Error(got)
		}
	}
	info, err = d.client.GetTableTypes(ctx)
	if got := d.rows(t, info, err, schema_ref.TableTypes); !slices.Equal(got, []string{"TABLE"}) {
		t.Error(got)
	}
	ref := flightsql.TableRef{Table: "users"}
	info, err = d.client.GetPrimaryKeys(ctx, ref)
	keys := d.rows(t, info, err, schema_ref.PrimaryKeys)
	info, err = d.client.GetExportedKeys(ctx, ref)
	keys = append(keys, d.rows(t, info, err, schema_ref.ExportedKeys)...)
	info, err = d.client.GetImportedKeys(ctx, ref)
	keys = append(keys, d.rows(t, info, err, schema_ref.ImportedKeys)...)
	info, err = d.client.GetCrossReference(ctx, ref, ref)
	keys = append(keys, d.rows(t, info, err, schema_ref.CrossReference)...)
	if len(keys) > 0 {
		t.Error(keys)
	}
}

func TestTypeInfo(t *testing.T) {
	d := open(t, newCoord(), nil, flight.Options{})
	info, err := d.client.GetXdbcTypeInfo(t.Context(), nil)
	all := d.rows(t, info, err, schema_ref.XdbcTypeInfo)
	if len(all) < 20 {
		t.Errorf("%d types", len(all))
	}
	decimal := int32(flightpb.XdbcDataType_XDBC_DECIMAL)
	info, err = d.client.GetXdbcTypeInfo(t.Context(), &decimal)
	got := d.rows(t, info, err, schema_ref.XdbcTypeInfo)
	want := []string{
		`DECIMAL|3|38|(null)|(null)|["precision","scale"]|1|false|3|false|false|false|DECIMAL|0|38|3|(null)|10|(null)`,
		`HUGEINT|3|38|(null)|(null)|(null)|1|false|3|false|false|false|HUGEINT|0|0|3|(null)|10|(null)`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestSQLInfo(t *testing.T) {
	d := open(t, newCoord(), nil, flight.Options{Version: "v1.2.3"})
	read := func(codes ...flightsql.SqlInfo) map[uint32]string {
		info, err := d.client.GetSqlInfo(t.Context(), codes)
		if err != nil {
			t.Fatal(err)
		}
		r, err := d.client.DoGet(t.Context(), info.Endpoint[0].Ticket)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Release()
		told := map[uint32]string{}
		for r.Next() {
			values := r.RecordBatch().Column(1).(*array.DenseUnion)
			for i, code := range r.RecordBatch().Column(0).(*array.Uint32).Uint32Values() {
				told[code] = fmt.Sprintf("%d %s", values.TypeCode(i), values.Field(values.ChildID(i)).ValueStr(int(values.ValueOffset(i))))
			}
		}
		if r.Err() != nil {
			t.Fatal(r.Err())
		}
		return told
	}
	all := read()
	for code, name := range flightpb.SqlInfo_name {
		if _, ok := all[uint32(code)]; !ok {
			t.Errorf("%s is not told", name)
		}
	}
	const text, boolean, bigint, bitmask, list, mapping = "0 ", "1 ", "2 ", "3 ", "4 ", "5 "
	for code, want := range map[flightsql.SqlInfo]string{
		flightsql.SqlInfoFlightSqlServerName:                  text + "Skein",
		flightsql.SqlInfoFlightSqlServerVersion:               text + "v1.2.3",
		flightsql.SqlInfoFlightSqlServerReadOnly:              boolean + "false",
		flightsql.SqlInfoFlightSqlServerTransaction:           bitmask + "0",
		flightsql.SqlInfoDefaultTransactionIsolation:          bigint + "0",
		flightsql.SqlInfoMaxStatementLen:                      bigint + "1048576",
		flightsql.SqlInfoSupportedTransactionsIsolationlevels: bitmask + "1",
		flightsql.SqlInfoNumericFunctions:                     list + `["ABS",`,
		flightsql.SqlInfoSupportsConvert:                      mapping,
	} {
		if got := all[uint32(code)]; !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", code, got, want)
		}
	}
	if some := read(flightsql.SqlInfoFlightSqlServerSql, 499); len(some) != 1 || some[uint32(flightsql.SqlInfoFlightSqlServerSql)] != boolean+"true" {
		t.Errorf("one known code and an unknown one: %v", some)
	}
}
