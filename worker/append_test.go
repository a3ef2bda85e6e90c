package worker

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"skein/internal/fault"
	"skein/meta"
	nodev1 "skein/proto/node/v1"
)

// evolving are payloads of one field whose type changes, and what SQL reads of
// it at the end: JSON text where types conflict.
var evolving = []struct {
	name     string
	payloads []string // of field x
	want     []string
	kind     string
}{
	{"integers widen to double", []string{`1`, `2.5`, `-3`}, []string{"1.0", "2.5", "-3.0"}, "DOUBLE"},
	{"wide integers and doubles conflict", []string{`9007199254740993`, `2.5`}, []string{"9007199254740993", "2.5"}, "VARCHAR"},
	{"doubles and wide integers conflict", []string{`2.5`, `9007199254740993`}, []string{"2.5", "9007199254740993"}, "VARCHAR"},
	{"beyond BIGINT", []string{`1`, `9223372036854775808`, `-99999999999999999999999999999999999999`},
		[]string{"1", "9223372036854775808", "-99999999999999999999999999999999999999"}, "DECIMAL(38,0)"},
	{"beyond 38 digits", []string{`1`, `100000000000000000000000000000000000000`}, []string{"1", "100000000000000000000000000000000000000"}, "VARCHAR"},
	{"extremes of BIGINT", []string{`9223372036854775807`, `-9223372036854775808`}, []string{"9223372036854775807", "-9223372036854775808"}, "BIGINT"},
	{"beyond DOUBLE", []string{`0.5`, `1e400`, `1e-400`}, []string{"0.5", "1e400", "1e-400"}, "VARCHAR"},
	{"string and number", []string{`"a"`, `1`, `true`}, []string{`"a"`, "1", "true"}, "VARCHAR"},
	{"strings", []string{`"a"`, `"\u00e9\ud83d\ude00 \u0000\""`}, []string{"a", "é😀 \x00\""}, "VARCHAR"},
	{"nulls", []string{`null`, `true`, `null`}, []string{"", "true", ""}, "BOOLEAN"},
	{"lists", []string{`[]`, `[1,2]`, `[null, 2.5]`}, []string{"[]", "[1.0,2.0]", "[null,2.5]"}, "DOUBLE[]"},
	{"structs", []string{`{"a":1}`, `{"b":"x", "A": 2}`, `{}`}, []string{`{"a":1,"b":null}`, `{"a":2,"b":"x"}`, `{"a":null,"b":null}`}, `STRUCT(a BIGINT, b VARCHAR)`},
	{"lists of structs", []string{`[{"a":1}]`, `[{"b":[true]},null]`}, []string{`[{"a":1,"b":null}]`, `[{"a":null,"b":[true]},null]`}, `STRUCT(a BIGINT, b BOOLEAN[])[]`},
	{"struct and number", []string{`{"a": 1.50}`, `7`}, []string{`{"a":1.5}`, "7"}, "VARCHAR"},
	{"empty object first", []string{`{}`, `{ "a" : 1 }`}, []string{"{}", `{"a":1}`}, "VARCHAR"},
	{"conflict inside", []string{`{"a":1}`, `{"a":"s"}`}, []string{`{"a":"1"}`, `{"a":"\"s\""}`}, "STRUCT(a VARCHAR)"},
	{"null inside", []string{`{"a":null}`, `{"a":[null]}`}, []string{`{"a":null}`, `{"a":[null]}`}, "STRUCT(a VARCHAR[])"},
}

// TestEvolution stores each value in a unit of its own, and reads them from
// buffers, from files and from a mix.
func TestEvolution(t *testing.T) {
	for _, c := range evolving {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse(t, t.TempDir(), Options{}, nil)
			h.create(t, "t", meta.Config{})
			check := func(stage string, values int) {
				t.Helper()
				got := h.rows(t, "t", `SELECT CASE WHEN typeof(x) LIKE '%[]' OR typeof(x) LIKE 'STRUCT%' THEN CAST(to_json(x) AS VARCHAR) ELSE CAST(x AS VARCHAR) END FROM rows ORDER BY timestamp`)
				for i, want := range c.want[:values] {
					if values == len(c.want) && got[i][0] != want {
						t.Errorf("%s: value %d of %s is %q, want %q", stage, i, c.payloads[i], got[i][0], want)
					}
				}
			}
			for i, p := range c.payloads {
				h.append(t, "t", record("a", at(i), fmt.Sprintf(`{"x": %s, "other": 1}`, p)))
				if i%2 == 0 {
					h.flush(t)
				}
			}
			check("mixed", len(c.want))
			h.flush(t)
			check("files", len(c.want))
			if got := h.rows(t, "t", "SELECT typeof(x) FROM rows LIMIT 1")[0][0]; got != c.kind {
				t.Errorf("type %s, want %s", got, c.kind)
			}
		})
	}
}

// TestOneUnitOfManyTypes reads the same values from one buffer and one file,
// where JSON keeps the client's text.
func TestOneUnitOfManyTypes(t *testing.T) {
	h := newHouse(t, t.TempDir(), Options{}, nil)
	h.create(t, "t", meta.Config{})
	payloads := []string{`1.50`, `"1.50"`, `[1.0, {"a" : 1e2}]`, `null`, `12345678901234567890123456789012345678901234567890`}
	for i, p := range payloads {
		h.append(t, "t", record("a", at(i), `{"x":`+p+`}`))
	}
	want := [][]string{{`1.50`}, {`"1.50"`}, {`[1.0,{"a":1e2}]`}, {``}, {payloads[4]}}
	for range 2 {
		if diff := cmp.Diff(want, h.rows(t, "t", "SELECT x FROM rows ORDER BY timestamp")); diff != "" {
			t.Error(diff)
		}
		h.flush(t)
	}
}

func TestFieldsCalledIDAndTimestamp(t *testing.T) {
	h := newHouse(t, t.TempDir(), Options{}, nil)
	h.create(t, "t", meta.Config{})
	h.append(t, "t", record("r", at(0), `{"ID": "inner", "timestamp": 5, "payload.id": true, "Name": "n"}`))
	h.append(t, "t", record("r", at(1), `{"id": "again", "NAME": "m"}`))
	got := h.rows(t, "t", `SELECT id, timestamp = to_timestamp(1700000000), "payload.id", "payload.timestamp", "payload.payload.id", name FROM rows ORDER BY timestamp`)
	want := [][]string{{"r", "true", "inner", "5", "true", "n"}, {"r", "false", "again", "", "", "m"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	entry, _ := h.catalog.Table(t.Context(), "t")
	s := entry.Schema()
	if c := s.Columns[s.Column("payload.id")]; c.Field != "ID" {
		t.Errorf("column %+v", c)
	}
}

func TestFilesAreAsTheDesignSays(t *testing.T) {
	h := newHouse(t, t.TempDir(), Options{}, nil)
	h.create(t, "t", meta.Config{})
	ids := []string{"user-1", "..weird/é id", "_", strings.Repeat("long", 100)}
	for i, id := range ids {
		h.append(t, "t", record(id, at(100+i), `{"n":1}`), record(id, at(i), `{"n":2}`), record(id, -1, `{"n":3}`))
	}
	h.flush(t)
	listing, err := h.catalog.Listing(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	if len(listing.Files) != 2*len(ids) || len(listing.Open) != 0 {
		t.Fatalf("%d files, open %v", len(listing.Files), listing.Open)
	}
	for _, f := range listing.Files {
		info, err := h.objects.Stat(t.Context(), f.Path)
		if err != nil || info.Size != f.Bytes {
			t.Errorf("%s: %d bytes, want %d: %v", f.Path, info.Size, f.Bytes, err)
		}
		wantRows, first := int64(2), time.Unix(1_700_000_000, 0)
		if f.Day == "1969-12-31" {
			wantRows, first = 1, time.UnixMicro(-1)
		}
		if f.Rows != wantRows || !f.HasID || !strings.HasPrefix(f.Path, "t/"+meta.EncodeID(f.ID)+"/"+f.Day+"/") || f.MinTime.Before(first) || f.SchemaVersion != 1 {
			t.Errorf("file %+v", f)
		}
	}
	got := h.rows(t, "t", "SELECT id, list(n ORDER BY timestamp) FROM rows GROUP BY id ORDER BY length(id)")
	if len(got) != len(ids) || got[1][0] != "user-1" || got[1][1] != "[3,2,1]" {
		t.Errorf("rows %v", got)
	}
}

func TestBadRecords(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 32) + "1" + strings.Repeat("}", 32)
	many := func(n int, value string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"c%d":%s`, i, value)
		}
		return `{"first":1` + b.String() + `}`
	}
	h := newHouse(t, t.TempDir(), Options{}, nil)
	h.create(t, "t", meta.Config{})
	if err := create(t.Context(), h.catalog, "rel", "rel-uid", meta.Config{}, meta.Schema{Columns: []meta.Column{{Name: "a", Type: meta.Type{Kind: "DATE"}}}}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		table string
		r     *nodev1.Record
		code  fault.Code
		says  string
	}{
		{"t", record("", 0, `{}`), fault.InvalidArgument, "id"},
		{"t", record("a\x00", 0, `{}`), fault.InvalidArgument, "control"},
		{"t", record("a", timeMax+1, `{}`), fault.InvalidArgument, "years 1 to 9999"},
		{"t", record("a", timeMin-1, `{}`), fault.InvalidArgument, "years 1 to 9999"},
		{"t", record("a", 0, ``), fault.InvalidArgument, "JSON"},
		{"t", record("a", 0, `{"a":1`), fault.InvalidArgument, "JSON"},
		{"t", record("a", 0, `{"a":01}`), fault.InvalidArgument, "JSON"},
		{"t", record("a", 0, `{"a":NaN}`), fault.InvalidArgument, "JSON"},
		{"t", record("a", 0, `[1]`), fault.InvalidArgument, "object"},
		{"t", record("a", 0, "{\"a\":\"\xff\"}"), fault.InvalidArgument, "UTF-8"},
		{"t", record("a", 0, `{"a":"\ud800"}`), fault.InvalidArgument, "surrogate"},
		{"t", record("a", 0, `{"":1}`), fault.InvalidArgument, "empty name"},
		{"t", record("a", 0, `{"a\u0000b":1}`), fault.InvalidArgument, "NUL"},
		{"t", record("a", 0, `{"`+strings.Repeat("x", 256)+`":1}`), fault.InvalidArgument, "255"},
		{"t", record("a", 0, `{"name":1,"Name":2}`), fault.InvalidArgument, `"name" and "Name"`},
		{"t", record("a", 0, `{"o":{"a":1,"a":2}}`), fault.InvalidArgument, `"a" twice`},
		{"t", record("a", 0, many(20, "1")[:1]+`"C1":1,`+many(20, "1")[1:]), fault.InvalidArgument, `"C1" and "c1"`},
		{"t", record("a", 0, `{"a":`+deep+`}`), fault.InvalidArgument, "32 levels"},
		{"t", record("a", 0, many(1000, "1")), fault.InvalidArgument, "1000"},
		{"t", record("a", 0, `{"o":`+many(1000, "1")+`}`), fault.InvalidArgument, "1000"},
		{"t", record("a", 0, `{"a":"`+strings.Repeat("x", 16<<20)+`"}`), fault.TooLarge, "bytes"},
		{"rel", record("a", 0, `{}`), fault.InvalidArgument, "bulk ingest"},
		{"nowhere", record("a", 0, `{}`), fault.NotFound, "not found"},
	} {
		err := h.w.Append(t.Context(), &nodev1.AppendRequest{Table: c.table, TableUid: c.table + "-uid", Records: []*nodev1.Record{record("good", 0, `{"good":1}`), c.r}})
		if fault.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.50q: %v %.200v, want %q", c.r.Payload, fault.CodeOf(err), err, c.says)
		}
	}
	err := h.w.Append(t.Context(), &nodev1.AppendRequest{Table: "t", TableUid: "another", Records: []*nodev1.Record{record("a", 0, `{}`)}})
	if fault.CodeOf(err) != fault.NotFound {
		t.Errorf("another incarnation: %v", err)
	}
	if got := h.rows(t, "t", "SELECT count(*) FROM rows"); got[0][0] != "0" {
		t.Errorf("%v rows of refused writes", got)
	}
	h.append(t, "t", record("a", timeMin, strings.ReplaceAll(deep[:len(deep)-1], `{"a":`, `{"ok":`)+`}`), record("a", timeMax, many(900, "null")), record("a", 0, `{}`))
	if got := h.rows(t, "t", "SELECT count(*), max(timestamp)::VARCHAR, min(timestamp)::VARCHAR FROM rows"); got[0][0] != "3" || !strings.HasPrefix(got[0][1], "9999-12-31 23:59:59.999999") || !strings.HasPrefix(got[0][2], "0001-01-01") {
		t.Error(got)
	}
	h.flush(t)
}

func TestColumnsMax(t *testing.T) {
	h := newHouse(t, t.TempDir(), Options{}, nil)
	h.create(t, "t", meta.Config{})
	for batch := range 5 {
		var b strings.Builder
		for i := range 999 {
			fmt.Fprintf(&b, `,"c%d_%d":true`, batch, i)
		}
		err := h.w.Append(t.Context(), &nodev1.AppendRequest{Table: "t", TableUid: "t-uid", Records: []*nodev1.Record{record("a", 0, `{"x":1`+b.String()+`}`)}})
		if ok := batch < 4; ok != (err == nil) || !ok && (fault.CodeOf(err) != fault.InvalidArgument || !strings.Contains(err.Error(), "4096")) {
			t.Fatal(batch, err)
		}
	}
}

// TestEachRowOnceAtEveryInstant reads while goroutines write and flushes run.
func TestEachRowOnceAtEveryInstant(t *testing.T) {
	h := newHouse(t, t.TempDir(), Options{SegmentBytes: 1 << 14}, nil)
	h.create(t, "t", meta.Config{BufferSize: 100})
	h.w.Start(t.Context())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	var acknowledged [4]atomic.Int64
	for g := range acknowledged {
		wg.Go(func() {
			for i := 1; ctx.Err() == nil; i++ {
				err := h.w.Append(context.Background(), &nodev1.AppendRequest{Table: "t", TableUid: "t-uid", Records: []*nodev1.Record{
					record(fmt.Sprint(g), at(i), fmt.Sprintf(`{"g":%d,"i":%d,"k%d":%d}`, g, i, i/200%5, i))}})
				if err != nil {
					t.Error(err)
					return
				}
				acknowledged[g].Store(int64(i))
			}
		})
	}
	eventually(t, "rows of all writers", func() bool {
		for g := range acknowledged {
			if acknowledged[g].Load() == 0 {
				return false
			}
		}
		return true
	})
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); {
		var before [4]int64
		for g := range acknowledged {
			before[g] = acknowledged[g].Load()
		}
		got, err := h.query(t.Context(), "t", "SELECT g, count(*), count(DISTINCT i), max(i) FROM rows GROUP BY g ORDER BY g")
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range got {
			var g, n, distinct, last int64
			fmt.Sscan(strings.Join(r, " "), &g, &n, &distinct, &last)
			if n != distinct || n != last || n < before[g] {
				t.Fatalf("writer %d: %d rows, %d distinct, last %d; %d were acknowledged before", g, n, distinct, last, before[g])
			}
		}
	}
	cancel()
	wg.Wait()
	h.flush(t)
	for g := range acknowledged {
		got := h.rows(t, "t", fmt.Sprintf("SELECT count(*) FROM rows WHERE g = %d", g))
		if got[0][0] != fmt.Sprint(acknowledged[g].Load()) {
			t.Errorf("writer %d: %v rows, %d acknowledged", g, got, acknowledged[g].Load())
		}
	}
}

// TestSchemaRace lets two workers change one table's columns at once.
func TestSchemaRace(t *testing.T) {
	dir := t.TempDir()
	h := newHouse(t, dir, Options{}, nil)
	h.create(t, "t", meta.Config{})
	other, err := New(Deps{Meta: h.catalog, Objects: h.objects, DB: h.db}, Options{NodeID: "n2", Dir: dir + "/other"})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close(t.Context())
	var wg sync.WaitGroup
	for k, w := range []*Worker{h.w, other} {
		for g := range 4 {
			wg.Go(func() {
				for i := range 25 {
					err := w.Append(t.Context(), &nodev1.AppendRequest{Table: "t", TableUid: "t-uid", Records: []*nodev1.Record{
						record("a", at(i), fmt.Sprintf(`{"k%d":1, "c%d":{"g%d":%d}}`, k, i, g, i))}})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	h.flush(t)
	other.Start(t.Context())
	if err := other.Flush(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	got := h.rows(t, "t", "SELECT sum(k0), sum(k1), sum(c24.g0), sum(c24.g3), count(*) FROM rows")
	if diff := cmp.Diff([][]string{{"100", "100", "48", "48", "200"}}, got); diff != "" {
		t.Error(diff)
	}
}
