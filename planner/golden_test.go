package planner_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	_ "github.com/duckdb/duckdb-go/v2"

	"skein/planner"
)

// duckEngine reads SQL with a real DuckDB.
type duckEngine struct{ db *sql.DB }

func newEngine(t *testing.T) duckEngine {
	t.Helper()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return duckEngine{db}
}

func (e duckEngine) SerializeSQL(ctx context.Context, text string) (out string, err error) {
	err = e.db.QueryRowContext(ctx, "SELECT json_serialize_sql("+literal(text)+")::VARCHAR").Scan(&out)
	return out, err
}

func (e duckEngine) DeserializeSQL(ctx context.Context, tree string) (out string, err error) {
	err = e.db.QueryRowContext(ctx, "SELECT json_deserialize_sql("+literal(tree)+")").Scan(&out)
	return out, err
}

func (e duckEngine) DeserializeAll(ctx context.Context, trees []string) ([]string, error) {
	texts := make([]string, len(trees))
	for i, tree := range trees {
		var err error
		if texts[i], err = e.DeserializeSQL(ctx, tree); err != nil {
			return nil, err
		}
	}
	return texts, nil
}

func (e duckEngine) Describe(ctx context.Context, text string, views map[string][]planner.Column) ([]planner.Column, error) {
	conn, err := e.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	for name, columns := range views {
		items := make([]string, len(columns))
		for i, c := range columns {
			items[i] = "CAST(NULL AS " + c.Type + ") AS " + ident(c.Name)
		}
		if _, err := conn.ExecContext(ctx, "CREATE OR REPLACE TEMP VIEW "+ident(name)+" AS SELECT "+strings.Join(items, ", ")+" WHERE false"); err != nil {
			return nil, err
		}
	}
	rows, err := conn.QueryContext(ctx, "SELECT column_name, column_type FROM (DESCRIBE "+text+")")
	if err != nil {
		return nil, &planner.Error{Message: err.Error(), Offset: -1}
	}
	defer rows.Close()
	var columns []planner.Column
	for rows.Next() {
		var c planner.Column
		if err := rows.Scan(&c.Name, &c.Type); err != nil {
			return nil, err
		}
		columns = append(columns, c)
	}
	return columns, rows.Err()
}

func ident(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func (e duckEngine) functions(t *testing.T) planner.Functions {
	t.Helper()
	rows, err := e.db.Query("SELECT lower(function_name), function_type, coalesce(stability, '') FROM duckdb_functions() WHERE function_type IN ('scalar', 'aggregate', 'macro')")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	f := planner.Functions{}
	for rows.Next() {
		var name, kind, stability string
		if err := rows.Scan(&name, &kind, &stability); err != nil {
			t.Fatal(err)
		}
		class := planner.Scalar
		if kind == "aggregate" {
			class = planner.Aggregate
		} else if kind == "macro" || stability != "CONSISTENT" {
			class = planner.Unsteady
		}
		f[name] = max(f[name], class)
	}
	return f
}

// TestPlans compares plans with the trees in testdata. Each file begins with
//
//	cluster     the workers
//	table NAME  records|declared; then lines "column NAME TYPE [FIELD]" and
//	            "file ID DAY BYTES", one id and day each; _ is no id
//	plan        a statement
func TestPlans(t *testing.T) {
	e := newEngine(t)
	functions := e.functions(t)
	splits, err := planner.ReadSplits(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		c := planner.Catalog{Tables: map[string]*planner.Table{}, Functions: functions, Splits: splits}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "cluster":
				c.Workers = strings.Fields(d.Input)
			case "table":
				c.Tables[d.CmdArgs[0].Key] = table(t, d)
			case "plan":
				return plan(t, e, c, d)
			default:
				t.Fatalf("unknown command %s", d.Cmd)
			}
			return ""
		})
	})
}

func table(t *testing.T, d *datadriven.TestData) *planner.Table {
	x := &planner.Table{Name: d.CmdArgs[0].Key, Records: d.HasArg("records")}
	if x.Records {
		x.IDColumn, x.TimeColumn = "id", "timestamp"
		x.Columns = []planner.Column{{Name: "id", Type: "VARCHAR"}, {Name: "timestamp", Type: "TIMESTAMP WITH TIME ZONE"}}
	}
	d.MaybeScanArgs(t, "id", &x.IDColumn)
	d.MaybeScanArgs(t, "time", &x.TimeColumn)
	for line := range strings.Lines(d.Input) {
		f := strings.Fields(line)
		switch f[0] {
		case "column":
			col := planner.Column{Name: f[1], Type: strings.ReplaceAll(f[2], "_", " ")}
			if len(f) > 3 {
				col.Field = f[3]
			}
			x.Columns = append(x.Columns, col)
		case "file":
			day, err := time.Parse("2006-01-02", f[2])
			if err != nil {
				t.Fatal(err)
			}
			file := planner.File{Path: fmt.Sprintf("%s/%s/%s/1.parquet", x.Name, f[1], f[2]), Rows: 10, MinTime: day, MaxTime: day.Add(24*time.Hour - time.Microsecond)}
			if f[1] != "_" {
				file.ID, file.HasID = f[1], true
			}
			if _, err := fmt.Sscan(f[3], &file.Bytes); err != nil {
				t.Fatal(err)
			}
			x.Files = append(x.Files, file)
		case "files": // number, bytes of each, column, step: the ith holds i*step to (i+1)*step
			var n, step int
			var bytes int64
			if _, err := fmt.Sscan(f[1]+" "+f[2]+" "+f[4], &n, &bytes, &step); err != nil {
				t.Fatal(err)
			}
			for i := range n {
				x.Files = append(x.Files, planner.File{Path: fmt.Sprintf("%s/%d.parquet", x.Name, i), Rows: 10, Bytes: bytes, Ranges: stepRanges{x, f[3], i * step, (i + 1) * step}})
			}
		}
	}
	return x
}

func plan(t *testing.T, e duckEngine, c planner.Catalog, d *datadriven.TestData) string {
	q, err := planner.Parse(t.Context(), e, d.Input)
	var p *planner.Plan
	if err == nil {
		if q.Kind != planner.Select {
			return "not a query: " + q.Keyword
		}
		var params []string
		for _, a := range d.CmdArgs {
			if a.Key == "param" {
				params = append(params, a.Vals[0])
			}
		}
		for _, name := range q.Tables {
			if c.Tables[name] == nil {
				return "error: no table " + name
			}
		}
		p, err = q.Plan(t.Context(), e, c, params)
	}
	var refused *planner.Error
	if errors.As(err, &refused) {
		return fmt.Sprintf("error at %d: %s", refused.Offset, refused.Message)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p.String()
}

// stepRanges knows one column's bounds.
type stepRanges struct {
	table    *planner.Table
	column   string
	min, max int
}

func (r stepRanges) Range(i int) planner.Range {
	if r.table.Columns[i].Name != r.column {
		return planner.Range{}
	}
	return planner.Range{Min: fmt.Sprint(r.min), Max: fmt.Sprint(r.max), NoNulls: r.min > 0}
}
