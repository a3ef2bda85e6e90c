package worker

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skein/internal/duck"
	"skein/meta"
	nodev1 "skein/proto/node/v1"
	"skein/worker/payload"
)

// TestWrittenFileHasTheCatalogsTypes describes a file of records with a column
// of each type that a record table can have.
func TestWrittenFileHasTheCatalogsTypes(t *testing.T) {
	s := recordSchema()
	for _, kind := range []string{
		"BOOLEAN", "BIGINT", "DOUBLE", "VARCHAR", "DECIMAL(38,0)", "BIGINT[]", "VARCHAR[][]", `STRUCT(a BIGINT, "b c" DECIMAL(38,0)[])`,
		"STRUCT(a STRUCT(b BOOLEAN))[]", "FLOAT", "TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "BLOB",
		"DATE", "TIME", "TIMESTAMP", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE", "DECIMAL(4,1)", "DECIMAL(18,3)", "DECIMAL(30,2)",
	} {
		kt, err := ParseType(kind)
		if err != nil {
			t.Fatal(err)
		}
		s.Columns = append(s.Columns, meta.Column{Name: "c " + kind, Type: kt})
	}
	s.Columns = append(s.Columns, meta.Column{Name: "json", Type: meta.Type{Kind: meta.KindJSON}}, meta.Column{Name: "unknown", Type: meta.Type{Kind: meta.KindUnknown}})
	layout, err := payload.NewLayout(s)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "x.parquet")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	records := []*nodev1.Record{record("a", -1, `{"json":[1.0]}`), record("b", 1, `{"c BIGINT":5,"c DECIMAL(38,0)":123456789012345678901}`)}
	if err := writeRecords(f, layout, "", slices.Values(records)); err != nil {
		t.Fatal(err)
	}
	db, err := duck.Open(duck.Options{AllowedDirs: []string{dir}, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	rows, err := conn.Strings(t.Context(), "DESCRIBE SELECT * FROM read_parquet("+duck.Literal(path)+")")
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for i, row := range rows {
		kt, err := ParseType(row[1])
		if err != nil {
			t.Fatal(err)
		}
		got, want = append(got, row[0]+": "+kt.SQL()), append(want, s.Columns[i].Name+": "+s.Columns[i].Type.SQL())
	}
	if diff := cmp.Diff(want, got); diff != "" || len(rows) != len(s.Columns) {
		t.Error(diff)
	}
	values, err := conn.Strings(t.Context(), `SELECT id, epoch_us(timestamp), "c BIGINT", "c DECIMAL(38,0)", json, unknown FROM read_parquet(`+duck.Literal(path)+`)`)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]string{{"a", "-1", "", "", "[1.0]", ""}, {"b", "1", "5", "123456789012345678901", "", ""}}, values); diff != "" {
		t.Error(diff)
	}
}
