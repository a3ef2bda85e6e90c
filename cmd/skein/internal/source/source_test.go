//go:build duckdb_arrow

package source

import (
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"skein/internal/duck"
	"skein/internal/render"
)

// put writes a file, gzipped if its name says so.
func put(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := io.WriteCloser(f)
	if strings.HasSuffix(path, ".gz") {
		w = gzip.NewWriter(f)
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// putParquet writes a query's rows.
func putParquet(t *testing.T, path, sql string) {
	t.Helper()
	db, err := duck.Open(duck.Options{AllowedDirs: []string{filepath.Dir(path)}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Exec(t.Context(), "COPY ("+sql+") TO "+duck.Literal(path)); err != nil {
		t.Fatal(err)
	}
}

// read returns all rows as NDJSON.
func read(t *testing.T, o Options, format string, patterns ...string) (string, int64, error) {
	t.Helper()
	files, err := Find(patterns, format)
	if err != nil {
		return "", 0, err
	}
	s, err := Open(t.Context(), files, o)
	if err != nil {
		return "", 0, err
	}
	defer s.Close()
	var out strings.Builder
	w := render.NewNDJSON(&out, s.Schema())
	for {
		b, err := s.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return out.String(), s.RowsTotal, w.Close()
		}
		if err != nil {
			return "", 0, err
		}
		if err := w.Write(b); err != nil {
			return "", 0, err
		}
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	put(t, at("a.csv"), "id,n\nx,1\ny,\n")
	put(t, at("b.csv.gz"), "id,more\nz,true\n")
	put(t, at("c.ndjson"), "{\"id\":\"j\",\"deep\":{\"k\":[1,2]}}\n{\"id\":\"k\"}\n")
	put(t, at("d.json.gz"), `[{"id":"l"}]`)
	put(t, at("data.txt"), "id;n\nq;5\n")
	put(t, at("odd[1]*.csv"), "id,n\nodd,9\n")
	putParquet(t, at("p1.parquet"), "SELECT 'p' AS id, 7::INTEGER AS n")
	putParquet(t, at("p2.parquet"), "SELECT 8.5 AS n, 'q' AS id")
	cases := []struct {
		name     string
		format   string
		patterns []string
		want     string
		total    int64
	}{
		{"csv", "", []string{at("a.csv")}, `{"id":"x","n":1}
{"id":"y","n":null}
`, -1},
		{"csv united", "", []string{at("[ab].csv*")}, `{"id":"x","n":1,"more":null}
{"id":"y","n":null,"more":null}
{"id":"z","n":null,"more":true}
`, -1},
		{"json", "", []string{at("c.ndjson"), at("d.json.gz")}, `{"id":"j","deep":{"k":[1,2]}}
{"id":"k","deep":null}
{"id":"l","deep":null}
`, -1},
		{"parquet", "", []string{at("p?.parquet"), at("p1.parquet")}, `{"id":"p","n":7.0}
{"id":"q","n":8.5}
`, 2},
		{"formats mixed", "", []string{at("a.csv"), at("p1.parquet")}, `{"id":"p","n":7}
{"id":"x","n":1}
{"id":"y","n":null}
`, -1},
		{"format given", "csv", []string{at("data.txt")}, `{"id":"q","n":5}
`, -1},
		{"a name that looks like a pattern", "", []string{at("odd[1]*.csv")}, `{"id":"odd","n":9}
`, -1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, total, err := read(t, Options{}, c.format, c.patterns...)
			if err != nil {
				t.Fatal(err)
			}
			if got != c.want || total != c.total {
				t.Errorf("total %d, got\n%swant total %d\n%s", total, got, c.total, c.want)
			}
		})
	}
}

func TestBadInput(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	put(t, at("x.parquet"), "no parquet at all")
	put(t, at("x.dat"), "")
	put(t, at("late.csv"), "n\n"+strings.Repeat("1\n", 5000)+"word\n")
	cases := []struct {
		name, pattern, want string
		o                   Options
	}{
		{"missing", at("none.csv"), "none.csv: no such file", Options{}},
		{"no match", at("*.none"), "no file matches", Options{}},
		{"directory", dir, "is a directory: name its files", Options{}},
		{"unknown format", at("x.dat"), "--file-format parquet|csv|json", Options{}},
		{"broken file", at("x.parquet"), "x.parquet", Options{}},
		{"type changes after the sample", at("late.csv"), "word", Options{SampleRows: 10}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if _, _, err := read(t, c.o, "", c.pattern); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	if got, _, err := read(t, Options{SampleRows: -1}, "", at("late.csv")); err != nil || !strings.Contains(got, `"word"`) {
		t.Errorf("with all rows sampled: %v", err)
	}
}

func TestColumn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.csv")
	put(t, path, "Id,n\n1,2\n")
	files, err := Find([]string{path}, "")
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), files, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got, err := s.Column("ID"); got != "Id" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := s.Column("day"); err == nil || err.Error() != `the files have no column "day"; columns are Id, n` {
		t.Errorf("got %v", err)
	}
}
