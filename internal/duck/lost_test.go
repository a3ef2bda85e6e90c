//go:build duckdb_arrow

package duck_test

import (
	"context"
	"strings"
	"testing"

	"skein/internal/duck"
	"skein/internal/fault"
)

// stopper is a statement that DuckDB 1.5.6 fails on in a way that makes the
// whole instance refuse all that follows.
const stopper = "SELECT d.n3 FROM (SELECT range AS a, range + 1 AS b, 'x' AS c FROM range(9) EXCEPT ALL SELECT range, range, 'y' FROM range(5)) AS d(n1, n2, n3) ASOF LEFT JOIN (SELECT range AS k FROM range(9)) AS r ON 'x' = '' AND d.n1 > r.k"

// An instance that DuckDB gave up is replaced, and those who used it are told
// to try again.
func TestLostInstanceIsReplaced(t *testing.T) {
	db, err := duck.Open(duck.Options{TempDir: t.TempDir(), Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	conn := func() *duck.Conn {
		t.Helper()
		c, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	bystander, culprit := conn(), conn()
	if _, err := bystander.Exec(t.Context(), "CREATE TABLE kept AS SELECT 1"); err != nil {
		t.Fatal(err)
	}
	_, err = culprit.Strings(t.Context(), stopper)
	if fault.CodeOf(err) != fault.Internal || !strings.Contains(err.Error(), "INTERNAL Error") || strings.Contains(err.Error(), "Stack Trace") {
		t.Fatalf("got %v, want an internal error without a stack trace; if DuckDB runs the statement now, find another", err)
	}
	select {
	case <-bystander.Lost():
	default:
		t.Fatal("the other connection is not told")
	}
	if _, err := bystander.Strings(t.Context(), "SELECT 1"); fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "retry") {
		t.Fatalf("the other connection got %v", err)
	}
	later := conn()
	if rows, err := later.Strings(t.Context(), "SELECT current_setting('TimeZone'), current_setting('lock_configuration')"); err != nil || rows[0][0] != "UTC" || rows[0][1] != "true" {
		t.Fatalf("after it: %v, %v", rows, err)
	}
	select {
	case <-later.Lost():
		t.Fatal("the new instance counts as lost")
	default:
	}
	if _, err := later.Strings(t.Context(), "FROM kept"); fault.CodeOf(err) != fault.InvalidArgument {
		t.Fatalf("a table of the lost instance: %v", err)
	}
}

func TestClosedDatabaseGivesNoConnections(t *testing.T) {
	db, err := duck.Open(duck.Options{})
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
	db.Close()
	if _, err := db.Conn(t.Context()); fault.CodeOf(err) != fault.Unavailable {
		t.Fatalf("got %v", err)
	}
}

// The statement that stops DuckDB learns that it did, though its context ends
// as soon as the instance is lost.
func TestCulpritIsTold(t *testing.T) {
	db, err := duck.Open(duck.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for range 20 {
		c, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			<-c.Lost()
			cancel(fault.New(fault.Unavailable, "gone"))
		}()
		if _, err = c.Exec(ctx, stopper); fault.CodeOf(err) != fault.Internal {
			t.Error(err)
		}
		<-done
		c.Close()
	}
}

// A message that only looks like the end of DuckDB is none.
func TestImitatedInternalErrorsLoseNothing(t *testing.T) {
	db, err := duck.Open(duck.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, kind := range []string{"INTERNAL", "FATAL"} {
		for _, sql := range []string{
			`SELECT error('{"exception_type":"` + kind + `","exception_message":"x"}') FROM range(3)`,
			`SELECT error('` + kind + ` Error: x')`,
			`SELECT "` + kind + ` Error: x"`,
		} {
			if _, err := c.Strings(t.Context(), sql); err == nil {
				t.Errorf("%s: no error", sql)
			}
		}
	}
	select {
	case <-c.Lost():
		t.Fatal("the instance counts as lost")
	default:
	}
	if _, err := c.Strings(t.Context(), "SELECT 1"); err != nil {
		t.Fatal(err)
	}
}
