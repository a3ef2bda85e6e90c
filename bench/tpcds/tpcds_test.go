package tpcds

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"skein/internal/fault"
)

// write makes a directory as the script does, with other contents.
func write(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "queries"), 0o755); err != nil {
		t.Fatal(err)
	}
	put := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, table := range Tables() {
		put(table+".parquet", "")
	}
	for i := range QueryCount {
		put(fmt.Sprintf("queries/q%02d.sql", i+1), fmt.Sprintf("SELECT %d;\n", i+1))
	}
	return dir
}

func TestReads(t *testing.T) {
	dir := write(t)
	files, err := Files(dir)
	if err != nil || len(files) != 24 || files["item"] != filepath.Join(dir, "item.parquet") {
		t.Errorf("got %v, %v", files, err)
	}
	queries, err := Queries(dir)
	if err != nil || len(queries) != QueryCount || queries[98].SQL != "SELECT 99" || queries[0].Name() != "q01" {
		t.Errorf("got %v, %v", queries, err)
	}
}

func TestMissing(t *testing.T) {
	for _, name := range []string{"item.parquet", "queries/q07.sql"} {
		dir := write(t)
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		_, err := Files(dir)
		if err == nil {
			_, err = Queries(dir)
		}
		if fault.CodeOf(err) != fault.NotFound || !strings.Contains(err.Error(), "scripts/tpcds.sh") {
			t.Errorf("without %s: got %v", name, err)
		}
	}
}

func TestWhole(t *testing.T) {
	for sql, want := range map[string]string{
		"SELECT a\nFROM t\nORDER BY a\nLIMIT 100":           "SELECT a\nFROM t\nORDER BY a",
		"SELECT a FROM t ORDER BY a limit 100":              "SELECT a FROM t ORDER BY a",
		"SELECT * FROM (SELECT a FROM t LIMIT 10) LIMIT 10": "SELECT * FROM (SELECT a FROM t LIMIT 10)",
		"SELECT * FROM (SELECT a FROM t LIMIT 10)":          "SELECT * FROM (SELECT a FROM t LIMIT 10)",
	} {
		if got := whole(sql); got != want {
			t.Errorf("%s: got %s", sql, got)
		}
	}
}
