//go:build duckdb_arrow

package coordinator_test

import (
	"os"
	"path/filepath"
	"fmt"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"skein/coordinator"
)

func TestZZ(t *testing.T) {
	dir := t.TempDir()
	_ = dir
	c := newCluster(t, 3).nodes[0].Coordinator
	create(t, c, "t")
	create(t, c, "u")
	var inserts = []string{
		`CREATE TABLE t (id VARCHAR, "timestamp" TIMESTAMPTZ, n BIGINT, "payload.id" VARCHAR)`,
		`CREATE TABLE u (id VARCHAR, "timestamp" TIMESTAMPTZ, k BIGINT)`,
	}
	var tr, ur []coordinator.Record
	for i := range 40 {
		at := start.Add(time.Duration(i) * time.Hour * 3)
		id := []string{"a", "b", "c"}[i%3]
		tr = append(tr, coordinator.Record{ID: id, Timestamp: at, Payload: fmt.Appendf(nil, `{"n": %d, "id": "p%d"}`, i, i)})
		inserts = append(inserts, fmt.Sprintf("INSERT INTO t VALUES ('%s', '%s', %d, 'p%d')", id, at.Format(time.RFC3339), i, i))
		ur = append(ur, coordinator.Record{ID: id, Timestamp: at, Payload: fmt.Appendf(nil, `{"k": %d}`, i)})
		inserts = append(inserts, fmt.Sprintf("INSERT INTO u VALUES ('%s', '%s', %d)", id, at.Format(time.RFC3339), i))
	}
	o := newOracle(t, inserts...)
	check(t, c.Write(t.Context(), "t", tr[:30]))
	check(t, c.Write(t.Context(), "u", ur[:40]))
	check(t, c.Flush(t.Context(), "t"))
	check(t, c.Flush(t.Context(), "u"))
	check(t, c.Write(t.Context(), "t", tr[30:]))
	for _, sql := range []string{
		"WITH t AS (SELECT 'a' AS id, n FROM t) SELECT count(*) FROM t WHERE id = 'a'",
		"WITH t AS (SELECT 'z' AS id, n FROM t) SELECT count(*) FROM t WHERE id = 'z'",
		"WITH t AS (SELECT * FROM t WHERE id='a') SELECT count(*) FROM t WHERE id='a'",
		"SELECT t.n, u.k FROM t ASOF JOIN u ON t.n >= u.k WHERE u.id = 'a'",
		"SELECT t.n, u.k FROM t POSITIONAL JOIN (SELECT k FROM u ORDER BY k) u WHERE t.id = 'a'",
		"SELECT count(*), max(t.n - u.k) FROM t POSITIONAL JOIN u WHERE u.id = 'a'",
		"SELECT t.n, u.k FROM t FULL JOIN u ON t.n = u.k + 20 WHERE u.id = 'a'",
		"SELECT t.n FROM t ANTI JOIN u ON t.n = u.k + 20 WHERE t.id = 'a'",
		"SELECT count(*) FROM (SHOW TABLES)",
		"SELECT t.n FROM t SEMI JOIN u USING (id) WHERE id = 'a'",
		"SELECT n FROM t WHERE id = 'a' COLLATE NOCASE",
		"SELECT n FROM t WHERE id COLLATE NOCASE = 'A'",
		"WITH RECURSIVE t AS (SELECT n FROM t WHERE n < 3 UNION ALL SELECT n + 100 FROM t WHERE n < 100) SELECT n FROM t",
		"SELECT count(DISTINCT x) FROM (SELECT current_timestamp AS x FROM t)",
		"SELECT #1 FROM t WHERE id = 'a' ORDER BY #1",
		"FROM t SELECT n WHERE id = 'b'",
		"SELECT x.id FROM t AS x(a, id) WHERE id > '2024-01-01'",
		"SELECT n FROM t WHERE id = 'a' QUALIFY row_number() OVER (ORDER BY n) = 1",
		"SELECT n FROM t WHERE timestamp = '2024-01-01 03:00:00'",
		"SELECT n FROM t WHERE timestamp > '2024-01-01 03:00:00+05:30' AND timestamp < '20240103'",
		"SELECT n FROM t WHERE timestamp < 'infinity' AND timestamp > '-infinity'",
		"SELECT n FROM t WHERE timestamp < '2024-01-04 24:00:00' AND timestamp > 'epoch'",
		"SELECT n FROM t WHERE timestamp BETWEEN SYMMETRIC '2024-01-04' AND '2024-01-01'",
		"SELECT count(*) FROM t, t AS t2 WHERE t.id = 'a' AND t2.id='b'",
		"SELECT n FROM t WHERE (id, n) = ('a', 3)",
		"SELECT n FROM t WHERE id IN (SELECT 'a') OR id = 'b'",
		"SELECT n FROM t WHERE id LIKE 'a'",
		"SELECT n FROM t WHERE id = 'a' UNION ALL SELECT n FROM t WHERE id='b'",
		"SELECT (SELECT count(*) FROM u WHERE id = t.id AND id = 'a') c FROM t",
		"SELECT (SELECT count(*) FROM u WHERE t.id = 'a') c FROM t",
		"SELECT x.id FROM (SELECT * FROM t) x",
		"SELECT n FROM t WHERE id = 'a'::VARCHAR(1)",
		"SELECT n FROM t WHERE timestamp >= '2024-01-02'::DATE AND timestamp < '2024-01-02'::DATE + INTERVAL 1 DAY",
		"SELECT n FROM t WHERE timestamp >= TIMESTAMP '2024-01-02' AND timestamp < TIMESTAMPTZ '2024-01-03 00:00:00-10'",
		"SELECT n FROM t WHERE timestamp = make_timestamptz(2024,1,1,3,0,0)",
		"PIVOT t ON id USING sum(n) GROUP BY n",
		"SELECT * FROM (PIVOT t ON id IN ('a','b') USING sum(n) GROUP BY n) WHERE a IS NOT NULL",
		"SELECT * FROM t PIVOT (sum(n) FOR id IN ('a','b'))",
		"UNPIVOT (SELECT id, n FROM t) ON n",
		"SELECT unnest([n, n]) FROM t",
		"SELECT COLUMNS('n') FROM t",
		"SELECT sum(COLUMNS('n')) FROM t",
		"SELECT list_transform([n], lambda x: x + n) FROM t",
		"SELECT list_transform([1], id -> id + 1) FROM t WHERE id = 'a'",
		"SELECT {'a': n}.a FROM t", 
		"SELECT t FROM t WHERE t.id = 'a'",
		"SELECT n FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.k = t.n AND id = 'a')",
		"SELECT t.n, k FROM t LEFT JOIN (SELECT * FROM u WHERE id = 'a') u ON t.n = u.k",
		"SELECT t.n, k FROM t RIGHT JOIN u ON t.n = u.k AND t.id = 'a' WHERE u.id <> 'q'",
		"SELECT n FROM t TABLESAMPLE 100% WHERE id = 'a'",
		"SELECT DISTINCT ON (id) id FROM t WHERE id='a'",
		"SELECT id, n FROM t WHERE id = 'a' GROUP BY ROLLUP (id, n)",
		"SELECT n AS timestamp FROM t WHERE timestamp > '2024-01-03'",
		"SELECT lower(id) AS timestamp FROM t WHERE \"timestamp\" > '2024-01-03'",
		"SUMMARIZE SELECT n FROM t",
		"SELECT memory.main.t.n FROM t",
		"SELECT main.t.n FROM t",
	} {
		got := fixed(rows(t, c, sql, nil))
		_, gerr := rows(t, c, sql, nil)
		want := o.answer(sql)
		if got != want {
			t.Errorf("DIFF %s\ngot: %.200s (%v)\nwant: %.200s", sql, got, gerr, want)
		}
	}
	for _, sql := range []string{
		"SELECT payload.id FROM (SELECT * FROM t) x WHERE n = 1",
		"SELECT x.payload.id FROM (SELECT * FROM t) x WHERE n = 1",
		"WITH x AS (SELECT * FROM t) SELECT payload.id FROM x WHERE n = 1",
		"SELECT payload.n FROM (SELECT {'n': 99} AS payload FROM t WHERE n = 1)",
		"SELECT payload.n FROM (SELECT n, {'n': 99} AS payload FROM t WHERE n = 1)",
		"WITH RECURSIVE duckdb_databases AS (SELECT database_name AS n FROM duckdb_databases UNION ALL SELECT n FROM duckdb_databases WHERE false) SELECT n FROM duckdb_databases",
		"WITH \"duc\u212Adb_databases\" AS (SELECT 1) SELECT database_name FROM duckdb_databases",
		"SELECT json_serialize_plan('select current_setting(''temp_directory'')', optimize:=true)",
		"SELECT payload.id FROM t JOIN u ON t.n = u.k WHERE t.n = 1",
		"DESCRIBE t",
	} {
		r, err := rows(t, c, sql, nil)
		t.Logf("SEE %s\n -> %v %v", sql, r, err)
	}
	victim := filepath.Join(t.TempDir(), "x.csv")
	_ = victim
	null := array.NewNull(1)
	defer null.Release()
	p := array.NewRecordBatch(arrow.NewSchema([]arrow.Field{{Name: "1", Type: arrow.Null, Nullable: true}}, nil), []arrow.Array{null}, 1)
	r, err := rows(t, c, "SELECT ? IS NULL", p)
	t.Logf("SEE null param %v %v", r, err)
	for _, sql := range []string{
		"CREATE TABLE v (a VARCHAR DEFAULT $$'$$); COPY (SELECT 42) TO '" + victim + "'; --')",
		"CREATE TABLE v (a VARCHAR DEFAULT E'\\''); COPY (SELECT 42) TO '" + victim + "'; --')",
		"CREATE TABLE v (a VARCHAR /* /* */ ' */ ); COPY (SELECT 42) TO $$" + victim + "$$; --')",
		"CREATE TABLE v (a VARCHAR -- \r ); COPY (SELECT 42) TO '" + victim + "'; --\n)",
	} {
		os.Remove(victim)
		_, err := c.Prepare(t.Context(), sql)
		b, e2 := os.ReadFile(victim)
		t.Logf("SEE inject %.60q -> %v / file %q %v", sql, err, b, e2 == nil)
	}
}
