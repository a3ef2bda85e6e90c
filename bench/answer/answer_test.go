package answer

import (
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

func TestCells(t *testing.T) {
	at := time.Date(2024, 2, 29, 23, 59, 58, 123456000, time.UTC)
	micros := arrow.Timestamp(at.UnixMicro())
	dec := func(unscaled int64, scale int32) func(array.Builder) {
		return func(b array.Builder) { b.(*array.Decimal128Builder).Append(decimal128.FromI64(unscaled)) }
	}
	text := func(b array.Builder) {
		b.(interface{ Append(string) }).Append("größe")
	}
	for name, c := range map[string]struct {
		typ  arrow.DataType
		add  func(array.Builder)
		kind Kind
		want any
	}{
		"int64":       {arrow.PrimitiveTypes.Int64, func(b array.Builder) { b.(*array.Int64Builder).Append(math.MinInt64) }, Number, "-9223372036854775808"},
		"uint8":       {arrow.PrimitiveTypes.Uint8, func(b array.Builder) { b.(*array.Uint8Builder).Append(255) }, Number, "255"},
		"decimal":     {&arrow.Decimal128Type{Precision: 15, Scale: 2}, dec(-1250, 2), Number, "-12.5"},
		"whole":       {&arrow.Decimal128Type{Precision: 38, Scale: 4}, dec(120_0000, 4), Number, "120"},
		"below one":   {&arrow.Decimal128Type{Precision: 15, Scale: 3}, dec(-7, 3), Number, "-0.007"},
		"zero":        {&arrow.Decimal128Type{Precision: 15, Scale: 3}, dec(0, 3), Number, "0"},
		"minus scale": {&arrow.Decimal128Type{Precision: 15, Scale: -2}, dec(12, -2), Number, "1200"},
		"decimal64": {&arrow.Decimal64Type{Precision: 9, Scale: 1}, func(b array.Builder) {
			b.(*array.Decimal64Builder).Append(decimal.Decimal64(105))
		}, Number, "10.5"},
		"double":      {arrow.PrimitiveTypes.Float64, func(b array.Builder) { b.(*array.Float64Builder).Append(0.1) }, Float, 0.1},
		"float":       {arrow.PrimitiveTypes.Float32, func(b array.Builder) { b.(*array.Float32Builder).Append(0.5) }, Float, 0.5},
		"bool":        {arrow.FixedWidthTypes.Boolean, func(b array.Builder) { b.(*array.BooleanBuilder).Append(true) }, Bool, true},
		"string":      {arrow.BinaryTypes.String, text, Text, "größe"},
		"large":       {arrow.BinaryTypes.LargeString, text, Text, "größe"},
		"view":        {arrow.BinaryTypes.StringView, text, Text, "größe"},
		"blob":        {arrow.BinaryTypes.Binary, func(b array.Builder) { b.(*array.BinaryBuilder).Append([]byte{0, 255}) }, Blob, "00ff"},
		"date":        {arrow.FixedWidthTypes.Date32, func(b array.Builder) { b.(*array.Date32Builder).Append(arrow.Date32FromTime(at)) }, Date, "2024-02-29"},
		"timestamp":   {&arrow.TimestampType{Unit: arrow.Microsecond}, func(b array.Builder) { b.(*array.TimestampBuilder).Append(micros) }, Timestamp, "2024-02-29T23:59:58.123456000"},
		"timestamptz": {&arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "Europe/Berlin"}, func(b array.Builder) { b.(*array.TimestampBuilder).Append(micros) }, TimestampTZ, "2024-02-29T23:59:58.123456000"},
		"null":        {arrow.PrimitiveTypes.Int32, func(b array.Builder) { b.AppendNull() }, Number, nil},
		"list": {arrow.ListOf(arrow.PrimitiveTypes.Int32), func(b array.Builder) {
			b.(*array.ListBuilder).Append(true)
			b.(*array.ListBuilder).ValueBuilder().(*array.Int32Builder).Append(7)
		}, Kind(arrow.ListOf(arrow.PrimitiveTypes.Int32).String()), "[7]"},
	} {
		t.Run(name, func(t *testing.T) {
			alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
			defer alloc.AssertSize(t, 0)
			schema := arrow.NewSchema([]arrow.Field{{Name: "c", Type: c.typ, Nullable: true}}, nil)
			b := array.NewRecordBuilder(alloc, schema)
			defer b.Release()
			c.add(b.Field(0))
			rec := b.NewRecordBatch()
			got := Of(schema, []arrow.RecordBatch{rec, rec})
			rec.Release()
			want := Answer{Columns: []Column{{"c", c.kind}}, Rows: [][]any{{c.want}, {c.want}}}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

// TestOutlives frees the batch's memory, as DuckDB does with its own.
func TestOutlives(t *testing.T) {
	buf := memory.NewBufferBytes([]byte("mutable"))
	offsets := memory.NewBufferBytes(arrow.Int32Traits.CastToBytes([]int32{0, 7}))
	data := array.NewData(arrow.BinaryTypes.String, 1, []*memory.Buffer{nil, offsets, buf}, nil, 0, 0)
	schema := arrow.NewSchema([]arrow.Field{{Name: "c", Type: arrow.BinaryTypes.String}}, nil)
	a := Of(schema, []arrow.RecordBatch{array.NewRecordBatch(schema, []arrow.Array{array.NewStringData(data)}, 1)})
	copy(buf.Bytes(), "XXXXXXX")
	if a.Rows[0][0] != "mutable" {
		t.Errorf("got %q: the answer points into the batch", a.Rows[0][0])
	}
}

func TestCompare(t *testing.T) {
	columns := []Column{{"k", Number}, {"s", Text}, {"f", Float}}
	row := func(k, s any, f any) []any { return []any{k, s, f} }
	is := func(rows ...[]any) Answer { return Answer{Columns: columns, Rows: rows} }
	for name, c := range map[string]struct {
		got, want Answer
		orderBy   []int
		diffs     string // one after another; none if empty
	}{
		"same":           {got: is(row("1", "a", 1.0)), want: is(row("1", "a", 1.0))},
		"empty":          {got: is(), want: is()},
		"any order":      {got: is(row("1", "a", 1.0), row("2", nil, nil)), want: is(row("2", nil, nil), row("1", "a", 1.0))},
		"wrong order":    {got: is(row("2", "b", 1.0), row("1", "b", 1.0)), want: is(row("1", "b", 1.0), row("2", "b", 1.0)), orderBy: []int{0}, diffs: `row 1, column k: got "2", want "1"; row 2, column k: got "1", want "2"`},
		"tie":            {got: is(row("1", "b", 1.0), row("1", "a", 1.0)), want: is(row("1", "a", 1.0), row("1", "b", 1.0)), orderBy: []int{0}},
		"tie of floats":  {got: is(row("1", "b", 2.0), row("1", "a", 2+1e-12)), want: is(row("1", "a", 2.0), row("1", "b", 2+1e-12)), orderBy: []int{2}},
		"not a tie":      {got: is(row("1", "b", 1.0), row("1", "a", 1.0)), want: is(row("1", "a", 1.0), row("1", "b", 1.0)), orderBy: []int{0, 1}, diffs: `row 1, column s: got "b", want "a"; row 2, column s: got "a", want "b"`},
		"value":          {got: is(row("1", "a", 1.0)), want: is(row("1", "b", 1.0)), diffs: `row 1, column s: got "a", want "b"`},
		"null":           {got: is(row(nil, "a", 1.0)), want: is(row("1", "a", 1.0)), diffs: `row 1, column k: got NULL, want "1"`},
		"null and empty": {got: is(row("1", nil, 1.0)), want: is(row("1", "", 1.0)), diffs: `row 1, column s: got NULL, want ""`},
		"float close":    {got: is(row("1", "a", 1e12)), want: is(row("1", "a", 1e12+100))},
		"float far":      {got: is(row("1", "a", 1.0)), want: is(row("1", "a", 1.00000001)), diffs: `row 1, column f: got 1, want 1.00000001`},
		"float sign":     {got: is(row("1", "a", 1.0)), want: is(row("1", "a", -1.0)), diffs: `row 1, column f: got 1, want -1`},
		"float null":     {got: is(row("1", "a", nil)), want: is(row("1", "a", 0.0)), diffs: `row 1, column f: got NULL, want 0`},
		"nan":            {got: is(row("1", "a", math.NaN())), want: is(row("1", "a", math.NaN()))},
		"nan, number":    {got: is(row("1", "a", math.NaN())), want: is(row("1", "a", 1.0)), diffs: `row 1, column f: got NaN, want 1`},
		"infinite":       {got: is(row("1", "a", math.Inf(1))), want: is(row("1", "a", math.MaxFloat64)), diffs: `row 1, column f: got +Inf, want 1.7976931348623157e+308`},
		"row missing":    {got: is(row("1", "a", 1.0)), want: is(row("1", "a", 1.0), row("2", "a", 1.0)), diffs: `got 1 rows, want 2 rows`},
		"row too many":   {got: is(row("1", "a", 1.0), row("2", "a", 1.0)), want: is(row("1", "a", 1.0)), orderBy: []int{0}, diffs: `got 2 rows, want 1 rows`},
		"doubled, lost":  {got: is(row("1", "a", 1.0), row("1", "a", 1.0)), want: is(row("1", "a", 1.0), row("2", "a", 1.0)), diffs: `row 2, column k: got "1", want "2"`},
		"column kind":    {got: Answer{Columns: []Column{{"k", Float}}}, want: Answer{Columns: []Column{{"k", Number}}}, diffs: `column k: got "k" of kind float, want "k" of kind number`},
		"column name":    {got: Answer{Columns: []Column{{"K", Number}}}, want: Answer{Columns: []Column{{"k", Number}}}, diffs: `column k: got "K" of kind number, want "k" of kind number`},
		"columns":        {got: Answer{}, want: Answer{Columns: []Column{{"k", Number}}}, diffs: `got 0 columns [], want 1 columns [{k number}]`},
	} {
		t.Run(name, func(t *testing.T) {
			var diffs []string
			for _, d := range Compare(c.got, c.want, c.orderBy) {
				diffs = append(diffs, d.String())
			}
			if got := strings.Join(diffs, "; "); got != c.diffs {
				t.Errorf("got  %s\nwant %s", got, c.diffs)
			}
		})
	}
}

func TestCompareStopsTelling(t *testing.T) {
	columns := []Column{{"k", Number}}
	got, want := Answer{Columns: columns}, Answer{Columns: columns}
	for i := range 100 {
		got.Rows = append(got.Rows, []any{strconv.Itoa(i + 1000)})
		want.Rows = append(want.Rows, []any{strconv.Itoa(i)})
	}
	if n := len(Compare(got, want, nil)); n != differencesMax {
		t.Errorf("got %d differences, want %d", n, differencesMax)
	}
}

func TestCompareLeavesAnswers(t *testing.T) {
	columns := []Column{{"k", Number}}
	a := Answer{Columns: columns, Rows: [][]any{{"2"}, {"1"}}}
	Compare(a, a, nil)
	if a.Rows[0][0] != "2" {
		t.Error("the comparison sorted its argument")
	}
}
