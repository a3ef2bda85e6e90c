//go:build duckdb_arrow

package coordinator_test

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"skein/coordinator"
	"skein/internal/batch"
	"skein/internal/duck"
	"skein/internal/fault"
)

func TestMistakesAreToldWithTheirPlace(t *testing.T) {
	c := newCluster(t, 1).nodes[0].Coordinator
	create(t, c, "t")
	write(t, c, "t", 0, 1)
	for sql, want := range map[string]struct {
		code    fault.Code
		message string
	}{
		"SELECT *\n  FROM t\n  WERE 1":                       {fault.InvalidArgument, "(line 3, column 8)"},
		"EXPLAIN\nSELECT * FROM nowhere.t":                   {fault.NotFound, "(line 2, column 15)"},
		"SELECT 1,\n nme FROM t":                             {fault.InvalidArgument, "(line 2, column 2)"},
		"SELECT 'ä', nme FROM t":                             {fault.InvalidArgument, "(line 1, column 13)"},
		"SELECT payload.nme FROM t":                          {fault.InvalidArgument, `"nme" not found`},
		"SELECT * FROM nowhere":                              {fault.NotFound, "nowhere"},
		"SELECT 1; DROP TABLE t":                             {fault.InvalidArgument, ""},
		"DROP TABLE t; SELECT 1":                             {fault.InvalidArgument, "one statement"},
		"":                                                   {fault.InvalidArgument, "empty"},
		"COPY t TO 'x'":                                      {fault.InvalidArgument, "skein load"},
		"SET threads = 1":                                    {fault.InvalidArgument, "flags"},
		"PRAGMA memory_limit = 1":                            {fault.InvalidArgument, "flags"},
		"ATTACH 'x.db'":                                      {fault.InvalidArgument, ""},
		"SELECT read_text('/etc/passwd')":                    {fault.InvalidArgument, "read_text"},
		"SELECT * FROM glob('/*')":                           {fault.InvalidArgument, "glob"},
		"INSERT INTO t VALUES (1)":                           {fault.InvalidArgument, "gives 1"},
		"CREATE TABLE t (a INTEGER)":                         {fault.AlreadyExists, "t"},
		"CREATE TABLE u (a INTEGR)":                          {fault.InvalidArgument, "INTEGR"},
		"CREATE TABLE u (a INTEGER PRIMARY KEY)":             {fault.Unimplemented, "PRIMARY KEY"},
		"CREATE TABLE u (a INTEGER) WITH (time = a)":         {fault.InvalidArgument, "DATE or TIMESTAMP"},
		"CREATE TABLE u (a INTEGER) WITH (color = red)":      {fault.InvalidArgument, "color"},
		"CREATE TABLE u (a INTEGER); DROP TABLE t":           {fault.InvalidArgument, "(line 1, column 29)"},
		"CREATE TABLE u (a INTEGER) AS SELECT 1":             {fault.Unimplemented, ""},
		"CREATE TABLE \"../u\" (a INTEGER)":                  {fault.InvalidArgument, "table name"},
		"CREATE TABLE u (a INTERVAL)":                        {fault.Unimplemented, "INTERVAL"},
		"CREATE TABLE u (a HUGEINT[])":                       {fault.Unimplemented, "HUGEINT"},
		"CREATE TABLE u (a INTEGER[3])":                      {fault.Unimplemented, "[3]"},
		"CREATE TABLE u WITH (id_buckets = 0)":               {fault.InvalidArgument, "id_buckets"},
		"SELECT 1e999":                                       {fault.InvalidArgument, "out of range"},
		"SELECT TIMETZ '12:00:00+05'":                        {fault.Unimplemented, "cast it to VARCHAR"},
		"CREATE VIEW v AS SELECT 1":                          {fault.Unimplemented, ""},
		"SELECT '" + strings.Repeat("x", 1<<20) + "'":        {fault.TooLarge, ""},
		"SELECT CAST(n AS INTEGER) FROM (SELECT 'x' AS n) x": {fault.InvalidArgument, "Conversion Error"},
	} {
		_, err := rows(t, c, sql, nil)
		if fault.CodeOf(err) != want.code || err == nil || !strings.Contains(err.Error(), want.message) {
			t.Errorf("%.60s: got %v: %v; want %v: …%s…", sql, fault.CodeOf(err), err, want.code, want.message)
		}
	}
	if got := one(t, c, "SELECT count(*) FROM t"); got != "1" {
		t.Errorf("the table is not what it was: %s", got)
	}
}

func TestTablesBySQL(t *testing.T) {
	c := newCluster(t, 1).nodes[0].Coordinator
	for _, sql := range []string{
		"CREATE TABLE Trips (host VARCHAR, born TIMESTAMP, h HUGEINT, s STRUCT(a INTEGER, b VARCHAR[])) WITH (id = host, time = born, retention_days = 7, id_buckets = 4);",
		"CREATE TABLE IF NOT EXISTS trips (x INTEGER)",
		"create table if not exists users with (buffer_size = 5) -- records",
	} {
		if _, err := c.Execute(t.Context(), sql, nil); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	got, err := rows(t, c, "SELECT column_name || ' ' || column_type FROM (DESCRIBE trips)", nil)
	check(t, err)
	want := "[[host VARCHAR] [born TIMESTAMP] [h DECIMAL(38,0)] [s STRUCT(a INTEGER, b VARCHAR[])]]"
	if s := strings.ReplaceAll(sprint(got), "\"", ""); s != want {
		t.Errorf("got %s", s)
	}
	trips, err := c.DescribeTable(t.Context(), "TRIPS")
	check(t, err)
	if s := trips.Schema(); s.IDColumn != "host" || s.TimeColumn != "born" || s.Records || trips.Config.RetentionDays != 7 || trips.Config.Properties["id_buckets"] != "4" {
		t.Errorf("table %+v", trips)
	}
	if got, err := rows(t, c, "SHOW TABLES", nil); err != nil || sprint(got) != "[[trips] [users]]" {
		t.Errorf("tables %v, %v", got, err)
	}
	if _, err := c.Execute(t.Context(), "DROP TABLE IF EXISTS nothing", nil); err != nil {
		t.Error(err)
	}
	if _, err := c.Execute(t.Context(), "DROP TABLE trips", nil); err != nil {
		t.Error(err)
	}
	if _, err := c.DescribeTable(t.Context(), "trips"); fault.CodeOf(err) != fault.NotFound {
		t.Errorf("dropped table: %v", err)
	}
}

func sprint(rows [][]string) string {
	var b strings.Builder
	b.WriteString("[")
	for i, r := range rows {
		if i > 0 {
			b.WriteString(" ")
		}
		b.WriteString("[" + strings.Join(r, " ") + "]")
	}
	return b.String() + "]"
}

func TestDropRefusesRowsWithoutCascade(t *testing.T) {
	c := newCluster(t, 1).nodes[0].Coordinator
	create(t, c, "t")
	write(t, c, "t", 0, 3)
	if d, err := c.DescribeTable(t.Context(), "t"); err != nil || d.Stats.LastWrite.IsZero() {
		t.Errorf("unflushed rows have no last write: %+v, %v", d.Stats, err)
	}
	if _, _, err := c.DropTable(t.Context(), "t", coordinator.DropOptions{}); fault.CodeOf(err) != fault.FailedPrecondition {
		t.Errorf("unflushed rows: %v", err)
	}
	check(t, c.Flush(t.Context(), "t"))
	n, existed, err := c.DropTable(t.Context(), "t", coordinator.DropOptions{Cascade: true})
	if n != 3 || !existed || err != nil {
		t.Errorf("%d files, %v, %v", n, existed, err)
	}
	create(t, c, "t")
	if got := one(t, c, "SELECT count(*) FROM t"); got != "0" {
		t.Errorf("a new table has %s rows of the old one", got)
	}
}

func TestListPages(t *testing.T) {
	c := newCluster(t, 1).nodes[0].Coordinator
	for _, n := range []string{"user_a", "user_b", "user_c", "orders"} {
		create(t, c, n)
	}
	p, err := c.ListTables(t.Context(), "user*", 2, 2)
	if err != nil || p.Total != 3 || len(p.Tables) != 1 || p.Tables[0].Name != "user_c" {
		t.Errorf("%+v, %v", p, err)
	}
	for _, bad := range []struct{ page, limit int }{{-1, 1}, {1, -1}, {1, 1 << 30}} {
		if _, err := c.ListTables(t.Context(), "", bad.page, bad.limit); fault.CodeOf(err) != fault.InvalidArgument {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func TestBadRecordsAreRefusedBeforeAnyIsStored(t *testing.T) {
	c := newCluster(t, 1).nodes[0].Coordinator
	create(t, c, "t")
	good := coordinator.Record{ID: "a", Timestamp: start, Payload: []byte(`{"n": 1}`)}
	for name, bad := range map[string]coordinator.Record{
		"no id":     {Timestamp: start, Payload: []byte(`{}`)},
		"NUL":       {ID: "a\x00b", Timestamp: start},
		"year":      {ID: "a", Timestamp: time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC)},
		"array":     {ID: "a", Timestamp: start, Payload: []byte(`[1]`)},
		"cut":       {ID: "a", Timestamp: start, Payload: []byte(`{"n": `)},
		"two cases": {ID: "a", Timestamp: start, Payload: []byte(`{"n": 1, "N": 2}`)},
	} {
		err := c.Write(t.Context(), "t", []coordinator.Record{good, bad})
		if fault.CodeOf(err) != fault.InvalidArgument || fault.Details(err)["record"] != "1" {
			t.Errorf("%s: %v %v", name, err, fault.Details(err))
		}
	}
	if got := one(t, c, "SELECT count(*) FROM t"); got != "0" {
		t.Errorf("%s rows were stored", got)
	}
	if err := c.Write(t.Context(), "nowhere", []coordinator.Record{good}); fault.CodeOf(err) != fault.NotFound {
		t.Errorf("unknown table: %v", err)
	}
}

// TestParametersKeepTheirValue binds one value of each type and asks DuckDB
// for its type and text.
func TestParametersKeepTheirValue(t *testing.T) {
	c := newCluster(t, 1).nodes[0].Coordinator
	for _, p := range []struct {
		t     arrow.DataType
		put   func(array.Builder)
		wantT string
		want  string
	}{
		{arrow.PrimitiveTypes.Int8, func(b array.Builder) { b.(*array.Int8Builder).Append(-128) }, "TINYINT", "-128"},
		{arrow.PrimitiveTypes.Int64, func(b array.Builder) { b.(*array.Int64Builder).Append(math.MinInt64) }, "BIGINT", "-9223372036854775808"},
		{arrow.PrimitiveTypes.Uint64, func(b array.Builder) { b.(*array.Uint64Builder).Append(math.MaxUint64) }, "UBIGINT", "18446744073709551615"},
		{arrow.PrimitiveTypes.Float64, func(b array.Builder) { b.(*array.Float64Builder).Append(0.1) }, "DOUBLE", "0.1"},
		{arrow.PrimitiveTypes.Float64, func(b array.Builder) { b.(*array.Float64Builder).Append(math.Inf(-1)) }, "DOUBLE", "-inf"},
		{arrow.PrimitiveTypes.Float32, func(b array.Builder) { b.(*array.Float32Builder).Append(1.5) }, "FLOAT", "1.5"},
		{arrow.FixedWidthTypes.Boolean, func(b array.Builder) { b.(*array.BooleanBuilder).Append(true) }, "BOOLEAN", "true"},
		{arrow.BinaryTypes.String, func(b array.Builder) { b.(*array.StringBuilder).Append("it's; -- ünï") }, "VARCHAR", "it's; -- ünï"},
		{arrow.BinaryTypes.Binary, func(b array.Builder) { b.(*array.BinaryBuilder).Append([]byte{0, 'a', 255}) }, "BLOB", `\x00a\xFF`},
		{arrow.FixedWidthTypes.Date32, func(b array.Builder) { b.(*array.Date32Builder).Append(arrow.Date32(19723)) }, "DATE", "2024-01-01"},
		{arrow.FixedWidthTypes.Time64us, func(b array.Builder) { b.(*array.Time64Builder).Append(arrow.Time64(3723000004)) }, "TIME", "01:02:03.000004"},
		{&arrow.TimestampType{Unit: arrow.Microsecond}, func(b array.Builder) { b.(*array.TimestampBuilder).Append(1704067200000001) }, "TIMESTAMP", "2024-01-01 00:00:00.000001"},
		{&arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "Europe/Berlin"}, func(b array.Builder) { b.(*array.TimestampBuilder).Append(1704067200000001) }, "TIMESTAMP WITH TIME ZONE", "2024-01-01 00:00:00.000001+00"},
		{&arrow.Decimal128Type{Precision: 38, Scale: 2}, func(b array.Builder) {
			b.(*array.Decimal128Builder).Append(decimal128.New(0, 12345))
		}, "DECIMAL(38,2)", "123.45"},
		{arrow.BinaryTypes.String, func(b array.Builder) { b.AppendNull() }, "VARCHAR", "(null)"},
		{arrow.PrimitiveTypes.Int64, func(b array.Builder) { b.AppendNull() }, "BIGINT", "(null)"},
		{&arrow.Decimal128Type{Precision: 10, Scale: 2}, func(b array.Builder) { b.AppendNull() }, "DECIMAL(10,2)", "(null)"},
		{arrow.FixedWidthTypes.Timestamp_us, func(b array.Builder) { b.AppendNull() }, "TIMESTAMP WITH TIME ZONE", "(null)"},
		{arrow.Null, func(b array.Builder) { b.AppendNull() }, `"NULL"`, "(null)"},
		{arrow.BinaryTypes.StringView, func(b array.Builder) { b.(*array.StringViewBuilder).Append("view") }, "VARCHAR", "view"},
		{arrow.FixedWidthTypes.Duration_us, func(b array.Builder) { b.(*array.DurationBuilder).Append(90_000_001) }, "INTERVAL", "00:01:30.000001"},
		{arrow.FixedWidthTypes.MonthDayNanoInterval, func(b array.Builder) {
			b.(*array.MonthDayNanoIntervalBuilder).Append(arrow.MonthDayNanoInterval{Months: 14, Days: -3, Nanoseconds: 5_000})
		}, "INTERVAL", "1 year 2 months -3 days 00:00:00.000005"},
		{arrow.ListOf(arrow.PrimitiveTypes.Int32), func(b array.Builder) {
			l := b.(*array.ListBuilder)
			l.Append(true)
			l.ValueBuilder().(*array.Int32Builder).AppendValues([]int32{1, 0, 3}, []bool{true, false, true})
		}, "INTEGER[]", "[1, NULL, 3]"},
		{arrow.ListOf(arrow.BinaryTypes.String), func(b array.Builder) { b.(*array.ListBuilder).Append(true) }, "VARCHAR[]", "[]"},
		{arrow.StructOf(arrow.Field{Name: "it's", Type: arrow.PrimitiveTypes.Int64}, arrow.Field{Name: "b", Type: arrow.ListOf(arrow.BinaryTypes.String)}), func(b array.Builder) {
			s := b.(*array.StructBuilder)
			s.Append(true)
			s.FieldBuilder(0).(*array.Int64Builder).Append(7)
			s.FieldBuilder(1).AppendNull()
		}, `STRUCT("it's" BIGINT, b VARCHAR[])`, "{'it\\'s': 7, 'b': NULL}"},
		{arrow.MapOf(arrow.BinaryTypes.String, arrow.PrimitiveTypes.Float64), func(b array.Builder) {
			m := b.(*array.MapBuilder)
			m.Append(true)
			m.KeyBuilder().(*array.StringBuilder).Append("k")
			m.ItemBuilder().(*array.Float64Builder).Append(0.5)
		}, "MAP(VARCHAR, DOUBLE)", "{k=0.5}"},
	} {
		b := array.NewBuilder(memory.DefaultAllocator, p.t)
		p.put(b)
		col := b.NewArray()
		params := array.NewRecordBatch(arrow.NewSchema([]arrow.Field{{Name: "1", Type: p.t, Nullable: true}}, nil), []arrow.Array{col}, 1)
		got, err := rows(t, c, "SELECT typeof($1), CAST($1 AS VARCHAR)", params)
		if err != nil || got[0][0] != p.wantT || got[0][1] != p.want {
			t.Errorf("%s: got %v, %v; want %s %s", p.t, got, err, p.wantT, p.want)
		}
	}
	s, err := c.Prepare(t.Context(), "SELECT ? + 1, n FROM (SELECT 1::BIGINT AS n) x WHERE n = ?")
	if err != nil || s.Schema.NumFields() != 2 || s.Params.NumFields() != 2 || s.Params.Field(1).Type.ID() != arrow.INT64 {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := rows(t, c, "SELECT ?", nil); fault.CodeOf(err) != fault.InvalidArgument {
		t.Errorf("no values: %v", err)
	}
}

// TestDefinitionsHoldOneStatement hides the end of a list of columns from one
// of its two readers.
func TestDefinitionsHoldOneStatement(t *testing.T) {
	dir := t.TempDir()
	db, err := duck.Open(duck.Options{AllowedDirs: []string{dir}, Threads: 1})
	check(t, err)
	t.Cleanup(db.Close)
	c := newCluster(t, 1).nodes[0].Coordinator
	c.DB = db
	file := filepath.Join(dir, "x.csv")
	copied := "COPY (SELECT 1) TO '" + file + "'"
	for _, sql := range []string{
		"CREATE TABLE t (a VARCHAR DEFAULT $$'$$); " + copied + "; --')",
		"CREATE TABLE t (a VARCHAR DEFAULT $x$'$x$); " + copied + "; --')",
		"CREATE TABLE t (a VARCHAR DEFAULT E'\\''); " + copied + "; --')",
		"CREATE TABLE t (a VARCHAR /* /* */ ' */ ); COPY (SELECT 1) TO $$" + file + "$$; --')",
		"CREATE TABLE t (a VARCHAR --\r); " + copied + "; --\n)",
	} {
		if _, err := c.Prepare(t.Context(), sql); fault.CodeOf(err) != fault.InvalidArgument {
			t.Errorf("%s: %v", sql, err)
		}
		if _, err := os.Stat(file); err == nil {
			t.Errorf("%s: was run", sql)
			check(t, os.Remove(file))
		}
	}
	if _, err := c.Prepare(t.Context(), `CREATE TABLE t (a DECIMAL(10,2)[], "b)" STRUCT(x INTEGER, "y)" VARCHAR), e ENUM('a)', 'b'), /* c ) /* */ */ d JSON -- )`+"\n)"); err != nil {
		t.Error(err)
	}
}

// TestDefinitionsNeedTheirPermission also where a statement is only prepared:
// DuckDB reads the columns then.
func TestDefinitionsNeedTheirPermission(t *testing.T) {
	c := newCluster(t, 1).nodes[0].Coordinator
	create(t, c, "t")
	c.Authorize = func(_ context.Context, p coordinator.Permission) error {
		if p > coordinator.ToWrite {
			return fault.New(fault.PermissionDenied, "no")
		}
		return nil
	}
	for _, sql := range []string{"CREATE TABLE u (a INTEGER)", "DROP TABLE t", "CREATE TABLE u"} {
		if _, err := c.Prepare(t.Context(), sql); fault.CodeOf(err) != fault.PermissionDenied {
			t.Errorf("prepare %s: %v", sql, err)
		}
		if _, err := c.Execute(t.Context(), sql, nil); fault.CodeOf(err) != fault.PermissionDenied {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

// TestOpenTypesInsideOthers prepares what has a type only once it is bound.
func TestOpenTypesInsideOthers(t *testing.T) {
	c := newCluster(t, 1).nodes[0].Coordinator
	for _, sql := range []string{"SELECT ?", "SELECT [?]", "SELECT {'a': ?}", "SELECT [{'a': ?}], 1"} {
		s, err := c.Prepare(t.Context(), sql)
		if err != nil || s.Schema == nil || s.Params.NumFields() != 1 {
			t.Errorf("%s: %+v, %v", sql, s, err)
		}
	}
}

func TestDeclaredJSONIsText(t *testing.T) {
	c := newCluster(t, 1).nodes[0].Coordinator
	_, err := c.Execute(t.Context(), "CREATE TABLE t (a JSON)", nil)
	check(t, err)
	b := array.NewStringBuilder(memory.DefaultAllocator)
	b.Append(`{"x": 1}`)
	col := b.NewArray()
	schema := arrow.NewSchema([]arrow.Field{{Name: "a", Type: arrow.BinaryTypes.String, Nullable: true}}, nil)
	in := batch.NewSlice(schema, array.NewRecordBatch(schema, []arrow.Array{col}, 1))
	defer in.Close()
	_, err = c.Ingest(t.Context(), coordinator.Ingest{Table: "t"}, in)
	check(t, err)
	if got := one(t, c, "SELECT a FROM t"); got != `{"x": 1}` {
		t.Errorf("got %s", got)
	}
}
