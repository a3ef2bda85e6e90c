package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/extensions"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"skein/internal/batch"
	"skein/internal/duck"
	"skein/internal/fault"
	"skein/meta"
	"skein/objstore"
	"skein/objstore/objstoretest"
)

// jsonRows is a stream of the rows of a JSON array, one batch.
func jsonRows(t *testing.T, schema *arrow.Schema, rows string) batch.Reader {
	t.Helper()
	b, _, err := array.RecordFromJSON(memory.DefaultAllocator, schema, strings.NewReader(rows))
	if err != nil {
		t.Fatal(err)
	}
	r := batch.NewSlice(schema, b)
	t.Cleanup(func() { r.Close() })
	return r
}

// selected is a stream of a query's rows.
func (h *house) selected(t *testing.T, sql string) batch.Reader {
	t.Helper()
	c, err := h.db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(); c.Close() })
	return s
}

// relational makes a table "t" for rows of that schema.
func (h *house) relational(t *testing.T, schema *arrow.Schema, id, time string, props map[string]string) meta.Table {
	t.Helper()
	cols, err := h.w.ArrowColumns(t.Context(), schema)
	if err != nil {
		t.Fatal(err)
	}
	s := meta.Schema{Columns: cols, IDColumn: id, TimeColumn: time}
	if err := create(t.Context(), h.catalog, "t", "t-uid", meta.Config{Properties: props}, s); err != nil {
		t.Fatal(err)
	}
	entry, err := h.catalog.Table(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	return entry
}

// ingest loads rows and commits the files.
func (h *house) ingest(t *testing.T, table meta.Table, rows batch.Reader) []meta.File {
	t.Helper()
	files, n, err := h.w.Ingest(t.Context(), table, rows)
	if err != nil {
		t.Fatal(err)
	}
	var sum int64
	for _, f := range files {
		sum += f.Rows
		if info, err := h.objects.Stat(t.Context(), f.Path); err != nil || info.Size != f.Bytes {
			t.Errorf("%s: %v %v", f.Path, info, err)
		}
	}
	if sum != n {
		t.Errorf("%d rows in files, %d told", sum, n)
	}
	if n > 0 {
		if err := h.catalog.Commit(t.Context(), meta.Commit{Table: table.Name, TableUID: table.UID, Unit: files[0].Unit, Add: files, Time: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	if !emptyNow(t, h.w.tempDir()) {
		t.Error("temporary files are left")
	}
	return files
}

var (
	i32  = arrow.PrimitiveTypes.Int32
	text = arrow.BinaryTypes.String
)

func stamp(u arrow.TimeUnit, zone string) arrow.DataType {
	return &arrow.TimestampType{Unit: u, TimeZone: zone}
}

// loadable are Arrow types, a value as Arrow's JSON, the column's type, and
// the value as DuckDB prints it.
var loadable = []struct {
	t                 arrow.DataType
	value, kind, want string
}{
	{arrow.Null, `null`, "VARCHAR", ""},
	{arrow.FixedWidthTypes.Boolean, `true`, "BOOLEAN", "true"},
	{arrow.PrimitiveTypes.Int8, `-128`, "TINYINT", "-128"},
	{arrow.PrimitiveTypes.Int16, `-32768`, "SMALLINT", "-32768"},
	{i32, `-2147483648`, "INTEGER", "-2147483648"},
	{arrow.PrimitiveTypes.Int64, `-9223372036854775808`, "BIGINT", "-9223372036854775808"},
	{arrow.PrimitiveTypes.Uint8, `255`, "UTINYINT", "255"},
	{arrow.PrimitiveTypes.Uint16, `65535`, "USMALLINT", "65535"},
	{arrow.PrimitiveTypes.Uint32, `4294967295`, "UINTEGER", "4294967295"},
	{arrow.PrimitiveTypes.Uint64, `18446744073709551615`, "UBIGINT", "18446744073709551615"},
	{arrow.FixedWidthTypes.Float16, `1.5`, "FLOAT", "1.5"},
	{arrow.ListOf(arrow.FixedWidthTypes.Float16), `[0.25,null,-2]`, "FLOAT[]", "[0.25, NULL, -2.0]"},
	{arrow.PrimitiveTypes.Float32, `1.5`, "FLOAT", "1.5"},
	{arrow.PrimitiveTypes.Float64, `0.1`, "DOUBLE", "0.1"},
	{text, `"é"`, "VARCHAR", "é"},
	{arrow.BinaryTypes.LargeString, `"x"`, "VARCHAR", "x"},
	{arrow.BinaryTypes.StringView, `"a string longer than the view"`, "VARCHAR", "a string longer than the view"},
	{arrow.BinaryTypes.Binary, `"AP8="`, "BLOB", `\x00\xFF`},
	{arrow.BinaryTypes.LargeBinary, `"AP8="`, "BLOB", `\x00\xFF`},
	{&arrow.FixedSizeBinaryType{ByteWidth: 2}, `"AP8="`, "BLOB", `\x00\xFF`},
	{arrow.FixedWidthTypes.Date32, `"1969-12-31"`, "DATE", "1969-12-31"},
	{arrow.FixedWidthTypes.Date64, `"2024-02-29"`, "DATE", "2024-02-29"},
	{arrow.FixedWidthTypes.Time32s, `"01:02:03"`, "TIME", "01:02:03"},
	{arrow.FixedWidthTypes.Time32ms, `"01:02:03.004"`, "TIME", "01:02:03.004"},
	{arrow.FixedWidthTypes.Time64us, `"01:02:03.000004"`, "TIME", "01:02:03.000004"},
	{arrow.FixedWidthTypes.Time64ns, `"01:02:03.000000004"`, "TIME_NS", "01:02:03.000000004"},
	{stamp(arrow.Second, ""), `"2024-01-02T03:04:05"`, "TIMESTAMP", "2024-01-02 03:04:05"},
	{stamp(arrow.Millisecond, ""), `"2024-01-02T03:04:05.006"`, "TIMESTAMP", "2024-01-02 03:04:05.006"},
	{stamp(arrow.Microsecond, ""), `"2024-01-02T03:04:05.000006"`, "TIMESTAMP", "2024-01-02 03:04:05.000006"},
	{stamp(arrow.Nanosecond, ""), `"2024-01-02T03:04:05.000000006"`, "TIMESTAMP_NS", "2024-01-02 03:04:05.000000006"},
	{stamp(arrow.Second, "UTC"), `"2024-01-02T03:04:05Z"`, "TIMESTAMP WITH TIME ZONE", "2024-01-02 03:04:05+00"},
	{stamp(arrow.Nanosecond, "Europe/Berlin"), `"2024-01-02T02:04:05.000006Z"`, "TIMESTAMP WITH TIME ZONE", "2024-01-02 02:04:05.000006+00"},
	{&arrow.Decimal128Type{Precision: 38, Scale: 10}, `"-1.0000000001"`, "DECIMAL(38,10)", "-1.0000000001"},
	{&arrow.Decimal128Type{Precision: 38, Scale: 0}, `"99999999999999999999999999999999999999"`, "DECIMAL(38,0)", "99999999999999999999999999999999999999"},
	{&arrow.Decimal64Type{Precision: 18, Scale: 2}, `"1.25"`, "DECIMAL(18,2)", "1.25"},
	{&arrow.Decimal32Type{Precision: 9, Scale: 2}, `"1.25"`, "DECIMAL(9,2)", "1.25"},
	{arrow.ListOf(i32), `[1,null]`, "INTEGER[]", "[1, NULL]"},
	{arrow.LargeListOf(text), `["a"]`, "VARCHAR[]", "[a]"},
	{arrow.FixedSizeListOf(2, i32), `[1,2]`, "INTEGER[]", "[1, 2]"},
	{arrow.ListOf(arrow.ListOf(stamp(arrow.Second, ""))), `[["2024-01-02T03:04:05"]]`, "TIMESTAMP[][]", "[['2024-01-02 03:04:05']]"},
	{arrow.StructOf(arrow.Field{Name: "a", Type: i32, Nullable: true}, arrow.Field{Name: "B \"q\", (x)", Type: arrow.ListOf(text), Nullable: true}),
		`{"a":1,"B \"q\", (x)":["z"]}`, `STRUCT("a" INTEGER, "B ""q"", (x)" VARCHAR[])`, `{'a': 1, 'B "q", (x)': [z]}`},
	{arrow.MapOf(text, i32), `[{"key":"k","value":1}]`, "MAP(VARCHAR, INTEGER)", "{k=1}"},
	{arrow.ListOf(arrow.MapOf(text, arrow.StructOf(arrow.Field{Name: "a b", Type: i32, Nullable: true}))), `[[{"key":"k","value":{"a b":1}}]]`,
		`MAP(VARCHAR, STRUCT("a b" INTEGER))[]`, "[{k={'a b': 1}}]"},
	{&arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: text}, `"d"`, "VARCHAR", "d"},
	{extensions.NewUUIDType(), `"01020304-0506-0708-090a-0b0c0d0e0f10"`, "UUID", "01020304-0506-0708-090a-0b0c0d0e0f10"},
}

// TestIngestTypes loads each type and reads it back with the catalog's type.
func TestIngestTypes(t *testing.T) {
	h := newHouse(t, t.TempDir(), Options{}, nil)
	for _, c := range loadable {
		t.Run(c.t.String(), func(t *testing.T) {
			schema := arrow.NewSchema([]arrow.Field{{Name: "n", Type: i32}, {Name: "x", Type: c.t, Nullable: true}}, nil)
			table := h.relational(t, schema, "", "", nil)
			defer h.catalog.DropTable(t.Context(), "t", "t-uid")
			if got := table.Schemas[0].Columns[1].Type.SQL(); got != c.kind {
				t.Errorf("column type %s, want %s", got, c.kind)
			}
			files := h.ingest(t, table, jsonRows(t, schema, fmt.Sprintf(`[{"n":0,"x":%s},{"n":1,"x":null},{"n":2,"x":%[1]s}]`, c.value)))
			path, err := h.objects.LocalPath(files[0].Path)
			if err != nil {
				t.Fatal(err)
			}
			conn, err := h.db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			described, err := conn.Strings(t.Context(), "DESCRIBE SELECT x FROM read_parquet("+duck.Literal(path)+")")
			if err != nil {
				t.Fatal(err)
			}
			if got, err := ParseType(described[0][1]); err != nil || got.SQL() != c.kind {
				t.Errorf("the file has %s, the catalog %s", described[0][1], c.kind)
			}
			got := h.rows(t, "t", "SELECT CAST(x AS VARCHAR) FROM rows ORDER BY n")
			if diff := cmp.Diff([][]string{{c.want}, {""}, {c.want}}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRefusedTypes(t *testing.T) {
	h := newHouse(t, t.TempDir(), Options{}, nil)
	for _, dt := range []arrow.DataType{
		&arrow.Decimal256Type{Precision: 40, Scale: 1}, arrow.FixedWidthTypes.Duration_us,
		arrow.FixedWidthTypes.MonthDayNanoInterval, arrow.FixedWidthTypes.MonthInterval, arrow.FixedWidthTypes.DayTimeInterval,
		arrow.DenseUnionOf([]arrow.Field{{Name: "a", Type: i32}}, []int8{0}), arrow.SparseUnionOf([]arrow.Field{{Name: "a", Type: i32}}, []int8{0}),
		arrow.StructOf(), arrow.StructOf(arrow.Field{Name: "a", Type: i32}, arrow.Field{Name: "A", Type: i32}),
		arrow.StructOf(arrow.Field{Name: "", Type: i32}),
	} {
		for _, dt := range []arrow.DataType{dt, arrow.ListOf(dt), arrow.MapOf(text, dt), arrow.StructOf(arrow.Field{Name: "f", Type: dt})} {
			_, err := h.w.ArrowColumns(t.Context(), arrow.NewSchema([]arrow.Field{{Name: "x", Type: dt}}, nil))
			if fault.CodeOf(err) != fault.InvalidArgument {
				t.Errorf("%s: %v", dt, err)
			}
		}
	}
	for _, names := range [][]string{{}, {""}, {"a\x00"}, {"a", "A"}} {
		var fields []arrow.Field
		for _, n := range names {
			fields = append(fields, arrow.Field{Name: n, Type: i32})
		}
		if _, err := h.w.ArrowColumns(t.Context(), arrow.NewSchema(fields, nil)); fault.CodeOf(err) != fault.InvalidArgument {
			t.Errorf("%q: %v", names, err)
		}
	}
}

func TestRefusedValues(t *testing.T) {
	h := newHouse(t, t.TempDir(), Options{}, nil)
	for _, c := range []struct {
		t     arrow.DataType
		value string
		says  string
	}{
		{stamp(arrow.Nanosecond, "UTC"), `"2024-01-02T03:04:05.000000006Z"`, "nanoseconds"},
		{arrow.ListOf(stamp(arrow.Nanosecond, "UTC")), `["2024-01-02T03:04:05.000000006Z"]`, "nanoseconds"},
		{arrow.FixedWidthTypes.Date64, `1`, "time of day"},
	} {
		schema := arrow.NewSchema([]arrow.Field{{Name: "x", Type: c.t, Nullable: true}}, nil)
		table := h.relational(t, schema, "", "", nil)
		_, _, err := h.w.Ingest(t.Context(), table, jsonRows(t, schema, `[{"x":`+c.value+`}]`))
		if fault.CodeOf(err) != fault.InvalidArgument || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.t, err)
		}
		h.catalog.DropTable(t.Context(), "t", "t-uid")
	}
	b := array.NewStringBuilder(memory.DefaultAllocator)
	b.Append("ok")
	b.Append("\xff\xfe")
	schema := arrow.NewSchema([]arrow.Field{{Name: "x", Type: text}}, nil)
	col := b.NewArray()
	rows := batch.NewSlice(schema, array.NewRecordBatch(schema, []arrow.Array{col}, 2))
	_, _, err := h.w.Ingest(t.Context(), h.relational(t, schema, "", "", nil), rows)
	if fault.CodeOf(err) != fault.InvalidArgument || !strings.Contains(err.Error(), "UTF-8") {
		t.Error(err)
	}
}

func TestIngestKeepsOrderAndCutsFiles(t *testing.T) {
	h := newHouse(t, t.TempDir(), Options{IngestRowsMax: 50_000}, nil)
	rows := func() batch.Reader {
		return h.selected(t, "SELECT range::INTEGER AS n, 'row ' || range AS s, hash(range) AS h FROM range(200000)")
	}
	table := h.relational(t, rows().Schema(), "", "", nil)
	files := h.ingest(t, table, rows())
	if len(files) < 3 || len(files) > 5 {
		t.Errorf("%d files", len(files))
	}
	today := time.Now().UTC().Format(dayLayout)
	for _, f := range files {
		if f.HasID || f.ID != "" || f.Day != today || !strings.HasPrefix(f.Path, "t/_/"+today+"/") || !f.MinTime.IsZero() || f.NullTimes {
			t.Errorf("file %+v", f)
		}
	}
	got := h.rows(t, "t", "SELECT count(*), count(DISTINCT n), bool_and(h = hash(n::BIGINT)), bool_and(s = 'row ' || n) FROM rows")
	if diff := cmp.Diff([][]string{{"200000", "200000", "true", "true"}}, got); diff != "" {
		t.Error(diff)
	}
	path, _ := h.objects.LocalPath(files[1].Path)
	conn, _ := h.db.Conn(t.Context())
	defer conn.Close()
	ordered, err := conn.Strings(t.Context(), "SELECT bool_and(n = first + i) FROM (SELECT n, row_number() OVER () - 1 AS i, first_value(n) OVER () AS first FROM read_parquet("+duck.Literal(path)+"))")
	if err != nil || ordered[0][0] != "true" {
		t.Error("rows are not in the order of arrival", ordered, err)
	}
}

func TestIngestPartitions(t *testing.T) {
	const sql = `SELECT CASE WHEN range % 10 = 9 THEN NULL ELSE 'id ' || range % 10 END AS "day", range AS part,
		CASE WHEN range % 7 = 6 THEN NULL ELSE TIMESTAMPTZ '2024-01-01 23:00:00+00' + to_hours((range % 3)::INTEGER) END AS "segment" FROM range(5000)`
	for name, c := range map[string]struct {
		id, time string
		props    map[string]string
		files    int // but for those of the arrival day
		segments string
	}{
		"id":            {"day", "", nil, 0, "_"},
		"time":          {"", "segment", nil, 2, "_"},
		"id and time":   {"day", "segment", nil, 20, "_"},
		"buckets":       {"day", "segment", map[string]string{IDBucketsProperty: "3"}, 8, "bucket-00"},
		"integer id":    {"part", "", nil, 0, "bucket-0"},
		"case of names": {"DAY", "Segment", nil, 20, "_"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, t.TempDir(), Options{}, nil)
			table := h.relational(t, h.selected(t, sql).Schema(), c.id, c.time, c.props)
			files := h.ingest(t, table, h.selected(t, sql))
			today := time.Now().UTC().Format(dayLayout)
			dated, segments := 0, map[string]bool{}
			for _, f := range files {
				segments[strings.Split(f.Path, "/")[1]] = true
				if f.Day != today {
					dated++
				}
				if withTime := c.time != ""; withTime && f.NullTimes != (f.Day == today) || f.MinTime.IsZero() != (!withTime || f.NullTimes) {
					t.Errorf("file %+v", f)
				}
				if f.Day != today && (f.MinTime.Format(dayLayout) != f.Day || f.MaxTime.Format(dayLayout) != f.Day) {
					t.Errorf("file %+v", f)
				}
				path, _ := h.objects.LocalPath(f.Path)
				h.checkFile(t, path, f)
			}
			if dated != c.files {
				t.Errorf("%d files with a day, want %d", dated, c.files)
			}
			found := false
			for s := range segments {
				found = found || strings.HasPrefix(s, c.segments)
			}
			if !found {
				t.Errorf("segments %v, want one that starts with %s", segments, c.segments)
			}
			got := h.rows(t, "t", `SELECT count(*), sum(part), count(DISTINCT part), count("day"), count("segment") FROM rows`)
			if diff := cmp.Diff([][]string{{"5000", "12497500", "5000", "4500", "4286"}}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// checkFile tells whether what the catalog says of a file is so.
func (h *house) checkFile(t *testing.T, path string, f meta.File) {
	t.Helper()
	conn, err := h.db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	got, err := conn.Strings(t.Context(), `SELECT count(*), count(DISTINCT "day"), any_value("day") FROM read_parquet(`+duck.Literal(path)+`)`)
	if err != nil {
		t.Fatal(err)
	}
	if got[0][0] != fmt.Sprint(f.Rows) || f.HasID && (got[0][1] != "1" || got[0][2] != f.ID) {
		t.Errorf("file %+v holds %v", f, got)
	}
}

func TestIngestBadTimes(t *testing.T) {
	h := newHouse(t, t.TempDir(), Options{}, nil)
	for sql, says := range map[string]string{
		"SELECT TIMESTAMP '20000-01-01' AS t":                             "years 1 to 9999",
		"SELECT 'infinity'::TIMESTAMPTZ AS t":                             "years 1 to 9999",
		"SELECT DATE '0044-03-15 (BC)' AS t":                              "years 1 to 9999",
		"SELECT DATE '2000-01-01' + range::INTEGER AS t FROM range(4001)": "4000 days",
		"SELECT 1 AS t": "must be a DATE or TIMESTAMP",
	} {
		table := h.relational(t, h.selected(t, sql).Schema(), "", "t", nil)
		_, _, err := h.w.Ingest(t.Context(), table, h.selected(t, sql))
		if fault.CodeOf(err) != fault.InvalidArgument || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", sql, err)
		}
		h.catalog.DropTable(t.Context(), "t", "t-uid")
	}
	for o := range h.objects.List(t.Context(), "") {
		t.Error("object left", o.Key)
	}
}

func TestIngestTimesOfAllTypes(t *testing.T) {
	for _, kind := range []string{"DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMPTZ"} {
		h := newHouse(t, t.TempDir(), Options{}, nil)
		sql := "SELECT CAST('1969-12-31' AS " + kind + ") AS t UNION ALL SELECT CAST('2024-02-29' AS " + kind + ")"
		files := h.ingest(t, h.relational(t, h.selected(t, sql).Schema(), "", "t", nil), h.selected(t, sql))
		if len(files) != 2 || files[0].Day != "1969-12-31" || !files[1].MaxTime.Equal(time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("%s: %+v", kind, files)
		}
	}
}

func TestIngestConversions(t *testing.T) {
	typed := func(kind string) meta.Type {
		t, err := ParseType(kind)
		if err != nil {
			panic(err)
		}
		return t
	}
	for _, c := range []struct{ sql, to, want, says string }{
		{"SELECT 5::INTEGER AS x", "BIGINT", "5", ""},
		{"SELECT 5::BIGINT AS x", "TINYINT", "5", ""},
		{"SELECT 500::BIGINT AS x", "TINYINT", "", "Conversion"},
		{"SELECT 5::INTEGER AS x", "DECIMAL(4,2)", "5.00", ""},
		{"SELECT 500::INTEGER AS x", "DECIMAL(4,2)", "", ""},
		{"SELECT 1.5::DECIMAL(4,2) AS x", "DECIMAL(10,4)", "1.5000", ""},
		{"SELECT 1.55::DECIMAL(4,2) AS x", "DECIMAL(10,1)", "", "without loss"},
		{"SELECT 1.5::DOUBLE AS x", "BIGINT", "", "without loss"},
		{"SELECT 5::BIGINT AS x", "DOUBLE", "", "without loss"},
		{"SELECT 'a' AS x", "BIGINT", "", "without loss"},
		{"SELECT {'a': 1} AS x", "STRUCT(b VARCHAR, a BIGINT)", "{'b': NULL, 'a': 1}", ""},
		{"SELECT [1, 2]::INTEGER[2] AS x", "BIGINT[]", "[1, 2]", ""},
		{"SELECT 1 AS y", "BIGINT", "", "no column y"},
		{"SELECT 2::HUGEINT AS x", "DECIMAL(38,0)", "2", ""},
	} {
		h := newHouse(t, t.TempDir(), Options{}, nil)
		s := meta.Schema{Columns: []meta.Column{{Name: "X", Type: typed(c.to)}, {Name: "other", Type: typed("DATE")}}}
		if err := create(t.Context(), h.catalog, "t", "t-uid", meta.Config{}, s); err != nil {
			t.Fatal(err)
		}
		table, _ := h.catalog.Table(t.Context(), "t")
		if c.want == "" {
			_, _, err := h.w.Ingest(t.Context(), table, h.selected(t, c.sql))
			if fault.CodeOf(err) != fault.InvalidArgument || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s to %s: %v", c.sql, c.to, err)
			}
			continue
		}
		h.ingest(t, table, h.selected(t, c.sql))
		if got := h.rows(t, "t", "SELECT x::VARCHAR, other FROM rows"); got[0][0] != c.want || got[0][1] != "" {
			t.Errorf("%s to %s: %v", c.sql, c.to, got)
		}
	}
}

func TestFailedIngestLeavesNothing(t *testing.T) {
	down := fault.New(fault.Unavailable, "store is down")
	h := newHouse(t, t.TempDir(), Options{IngestRowsMax: 1000}, func(s objstore.Store) objstore.Store {
		return objstoretest.Faulty(s, objstoretest.OnNth(objstoretest.OpPut, 3, down))
	})
	const sql = "SELECT range AS n FROM range(200000)"
	table := h.relational(t, h.selected(t, sql).Schema(), "", "", nil)
	if _, _, err := h.w.Ingest(t.Context(), table, h.selected(t, sql)); !errors.Is(err, down) {
		t.Errorf("got %v", err)
	}
	broken := h.selected(t, "SELECT CASE WHEN range = 150000 THEN error('row') ELSE range END AS n FROM range(200000)")
	if _, _, err := h.w.Ingest(t.Context(), table, broken); fault.CodeOf(err) != fault.InvalidArgument {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := h.w.Ingest(ctx, table, h.selected(t, sql)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	for o := range h.objects.List(t.Context(), "") {
		t.Error("object left", o.Key)
	}
	if !emptyNow(t, h.w.tempDir()) {
		t.Error("temporary files left")
	}
	if files := h.ingest(t, table, h.selected(t, "SELECT 1::BIGINT AS n WHERE false")); len(files) != 0 {
		t.Errorf("files of no rows: %v", files)
	}
}

func TestBulkAndRecordsInOneTable(t *testing.T) {
	h := newHouse(t, t.TempDir(), Options{}, nil)
	h.create(t, "t", meta.Config{})
	h.append(t, "t", record("a", at(0), `{"n":1,"mixed":1}`), record("b", at(1), `{"mixed":"s"}`))
	table, _ := h.catalog.Table(t.Context(), "t")
	h.ingest(t, table, h.selected(t, "SELECT 'a' AS id, to_timestamp(1700000002) AS timestamp, 7 AS n, 'text' AS mixed"))
	if _, _, err := h.w.Ingest(t.Context(), table, h.selected(t, "SELECT 'a' AS id")); fault.CodeOf(err) != fault.InvalidArgument {
		t.Error(err)
	}
	want := [][]string{{"a", "1", "1"}, {"b", "", `"s"`}, {"a", "7", `"text"`}}
	if diff := cmp.Diff(want, h.rows(t, "t", "SELECT id, n, mixed FROM rows ORDER BY timestamp")); diff != "" {
		t.Error(diff)
	}
}

func TestParseType(t *testing.T) {
	for _, s := range []string{"", "STRUCT(", "STRUCT(a)", `STRUCT("a INTEGER)`, "INTEGER[", "DECIMAL(3", "STRUCT(a INTEGER,b INTEGER)", "INTEGER)"} {
		if got, err := ParseType(s); err == nil {
			t.Errorf("%q gives %v", s, got)
		}
	}
}

// TestIngestChunksGrow sees to it that loads of all sizes make files of about
// the same size, and enough of them.
func TestIngestChunksGrow(t *testing.T) {
	in := &ingest{w: &Worker{o: Options{IngestRowsMax: 2 << 20}}}
	for total, most := range map[int64]int{1_000_000: 9, 1_500_000: 13, 6_001_215: 36, 60_000_000: 72, 600_000_000: 350} {
		files, largest := 0, int64(0)
		for n := int64(0); n < total; files++ {
			rows := min(in.chunkRows(n), total-n)
			largest = max(largest, rows)
			n += rows
		}
		if files > most || largest*8 > total {
			t.Errorf("%d rows: %d files, the largest of %d rows", total, files, largest)
		}
	}
	in.parts.id = "t.id"
	if got := in.chunkRows(0); got != 16<<20 {
		t.Errorf("a chunk that is cut into partitions has %d rows", got)
	}
}
