//go:build duckdb_arrow

package coordinator_test

import (
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"skein/coordinator"
	"skein/internal/fault"
)

// execute runs a statement and fails the test unless it changed so many rows.
func execute(t testing.TB, c *coordinator.Coordinator, sql string, want int64) {
	t.Helper()
	n, err := c.Execute(t.Context(), sql, nil)
	if err != nil || n != want {
		t.Errorf("%s: %d rows, %v; want %d", sql, n, err, want)
	}
}

func TestInsert(t *testing.T) {
	c := newCluster(t, 2).nodes[0].Coordinator
	execute(t, c, "CREATE TABLE t (a INTEGER, b VARCHAR, c DECIMAL(10,2), d TIMESTAMP, l INTEGER[], s STRUCT(x INTEGER, y VARCHAR))", 0)
	execute(t, c, "INSERT INTO t VALUES (1, 'one', 1.5, '2024-01-02', [1, 2], {'x': 1, 'y': 'z'}), (2, NULL, DEFAULT, TIMESTAMP '2024-01-03 04:05:06', [], NULL);", 2)
	execute(t, c, `INSERT INTO "skein"."main"."t" (B, a) VALUES ('it''s; (x)', 1 + 2) -- three`, 1)
	execute(t, c, "INSERT INTO t (a, b) SELECT a + 10, upper(b) FROM t WHERE a < 3", 2)
	execute(t, c, "INSERT INTO t BY NAME SELECT 'named' AS b, 20 AS a", 1)
	execute(t, c, "insert into main.t (a) (select 30)", 1)
	execute(t, c, "INSERT INTO t (a) WITH x AS (SELECT 40 AS n) SELECT n FROM x", 1)
	execute(t, c, "INSERT INTO t (a, b) VALUES ('50', 7), ('51', true)", 2)
	execute(t, c, "INSERT INTO t (a, b) SELECT 60, E'tab\\t' FROM range(3)", 3)
	execute(t, c, "INSERT INTO t (a, b) VALUES (70, $$dollar$$)", 1)
	execute(t, c, "INSERT INTO t SELECT * FROM t WHERE false", 0)
	execute(t, c, "INSERT INTO t (a, b) VALUES (80, (SELECT max(b) FROM t WHERE a = 1)), (81, (SELECT string_agg(x, '') FROM unnest(['p', 'q']) u(x)))", 2)
	got, err := rows(t, c, "SELECT a, b, c, d, CAST(l AS VARCHAR), s.y FROM t WHERE a < 60 ORDER BY a", nil)
	check(t, err)
	want := "[[1 one 1.5 2024-01-02T00:00:00 [1, 2] z] [2 (null) (null) 2024-01-03T04:05:06 [] (null)] [3 it's; (x) (null) (null) (null) (null)] " +
		"[11 ONE (null) (null) (null) (null)] [12 (null) (null) (null) (null) (null)] [20 named (null) (null) (null) (null)] [30 (null) (null) (null) (null) (null)] [40 (null) (null) (null) (null) (null)] [50 7 (null) (null) (null) (null)] [51 true (null) (null) (null) (null)]]"
	if s := sprint(got); s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
	if got := one(t, c, "SELECT string_agg(b, ',' ORDER BY a) FROM t WHERE a >= 60"); got != "tab\t,tab\t,tab\t,dollar,one,pq" {
		t.Errorf("got %q", got)
	}
}

func TestInsertRecords(t *testing.T) {
	c := newCluster(t, 1).nodes[0].Coordinator
	create(t, c, "r")
	write(t, c, "r", 0, 3)
	execute(t, c, "INSERT INTO r (id, timestamp, n) VALUES ('x', '2024-05-06 07:08:09+00', 77)", 1)
	if got := one(t, c, "SELECT count(*) || ' ' || max(payload.n) FROM r"); got != "4 77" {
		t.Errorf("got %s", got)
	}
	_, err := c.Execute(t.Context(), "INSERT INTO r (id, n) VALUES ('x', 1)", nil)
	if fault.CodeOf(err) != fault.InvalidArgument || !strings.Contains(err.Error(), "timestamp") {
		t.Errorf("no timestamp: %v", err)
	}
}

func TestInsertMistakes(t *testing.T) {
	c := newCluster(t, 1).nodes[0].Coordinator
	execute(t, c, "CREATE TABLE t (a INTEGER, b VARCHAR)", 0)
	execute(t, c, "INSERT INTO t VALUES (1, 'x')", 1)
	for sql, want := range map[string]struct {
		code fault.Code
		text string
	}{
		"INSERT INTO nowhere VALUES (1)":                                           {fault.NotFound, "nowhere"},
		"INSERT INTO other.t VALUES (1)":                                           {fault.NotFound, "skein.main"},
		"INSERT INTO t VALUES (1)":                                                 {fault.InvalidArgument, "2 columns"},
		"INSERT INTO t (a) VALUES (1, 2)":                                          {fault.InvalidArgument, "gives 2"},
		"INSERT INTO t (a, a) VALUES (1, 2)":                                       {fault.InvalidArgument, "twice"},
		"INSERT INTO t (z) VALUES (1)":                                             {fault.InvalidArgument, "no column z"},
		"INSERT INTO t BY NAME SELECT 1 AS z":                                      {fault.InvalidArgument, "no column z"},
		"INSERT INTO t VALUES (1, 'x'), ('y', 'z')":                                {fault.InvalidArgument, "Conversion Error"},
		"INSERT INTO t SELECT * FROM t RETURNING a":                                {fault.Unimplemented, "RETURNING"},
		"INSERT INTO t VALUES (1, 'x') ON CONFLICT DO NOTHING":                     {fault.Unimplemented, "ON CONFLICT"},
		"INSERT OR REPLACE INTO t VALUES (1, 'x')":                                 {fault.Unimplemented, "INSERT INTO"},
		"INSERT INTO t DEFAULT VALUES":                                             {fault.Unimplemented, "DEFAULT VALUES"},
		"INSERT INTO t":                                                            {fault.InvalidArgument, "end of input"},
		"INSERT t VALUES (1)":                                                      {fault.InvalidArgument, "syntax error"},
		"INSERT INTO t VALUES (1, 'x'); DROP TABLE t":                              {fault.InvalidArgument, ""},
		"INSERT INTO t SELECT 1, 'x') AS q(c0, c1); DROP TABLE t":                  {fault.InvalidArgument, ""},
		"INSERT INTO t VALUES (1, read_text('/etc/passwd'))":                       {fault.InvalidArgument, "read_text"},
		"INSERT INTO t VALUES (1, (SELECT content FROM read_text('/etc/passwd')))": {fault.InvalidArgument, "read_text"},
		"INSERT INTO t VALUES (?, 'x')":                                            {fault.InvalidArgument, "1 parameters"},
		"INSERT INTO t DROP TABLE t":                                               {fault.InvalidArgument, ""},
		"INSERT INTO t SET a = 1":                                                  {fault.InvalidArgument, ""},
		"WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x":                       {fault.InvalidArgument, "INSERT INTO t WITH"},
		"UPDATE t SET a = 1":                                                       {fault.Unimplemented, "CREATE OR REPLACE TABLE"},
		"DELETE FROM t":                                                            {fault.Unimplemented, "CREATE OR REPLACE TABLE"},
		"MERGE INTO t USING t AS s ON false WHEN MATCHED THEN DELETE":              {fault.Unimplemented, "CREATE OR REPLACE TABLE"},
		"SAVEPOINT x": {fault.Unimplemented, "transaction"},
	} {
		_, err := c.Execute(t.Context(), sql, nil)
		if err == nil || fault.CodeOf(err) != want.code || !strings.Contains(err.Error(), want.text) {
			t.Errorf("%s: got %v: %v; want %v: …%s…", sql, fault.CodeOf(err), err, want.code, want.text)
		}
	}
	if got := one(t, c, "SELECT count(*) FROM t"); got != "1" {
		t.Errorf("%s rows are stored", got)
	}
}

// pairs are rows of a number and a text, as a client binds them.
func pairs(n int) arrow.RecordBatch {
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{
		{Name: "1", Type: arrow.PrimitiveTypes.Int64, Nullable: true}, {Name: "2", Type: arrow.BinaryTypes.String, Nullable: true}}, nil))
	defer b.Release()
	for i := range n {
		b.Field(0).(*array.Int64Builder).Append(int64(i))
		if i%2 == 0 {
			b.Field(1).AppendNull()
		} else {
			b.Field(1).(*array.StringBuilder).Append("it's " + strings.Repeat("x", i%7))
		}
	}
	return b.NewRecordBatch()
}

func TestInsertParameters(t *testing.T) {
	c := newCluster(t, 1).nodes[0].Coordinator
	execute(t, c, "CREATE TABLE t (a INTEGER, b VARCHAR)", 0)
	for _, sql := range []string{"INSERT INTO t VALUES (?, ?)", "INSERT INTO t (b, a) VALUES ($2, $1 + 0)", "INSERT INTO t (b, a) VALUES (lower($2), ?1)"} {
		s, err := c.Prepare(t.Context(), sql)
		check(t, err)
		if s.ReturnsRows() || s.Params.NumFields() != 2 {
			t.Errorf("%s: %v", sql, s)
		}
		params := pairs(2500)
		n, err := c.Execute(t.Context(), sql, params)
		params.Release()
		if n != 2500 || err != nil {
			t.Errorf("%s: %d, %v", sql, n, err)
		}
	}
	s, err := c.Prepare(t.Context(), "INSERT INTO t VALUES (?, ?)")
	check(t, err)
	if f := s.Params.Fields(); f[0].Type.ID() != arrow.INT32 || f[1].Type.ID() != arrow.STRING {
		t.Errorf("parameters %v", s.Params)
	}
	if got := one(t, c, "SELECT count(*) || ' ' || sum(a) || ' ' || count(b) || ' ' || max(length(b)) FROM t"); got != "7500 9371250 3750 11" {
		t.Errorf("got %s", got)
	}
	// A value that does not fit: nothing of the statement is stored.
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{{Name: "1", Type: arrow.PrimitiveTypes.Int64}}, nil))
	defer b.Release()
	b.Field(0).(*array.Int64Builder).AppendValues([]int64{1, 1 << 40}, nil)
	bad := b.NewRecordBatch()
	defer bad.Release()
	if _, err := c.Execute(t.Context(), "INSERT INTO t (a) VALUES (?)", bad); fault.CodeOf(err) != fault.InvalidArgument {
		t.Errorf("a value out of range: %v", err)
	}
	few := pairs(3)
	defer few.Release()
	if n, err := c.Execute(t.Context(), "INSERT INTO t SELECT a, ? FROM t WHERE a = ? AND b IS NULL LIMIT 1", few); err == nil {
		t.Errorf("a number for text and text for a number: %d", n)
	}
	if n, err := c.Execute(t.Context(), "INSERT INTO t SELECT $1 + 100000, $2 FROM t WHERE a = 0 AND b IS NULL LIMIT 1", few); n != 3 || err != nil {
		t.Errorf("a query for each row: %d, %v", n, err)
	}
	for sql, rows := range map[string]int{"INSERT INTO t VALUES ($1, $3)": 0, "INSERT INTO t VALUES (?, ?)": 0, "INSERT INTO t VALUES (?, 'x')": 3} {
		p := pairs(rows)
		n, err := c.Execute(t.Context(), sql, p)
		p.Release()
		if n != 0 || (err == nil) != (sql == "INSERT INTO t VALUES (?, ?)") {
			t.Errorf("%s: %d, %v", sql, n, err)
		}
	}
	if got := one(t, c, "SELECT count(*) FROM t"); got != "7503" {
		t.Errorf("%s rows", got)
	}
}

func TestCreateTableAs(t *testing.T) {
	c := newCluster(t, 2).nodes[0].Coordinator
	execute(t, c, "CREATE TABLE a AS SELECT range AS n, 'x' || range AS s, CAST(range AS HUGEINT) AS h, TIMESTAMP '2024-01-01' + INTERVAL (range) HOUR AS ts FROM range(100)", 100)
	execute(t, c, "CREATE TABLE IF NOT EXISTS a AS SELECT 1 AS one", 0)
	execute(t, c, "CREATE TABLE b (k, v) WITH (time = v) AS SELECT n, ts FROM a WHERE n < 10;", 10)
	execute(t, c, "CREATE OR REPLACE TABLE b AS SELECT count(*) AS n FROM b", 1)
	execute(t, c, "CREATE TABLE c AS FROM a WITH NO DATA", 0)
	execute(t, c, "CREATE TABLE d AS (SELECT 1 AS x UNION ALL SELECT 2)", 2)
	if got := one(t, c, "SELECT (SELECT sum(n) FROM a) || ' ' || (SELECT n FROM b) || ' ' || (SELECT count(*) FROM c) || ' ' || (SELECT sum(x) FROM d)"); got != "4950 10 0 3" {
		t.Errorf("got %s", got)
	}
	described, err := rows(t, c, "SELECT column_name || ' ' || column_type FROM (DESCRIBE c)", nil)
	check(t, err)
	if s := sprint(described); s != "[[n BIGINT] [s VARCHAR] [h DECIMAL(38,0)] [ts TIMESTAMP]]" {
		t.Errorf("got %s", s)
	}
	for sql, code := range map[string]fault.Code{
		"CREATE TABLE a AS SELECT 1 AS x":                      fault.AlreadyExists,
		"CREATE OR REPLACE TABLE IF NOT EXISTS a AS SELECT 1":  fault.InvalidArgument,
		"CREATE OR REPLACE TABLE a (x INTEGER)":                fault.Unimplemented,
		"CREATE TEMP TABLE x AS SELECT 1":                      fault.Unimplemented,
		"CREATE TABLE x AS SELECT 1 AS y, 2 AS y":              fault.InvalidArgument,
		"CREATE TABLE x AS SELECT INTERVAL 1 DAY AS i":         fault.InvalidArgument,
		"CREATE TABLE x AS SELECT * FROM nowhere":              fault.NotFound,
		"CREATE TABLE x (p, q) AS SELECT 1":                    fault.InvalidArgument,
		"CREATE TABLE x WITH (retention_days = 3) AS SELECT 1": fault.Unimplemented,
		"CREATE TABLE x AS SELECT ?":                           fault.InvalidArgument,
		"CREATE TABLE x AS":                                    fault.InvalidArgument,
		"CREATE TABLE x AS DROP TABLE a":                       fault.InvalidArgument,
		"CREATE TABLE x AS SELECT error('stop') FROM a":        fault.InvalidArgument,
	} {
		if n, err := c.Execute(t.Context(), sql, nil); fault.CodeOf(err) != code || err == nil {
			t.Errorf("%s: %d, %v: %v", sql, n, fault.CodeOf(err), err)
		}
	}
	if got, err := rows(t, c, "SHOW TABLES", nil); err != nil || sprint(got) != "[[a] [b] [c] [d]]" {
		t.Errorf("tables %v, %v", got, err)
	}
}
