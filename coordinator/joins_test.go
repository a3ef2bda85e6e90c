//go:build duckdb_arrow

package coordinator_test

import (
	"fmt"
	"strings"
	"testing"

	"skein/bench/answer"
	"skein/coordinator"
)

// loadBoth makes a table in Skein and in the oracle, with a file for each of
// the queries whose rows it gets.
func loadBoth(t *testing.T, o *oracle, c *coordinator.Coordinator, table, columns string, parts ...string) {
	t.Helper()
	create := "CREATE TABLE " + table + " " + columns
	_, err := o.conn.Exec(t.Context(), create)
	check(t, err)
	_, err = c.Execute(t.Context(), create, nil)
	check(t, err)
	for _, part := range parts {
		_, err := o.conn.Exec(t.Context(), "INSERT INTO "+table+" "+part)
		check(t, err)
		rows, err := o.conn.Query(t.Context(), part)
		check(t, err)
		_, err = c.Ingest(t.Context(), coordinator.Ingest{Table: table, Mode: coordinator.IngestAppend}, rows)
		rows.Close()
		check(t, err)
	}
}

// equalDuckDB asks both. The plan must have the words.
func equalDuckDB(t *testing.T, o *oracle, c *coordinator.Coordinator, sql, words string) {
	t.Helper()
	plan, err := rows(t, c, "EXPLAIN "+sql, nil)
	check(t, err)
	if !strings.Contains(fmt.Sprint(plan), words) {
		t.Errorf("%s: no %q in its plan:\n%s", sql, words, text(plan))
	}
	want, _, err := askOracle(t, o, sql)
	check(t, err)
	got, _, err := ask(t, c, sql)
	check(t, err)
	if diff := answer.Compare(got, want, nil); len(diff) > 0 {
		t.Errorf("%s: %s\n%s", sql, diff[0], text(plan))
	}
}

// A large table that is joined by another key than the rest is joined later.
func TestJoinsInTwoStagesEqualDuckDB(t *testing.T) {
	o := newOracle(t)
	c := newCluster(t, 3).nodes[0].Coordinator
	var lines, orders, wide []string
	for i := range 12 {
		lines = append(lines, fmt.Sprintf("SELECT i // 4 AS k, (hash(i) %% 3100)::INTEGER AS w, CASE WHEN i %% 9 > 0 THEN i %% 5 END AS g FROM range(%d, %d) AS r(i)", i*20_000, i*20_000+20_000))
		orders = append(orders, fmt.Sprintf("SELECT i * 2 AS k, (i %% 5)::INTEGER AS g FROM range(%d, %d) AS r(i)", i*2_500, i*2_500+2_500))
		wide = append(wide, fmt.Sprintf("SELECT CASE WHEN i %% 50 <> 7 THEN i %% 3000 END::INTEGER AS id, 'name ' || i AS name, list_aggregate(list_transform(range(24), lambda x: md5((i * 24 + x)::VARCHAR)), 'string_agg', '') AS v FROM range(%d, %d) AS r(i)", i*270, i*270+270))
	}
	loadBoth(t, o, c, "lines", "(k BIGINT, w INTEGER, g BIGINT)", lines...)
	loadBoth(t, o, c, "orders", "(k BIGINT, g INTEGER)", orders...)
	loadBoth(t, o, c, "wide", "(id INTEGER, name VARCHAR, v VARCHAR)", wide...)
	loadBoth(t, o, c, "kinds", "(g INTEGER, v VARCHAR)", "SELECT i::INTEGER AS g, 'kind ' || i AS v FROM range(4) AS r(i)")
	for _, sql := range []string{
		"SELECT kinds.v, count(*), max(wide.v), min(name) AS least FROM lines AS l, orders AS o, wide, kinds WHERE l.k = o.k AND w = id AND kinds.g = o.g AND l.w + o.g > 500 GROUP BY 1 HAVING count(*) > 1 ORDER BY least",
		"SELECT DISTINCT wide.v AS v, w AS k FROM wide JOIN lines ON wide.id = lines.w, orders WHERE orders.k = lines.k AND (orders.g = 1 OR wide.id < 100) ORDER BY v, k",
		"SELECT w AS id, rank() OVER (PARTITION BY wide.id ORDER BY wide.v) AS r, sum(1) OVER () AS n FROM lines, orders, wide WHERE lines.k = orders.k AND w = wide.id",
		"SELECT w.name, l.w, count(DISTINCT w.v), median(o.g) FILTER (w.id > 10) FROM lines l, orders o, wide w, kinds AS k WHERE l.k = o.k AND l.w = w.id AND w.id % 4 = k.g GROUP BY ROLLUP (w.name, l.w)",
	} {
		equalDuckDB(t, o, c, sql, `"#j"`)
	}
	// Others are joined at once, or lines and orders are read everywhere.
	for _, sql := range []string{
		"SELECT wide.name, count(*), max(wide.v) FROM lines, orders, wide WHERE lines.k = orders.k AND lines.w = wide.id GROUP BY wide.name",
		"SELECT wide.id, name AS n, wide.v, w FROM lines JOIN orders ON lines.k = orders.k JOIN wide ON lines.w = wide.id WHERE orders.g = 3 AND length(wide.v) > 300 ORDER BY n, w LIMIT 50",
		"SELECT count(*), sum(w.id) FROM lines l JOIN orders o ON l.k = o.k LEFT JOIN wide w ON l.w = w.id",
		"SELECT w, wide FROM lines, orders, wide WHERE lines.k = orders.k AND w = id AND w < 20",
		"SELECT COLUMNS('name|k') FROM lines JOIN orders USING (k), wide WHERE w = wide.id AND w < 20",
		"SELECT count(*) FROM lines, orders, wide WHERE lines.g = orders.g AND w = wide.id AND w < 20", // many meet many
	} {
		equalDuckDB(t, o, c, sql, "divide")
	}
}
