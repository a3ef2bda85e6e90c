//go:build duckdb_arrow

package clickbench

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"skein/internal/duck"
	"skein/internal/fault"
)

func open(t *testing.T, dir string) *duck.Conn {
	t.Helper()
	db, err := duck.Open(duck.Options{Threads: 2, MemoryLimit: "1GB", AllowedDirs: []string{dir}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func write(t *testing.T, c *duck.Conn, dir string, o Options) {
	t.Helper()
	statements, err := Generate(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range statements {
		if _, err := c.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%v\n%s", err, sql)
		}
	}
}

func rows(t *testing.T, c *duck.Conn, sql string) [][]string {
	t.Helper()
	got, err := c.Strings(t.Context(), sql)
	if err != nil {
		t.Fatalf("%v\n%s", err, sql)
	}
	return got
}

// rowsOfTest of a test run; SKEIN_TEST_HITS asks for more.
const rowsOfTest = 30_000

func TestQueriesOverGeneratedData(t *testing.T) {
	n := rowsOfTest
	if s := os.Getenv("SKEIN_TEST_HITS"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	c := open(t, dir)
	start := time.Now()
	write(t, c, dir, Options{Rows: n, Files: 3})
	t.Logf("%d rows in %s", n, time.Since(start))
	if _, err := c.Exec(t.Context(), "CREATE VIEW hits AS SELECT * FROM read_parquet('"+filepath.Join(dir, "*.parquet")+"')"); err != nil {
		t.Fatal(err)
	}
	var empty []int
	for _, q := range Queries() {
		start := time.Now()
		got := rows(t, c, q.Total)
		if len(got) == 0 {
			empty = append(empty, q.Number)
		}
		if again := rows(t, c, q.SQL); len(again) != len(got) {
			t.Errorf("%s: %d rows, in total order %d", q.Name(), len(again), len(got))
		}
		t.Logf("%s: %d rows, %s", q.Name(), len(got), time.Since(start))
	}
	// These ask for more rows than so few hits have.
	if n < 1_000_000 {
		empty = slices.DeleteFunc(empty, func(q int) bool { return slices.Contains([]int{28, 29, 39, 40, 41, 42, 43}, q) })
	}
	if len(empty) > 0 {
		t.Errorf("no rows: %v", empty)
	}
}

func TestDataHasTheSchema(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	write(t, c, dir, Options{Rows: 5000, Files: 2})
	if _, err := c.Exec(t.Context(), Schema()); err != nil {
		t.Fatal(err)
	}
	describe := "SELECT column_name, column_type FROM (DESCRIBE %s)"
	want := rows(t, c, fmt.Sprintf(describe, "hits"))
	got := rows(t, c, fmt.Sprintf(describe, "SELECT * FROM read_parquet('"+filepath.Join(dir, "hits.0.parquet")+"')"))
	if len(want) != 105 || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%d columns\ngot  %v\nwant %v", len(want), got, want)
	}
	all := "FROM read_parquet('" + filepath.Join(dir, "*.parquet") + "')"
	checks := rows(t, c, "SELECT count(*), count(DISTINCT WatchID), count(*) FILTER (WHERE EventTime::DATE <> EventDate), count(*) - count(UserID) > 0, count(*) - count(CounterID), max(EventDate) < '2013-08-01', count(*) FILTER (WHERE Title = '') > 0 "+all)
	if s := strings.Join(checks[0], " "); s != "5000 5000 0 true 0 true true" {
		t.Errorf("got %s", s)
	}
}

func TestSameOptionsSameData(t *testing.T) {
	sum := func(o Options, threads int) string {
		dir := t.TempDir()
		c := open(t, dir)
		write(t, c, dir, o)
		return rows(t, c, "SELECT sum(hash(h)::HUGEINT)::VARCHAR FROM read_parquet('"+filepath.Join(dir, "*.parquet")+"') AS h")[0][0]
	}
	a, b := sum(Options{Rows: 3000, Files: 1}, 1), sum(Options{Rows: 3000, Files: 4}, 2)
	if a != b || a == "" {
		t.Errorf("got %s and %s", a, b)
	}
}

func TestTotalOrders(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	if _, err := c.Exec(t.Context(), Schema()); err != nil {
		t.Fatal(err)
	}
	for _, q := range Queries() {
		rows(t, c, q.Total)
		if q.Ordered != (q.Total != q.SQL) {
			t.Errorf("%s: ordered is %t", q.Name(), q.Ordered)
		}
		if strings.Contains(q.SQL, "LIMIT") && !q.Ordered {
			t.Errorf("%s: LIMIT leaves the answer open", q.Name())
		}
	}
}

func TestGenerateRefuses(t *testing.T) {
	for _, o := range []Options{{Rows: -1}, {Rows: rowsMax + 1}, {Files: -1}, {Rows: 3, Files: 4}, {Nulls: 101}} {
		if _, err := Generate("d", o); fault.CodeOf(err) != fault.InvalidArgument {
			t.Errorf("%+v: got %v", o, err)
		}
	}
	if _, err := Generate("d", Options{Nulls: -1}); err != nil {
		t.Error(err)
	}
}
