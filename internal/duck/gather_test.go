//go:build duckdb_arrow

package duck_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"skein/internal/batch"
	"skein/internal/duck"
	"skein/internal/fault"
)

// gatheredTypes are expressions over a range r: each type that batches are
// made of without DuckDB's help.
var gatheredTypes = map[string]string{
	"tinyint": "(r % 256 - 128)::TINYINT", "smallint": "(r % 65536 - 32768)::SMALLINT", "integer": "(r * -7)::INTEGER", "bigint": "r * 1000000007",
	"utinyint": "(r % 256)::UTINYINT", "usmallint": "(r % 65536)::USMALLINT", "uinteger": "(r * 7)::UINTEGER", "ubigint": "(18446744073709551615 - r)::UBIGINT",
	"float": "(r / 7)::FLOAT", "double": "r / 7", "boolean": "r % 3 = 0", "date": "DATE '1900-01-01' + r::INTEGER",
	"time": "TIME '00:00:00' + to_microseconds(r * 1000)", "hugeint": "r::HUGEINT * -170141183460469231731687303",
	"timestamp": "TIMESTAMP '1950-01-01' + to_seconds(r)", "timestamp_s": "(TIMESTAMP '1950-01-01' + to_seconds(r))::TIMESTAMP_S",
	"timestamp_ms": "(TIMESTAMP '1950-01-01' + to_seconds(r))::TIMESTAMP_MS", "timestamp_ns": "make_timestamp_ns(r * 1000003)",
	"timestamptz": "TIMESTAMPTZ '1950-01-01 00:00:00+00' + to_seconds(r)",
	"decimal4":    "(r % 1000 / 10)::DECIMAL(4,1)", "decimal9": "(-r / 100)::DECIMAL(9,2)", "decimal18": "(r * -1000.001)::DECIMAL(18,3)", "decimal38": "(r * -1e20)::DECIMAL(38,2)",
	"varchar": "repeat('ä' || r, (r % 9)::INTEGER)", "blob": "encode(repeat('x' || r, (r % 5)::INTEGER))", "enum": "['red', 'green and more than twelve', ''][r % 3 + 1]::ENUM('red', 'green and more than twelve', '')",
}

// TestGatheredBatches compares batches that are copied from DuckDB's vectors
// with those of its own conversion, which a LIST in the same row asks for.
func TestGatheredBatches(t *testing.T) {
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
	for name, expr := range gatheredTypes {
		for shape, where := range map[string]string{
			"whole": "true", "holes": "r % 7 <> 0 AND (r < 5000 OR r > 12345)", "none": "r < 0", "one": "r = 77",
		} {
			t.Run(name+"/"+shape, func(t *testing.T) {
				value := fmt.Sprintf("CASE WHEN r %% 11 = 5 AND r > 4000 THEN NULL ELSE %s END AS v", expr)
				sql := " FROM (SELECT range AS r FROM range(40000)) WHERE " + where + " ORDER BY r"
				got, want := texts(t, c, "SELECT "+value+sql), texts(t, c, "SELECT "+value+", [r] AS l"+sql)
				if len(got) != len(want) {
					t.Fatalf("%d values, want %d", len(got), len(want))
				}
				for i := range got {
					if got[i] != want[i] {
						t.Fatalf("value %d is %s, want %s", i, got[i], want[i])
					}
				}
			})
		}
	}
}

// texts are the first column's values and types.
func texts(t *testing.T, c *duck.Conn, sql string) (all []string) {
	t.Helper()
	s, err := c.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	all = append(all, s.Schema().Field(0).String())
	for {
		b, err := s.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		for i := range int(b.NumRows()) {
			all = append(all, strings.Clone(b.Column(0).ValueStr(i)))
		}
	}
}

func TestExecOver(t *testing.T) {
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
	rows := func() batch.Reader {
		s, err := c.Query(t.Context(), "SELECT range AS a, 'text of ' || range AS b, [range, NULL] AS c FROM range(50000)")
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		var all []arrow.RecordBatch
		for b, err := s.Next(t.Context()); err == nil; b, err = s.Next(t.Context()) {
			b.Retain()
			all = append(all, b)
		}
		return batch.NewSlice(s.Schema(), all...)
	}
	r := rows()
	defer r.Close()
	n, err := c.ExecOver(t.Context(), r, func(view string) string {
		return "CREATE TEMP TABLE copied AS SELECT c, b, a + 1 AS a FROM (SELECT * FROM " + view + ")"
	})
	if err != nil {
		t.Fatal(n, err)
	}
	got, err := c.Strings(t.Context(), "SELECT count(*), sum(a), sum(c[1]), count(DISTINCT b), min(b) FROM copied")
	if want := "[[50000 1250025000 1249975000 50000 text of 0]]"; err != nil || fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s: %v", got, want, err)
	}
	views, err := c.Strings(t.Context(), "SELECT count(*) FROM duckdb_views() WHERE view_name LIKE 'arriving%'")
	if err != nil || views[0][0] != "0" {
		t.Errorf("%v views are left: %v", views, err)
	}
	broken := &cut{Reader: rows()}
	defer broken.Close()
	_, err = c.ExecOver(t.Context(), broken, func(view string) string { return "CREATE TEMP TABLE half AS SELECT * FROM " + view })
	if fault.CodeOf(err) != fault.ResourceExhausted {
		t.Errorf("a reader that fails: %v", err)
	}
	if _, err := c.Strings(t.Context(), "SELECT * FROM half"); err == nil {
		t.Error("half of the rows are there")
	}
	if _, err := c.ExecOver(t.Context(), rows(), func(string) string { return "no SQL" }); fault.CodeOf(err) != fault.InvalidArgument {
		t.Errorf("bad SQL: %v", err)
	}
}

// TestExecOverExportsTheSchemaOnce: DuckDB asks for a view's schema several
// times and frees none of what it is given, which is C's memory.
func TestExecOverExportsTheSchemaOnce(t *testing.T) {
	c := open(t)
	r := &toldSchemas{Reader: abc(5000)}
	defer r.Close()
	if _, err := c.ExecOver(t.Context(), r, func(view string) string { return "CREATE TEMP TABLE t AS SELECT * FROM " + view }); err != nil {
		t.Fatal(err)
	}
	if r.times != 1 {
		t.Errorf("the schema was exported %d times", r.times)
	}
	if got, err := c.Strings(t.Context(), someColumns); err != nil || fmt.Sprint(got) != "[[4000 4999000]]" {
		t.Errorf("got %v: %v", got, err)
	}
}

// toldSchemas counts how often its schema was asked for.
type toldSchemas struct {
	batch.Reader
	times int
}

func (r *toldSchemas) Schema() *arrow.Schema {
	r.times++
	return r.Reader.Schema()
}

// cut fails after its first batch.
type cut struct {
	batch.Reader
	given bool
}

func (c *cut) Next(ctx context.Context) (arrow.RecordBatch, error) {
	if c.given {
		return nil, fault.New(fault.ResourceExhausted, "no more for you")
	}
	c.given = true
	return c.Reader.Next(ctx)
}
