package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tool runs a subcommand of skein against the node.
func (n *node) tool(t testing.TB, stdin string, args ...string) output {
	t.Helper()
	return execute(t, []string{"SKEIN_ADDR=" + n.GRPC}, []byte(stdin), append([]string{binary(t)}, args...)...)
}

func (n *node) csv(t testing.TB, sql string) string {
	t.Helper()
	o := n.tool(t, "", "sql", "--format", "csv", "-c", sql)
	if o.Exit != 0 {
		t.Fatalf("%s: exit %d: %s", sql, o.Exit, o.Stderr)
	}
	return o.Stdout
}

func TestSQLTool(t *testing.T) {
	t.Parallel()
	n := startNode(t, "tool")
	n.createTable(t, "events", neverRows, neverSeconds)
	n.write(t, numbered("events", 0, 3))
	const query = "SELECT n, text FROM events ORDER BY n DESC LIMIT 2"
	for _, c := range []struct {
		name, stdin string
		args        []string
		want        string
	}{
		{"csv", "", []string{"--format", "csv", "-c", query}, "n,text\n2,row 2\n1,row 1\n"},
		{"json", "", []string{"--format", "json", "-c", query}, "[{\"n\":2,\"text\":\"row 2\"},\n {\"n\":1,\"text\":\"row 1\"}]\n"},
		{"ndjson by pipe", query, []string{"--format", "ndjson"}, "{\"n\":2,\"text\":\"row 2\"}\n{\"n\":1,\"text\":\"row 1\"}\n"},
		{"several statements", "", []string{"--format", "csv", "-c", "CREATE TABLE x (a INTEGER); SELECT count(*) AS c FROM x; DROP TABLE x;"}, "c\n0\n"},
		{"show tables", "", []string{"--format", "csv", "-c", "SHOW TABLES"}, "name\nevents\n"},
		{"file", "", []string{"--format", "csv", "-f", writeFile(t, "q.sql", "-- two\nSELECT 1 AS a;\nSELECT 'x;y' AS b")}, "a\n1\nb\nx;y\n"},
	} {
		o := n.tool(t, c.stdin, append([]string{"sql"}, c.args...)...)
		if o.Exit != 0 || o.Stdout != c.want {
			t.Errorf("%s: exit %d: %q, want %q; %s", c.name, o.Exit, o.Stdout, c.want, o.Stderr)
		}
	}
	o := n.tool(t, "", "sql", "-c", query)
	for _, part := range []string{"n", "text", "row 2", "2 rows"} {
		if !strings.Contains(o.Stdout, part) {
			t.Errorf("the table lacks %q:\n%s", part, o.Stdout)
		}
	}
	o = n.tool(t, "", "sql", "-c", "SELECT 1;\nSELECT n,\n  nosuch FROM events; SELECT 3")
	if o.Exit != 1 || !strings.Contains(o.Stderr, "line 3, column 3") || !strings.Contains(o.Stderr, "nosuch") || strings.Contains(o.Stdout, "3 ") {
		t.Errorf("a mistake in a script: exit %d: %s%s", o.Exit, o.Stdout, o.Stderr)
	}
	o = n.tool(t, "", "sql", "-c", "SELECT * FROM nosuch")
	if o.Exit != 1 || !strings.Contains(o.Stderr, "nosuch") {
		t.Errorf("an unknown table: exit %d: %s", o.Exit, o.Stderr)
	}
}

func TestTablesAndNodesTools(t *testing.T) {
	t.Parallel()
	n := startNode(t, "lists")
	n.createTable(t, "orders", neverRows, neverSeconds)
	n.createTable(t, "users", neverRows, 7)
	n.write(t, numbered("orders", 0, 12))
	o := n.tool(t, "", "tables", "--format", "csv")
	if lines := strings.Split(o.Stdout, "\n"); o.Exit != 0 || len(lines) != 4 || !strings.HasPrefix(lines[1], "orders,12,0,0,active,") || !strings.HasPrefix(lines[2], "users,0,") {
		t.Errorf("tables: exit %d:\n%s%s", o.Exit, o.Stdout, o.Stderr)
	}
	o = n.tool(t, "", "tables", "--pattern", "ord*")
	if !strings.Contains(o.Stdout, "orders") || strings.Contains(o.Stdout, "users") || !strings.Contains(o.Stdout, "1 table") {
		t.Errorf("tables by pattern:\n%s", o.Stdout)
	}
	o = n.tool(t, "", "tables", "describe", "users", "--format", "json")
	if !strings.Contains(o.Stdout, `"flush_interval_seconds":7`) {
		t.Errorf("describe: exit %d:\n%s%s", o.Exit, o.Stdout, o.Stderr)
	}
	o = n.tool(t, "", "tables", "describe", "orders")
	if !strings.Contains(o.Stdout, "timestamp") || !strings.Contains(o.Stdout, "TIMESTAMP WITH TIME ZONE") {
		t.Errorf("describe: exit %d:\n%s%s", o.Exit, o.Stdout, o.Stderr)
	}
	o = n.tool(t, "", "tables", "describe", "nosuch")
	if o.Exit != 1 || !strings.Contains(o.Stderr, "nosuch") {
		t.Errorf("describe nosuch: exit %d: %s", o.Exit, o.Stderr)
	}
	o = n.tool(t, "", "nodes", "--format", "csv")
	if o.Exit != 0 || !strings.Contains(o.Stdout, "lists,"+n.GRPC+",healthy,") {
		t.Errorf("nodes: exit %d:\n%s%s", o.Exit, o.Stdout, o.Stderr)
	}
}

// TestLoadTool loads Parquet, CSV and NDJSON files by patterns, with columns
// that partition the table.
func TestLoadTool(t *testing.T) {
	t.Parallel()
	n := startNode(t, "loads")
	dir := t.TempDir()
	script(t, "files.py", dir)
	want := n.wantLoaded(t, dir, "parquet", "6000")
	for _, format := range []string{"csv", "ndjson"} {
		if got := n.wantLoaded(t, dir, format, "6000"); got != want {
			t.Errorf("table %s has\n%s, that of Parquet\n%s", format, got, want)
		}
	}
	// Appended, replaced, refused.
	n.load(t, "t_csv", filepath.Join(dir, "part-0.csv"))
	wantSame(t, n.csv(t, "SELECT count(*) AS c FROM t_csv"), "c\n8000\n")
	n.load(t, "t_csv", "--mode", "replace", filepath.Join(dir, "part-0.csv"))
	wantSame(t, n.csv(t, "SELECT count(*) AS c FROM t_csv"), "c\n2000\n")
	for _, c := range []struct {
		args []string
		word string
	}{
		{[]string{"--mode", "create", filepath.Join(dir, "part-0.csv")}, "exists"},
		{[]string{filepath.Join(dir, "nothing-*.csv")}, "nothing-"},
		{[]string{"--id", "nosuch", filepath.Join(dir, "part-0.csv")}, "nosuch"},
		{[]string{writeFile(t, "broken.parquet", "PAR1 nonsense")}, "broken.parquet"},
	} {
		o := n.tool(t, "", append([]string{"load", "--table", "t_csv"}, c.args...)...)
		if o.Exit == 0 || !strings.Contains(o.Stderr, c.word) {
			t.Errorf("%v: exit %d: %s", c.args, o.Exit, o.Stderr)
		}
	}
	wantSame(t, n.csv(t, "SELECT count(*) AS c FROM t_csv"), "c\n2000\n")
	// What is loaded survives a kill.
	n.Kill()
	n.Start()
	wantSame(t, n.csv(t, "SELECT count(*) AS c FROM t_parquet"), "c\n6000\n")
	wantSame(t, n.csv(t, "SELECT count(*) AS c FROM t_csv"), "c\n2000\n")
}

// wantLoaded loads the files of one format, looks at the partitions, and
// returns the table's facts.
func (n *node) wantLoaded(t testing.TB, dir, format, rows string) string {
	t.Helper()
	table := "t_" + format
	out := n.load(t, table, "--id", "device", "--time", "ts", filepath.Join(dir, "part-*."+format))
	if !strings.Contains(out, "loaded 6,000 rows from 3 files") {
		t.Errorf("load said %q", out)
	}
	files, err := filepath.Glob(filepath.Join(n.Dir, "objects", table, "dev-1", "2024-05-02", "*.parquet"))
	if err != nil || len(files) != 1 {
		t.Errorf("dev-1 has the files %v of 2024-05-02, want one", files)
	}
	plan := n.explain(t, "SELECT * FROM "+table+" WHERE device = 'dev-1' AND ts >= '2024-05-02' AND ts < '2024-05-03'")
	if !strings.Contains(plan, "files 1 of ") {
		t.Errorf("one device and one day should be one file:\n%s", plan)
	}
	wantSame(t, n.csv(t, "SELECT count(*) AS c FROM "+table), "c\n"+rows+"\n")
	return n.csv(t, fmt.Sprintf(`SELECT device, min(ts)::VARCHAR AS first, max(ts)::VARCHAR AS last, sum(value) AS v, count(note) AS notes,
		count(*) AS c FROM %s GROUP BY device ORDER BY device`, table))
}

// TestInterruptedLoadLeavesNothing kills the server in a load: the table is
// not there, or has all rows.
func TestInterruptedLoadLeavesNothing(t *testing.T) {
	t.Parallel()
	n := startNode(t, "interrupted")
	path := filepath.Join(tpchData(t), "orders.parquet")
	for _, wait := range []time.Duration{50 * time.Millisecond, 300 * time.Millisecond} {
		done := make(chan output)
		go func() { done <- n.tool(t, "", "load", "--table", "orders", path) }()
		time.Sleep(wait)
		n.Kill()
		o := <-done
		n.Start()
		rows, a, err := n.tryQuery("SELECT count(*) AS c, count(DISTINCT o_orderkey) AS d FROM orders")
		switch {
		case err != nil:
			t.Fatal(err)
		case a.Status == 404 && o.Exit == 0:
			t.Error("the load was acknowledged and the table is not there")
		case a.Status == 404:
		case a.Status != 200 || len(rows) != 1 || fmt.Sprint(rows[0]["c"]) != fmt.Sprint(rows[0]["d"]) || fmt.Sprint(rows[0]["c"]) == "0":
			t.Errorf("after a load that was cut off (exit %d): status %d, %v", o.Exit, a.Status, rows)
		default:
			n.do(t, "DELETE", "/v1/tables/orders?cascade=true", "", nil).want(t, 200)
		}
	}
}

func writeFile(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
