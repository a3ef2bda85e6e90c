//go:build duckdb_arrow

package sqlgen_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"reflect"
	"strconv"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"skein/bench/answer"
	"skein/internal/duck"
	"skein/internal/sqlgen"
)

// statementCount of a test run; SKEIN_TEST_STATEMENTS and SKEIN_TEST_SEED ask
// for others.
const statementCount = 315

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// load makes the tables in a new DuckDB; a source shuffles the rows.
func load(t *testing.T, tables []sqlgen.Table, threads int, shuffle *rand.Rand) *duck.Conn {
	t.Helper()
	db, err := duck.Open(duck.Options{Threads: threads})
	check(t, err)
	t.Cleanup(db.Close)
	c, err := db.Conn(t.Context())
	check(t, err)
	t.Cleanup(c.Close)
	for _, table := range tables {
		_, err := c.Exec(t.Context(), table.Create())
		check(t, err)
		rows := table.Rows()
		if shuffle != nil {
			shuffle.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		}
		if sql := sqlgen.Insert(table.Name, rows); sql != "" {
			_, err := c.Exec(t.Context(), sql)
			check(t, err)
		}
	}
	return c
}

func run(ctx context.Context, c *duck.Conn, sql string) (answer.Answer, error) {
	s, err := c.Query(ctx, sql)
	if err != nil {
		return answer.Answer{}, err
	}
	defer s.Close()
	a := answer.Of(s.Schema(), nil)
	for {
		b, err := s.Next(ctx)
		if errors.Is(err, io.EOF) {
			return a, nil
		}
		if err != nil {
			return answer.Answer{}, err
		}
		a.Rows = append(a.Rows, answer.Of(s.Schema(), []arrow.RecordBatch{b}).Rows...)
	}
}

// number reads a setting for runs by hand.
func number(t *testing.T, name string, otherwise int) int {
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.Atoi(s)
	check(t, err)
	return n
}

func count(t *testing.T) int   { return number(t, "SKEIN_TEST_STATEMENTS", statementCount) }
func seed(t *testing.T) uint64 { return uint64(number(t, "SKEIN_TEST_SEED", 1)) }

// TestStatements runs each statement on the same rows in two orders.
func TestStatements(t *testing.T) {
	g := sqlgen.New(sqlgen.Options{Seed: seed(t)})
	one := load(t, g.Tables(), 1, nil)
	two := load(t, g.Tables(), 2, rand.New(rand.NewPCG(5, 5)))
	n, refused, withRows, ordered := count(t), 0, 0, 0
	seen := map[string]int{}
	refusals := map[string]int{}
	for i := range n {
		s := g.Statement(i)
		for _, f := range s.Features {
			seen[f]++
		}
		if s.Ordered() {
			ordered++
		}
		want, err := run(t.Context(), one, s.SQL)
		got, again := run(t.Context(), two, s.SQL)
		if err != nil || again != nil {
			refused++
			if refusals[fmt.Sprint(err)]++; refusals[fmt.Sprint(err)] == 1 {
				t.Logf("statement %d: %v\n%s", i, err, s.SQL)
			}
			if fmt.Sprint(err) != fmt.Sprint(again) {
				t.Errorf("statement %d: one DuckDB says %v, the other %v\n%s", i, err, again, s.SQL)
			}
			continue
		}
		if len(want.Rows) > 0 {
			withRows++
		}
		if diffs := answer.Compare(got, want, s.OrderBy); len(diffs) > 0 {
			t.Errorf("statement %d depends on the order of rows: %v\n%s", i, diffs[0], s.SQL)
		}
	}
	if refused*20 > n {
		t.Errorf("DuckDB refuses %d of %d statements", refused, n)
	}
	if withRows*3 < n*2 {
		t.Errorf("only %d of %d statements have rows", withRows, n)
	}
	for _, f := range sqlgen.Features() {
		if seen[f] == 0 {
			t.Errorf("%s never occurs", f)
		}
	}
	t.Logf("%d statements: %d refused, %d with rows, %d ordered; features %v", n, refused, withRows, ordered, seen)
}

// TestOrderIsSeen runs statements whose answers do depend on the rows' order.
func TestOrderIsSeen(t *testing.T) {
	g := sqlgen.New(sqlgen.Options{Seed: 1})
	one := load(t, g.Tables(), 1, nil)
	two := load(t, g.Tables(), 2, rand.New(rand.NewPCG(5, 5)))
	for _, sql := range []string{"SELECT list(id) FROM events", "SELECT id FROM events LIMIT 3", "SELECT id, row_number() OVER (ORDER BY k) FROM events"} {
		want, err := run(t.Context(), one, sql)
		check(t, err)
		got, err := run(t.Context(), two, sql)
		check(t, err)
		if len(answer.Compare(got, want, nil)) == 0 {
			t.Errorf("no difference is seen: %s", sql)
		}
	}
}

func TestSameSeedSameStatements(t *testing.T) {
	a, b := sqlgen.New(sqlgen.Options{Seed: 9, Rows: 20}), sqlgen.New(sqlgen.Options{Seed: 9, Rows: 20})
	if !reflect.DeepEqual(a.Tables(), b.Tables()) {
		t.Error("the tables differ")
	}
	a.Statement(7)
	if x, y := a.Statement(3), b.Statement(3); !reflect.DeepEqual(x, y) {
		t.Errorf("got %v and %v", x, y)
	}
	if sqlgen.New(sqlgen.Options{Seed: 10}).Statement(3).SQL == a.Statement(3).SQL {
		t.Error("another seed draws the same statement")
	}
}
