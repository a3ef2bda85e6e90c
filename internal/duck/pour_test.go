//go:build duckdb_arrow

package duck_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"skein/internal/duck"
	"skein/internal/fault"
)

// poured are a statement's rows as texts, in order of their texts.
func poured(ctx context.Context, c *duck.Conn, sql string) (rows []string, batches int, err error) {
	p, err := c.Pour(ctx, sql)
	if err != nil {
		return nil, 0, err
	}
	if p == nil {
		return nil, 0, fmt.Errorf("%s cannot be poured", sql)
	}
	var mu sync.Mutex
	err = p.Run(ctx, c, sql, func(b arrow.RecordBatch) {
		defer b.Release()
		mu.Lock()
		defer mu.Unlock()
		batches++
		rows = append(rows, rowsOf(b)...)
	})
	slices.Sort(rows)
	return rows, batches, err
}

func rowsOf(b arrow.RecordBatch) (rows []string) {
	for i := range int(b.NumRows()) {
		values := make([]string, b.NumCols())
		for j, c := range b.Columns() {
			values[j] = strings.Clone(c.ValueStr(i)) // the batch is released
		}
		rows = append(rows, strings.Join(values, "|"))
	}
	return rows
}

func streamed(t *testing.T, c *duck.Conn, sql string) (rows []string) {
	t.Helper()
	s, err := c.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for b, err := s.Next(t.Context()); err == nil; b, err = s.Next(t.Context()) {
		rows = append(rows, rowsOf(b)...)
	}
	slices.Sort(rows)
	return rows
}

// TestPour compares what is poured with what is streamed.
func TestPour(t *testing.T) {
	dir := t.TempDir()
	db, err := duck.Open(duck.Options{AllowedDirs: []string{dir}, Threads: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	file := duck.Literal(filepath.Join(dir, "words.parquet"))
	if _, err := c.Exec(t.Context(), "COPY (SELECT range AS r, ['some', 'words that are longer than twelve bytes', NULL][range % 3 + 1] AS w FROM range(60000)) TO "+file+" (FORMAT parquet, ROW_GROUP_SIZE 8192)"); err != nil {
		t.Fatal(err)
	}
	statements := map[string]string{
		"one column of a dictionary": "SELECT w FROM " + file,
		"all columns":                "SELECT * FROM " + file,
		"constants":                  "SELECT 1 AS one, 'x' AS x, NULL::BIGINT AS n FROM " + file,
		"the same twice":             "SELECT r, r, w AS r FROM " + file + ";\n",
		"few rows":                   "SELECT * FROM " + file + " WHERE r % 20000 = 7 -- a comment",
		"no row":                     "SELECT * FROM " + file + " WHERE r < 0",
		"union":                      "SELECT r FROM " + file + " UNION ALL SELECT -r FROM " + file,
	}
	for name, expr := range gatheredTypes {
		statements[name] = "SELECT CASE WHEN r % 11 = 5 AND r > 4000 THEN NULL ELSE " + expr + " END AS v, r FROM " + file
	}
	for name, sql := range statements {
		t.Run(name, func(t *testing.T) {
			got, batches, err := poured(t.Context(), c, sql)
			if err != nil {
				t.Fatal(err)
			}
			want := streamed(t, c, sql)
			if !slices.Equal(got, want) {
				t.Errorf("%d rows, want %d; the first are %.200q and %.200q", len(got), len(want), got[:min(3, len(got))], want[:min(3, len(want))])
			}
			if batches > len(got)/8000+5 {
				t.Errorf("%d rows came in %d batches", len(got), batches)
			}
		})
	}
}

// TestPourFails lets statements fail after rows were poured.
func TestPourFails(t *testing.T) {
	db, err := duck.Open(duck.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _, err = poured(t.Context(), c, "SELECT CAST(CASE WHEN range = 900000 THEN 'x' ELSE '1' END AS INTEGER) AS v FROM range(1000000)")
	if fault.CodeOf(err) != fault.InvalidArgument || !strings.Contains(err.Error(), "Could not convert") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	p, err := c.Pour(ctx, "SELECT range AS r FROM range(100000000000)")
	if err != nil {
		t.Fatal(err)
	}
	err = p.Run(ctx, c, "SELECT range AS r FROM range(100000000000)", func(b arrow.RecordBatch) {
		b.Release()
		cancel()
	})
	if fault.CodeOf(err) != fault.Canceled {
		t.Errorf("got %v", err)
	}
	p, err = c.Pour(t.Context(), "SELECT range AS r FROM range(2000000)")
	if err != nil {
		t.Fatal(err)
	}
	var first sync.Once
	err = p.Run(t.Context(), c, "SELECT range AS r FROM range(2000000)", func(b arrow.RecordBatch) {
		b.Release()
		first.Do(c.InterruptForTest)
	})
	if fault.CodeOf(err) != fault.Internal {
		t.Errorf("interrupted by nobody: %v, want no second run", err)
	}
	for _, sql := range []string{"SELECT skein_take(1, 2)", "SELECT skein_take(NULL, 2)", "SELECT skein_take(range, 2) FROM range(10)"} {
		_, err := c.Exec(t.Context(), sql)
		if fault.CodeOf(err) != fault.InvalidArgument || !strings.Contains(err.Error(), "internal use") {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if p, err := c.Pour(t.Context(), "SELECT [range] AS l FROM range(10)"); p != nil || err != nil {
		t.Errorf("a list: %v, %v", p, err)
	}
	if got, _, err := poured(t.Context(), c, "SELECT 7 AS v"); err != nil || !slices.Equal(got, []string{"7"}) {
		t.Errorf("after the failures: %v, %v", got, err)
	}
}
