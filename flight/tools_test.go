//go:build duckdb_arrow

package flight_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow-adbc/go/adbc"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"skein/flight"
)

// query runs a statement with the ADBC driver and returns its rows as text.
func query(t *testing.T, c adbc.Connection, sql string) string {
	t.Helper()
	s := statement(t, c)
	if err := s.SetSqlQuery(sql); err != nil {
		t.Fatal(err)
	}
	r, _, err := s.ExecuteQuery(t.Context())
	if err != nil {
		t.Errorf("%s: %v", sql, err)
		return ""
	}
	defer r.Release()
	var rows []string
	for r.Next() {
		b := r.RecordBatch()
		for i := range int(b.NumRows()) {
			var row []string
			for _, col := range b.Columns() {
				row = append(row, col.ValueStr(i))
			}
			rows = append(rows, strings.Join(row, " "))
		}
	}
	if r.Err() != nil {
		t.Errorf("%s: %v", sql, r.Err())
	}
	return strings.Join(rows, "; ")
}

// update runs a statement with the ADBC driver and returns the rows changed.
func update(t *testing.T, c adbc.Connection, sql string) (int64, error) {
	t.Helper()
	s := statement(t, c)
	if err := s.SetSqlQuery(sql); err != nil {
		t.Fatal(err)
	}
	return s.ExecuteUpdate(t.Context())
}

func TestToolsSQL(t *testing.T) {
	address, _ := serve(t, flight.Options{})
	c := connect(t, &door{address: address})
	for _, step := range []struct {
		sql  string
		want int64
	}{
		{"CREATE TABLE trips (host VARCHAR, n INTEGER, at_time TIMESTAMP)", 0},
		{"INSERT INTO trips VALUES ('a', 1, '2024-01-01'), ('b', 2, NULL)", 2},
		{`INSERT INTO "skein"."main"."trips" ("n", "host") SELECT n + 10, host FROM trips`, 2},
		{"CREATE TABLE copy AS SELECT * FROM trips WHERE n > 1", 3},
		{"CREATE OR REPLACE TABLE copy AS SELECT host FROM copy", 3},
		{"SET TimeZone = 'UTC'", 0},
		{"USE skein.main", 0},
	} {
		if n, err := update(t, c, step.sql); n != step.want || err != nil {
			t.Errorf("%s: %d, %v; want %d", step.sql, n, err, step.want)
		}
	}
	for sql, want := range map[string]string{
		"SELECT table_catalog, table_schema, table_name FROM information_schema.tables WHERE table_name ILIKE 'TR%'":                             "skein main trips",
		"SELECT c.column_name FROM information_schema.tables t JOIN information_schema.columns c USING (table_name) WHERE t.table_name = 'copy'": "host",
		"SELECT current_database() || '.' || current_schema()":                                                                                   "skein.main",
		"SHOW TABLES":               "copy; trips",
		"PRAGMA table_info('copy')": "0 host VARCHAR false (null) false",
		`SELECT "trips"."n" FROM "skein"."main"."trips" "trips" WHERE "trips"."host" = 'b' ORDER BY 1`: "2; 12",
	} {
		if got := query(t, c, sql); got != want {
			t.Errorf("%s: got %q, want %q", sql, got, want)
		}
	}
	for sql, want := range map[string]adbc.Status{
		"UPDATE trips SET n = 1": adbc.StatusNotImplemented, "DELETE FROM trips": adbc.StatusNotImplemented, "BEGIN": adbc.StatusNotImplemented,
		"SET threads = 1": adbc.StatusInvalidArgument, "USE nowhere": adbc.StatusNotFound, "INSERT INTO trips VALUES ('x', 'y', NULL)": adbc.StatusInvalidArgument,
		"CREATE TABLE copy AS SELECT 1 AS x": adbc.StatusAlreadyExists,
	} {
		_, err := update(t, c, sql)
		var e adbc.Error
		if !errors.As(err, &e) || e.Code != want {
			t.Errorf("%s: %v, want %s", sql, err, want)
		}
	}
}

// Rows that a client binds to an INSERT are stored together, or none is.
func TestToolsInsertMany(t *testing.T) {
	address, _ := serve(t, flight.Options{})
	c := connect(t, &door{address: address})
	if _, err := update(t, c, "CREATE TABLE t (a INTEGER, b VARCHAR)"); err != nil {
		t.Fatal(err)
	}
	insert := func(values ...int64) (int64, error) {
		b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{
			{Name: "a", Type: arrow.PrimitiveTypes.Int64, Nullable: true}, {Name: "b", Type: arrow.BinaryTypes.String, Nullable: true}}, nil))
		defer b.Release()
		for _, v := range values {
			b.Field(0).(*array.Int64Builder).Append(v)
			b.Field(1).(*array.StringBuilder).Append(fmt.Sprint("it's ", v))
		}
		rows := b.NewRecordBatch()
		defer rows.Release()
		s := statement(t, c)
		if err := errors.Join(s.SetSqlQuery("INSERT INTO t VALUES (?, ?)"), s.Prepare(t.Context()), s.Bind(t.Context(), rows)); err != nil {
			t.Fatal(err)
		}
		return s.ExecuteUpdate(context.Background())
	}
	many := make([]int64, 5000)
	for i := range many {
		many[i] = int64(i)
	}
	if n, err := insert(many...); n != 5000 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	many[4321] = 1 << 40 // no INTEGER
	var e adbc.Error
	if n, err := insert(many...); !errors.As(err, &e) || e.Code != adbc.StatusInvalidArgument {
		t.Errorf("%d, %v", n, err)
	}
	if got := query(t, c, "SELECT count(*), sum(a), max(b) FROM t"); got != "5000 12497500 it's 999" {
		t.Errorf("got %s", got)
	}
}
