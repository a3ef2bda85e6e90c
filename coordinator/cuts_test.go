//go:build duckdb_arrow

package coordinator_test

import (
	"fmt"
	"testing"

	"skein/coordinator"
)

// clustered are tables whose files hold ranges of k, and of the text t, that
// overlap a little. Some of the second's keys are NULL.
func clustered(t *testing.T, o *oracle, c *coordinator.Coordinator) {
	t.Helper()
	for _, table := range []string{"big", "other"} {
		create := "CREATE TABLE " + table + " (k BIGINT, t VARCHAR, v INTEGER, g INTEGER)"
		_, err := o.conn.Exec(t.Context(), create)
		check(t, err)
		_, err = c.Execute(t.Context(), create, nil)
		check(t, err)
		step, null := 3, -1
		if table == "other" {
			step, null = 2, 5
		}
		for i := range 12 {
			part := fmt.Sprintf("SELECT CASE WHEN i %% 97 = %d THEN NULL ELSE i // %d END AS k, 'it''s ' || lpad((i // %d)::VARCHAR, 6, '0') AS t, (i * 7919 %% 1000)::INTEGER AS v, (i %% 5)::INTEGER AS g FROM range(%d, %d) AS r(i)", null, step, step, i*1000, i*1000+1000)
			_, err := o.conn.Exec(t.Context(), "INSERT INTO "+table+" "+part)
			check(t, err)
			rows, err := o.conn.Query(t.Context(), part)
			check(t, err)
			_, err = c.Ingest(t.Context(), coordinator.Ingest{Table: table, Mode: coordinator.IngestAppend}, rows)
			rows.Close()
			check(t, err)
		}
	}
}

func TestRangesEqualDuckDB(t *testing.T) {
	o := newOracle(t)
	c := newCluster(t, 3).nodes[0].Coordinator
	clustered(t, o, c)
	for _, sql := range []string{
		"SELECT count(*), sum(big.v), sum(other.v) FROM big JOIN other ON big.k = other.k",
		"SELECT big.g, count(*), median(other.v) FROM big JOIN other USING (k) GROUP BY big.g",
		"SELECT k, count(*), sum(v), median(v) FROM big GROUP BY k",
		"SELECT t, string_agg(v::VARCHAR, ',' ORDER BY v) FROM big GROUP BY t HAVING count(*) > 2",
		"SELECT big.k, big.v, other.k, other.v FROM big FULL JOIN other ON big.k = other.k AND big.v < other.v",
		"SELECT count(*), count(other.k), count(big.k) FROM big LEFT JOIN other ON big.t = other.t",
		"SELECT count(*) FROM other RIGHT JOIN big ON big.k = other.k WHERE big.v % 3 = 0",
		"SELECT count(*), sum(v) FROM big WHERE EXISTS (FROM other WHERE other.k = big.k AND other.v > big.v)",
		"SELECT count(*), sum(v) FROM big WHERE NOT EXISTS (FROM other WHERE other.k = big.k AND other.g = big.g)",
		"SELECT a.k, a.v FROM big AS a JOIN big AS b ON a.k = b.k AND a.v < b.v JOIN other ON other.k = b.k",
		"SELECT k, (SELECT max(o.v) FROM other AS o WHERE o.k = b.k) AS m FROM big AS b",
		"SELECT count(DISTINCT b.k) FROM big AS b, other AS o WHERE b.t = o.t AND b.v + o.v > 1500",
	} {
		equalDuckDB(t, o, c, sql, "by ranges of")
	}
}
