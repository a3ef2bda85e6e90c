//go:build duckdb_arrow

package tpch

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"skein/internal/duck"
	"skein/internal/fault"
)

func openEmpty(t *testing.T) *duck.Conn {
	t.Helper()
	db, err := duck.Open(duck.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	schema, err := os.ReadFile("testdata/schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	for statement := range strings.SplitSeq(strings.TrimSpace(string(schema)), "\n") {
		if _, err := c.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func TestQueriesBindInDuckDB(t *testing.T) {
	c := openEmpty(t)
	queries := Queries()
	if len(queries) != QueryCount {
		t.Fatalf("got %d queries", len(queries))
	}
	for i, q := range queries {
		if q.Number != i+1 {
			t.Errorf("query %d stands at %d", q.Number, i+1)
		}
		if strings.ContainsAny(q.SQL, ";\t") {
			t.Errorf("%s: has a semicolon or a tab", q.Name())
		}
		s, err := c.Query(t.Context(), q.SQL)
		if err != nil {
			t.Errorf("%s: %v", q.Name(), err)
			continue
		}
		s.Close()
	}
}

// TestOrderBy checks the places of sort keys against the parsed ORDER BY.
func TestOrderBy(t *testing.T) {
	c := openEmpty(t)
	for _, q := range Queries() {
		p, err := c.Prepare(t.Context(), q.SQL)
		if err != nil {
			t.Fatal(err)
		}
		var columns []string
		for _, f := range p.Schema().Fields() {
			columns = append(columns, f.Name)
		}
		p.Close()
		var want []int
		for _, name := range parsedOrder(t, c, q.SQL) {
			want = append(want, slices.Index(columns, name))
		}
		if !slices.Equal(q.OrderBy, want) || q.Ordered != (len(want) > 0) {
			t.Errorf("%s: ordered %t by %v, its SQL says %v", q.Name(), q.Ordered, q.OrderBy, want)
		}
	}
}

func parsedOrder(t *testing.T, c *duck.Conn, sql string) (names []string) {
	t.Helper()
	rows, err := c.Strings(t.Context(), "SELECT json_serialize_sql("+duck.Literal(sql)+")::VARCHAR")
	if err != nil {
		t.Fatal(err)
	}
	var tree struct {
		Statements []struct {
			Node struct {
				Modifiers []struct {
					Orders []struct {
						Expression struct {
							ColumnNames []string `json:"column_names"`
						} `json:"expression"`
					} `json:"orders"`
				} `json:"modifiers"`
			} `json:"node"`
		} `json:"statements"`
	}
	if err := json.Unmarshal([]byte(rows[0][0]), &tree); err != nil {
		t.Fatal(err)
	}
	if len(tree.Statements) != 1 {
		t.Fatalf("%d statements in %s", len(tree.Statements), sql)
	}
	for _, m := range tree.Statements[0].Node.Modifiers {
		for _, o := range m.Orders {
			names = append(names, o.Expression.ColumnNames[0])
		}
	}
	return names
}

func TestTablesIsACopy(t *testing.T) {
	Tables()[0] = "x"
	if got := Tables(); len(got) != 8 || got[0] != "region" {
		t.Errorf("got %v", got)
	}
}

// put makes empty files below a new directory.
func put(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, n := range names {
		p := filepath.Join(dir, n)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func wholeExcept(table string) (names []string) {
	for _, name := range Tables() {
		if name != table {
			names = append(names, name+".parquet")
		}
	}
	return names
}

func TestFiles(t *testing.T) {
	dir := put(t, append(wholeExcept("lineitem"), "lineitem/_/2026-01-01/lineitem.10.parquet", "lineitem/lineitem.2.parquet", "lineitem/notes.txt", "README")...)
	files, err := Files(dir)
	if err != nil {
		t.Fatal(err)
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{filepath.Join(real, "lineitem", "lineitem.2.parquet"), filepath.Join(real, "lineitem", "_", "2026-01-01", "lineitem.10.parquet")}
	if got := files["lineitem"]; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := files["region"]; !slices.Equal(got, []string{filepath.Join(real, "region.parquet")}) {
		t.Errorf("got %v", got)
	}
	if len(files) != 8 {
		t.Errorf("got %d tables", len(files))
	}
}

func TestFilesRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		dir  string
		code fault.Code
		says string
	}{
		"no directory": {filepath.Join(t.TempDir(), "x"), fault.NotFound, "make one with"},
		"a file":       {filepath.Join(put(t, "f"), "f"), fault.InvalidArgument, "is a file"},
		"no table":     {put(t, wholeExcept("part")...), fault.NotFound, "neither part.parquet nor part/*.parquet"},
		"empty parts":  {put(t, append(wholeExcept("part"), "part/x.csv")...), fault.NotFound, "neither part.parquet"},
		"both":         {put(t, append(wholeExcept(""), "part/part.1.parquet")...), fault.InvalidArgument, "remove one"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Files(c.dir)
			if fault.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v", err)
			}
		})
	}
}
