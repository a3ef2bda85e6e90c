//go:build duckdb_arrow

package coordinator_test

import (
	"encoding/json"
	"strings"
	"testing"

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
	const query = "SELECT id, count(*) FROM t GROUP BY id ORDER BY id"
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
