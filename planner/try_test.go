package planner_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"skein/planner"
)

func TestTry(t *testing.T) {
	e := newEngine(t)
	splits, err := planner.ReadSplits(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	c := planner.Catalog{Tables: map[string]*planner.Table{}, Functions: e.functions(t), Splits: splits, Workers: []string{"w1", "w2", "w3", "w4"}}
	files, _ := filepath.Glob("/tmp/tpch1/*.parquet")
	for _, f := range files {
		name := filepath.Base(f[:len(f)-8])
		tb := &planner.Table{Name: name}
		rows, err := e.db.Query("DESCRIBE SELECT * FROM '" + f + "'")
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var n, ty string
			var x1, x2, x3, x4 any
			if err := rows.Scan(&n, &ty, &x1, &x2, &x3, &x4); err != nil {
				t.Fatal(err)
			}
			tb.Columns = append(tb.Columns, planner.Column{Name: n, Type: ty})
		}
		st, _ := os.Stat(f)
		for i := range 8 {
			tb.Files = append(tb.Files, planner.File{Path: fmt.Sprint(name, i), Rows: 100, Bytes: st.Size() / 8})
		}
		c.Tables[name] = tb
	}
	qs, _ := filepath.Glob("../bench/tpch/queries/*.sql")
	for _, f := range qs {
		b, _ := os.ReadFile(f)
		q, err := planner.Parse(t.Context(), e, string(b))
		if err != nil {
			t.Fatal(err)
		}
		p, err := q.Plan(t.Context(), e, c, []string{})
		if err != nil {
			t.Error(f, err)
			continue
		}
		fmt.Println("=====", f)
		fmt.Println(p)
	}
}
