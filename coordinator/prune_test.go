//go:build duckdb_arrow

package coordinator_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"skein/coordinator"
)

var filesOf = regexp.MustCompile(`files (\d+) of (\d+)`)

// pruned tells how many files of its one table a statement leaves out, of how
// many.
func pruned(t *testing.T, c *coordinator.Coordinator, sql string) (left, all int) {
	t.Helper()
	plan, err := rows(t, c, "EXPLAIN "+sql, nil)
	check(t, err)
	for _, line := range plan {
		if m := filesOf.FindStringSubmatch(line[0]); m != nil {
			kept, _ := strconv.Atoi(m[1])
			all, _ = strconv.Atoi(m[2])
			return all - kept, all
		}
	}
	t.Fatalf("%s: no files in the plan %v", sql, plan)
	return 0, 0
}

// TestColumnRangesPrune loads a few rows of many types at a time and lets one
// DuckDB tell what conditions on them give.
func TestColumnRangesPrune(t *testing.T) {
	const chunks = 12
	o := newOracle(t, fmt.Sprintf(`CREATE TABLE t AS SELECT (i // 4)::INTEGER AS chunk, CASE WHEN i %% 5 > 0 THEN i END AS n, (i * 3)::UTINYINT AS small,
		(i - 20)::DECIMAL(9, 2) / 4 AS dec, i / 7 AS dbl, (i / 7)::FLOAT AS flt, chr(97 + (i // 6)::INTEGER) || repeat('ü', i::INTEGER) AS s, i %% 16 < 8 AS b,
		DATE '2024-01-01' + (i * 3)::INTEGER AS d, TIMESTAMP '2023-12-31 20:00:00' + to_hours((i * 5)::INTEGER) AS ts, TIMESTAMPTZ '2023-12-31 20:00:00+00' + to_hours((i * 5)::INTEGER) AS tz,
		CASE WHEN i < 24 THEN 'nan'::DOUBLE ELSE i END AS nan, CASE WHEN i < 24 THEN i END AS early FROM range(%d) r(i)`, 4*chunks))
	c := newCluster(t, 2).nodes[0].Coordinator
	for chunk := range chunks {
		r, err := o.conn.Query(t.Context(), fmt.Sprintf("SELECT * FROM t WHERE chunk = %d", chunk))
		check(t, err)
		_, err = c.Ingest(t.Context(), coordinator.Ingest{Table: "t", Mode: coordinator.IngestCreateOrAppend}, r)
		check(t, err)
		check(t, r.Close())
	}
	for where, least := range map[string]int{
		"chunk = 3": 11, "n > 40": 10, "small < 12": 11, "dec BETWEEN -1 AND 0.5": 9, "dbl = 1": 11, "flt > 6": 10, "s < 'b'": 10, "b": 4, "d = '2024-02-03'": 11,
		"ts < DATE '2024-01-01' + INTERVAL 1 DAY": 10, "date_trunc('day', tz) = '2024-01-02'": 10, "ts::DATE > '2024-01-09'": 10, "nan = 24": 5, "early IS NOT NULL": 6, "early IS NULL": 6, "s IN ('x', 'y')": 12,
	} {
		if got, all := pruned(t, c, "SELECT * FROM t WHERE "+where); all != chunks || got < least {
			t.Errorf("%s leaves out %d of %d files, want %d", where, got, all, least)
		}
	}
	constants := []string{"5", "17", "2.5", "-1.25", "1e1", "NULL", "'7'", "'2024-01-20'", "DATE '2024-02-01'", "TIMESTAMP '2024-01-05 01:00:00'", "TIMESTAMPTZ '2024-01-04 00:00:00+03'", "'c'", "'düüüüüüüüüüüüüüüüüü'", "true"}
	columns := []string{"n", "small", "dec", "dbl", "flt", "s", "b", "d", "ts", "tz", "nan", "early", "date_trunc('week', ts)", "CAST(tz AS DATE)"}
	r := rand.New(rand.NewPCG(7, 7))
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	compared := 0
	for range 400 {
		x := pick(columns...)
		where := pick(x+pick(" = ", " <> ", " < ", " <= ", " > ", " >= ")+pick(constants...), x+" IN ("+pick(constants...)+", "+pick(constants...)+")",
			x+" BETWEEN "+pick(constants...)+" AND "+pick(constants...), x+" IS NULL")
		sql := "SELECT chunk, n FROM t WHERE " + pick("", "NOT ") + "(" + where + ")"
		got, want := fixed(rows(t, c, sql, nil)), o.answer(sql)
		if strings.HasPrefix(want, "error") || strings.HasPrefix(got, "error") {
			continue // in the types: found only where a row is looked at
		}
		compared++
		if got != want {
			t.Fatalf("%s\ngot:\n%.300s\nwant:\n%.300s", sql, got, want)
		}
	}
	if compared < 100 {
		t.Errorf("only %d statements compared", compared)
	}
}

// TestRangesOfOlderSchemas reads files whose columns have widened, appeared
// and become text since.
func TestRangesOfOlderSchemas(t *testing.T) {
	c := newCluster(t, 1).nodes[0].Coordinator
	create(t, c, "t")
	for i, payload := range []string{`{"n": 1, "mixed": 10}`, `{"n": 5, "mixed": 20}`, `{"n": 2.5, "later": 7}`, `{"n": 9, "mixed": "text", "later": null}`, `{"n": null}`} {
		check(t, c.Write(t.Context(), "t", []coordinator.Record{{ID: "x", Timestamp: start.Add(time.Duration(i) * time.Second), Payload: []byte(payload)}}))
		check(t, c.Flush(t.Context(), "t"))
	}
	for where, want := range map[string]struct {
		count string
		left  int
	}{
		"n > 2": {"3", 2}, "n = 1": {"1", 4}, "n < 0": {"0", 5}, "n IS NULL": {"1", 4}, "later = 7": {"1", 4}, "later IS NULL": {"4", 1}, "later > 7": {"0", 5},
		"mixed = '10'": {"1", 2}, "mixed < '2'": {"2", 2}, "mixed IS NULL": {"2", 3}, "mixed = '\"text\"'": {"1", 2},
	} {
		if got := one(t, c, "SELECT count(*) FROM t WHERE "+where); got != want.count {
			t.Errorf("%s: %s rows, want %s", where, got, want.count)
		}
		if left, all := pruned(t, c, "SELECT count(*) FROM t WHERE "+where); all != 5 || left != want.left {
			t.Errorf("%s leaves out %d of %d files, want %d", where, left, all, want.left)
		}
	}
}
