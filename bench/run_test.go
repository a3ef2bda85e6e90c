//go:build duckdb_arrow

package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"skein/bench/tpch"
	"skein/internal/duck"
	"skein/internal/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rows are small contents for TPC-H's tables; each gives some of the queries
// rows to answer with.
var rows = map[string]string{
	"region":   `SELECT 0, 'EUROPE', 'c'`,
	"nation":   `SELECT i, 'NATION ' || i, 0, 'c' FROM range(5) t(i)`,
	"supplier": `SELECT i, 'Supplier#' || i, 'a', i % 5, '13-1', i, 'c' FROM range(10) t(i)`,
	"customer": `SELECT i, 'Customer#' || i, 'a', i % 5, (13 + i % 10)::VARCHAR || '-1', i - 5, 'BUILDING', 'c' FROM range(50) t(i)`,
	"part":     `SELECT i, 'part', 'm', 'Brand#' || i, 'PROMO', 15, 'MED BOX', i, 'c' FROM range(20) t(i)`,
	"partsupp": `SELECT i % 20, i % 10, i, i / 8, 'c' FROM range(80) t(i)`,
	"orders":   `SELECT i, i % 40, 'F', i * 3.5, DATE '1995-01-01' + (i % 90)::INTEGER, '1-URGENT', 'c', 0, 'größe' FROM range(300) t(i)`,
	"lineitem": `SELECT i % 300, i % 20, i % 10, i % 7, 1 + i % 50, i * 1.25, (i % 10) / 100, (i % 8) / 100, ['A', 'N', 'R'][1 + i % 3], ['F', 'O'][1 + i % 2],
		DATE '1995-01-01' + (i % 400)::INTEGER, DATE '1995-01-10' + (i % 395)::INTEGER, DATE '1995-01-12' + (i % 390)::INTEGER, 'NONE', 'MAIL', 'c' FROM range(30000) t(i)`,
}

// dataSet writes a small data set, lineitem in two parts.
func dataSet(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	db, err := duck.Open(duck.Options{Threads: 1, AllowedDirs: []string{dir}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	exec := func(sql string) {
		t.Helper()
		if _, err := c.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	for _, statement := range schema(t) {
		exec(statement)
	}
	for _, name := range tpch.Tables() {
		exec("INSERT INTO " + name + " " + rows[name])
		if name != "lineitem" {
			exec("COPY " + name + " TO " + duck.Literal(filepath.Join(dir, name+".parquet")))
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "lineitem"), 0o755); err != nil {
		t.Fatal(err)
	}
	exec("COPY (FROM lineitem LIMIT 20000) TO " + duck.Literal(filepath.Join(dir, "lineitem", "lineitem.1.parquet")))
	exec("COPY (FROM lineitem OFFSET 20000) TO " + duck.Literal(filepath.Join(dir, "lineitem", "lineitem.2.parquet")))
	return dir
}

func runFake(t *testing.T, f *fakeServer, o Options) (Report, string, error) {
	t.Helper()
	var out bytes.Buffer
	o.Addr, o.HTTP, o.TempDir = f.addr, f.url, t.TempDir()
	o.JSON = filepath.Join(t.TempDir(), "report.json")
	err := Run(t.Context(), o, &out)
	text, readErr := os.ReadFile(o.JSON)
	if readErr != nil {
		t.Fatal(readErr)
	}
	var r Report
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	left, readErr := os.ReadDir(o.TempDir)
	if readErr != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, readErr)
	}
	return r, out.String(), err
}

func TestTPCH(t *testing.T) {
	f, dir := newFake(t), dataSet(t)
	r, out, err := runFake(t, f, Options{Suites: []string{SuiteTPCH}, DataDir: dir, Runs: 2})
	if err != nil {
		t.Fatal(err)
	}
	if r.Server != "Fake 0.1" || r.Machine.DuckDB != "1.5.6" || r.Machine.Cores < 1 {
		t.Errorf("got %q on %+v", r.Server, r.Machine)
	}
	if n := len(r.TPCH.Queries); n != tpch.QueryCount {
		t.Fatalf("got %d queries", n)
	}
	var some int
	for _, q := range r.TPCH.Queries {
		if q.Rows > 0 {
			some++
		}
		if len(q.SkeinRuns) != 2 || len(q.DuckRuns) != 2 || q.SkeinMS <= 0 || q.DuckMS <= 0 || q.Ratio <= 0 {
			t.Errorf("%+v", q)
		}
	}
	if some < 10 || r.TPCH.Ratio <= 0 {
		t.Errorf("%d queries have rows, ratio %g", some, r.TPCH.Ratio)
	}
	for _, want := range []string{"│ q22 ", "│ sum ", "right"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if want := "create lineitem 30000"; f.ingests[7] != want {
		t.Errorf("got %q, want %q", f.ingests[7], want)
	}
}

func TestTPCHFails(t *testing.T) {
	dir := dataSet(t)
	wrong := func(sql string) string {
		return strings.Replace(sql, "count(*) AS count_order", "count(*) + 1 AS count_order", 1)
	}
	broken := func(sql string) string { return strings.Replace(sql, "l_extendedprice * l_discount", "nothing", 1) }
	for name, c := range map[string]struct {
		rewrite func(string) string
		options Options
		says    string // in the error
		prints  string
	}{
		"wrong answer": {wrong, Options{Queries: []int{1, 6}}, "1 of 2 queries: q01 wrong", "q01: row 1, column count_order: got"},
		"error":        {broken, Options{Queries: []int{6, 14}}, "1 of 2 queries: q06 error", `q06: Binder Error: Referenced column "nothing"`},
		"slow":         {nil, Options{Queries: []int{6}, RatioMax: 1e-9}, "times as long as DuckDB's, more than", "right"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			if c.rewrite != nil {
				f.rewrite = c.rewrite
			}
			c.options.DataDir, c.options.Suites, c.options.Runs = dir, []string{SuiteTPCH}, 1
			r, out, err := runFake(t, f, c.options)
			if !errors.Is(err, ErrFailed) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got error %v", err)
			}
			if !strings.Contains(out, c.prints) {
				t.Errorf("%q is not in\n%s", c.prints, out)
			}
			if !strings.Contains(r.Failure, c.says) {
				t.Errorf("the report says %q", r.Failure)
			}
		})
	}
}

func TestLoadModes(t *testing.T) {
	dir := dataSet(t)
	for name, c := range map[string]struct {
		load    string
		before  string // on the server's table nation
		ingests []string
		code    fault.Code
		says    string
	}{
		"missing":          {load: LoadAuto, ingests: []string{"create nation 5"}},
		"there":            {load: LoadAuto, before: rows["nation"]},
		"other size":       {load: LoadAuto, before: "SELECT 1, 'x', 1, 'c'", code: fault.AlreadyExists, says: "table nation: has 1 rows on the server, the files have 5"},
		"replace":          {load: LoadReplace, before: "SELECT 1, 'x', 1, 'c'", ingests: []string{"replace nation 5"}},
		"replace the same": {load: LoadReplace, before: rows["nation"]},
		"never":            {load: LoadNever, code: fault.NotFound, says: "table nation: is not on the server"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			for _, table := range tpch.Tables() {
				fill := rows[table]
				if table == "nation" {
					fill = c.before
				}
				if fill != "" {
					f.makeTPCH(table)
					f.exec("INSERT INTO " + table + " " + fill)
				}
			}
			_, _, err := runFake(t, f, Options{Suites: []string{SuiteTPCH}, DataDir: dir, Load: c.load, Queries: []int{6}, Runs: 1})
			if c.says == "" && err != nil || c.says != "" && (fault.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("got error %v", err)
			}
			if !slices.Equal(f.ingests, c.ingests) {
				t.Errorf("got ingests %q, want %q", f.ingests, c.ingests)
			}
		})
	}
}

func TestWrites(t *testing.T) {
	f := newFake(t)
	r, out, err := runFake(t, f, Options{Suites: []string{SuiteWrites}, Connections: 4, Singles: 50, Batches: 5, BatchRows: 20})
	if err != nil {
		t.Fatal(err)
	}
	w := r.Writes
	if w.Rows != 150 || w.bad() || len(w.Modes) != 2 || w.Modes[0].Rows != 50 || w.Modes[1].Rows != 100 {
		t.Errorf("got %+v", w)
	}
	for _, m := range w.Modes {
		if m.Skein.RowsPerSecond <= 0 || m.DuckDB.RowsPerSecond <= 0 || m.Ratio <= 0 || m.Skein.P50MS > m.Skein.P99MS || m.DuckDB.P99MS <= 0 {
			t.Errorf("got %+v", m)
		}
	}
	if !strings.Contains(out, "150 rows acknowledged: 0 missing, 0 repeated, 0 wrong") {
		t.Error(out)
	}
	if len(f.tables) > 0 {
		t.Errorf("tables are left: %v", f.tables)
	}
}

// TestWritesRetry has the server's buffers full now and then, also half way
// through a request.
func TestWritesRetry(t *testing.T) {
	f := newFake(t)
	calls := 0
	f.posted = func(r []fakeRecord) reply {
		calls++
		switch calls % 4 {
		case 1:
			return reply{0, 429}
		case 2:
			return reply{len(r) / 2, 429}
		}
		return reply{len(r), 200}
	}
	r, _, err := runFake(t, f, Options{Suites: []string{SuiteWrites}, Connections: 2, Singles: 4, Batches: 3, BatchRows: 10})
	if err != nil {
		t.Fatal(err)
	}
	if w := r.Writes; w.Rows != 34 || w.bad() || w.Modes[0].Skein.Retries == 0 || w.Modes[1].Skein.Retries == 0 {
		t.Errorf("got %+v", w)
	}
}

func TestWritesFail(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(f *fakeServer, r *fakeRecord) (times int)
		says  string
		shows string
	}{
		"lost":    {func(*fakeServer, *fakeRecord) int { return 0 }, "1 are missing, 0 repeated, 0 wrong", "record 7 is missing"},
		"doubled": {func(*fakeServer, *fakeRecord) int { return 2 }, "0 are missing, 1 repeated, 0 wrong", "record 7 is there more than once"},
		"changed": {func(_ *fakeServer, r *fakeRecord) int { r.Payload.Name = "other"; return 1 }, "0 are missing, 0 repeated, 1 wrong", "record 7 is [7 device-07"},
		"made up": {func(f *fakeServer, r *fakeRecord) int {
			x := *r
			x.Payload.Seq = 1_000_000
			f.store(x)
			return 1
		}, "0 are missing, 0 repeated, 1 wrong", "was never written"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.posted = func(records []fakeRecord) reply {
				if i := slices.IndexFunc(records, func(r fakeRecord) bool { return r.Payload.Seq == 7 }); i >= 0 {
					r := records[i]
					for range c.spoil(f, &r) {
						f.store(r)
					}
					return reply{0, 200}
				}
				return reply{len(records), 200}
			}
			r, out, err := runFake(t, f, Options{Suites: []string{SuiteWrites}, Connections: 2, Singles: 10, Batches: 1, BatchRows: 5})
			if !errors.Is(err, ErrFailed) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got error %v", err)
			}
			if !strings.Contains(out, c.shows) {
				t.Errorf("%q is not in\n%s", c.shows, out)
			}
			if len(f.tables) != 1 || !r.Writes.bad() {
				t.Errorf("tables %v: the wrong one is kept to be looked at", f.tables)
			}
		})
	}
}

func TestWritesRefused(t *testing.T) {
	f := newFake(t)
	f.posted = func([]fakeRecord) reply { return reply{0, 503} }
	_, _, err := runFake(t, f, Options{Suites: []string{SuiteWrites}, Singles: 1, Batches: 1, BatchRows: 1})
	if err == nil || !strings.Contains(err.Error(), "single writes: HTTP 503 X: no") {
		t.Errorf("got %v", err)
	}
	if len(f.tables) > 0 {
		t.Errorf("tables are left: %v", f.tables)
	}
}

// closedAddr is an address where nobody listens.
func closedAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestNoServer(t *testing.T) {
	addr := closedAddr(t)
	err := Run(t.Context(), Options{Addr: addr, Suites: []string{SuiteWrites}}, io.Discard)
	if fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "no server answers at "+addr+": start one with `skein serve`") {
		t.Errorf("got %v", err)
	}
	f := newFake(t)
	err = Run(t.Context(), Options{Addr: f.addr, HTTP: "http://" + addr, Suites: []string{SuiteWrites}}, io.Discard)
	if fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "no answer from http://"+addr+": start a server") {
		t.Errorf("got %v", err)
	}
}

func TestRunStops(t *testing.T) {
	f, dir := newFake(t), dataSet(t)
	ctx, cancel := context.WithCancel(t.Context())
	f.rewrite = func(sql string) string {
		if strings.Contains(sql, "lineitem") {
			cancel()
		}
		return sql
	}
	err := Run(ctx, Options{Addr: f.addr, Suites: []string{SuiteTPCH}, DataDir: dir}, io.Discard)
	if fault.CodeOf(err) != fault.Canceled {
		t.Errorf("got %v", err)
	}
}
