//go:build duckdb_arrow

package coordinator_test

import (
	"fmt"
	"testing"
)

// Rows on the right side of an ASOF join are not left out, whatever they must
// meet: another one would become the partner.
func TestReductionsSpareAsof(t *testing.T) {
	o := newOracle(t)
	c := newCluster(t, 3).nodes[0].Coordinator
	var parts []string
	for i := range 8 {
		parts = append(parts, fmt.Sprintf("SELECT i::BIGINT AS k, i::BIGINT AS ts, (i %% 10)::BIGINT AS x FROM range(%d, %d) AS r(i)", i*500, i*500+500))
	}
	loadBoth(t, o, c, "a", "(k BIGINT, ts BIGINT, x BIGINT)", parts...)
	loadBoth(t, o, c, "q", "(k BIGINT, ts BIGINT, x BIGINT)", parts...)
	loadBoth(t, o, c, "s", "(x BIGINT, v BIGINT)", "SELECT i::BIGINT AS x, i::BIGINT AS v FROM range(10) AS r(i)")
	for _, sql := range []string{
		"SELECT count(*), sum(q.ts) FROM a ASOF JOIN q ON a.ts >= q.ts JOIN s ON q.x = s.x WHERE s.v = 3",
		"SELECT count(*), sum(q.ts) FROM a ASOF JOIN q ON a.ts >= q.ts, s WHERE q.x = s.x AND s.v = 3",
		"SELECT count(*), sum(q.ts) FROM a ASOF JOIN q ON a.ts >= q.ts WHERE q.x IN (SELECT x FROM s WHERE v = 3)",
		"SELECT count(*), sum(q.ts) FROM a ASOF JOIN q ON a.k = q.k AND a.ts >= q.ts WHERE q.x IN (SELECT x FROM s WHERE v = 3)",
		"SELECT count(*), sum(q.ts) FROM a ASOF LEFT JOIN q ON a.x = q.x AND a.ts >= q.ts WHERE q.k IN (SELECT x FROM s WHERE v = 3)",
		"SELECT count(*), sum(q.ts) FROM a ASOF JOIN q USING (x, ts) JOIN s ON s.x = q.k WHERE s.v = 3",
	} {
		equalDuckDB(t, o, c, sql, "divide")
	}
}
