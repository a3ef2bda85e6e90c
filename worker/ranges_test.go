package worker

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"skein/internal/duck"
	"skein/meta"
)

// ranged are types that have ranges, values of them, and how DuckDB tells a
// bound of the column %s.
var ranged = []struct{ kind, values, text string }{
	{"BOOLEAN", "true;false", "%s::INTEGER"},
	{"TINYINT", "-128;-1;0;127", "%s"}, {"SMALLINT", "-32768;0;32767", "%s"}, {"INTEGER", "-2147483648;-5;2147483647", "%s"},
	{"BIGINT", "-9223372036854775808;-1;9223372036854775807", "%s"},
	{"UTINYINT", "0;127;128;255", "%s"}, {"USMALLINT", "0;32768;65535", "%s"}, {"UINTEGER", "0;2147483647;2147483648;4294967295", "%s"},
	{"UBIGINT", "0;9223372036854775807;9223372036854775808;18446744073709551615", "%s"},
	{"DECIMAL(4,1)", "-999.9;-0.1;0;0.5;12.3", "%s"}, {"DECIMAL(9,0)", "-999999999;7", "%s"}, {"DECIMAL(18,18)", "-0.999999999999999999;0.000000000000000001", "%s"},
	{"DECIMAL(38,3)", "-99999999999999999999999999999999999.999;-0.001;0;170141183460469231731687303715.884", "%s"},
	{"FLOAT", "-1.5;0;0.1;3e38;1e-40;'inf';'-inf';'nan'", "%s::DOUBLE"}, {"DOUBLE", "-1.5;0;-0.0;0.1;1e300;5e-324;'inf';'-inf';'nan'", "%s"},
	{"DATE", "'0044-03-15 (BC)';'1969-12-31';'2024-02-29';'infinity';'-infinity'", "CASE WHEN isfinite(%s) THEN %[1]s - DATE '1970-01-01' WHEN %[1]s > DATE '1970-01-01' THEN 2147483647 WHEN %[1]s IS NOT NULL THEN -2147483647 END"},
	{"TIMESTAMP", "'1500-01-01';'1969-12-31 23:59:59.999999';'2024-02-29 12:00:00'", "epoch_us(%s)"},
	{"TIMESTAMP WITH TIME ZONE", "'1500-01-01';'1969-12-31 23:59:59.999999+02';'2024-02-29 12:00:00'", "epoch_us(%s)"},
	{"TIMESTAMP_NS", "'1969-12-31 23:59:59.999999999';'2024-02-29 12:00:00.123456789'", "epoch_ns(%s)"},
	{"VARCHAR", "'';'a';'\u007f';'é';'\U0001F600';chr(0);'it''s';repeat('a', 33);repeat('\U0010FFFF', 20);repeat('é', 5000);repeat('\uD7FF', 40)", "%s"},
}

// checkRanges compares the ranges of a file with its rows, and returns in how
// many columns both bounds are known.
func (h *house) checkRanges(t *testing.T, f meta.File, s meta.Schema) (bounded int) {
	t.Helper()
	conn, err := h.db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	path, err := h.objects.LocalPath(f.Path)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range s.Columns {
		r, ok := f.Ranges.Of(i)
		kind := slices.IndexFunc(ranged, func(r struct{ kind, values, text string }) bool { return r.kind == c.Type.Kind })
		if !ok || kind < 0 {
			continue
		}
		name := meta.QuoteIdent(c.Name)
		least, greatest := fmt.Sprintf(ranged[kind].text, "min("+name+")"), fmt.Sprintf(ranged[kind].text, "max("+name+")")
		rows, err := conn.Strings(t.Context(), fmt.Sprintf("SELECT (%s)::VARCHAR, (%s)::VARCHAR, count(*) - count(%s) FROM read_parquet(%s)", least, greatest, name, duck.Literal(path)))
		if err != nil {
			t.Fatal(err)
		}
		low, high, nulls := rows[0][0], rows[0][1], rows[0][2]
		if nulls != fmt.Sprint(r.Nulls) {
			t.Errorf("%s: %d NULLs, want %s", c.Name, r.Nulls, nulls)
		}
		if r.Min == "" && r.Max == "" {
			continue
		}
		bounded++
		switch kind, _, _ := strings.Cut(c.Type.Kind, "("); kind {
		case "VARCHAR":
			if r.Min > low || r.Max != "" && r.Max < high || r.Max != high && len(high) <= meta.RangeTextMax {
				t.Errorf("%s: %q to %q, want %.50q to %.50q", c.Name, r.Min, r.Max, low, high)
			}
		case "FLOAT", "DOUBLE", "DECIMAL":
			same, err := conn.Strings(t.Context(), fmt.Sprintf("SELECT min(%[1]s) = '%[2]s'::%[4]s, max(%[1]s) = '%[3]s'::%[4]s FROM read_parquet(%[5]s)",
				name, r.Min, r.Max, strings.Replace(c.Type.Kind, "FLOAT", "DOUBLE", 1), duck.Literal(path)))
			if err != nil || same[0][0] != "true" || same[0][1] != "true" {
				t.Errorf("%s: %s to %s, want %s to %s, %v", c.Name, r.Min, r.Max, low, high, err)
			}
		default:
			if r.Min != low || r.Max != high {
				t.Errorf("%s: %s to %s, want %s to %s", c.Name, r.Min, r.Max, low, high)
			}
		}
	}
	return bounded
}

// TestRangesOfIngestedFiles loads drawn rows of all types in files of several
// row groups.
func TestRangesOfIngestedFiles(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	h := newHouse(t, t.TempDir(), Options{}, nil)
	var defs []string
	for _, c := range ranged {
		defs = append(defs, meta.QuoteIdent("c "+c.kind)+" "+c.kind)
	}
	rows := func(n int) string {
		var lines []string
		for range n {
			var values []string
			for _, c := range ranged {
				v := append(strings.Split(c.values, ";"), "NULL")
				values = append(values, "CAST("+v[r.IntN(len(v))]+" AS "+c.kind+")")
			}
			lines = append(lines, "("+strings.Join(values, ",")+")")
		}
		var names []string
		for _, c := range ranged {
			names = append(names, meta.QuoteIdent("c "+c.kind))
		}
		return "SELECT * FROM (VALUES " + strings.Join(lines, ",") + ") t(" + strings.Join(names, ",") + ")"
	}
	table := h.relational(t, h.selected(t, rows(1)).Schema(), "", "", nil)
	s, bounded := table.Schema(), 0
	const loads = 20
	for n := range loads {
		for _, f := range h.ingest(t, table, h.selected(t, rows(n%6+1))) {
			bounded += h.checkRanges(t, f, s)
		}
	}
	if want := loads * len(defs) * 3 / 4; bounded < want {
		t.Errorf("%d bounded columns, want at least %d", bounded, want)
	}
	large := "SELECT * EXCLUDE (range) FROM range(140000), (" + rows(1) + ") UNION ALL " + rows(3)
	for _, f := range h.ingest(t, table, h.selected(t, large)) {
		h.checkRanges(t, f, s)
	}
}

// TestRangesOfFlushedFiles writes records of each JSON type.
func TestRangesOfFlushedFiles(t *testing.T) {
	h := newHouse(t, t.TempDir(), Options{}, nil)
	h.create(t, "t", meta.Config{})
	long := strings.Repeat("é", 40)
	h.append(t, "t",
		record("a", at(0), `{"n":-7,"f":1.5,"s":"b","b":false,"big":-123456789012345678901,"mixed":1,"list":[1],"o":{"x":1},"null":null,"long":"`+long+`"}`),
		record("a", at(1), `{"n":9007199254740993,"f":-0.0,"s":"","b":true,"big":99999999999999999999999999999999999999,"mixed":"x","long":"a"}`),
		record("a", at(2), `{"n":0,"f":2e-300,"long":""}`))
	h.flush(t)
	l, err := h.catalog.Listing(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	entry, err := h.catalog.Table(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	if len(l.Files) != 1 {
		t.Fatalf("%d files", len(l.Files))
	}
	s := entry.Schemas[l.Files[0].SchemaVersion]
	h.checkRanges(t, l.Files[0], s)
	got := map[string]string{}
	for r := range l.Files[0].Ranges.All() {
		got[s.Columns[r.Column].Name] = fmt.Sprintf("%d %q %q", r.Nulls, r.Min, r.Max)
	}
	want := map[string]string{
		"timestamp": `0 "1700000000000000" "1700000002000000"`, "n": `0 "-7" "9007199254740993"`, "f": `0 "-0" "1.5"`, "s": `1 "" "b"`, "b": `1 "0" "1"`,
		"big":  `1 "-123456789012345678901" "99999999999999999999999999999999999999"`,
		"long": fmt.Sprintf(`0 "" %q`, strings.Repeat("é", 15)+"ê"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestRangesOfManyColumns(t *testing.T) {
	h := newHouse(t, t.TempDir(), Options{}, nil)
	var names []string
	for i := range 2 * meta.RangesMax {
		names = append(names, fmt.Sprintf("%d AS c%d", i, i))
	}
	sql := "SELECT " + strings.Join(names, ", ")
	table := h.relational(t, h.selected(t, sql).Schema(), "", "", nil)
	for _, f := range h.ingest(t, table, h.selected(t, sql)) {
		all := slices.Collect(f.Ranges.All())
		if len(all) != meta.RangesMax || all[meta.RangesMax-1].Column != meta.RangesMax-1 {
			t.Errorf("%d ranges", len(all))
		}
	}
}

// TestNoRangesOfWhatIsNoFile has a footer that cannot be read.
func TestNoRangesOfWhatIsNoFile(t *testing.T) {
	for _, text := range []string{"", "PAR1", "PAR1" + strings.Repeat("x", 100) + "\xff\xff\xff\x7fPAR1", strings.Repeat("x", 100) + "\x50\x00\x00\x00PAR1"} {
		f := meta.File{Bytes: int64(len(text))}
		if got, err := readRanges(strings.NewReader(text), &f, recordSchema()); err == nil || got != "" {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}
