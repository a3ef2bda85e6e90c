//go:build duckdb_arrow

package coordinator_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"skein/bench/answer"
	"skein/coordinator"
	"skein/internal/batch"
	"skein/internal/fault"
	"skein/internal/sqlgen"
)

// setting reads a number for runs by hand.
func setting(t *testing.T, name string, otherwise int) int {
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.Atoi(s)
	check(t, err)
	return n
}

// answerOf reads all rows.
func answerOf(ctx context.Context, r batch.Reader) (answer.Answer, *arrow.Schema, error) {
	defer r.Close()
	a := answer.Of(r.Schema(), nil)
	for {
		b, err := r.Next(ctx)
		if errors.Is(err, io.EOF) {
			return a, r.Schema(), nil
		}
		if err != nil {
			return a, nil, err
		}
		a.Rows = append(a.Rows, answer.Of(r.Schema(), []arrow.RecordBatch{b}).Rows...)
	}
}

// loadTables writes the tables to the oracle and, each part as files of its
// own, to the cluster. It returns what the oracle was told.
func loadTables(t *testing.T, o *oracle, c *coordinator.Coordinator, tables []sqlgen.Table) (statements []string) {
	t.Helper()
	exec := func(sql string) {
		t.Helper()
		if sql == "" {
			return
		}
		statements = append(statements, sql)
		if _, err := o.conn.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%.200s: %v", sql, err)
		}
	}
	for _, table := range tables {
		_, err := c.Execute(t.Context(), table.Create(), nil)
		if err != nil {
			t.Fatalf("%s: %v", table.Create(), err)
		}
		stored, err := rows(t, c, "DESCRIBE "+table.Name, nil) // some types are stored as others
		check(t, err)
		var columns []string
		for _, r := range stored {
			columns = append(columns, r[0]+" "+r[1])
		}
		exec("CREATE TABLE " + table.Name + " (" + strings.Join(columns, ", ") + ")")
		exec(sqlgen.Insert(table.Name, table.Rows()))
		for i, p := range table.Parts {
			part := fmt.Sprintf("%s_part_%d", table.Name, i)
			exec(p.Create(part))
			exec(sqlgen.Insert(part, p.Rows))
			rows, err := o.conn.Query(t.Context(), "SELECT * FROM "+part)
			check(t, err)
			_, err = c.Ingest(t.Context(), coordinator.Ingest{Table: table.Name, Mode: coordinator.IngestAppend}, rows)
			rows.Close()
			if err != nil {
				t.Fatalf("%s: %v", part, err)
			}
		}
	}
	return statements
}

// TestRandomStatementsEqualDuckDB compares random SELECTs over random tables
// on three workers with one DuckDB over the same rows.
func TestRandomStatementsEqualDuckDB(t *testing.T) {
	n, seed := setting(t, "SKEIN_TEST_STATEMENTS", 500), setting(t, "SKEIN_TEST_SEED", 1)
	from := setting(t, "SKEIN_TEST_FROM", 0)
	// Tables hold no INTERVAL and no HUGEINT. DuckDB 1.5 itself does not find
	// BLOBs that are no text in Parquet files.
	g := sqlgen.New(sqlgen.Options{Seed: uint64(seed), Without: []string{"INTERVAL", "HUGEINT", "BLOB"}})
	o := newOracle(t)
	c := newCluster(t, 3).nodes[0].Coordinator
	setup := loadTables(t, o, c, g.Tables())
	strategies, wrong, compared := map[string]int{}, 0, 0
	for i := from; i < from+n; i++ {
		s := g.Statement(i)
		want, wantSchema, wantErr := askOracle(t, o, s.SQL)
		got, gotSchema, gotErr := ask(t, c, s.SQL)
		diff := ""
		switch {
		case wantErr != nil && fault.CodeOf(wantErr) == fault.Internal: // DuckDB cannot run it, and has lost its tables
			o = newOracle(t, setup...)
		case wantErr != nil && gotErr != nil:
			if classOf(wantErr) != classOf(gotErr) {
				diff = fmt.Sprintf("error %v, want error %v", gotErr, wantErr)
			}
		case wantErr != nil || gotErr != nil:
			diff = fmt.Sprintf("error %v, want error %v", gotErr, wantErr)
		default:
			compared++
			if d := answer.Compare(got, want, s.OrderBy); len(d) > 0 {
				diff = fmt.Sprint(d[0])
			} else if !gotSchema.Equal(wantSchema) {
				diff = fmt.Sprintf("schema %s, want %s", gotSchema, wantSchema)
			}
		}
		strategy := "not asked"
		if n <= 1000 {
			strategy = strategyOf(t, c, s.SQL)
		}
		strategies[strategy]++
		if os.Getenv("SKEIN_TEST_SHOW") != "" && strategies[strategy] <= 2 && strategy != "divide" {
			t.Logf("%s: %s", strategy, s.SQL)
		}
		if diff != "" {
			plan, _ := rows(t, c, "EXPLAIN "+s.SQL, nil)
			t.Errorf("statement %d: %s\n%s\n%s", i, diff, s.SQL, text(plan))
			if wrong++; wrong >= setting(t, "SKEIN_TEST_WRONG", 5) {
				t.FailNow()
			}
		}
	}
	t.Logf("%d statements, %d answers compared: %v", n, compared, strategies)
	if compared < n*9/10 {
		t.Errorf("only %d of %d statements have an answer", compared, n)
	}
}

func text(rows [][]string) string {
	var b strings.Builder
	for _, r := range rows {
		b.WriteString(strings.Join(r, " | ") + "\n")
	}
	return b.String()
}

// strategyOf is the first word of the plan, and where it is not divided why.
func strategyOf(t *testing.T, c *coordinator.Coordinator, sql string) string {
	plan, err := rows(t, c, "EXPLAIN "+sql, nil)
	if err != nil {
		return "error"
	}
	word, _, _ := strings.Cut(plan[0][0], " ")
	if word == "gather" {
		return plan[0][0]
	}
	for _, line := range plan {
		if _, why, ok := strings.Cut(line[0], "on one worker: "); ok {
			return "one: " + why
		}
		if strings.Contains(line[0], "by ranges of") {
			word = "by ranges"
		}
	}
	return word
}

func classOf(err error) string {
	kind, _, _ := strings.Cut(err.Error(), ":")
	return kind
}

func ask(t *testing.T, c *coordinator.Coordinator, sql string) (answer.Answer, *arrow.Schema, error) {
	r, err := c.Query(t.Context(), sql, nil)
	if err != nil {
		return answer.Answer{}, nil, err
	}
	return answerOf(t.Context(), r)
}

func askOracle(t *testing.T, o *oracle, sql string) (answer.Answer, *arrow.Schema, error) {
	r, err := o.conn.Query(t.Context(), sql)
	if err != nil {
		return answer.Answer{}, nil, err
	}
	return answerOf(t.Context(), r)
}
