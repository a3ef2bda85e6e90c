//go:build duckdb_arrow

package coordinator_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"skein/coordinator"
	"skein/internal/duck"
)

// oracle is the same rows in one plain DuckDB table.
type oracle struct {
	t    *testing.T
	conn *duck.Conn
}

func newOracle(t *testing.T, sql ...string) *oracle {
	t.Helper()
	return newOracleOver(t, "", sql...)
}

// newOracleOver is an oracle that may read and write files in a directory.
func newOracleOver(t *testing.T, dir string, sql ...string) *oracle {
	t.Helper()
	o := duck.Options{Threads: 2}
	if dir != "" {
		o.AllowedDirs = []string{dir}
	}
	db, err := duck.Open(o)
	check(t, err)
	t.Cleanup(db.Close)
	conn, err := db.Conn(t.Context())
	check(t, err)
	t.Cleanup(conn.Close)
	for _, s := range sql {
		_, err := conn.Exec(t.Context(), s)
		check(t, err)
	}
	return &oracle{t, conn}
}

// answer is the statement's rows in a fixed order, or its error.
func (o *oracle) answer(sql string) string {
	rows, err := o.conn.Strings(o.t.Context(), strings.ReplaceAll(sql, "payload.", ""))
	return fixed(rows, err)
}

func fixed(rows [][]string, err error) string {
	if err != nil {
		kind, _, _ := strings.Cut(err.Error(), ":")
		return "error: " + kind
	}
	lines := make([]string, len(rows))
	for i, r := range rows {
		lines[i] = strings.ReplaceAll(strings.Join(r, " | "), "(null)", "")
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// conditions draws WHERE clauses about ids, times and the rest, in forms that
// prune, that look as if they did, and that do not.
type conditions struct{ *rand.Rand }

func (r conditions) pick(of ...string) string { return of[r.IntN(len(of))] }

func (r conditions) day() string { return fmt.Sprintf("2024-01-%02d", 1+r.IntN(8)) }

func (r conditions) instant() string {
	s := r.day()
	if r.IntN(2) == 0 {
		s += fmt.Sprintf(" %02d:00:00", r.IntN(24))
		s += r.pick("", "+00:00", "-05:00", ".000001")
	}
	return r.pick("'"+s+"'", "TIMESTAMPTZ '"+s+"'", "CAST('"+s+"' AS TIMESTAMP)", "DATE '"+s[:10]+"'")
}

func (r conditions) id() string {
	return r.pick("'a'", "'b'", "'c'", "'A'", "'zz'", "'a b/c'", "''", "NULL", "'a' || ''")
}

func (r conditions) where(depth int) string {
	if depth > 0 && r.IntN(2) == 0 {
		a, b := r.where(depth-1), r.where(depth-1)
		return r.pick("("+a+") AND ("+b+")", a+" AND "+b, "("+a+") OR ("+b+")", "NOT ("+a+")", a+" OR "+b+" AND "+a)
	}
	op := r.pick("=", "<", ">", "<=", ">=", "<>")
	switch r.IntN(9) {
	case 0:
		return "id " + op + " " + r.id()
	case 1:
		return r.id() + " " + op + " t.id"
	case 2:
		return "id " + r.pick("", "NOT ") + "IN (" + r.id() + ", " + r.id() + ")"
	case 3, 4:
		return "timestamp " + op + " " + r.instant()
	case 5:
		return r.instant() + " " + op + " \"timestamp\""
	case 6:
		return "timestamp " + r.pick("", "NOT ") + "BETWEEN " + r.instant() + " AND " + r.instant()
	case 7:
		return "payload.n " + op + " " + fmt.Sprint(r.IntN(300))
	}
	return r.pick("payload.s IS NULL", "s LIKE '%1%'", "coalesce(id, 'a') = 'a'", "upper(id) = 'A'", "date_trunc('day', timestamp) = "+r.instant(), "CAST(timestamp AS DATE) = "+r.instant(), "id IS NOT DISTINCT FROM 'a'", "n / 0 > 1")
}

func (r conditions) statement() string {
	where := r.where(2)
	return r.pick(
		"SELECT id, n, s FROM t WHERE "+where,
		"SELECT id, payload.n + 1 AS id2, 'x' AS id3 FROM t WHERE "+where,
		"SELECT 'b' AS id, n FROM t WHERE "+where,
		"SELECT count(*), sum(n) FROM t WHERE "+where,
		"SELECT t.id, u.v FROM t LEFT JOIN u ON t.n = u.k WHERE "+strings.NewReplacer("id ", "t.id ", "t.t.", "t.").Replace(where),
		"SELECT id, count(*) FROM (SELECT * FROM t WHERE "+where+") x GROUP BY id HAVING count(*) > 1",
		"SELECT n FROM t WHERE n IN (SELECT n FROM t WHERE "+where+")",
		"SELECT count(*), sum(n) FROM t WHERE n + 40 IN (SELECT n FROM t WHERE "+where+")",
		"WITH t AS (SELECT * FROM t WHERE "+where+") SELECT id, max(n) FROM t GROUP BY ALL",
		"SELECT n FROM t WHERE "+where+" ORDER BY n LIMIT 5",
	)
}

// TestAnswersEqualDuckDB compares random statements on one and three nodes
// with one DuckDB over the same rows, some flushed and some not.
func TestAnswersEqualDuckDB(t *testing.T) {
	inserts := []string{
		`CREATE TABLE t (id VARCHAR, "timestamp" TIMESTAMPTZ, n BIGINT, s VARCHAR)`,
		`CREATE TABLE u (id VARCHAR, "timestamp" TIMESTAMPTZ, k BIGINT, v VARCHAR)`,
	}
	var records, others []coordinator.Record
	ids := []string{"a", "b", "c", "a b/c", "A"}
	for i := range 300 {
		at := start.Add(time.Duration(i) * 37 * time.Minute)
		payload, s := fmt.Sprintf(`{"n": %d}`, i), "NULL"
		if i%3 > 0 {
			payload, s = fmt.Sprintf(`{"n": %d, "s": "s%d"}`, i, i), fmt.Sprintf("'s%d'", i)
		}
		id := ids[i%len(ids)]
		records = append(records, coordinator.Record{ID: id, Timestamp: at, Payload: []byte(payload)})
		inserts = append(inserts, fmt.Sprintf("INSERT INTO t VALUES (%s, '%s', %d, %s)", duck.Literal(id), at.Format(time.RFC3339), i, s))
		if i%10 == 0 {
			others = append(others, coordinator.Record{ID: "u", Timestamp: at, Payload: fmt.Appendf(nil, `{"k": %d, "v": "v%d"}`, i, i)})
			inserts = append(inserts, fmt.Sprintf("INSERT INTO u VALUES ('u', '%s', %d, 'v%d')", at.Format(time.RFC3339), i, i))
		}
	}
	o := newOracle(t, inserts...)
	for _, size := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d nodes", size), func(t *testing.T) {
			c := newCluster(t, size).nodes[0].Coordinator
			create(t, c, "t")
			create(t, c, "u")
			check(t, c.Write(t.Context(), "t", records[:200]))
			check(t, c.Flush(t.Context(), "t"))
			check(t, c.Write(t.Context(), "t", records[200:]))
			check(t, c.Write(t.Context(), "u", others))
			r := conditions{rand.New(rand.NewPCG(1, uint64(size)))}
			wrong, withRows := 0, 0
			for i := range 300 {
				sql := r.statement()
				got := fixed(rows(t, c, sql, nil))
				want := o.answer(sql)
				if want != "" && !strings.HasPrefix(want, "error") {
					withRows++
				}
				if got != want {
					t.Errorf("statement %d: %s\ngot:\n%.300s\nwant:\n%.300s", i, sql, got, want)
					if wrong++; wrong > 3 {
						t.FailNow()
					}
				}
			}
			if withRows < 150 {
				t.Errorf("only %d statements had rows to compare", withRows)
			}
		})
	}
}

// TestOddStatementsEqualDuckDB asks what looks as if files could be left out
// or the statement be divided.
func TestOddStatementsEqualDuckDB(t *testing.T) {
	inserts := []string{
		`CREATE TABLE t (id VARCHAR, "timestamp" TIMESTAMPTZ, n BIGINT)`,
		`CREATE TABLE u (id VARCHAR, "timestamp" TIMESTAMPTZ, k BIGINT)`,
	}
	var ts, us []coordinator.Record
	for i := range 40 {
		id, at := string(rune('a'+i%3)), start.Add(time.Duration(i)*3*time.Hour)
		ts = append(ts, coordinator.Record{ID: id, Timestamp: at, Payload: fmt.Appendf(nil, `{"n": %d}`, i)})
		us = append(us, coordinator.Record{ID: id, Timestamp: at, Payload: fmt.Appendf(nil, `{"k": %d}`, i)})
		for _, table := range []string{"t", "u"} {
			inserts = append(inserts, fmt.Sprintf("INSERT INTO %s VALUES ('%s', '%s', %d)", table, id, at.Format(time.RFC3339), i))
		}
	}
	o := newOracle(t, inserts...)
	c := newCluster(t, 2).nodes[0].Coordinator
	create(t, c, "t")
	create(t, c, "u")
	check(t, c.Write(t.Context(), "t", ts[:30]))
	check(t, c.Write(t.Context(), "u", us))
	check(t, c.Flush(t.Context(), ""))
	check(t, c.Write(t.Context(), "t", ts[30:]))
	for _, sql := range []string{
		"WITH t AS (SELECT 'a' AS id, n FROM t) SELECT count(*) FROM t WHERE id = 'a'",
		"WITH t AS (SELECT * FROM t WHERE id = 'a') SELECT count(*) FROM t WHERE id = 'a'",
		"SELECT n FROM t WHERE n IN (WITH t AS (SELECT 'b' AS id, k AS n FROM u) SELECT n FROM t WHERE id = 'b')",
		"WITH RECURSIVE t AS (SELECT n FROM t WHERE n < 3 UNION ALL SELECT n + 100 FROM t WHERE n < 100) SELECT n FROM t",
		"SELECT t.n, u.k FROM t ASOF JOIN u ON t.n >= u.k WHERE u.id = 'a'",
		"SELECT count(*) FROM t POSITIONAL JOIN u WHERE u.id = 'a' AND t.n IS NOT NULL",
		"SELECT t.n, u.k FROM t FULL JOIN u ON t.n = u.k + 20 WHERE u.id = 'a'",
		"SELECT t.n FROM t ANTI JOIN u ON t.n = u.k + 20 WHERE t.id = 'a'",
		"SELECT n FROM t WHERE id COLLATE NOCASE = 'A'",
		"SELECT x.id FROM t AS x(a, id) WHERE id > '2024-01-01'",
		"SELECT (SELECT count(*) FROM u WHERE id = t.id AND id = 'a') FROM t",
		"SELECT * FROM t PIVOT (sum(n) FOR id IN ('a', 'b'))",
		"SELECT sum(COLUMNS('n')) FROM t",
		"SELECT payload.n FROM (SELECT n, {'n': -n} AS x FROM t) WHERE id = 'a'",
		"SELECT payload.n FROM (SELECT * FROM t) WHERE id = 'a'",
	} {
		if got, want := fixed(rows(t, c, sql, nil)), o.answer(sql); got != want {
			t.Errorf("%s\ngot:\n%.300s\nwant:\n%.300s", sql, got, want)
		}
	}
	if got := one(t, c, "SELECT count(DISTINCT now) FROM (SELECT current_timestamp AS now FROM t)"); got != "1" {
		t.Errorf("%s times in one statement", got)
	}
	all, err := rows(t, c, "SELECT current_timestamp FROM t", nil)
	check(t, err)
	for _, r := range all {
		if r[0] != all[0][0] {
			t.Fatalf("times %s and %s in one statement", all[0][0], r[0])
		}
	}
}
