//go:build duckdb_arrow

package coordinator_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"skein/coordinator"
	"skein/internal/fault"
	"skein/planner"
)

func TestExplain(t *testing.T) {
	c := newCluster(t, 3).nodes[0].Coordinator
	create(t, c, "t")
	for i := range 3 {
		write(t, c, "t", i*100, 100)
		check(t, c.Flush(t.Context(), "t"))
	}
	const query = "SELECT upper(id) AS name, count(*) FROM t GROUP BY name ORDER BY name"
	answer, err := rows(t, c, query, nil)
	check(t, err)
	for _, x := range []struct {
		sql      string
		analyzed bool
	}{
		{"EXPLAIN " + query, false},
		{"EXPLAIN (" + query + ")", false},
		{"EXPLAIN (FORMAT text) " + query, false},
		{"explain analyze " + query, true},
		{"EXPLAIN ANALYZE (" + query + ")", true},
		{"EXPLAIN (ANALYZE) " + query, true},
	} {
		lines, err := rows(t, c, x.sql, nil)
		if err != nil {
			t.Errorf("%s: %v", x.sql, err)
			continue
		}
		plan := text(lines)
		if !strings.Contains(plan, "stage 0  on") || !strings.Contains(plan, "GROUP BY") {
			t.Errorf("%s:\n%s", x.sql, plan)
		}
		if got := strings.Contains(plan, "elapsed="); got != x.analyzed {
			t.Errorf("%s: analyzed %v\n%s", x.sql, got, plan)
		}
	}
	lines, err := rows(t, c, "EXPLAIN (ANALYZE, FORMAT JSON) "+query, nil)
	check(t, err)
	var x planner.Explained
	check(t, json.Unmarshal([]byte(lines[0][0]), &x))
	if !x.Analyzed || x.Strategy != "divide" || x.Rows != int64(len(answer)) || x.Elapsed <= 0 || len(x.Stages) < 3 {
		t.Errorf("%+v, want %d rows", x, len(answer))
	}
	read, kept := int64(0), int64(0)
	for _, f := range x.Stages[0].Fragments {
		read, kept = read+f.BytesRead, kept+f.Rows
		if f.Attempts != 1 || f.Elapsed <= 0 || f.FileRows == 0 {
			t.Errorf("fragment %+v", f)
		}
	}
	if x.Tables[0].FilesKept != x.Tables[0].FilesKnown || read != x.Tables[0].BytesKept || kept < int64(len(answer)) {
		t.Errorf("read %d bytes and kept %d rows of %+v", read, kept, x.Tables[0])
	}
	for _, sql := range []string{"EXPLAIN", "EXPLAIN (FORMAT xml) SELECT 1", "EXPLAIN ANALYZE", "EXPLAIN SELECT nothing FROM t", "EXPLAIN DROP TABLE t"} {
		if _, err := rows(t, c, sql, nil); fault.CodeOf(err) != fault.InvalidArgument {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

// TestClock asks for the time on several workers: it is one moment, and files
// of other days are left out.
func TestClock(t *testing.T) {
	c := newCluster(t, 3).nodes[0].Coordinator
	create(t, c, "t")
	for i := range 3 {
		write(t, c, "t", i*100, 100)
		check(t, c.Flush(t.Context(), "t"))
	}
	times, err := rows(t, c, "SELECT DISTINCT now(), current_date, today() FROM t", nil)
	check(t, err)
	if len(times) != 1 {
		t.Errorf("times %v", times)
	}
	plan, err := rows(t, c, "EXPLAIN SELECT id FROM t WHERE timestamp > now() - INTERVAL 1 DAY", nil)
	check(t, err)
	if !strings.Contains(text(plan), "files 0 of") {
		t.Errorf("old files are read:\n%s", text(plan))
	}
	r, err := c.Query(t.Context(), "SELECT now(), current_timestamp AS at FROM t LIMIT 1", nil)
	check(t, err)
	defer r.Close()
	if got := r.Schema().Field(0).Name + " " + r.Schema().Field(1).Name; got != "now() at" {
		t.Errorf("columns %s", got)
	}
}

// TestSmallSideLeavesFilesOut joins with few rows: once they are known, files
// whose column has none of their values are not read.
func TestSmallSideLeavesFilesOut(t *testing.T) {
	o := newOracle(t,
		"CREATE TABLE facts AS SELECT i AS id, i * 7 % 1000 AS other, md5(CAST(i AS VARCHAR)) AS note FROM range(120000) t(i)",
		"CREATE TABLE picks AS SELECT CAST(60000 + i * 10 AS BIGINT) AS id, i % 2 AS odd FROM range(20) t(i)")
	c := newCluster(t, 3).nodes[0].Coordinator
	for i := range 6 {
		r, err := o.conn.Query(t.Context(), fmt.Sprintf("SELECT * FROM facts WHERE id // 20000 = %d", i))
		check(t, err)
		_, err = c.Ingest(t.Context(), coordinator.Ingest{Table: "facts", Mode: coordinator.IngestCreateOrAppend}, r)
		r.Close()
		check(t, err)
	}
	copyTables(t, o, c, 6, "picks") // more files than are read everywhere
	for _, x := range []struct {
		sql   string
		files int // of facts that are read
	}{
		{"SELECT count(*), sum(f.other) FROM facts f JOIN picks p ON f.id = p.id WHERE p.odd + 0 = 1", 1},
		{"SELECT f.id, f.note FROM facts f WHERE f.id IN (SELECT id FROM picks WHERE odd + 0 = 0)", 1},
		{"SELECT count(*) FROM facts f JOIN picks p ON f.id = p.id WHERE p.odd + 0 = 7", 0},
		{"SELECT count(*), count(p.id) FROM facts f LEFT JOIN picks p ON f.id = p.id", 6},
		{"SELECT count(*) FROM facts f WHERE f.id NOT IN (SELECT id FROM picks)", 6},
	} {
		got, gotErr := rows(t, c, x.sql, nil)
		if fixed(got, gotErr) != o.answer(x.sql) {
			t.Errorf("%s: got %v %v, want %s", x.sql, got, gotErr, o.answer(x.sql))
		}
		lines, err := rows(t, c, "EXPLAIN (ANALYZE, FORMAT json) "+x.sql, nil)
		check(t, err)
		var plan planner.Explained
		check(t, json.Unmarshal([]byte(lines[0][0]), &plan))
		files := 0
		for _, s := range plan.Stages {
			for _, f := range s.Fragments {
				if strings.Contains(s.SQL, "FROM facts") || strings.Contains(s.SQL, "facts AS f") {
					files += f.Files
				}
			}
		}
		if files != x.files {
			t.Errorf("%s: %d files are read, want %d\n%s", x.sql, files, x.files, plan.String())
		}
	}
}
