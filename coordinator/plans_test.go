//go:build duckdb_arrow

package coordinator_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"skein/coordinator"
)

// TestRememberedPlans asks again and again while rows, files, columns and the
// table itself change, and while time goes on: no answer is of yesterday.
func TestRememberedPlans(t *testing.T) {
	c := newCluster(t, 3)
	first := c.nodes[0].Coordinator
	create(t, first, "t")
	write := func(from, to int, payload string) {
		t.Helper()
		var records []coordinator.Record
		for n := from; n < to; n++ {
			records = append(records, coordinator.Record{ID: fmt.Sprint("id-", n%5), Timestamp: start.Add(time.Duration(n) * time.Hour), Payload: fmt.Appendf(nil, payload, n)})
		}
		check(t, first.Write(t.Context(), "t", records))
	}
	ask := func(sql, want string) {
		t.Helper()
		for range 3 {
			got, err := rows(t, first, sql, nil)
			check(t, err)
			if fmt.Sprint(got) != want {
				t.Fatalf("%s: %v, want %s", sql, got, want)
			}
		}
	}
	const sums = "SELECT count(*), sum(n), count(DISTINCT id) FROM t"
	write(0, 100, `{"n": %d}`)
	ask(sums, "[[100 4950 5]]")
	check(t, first.Flush(t.Context(), ""))
	ask(sums, "[[100 4950 5]]")
	write(100, 200, `{"n": %d}`)
	ask(sums, "[[200 19900 5]]")
	// Another node flushes and adds files.
	check(t, c.nodes[1].Flush(t.Context(), ""))
	check(t, first.Flush(t.Context(), ""))
	ask(sums, "[[200 19900 5]]")
	write(200, 201, `{"n": 0.5, "k": %d}`)
	check(t, first.Flush(t.Context(), ""))
	ask("SELECT count(*), sum(n) FROM t", "[[201 19900.5]]")
	ask("SELECT count(*) FROM t WHERE id = 'id-0'", "[[41]]")

	var last string
	for range 3 {
		got, err := rows(t, first, "SELECT now(), count(*) FROM t", nil)
		check(t, err)
		if got[0][0] == last || got[0][1] != "201" {
			t.Fatalf("%v after %s", got, last)
		}
		last = got[0][0]
	}

	c.nodes[2].worker.kill()
	ask("SELECT count(*), sum(n) FROM t", "[[201 19900.5]]")
	c.nodes[2].worker.revive()
	_, err := first.Execute(t.Context(), "DROP TABLE t", nil)
	check(t, err)
	if _, err := rows(t, first, sums, nil); err == nil {
		t.Fatal("a dropped table answers")
	}
	create(t, first, "t")
	write(0, 10, `{"n": %d}`)
	ask(sums, "[[10 45 5]]")
	check(t, first.Flush(t.Context(), ""))
	ask(sums, "[[10 45 5]]")
}

// Parameters are part of what is remembered.
func TestRememberedPlansOfParameters(t *testing.T) {
	c := newCluster(t, 3)
	first := c.nodes[0].Coordinator
	create(t, first, "t")
	var records []coordinator.Record
	for n := range 30 {
		records = append(records, coordinator.Record{ID: fmt.Sprint(n % 3), Timestamp: start, Payload: fmt.Appendf(nil, `{"n": %d}`, n)})
	}
	check(t, first.Write(t.Context(), "t", records))
	check(t, first.Flush(t.Context(), ""))
	for range 2 {
		for id, want := range []string{"135", "145", "155"} {
			p := textParam(fmt.Sprint(id))
			got, err := rows(t, first, "SELECT sum(n) FROM t WHERE id = ?", p)
			p.Release()
			check(t, err)
			if got[0][0] != want {
				t.Errorf("id %d: %v, want %s", id, got, want)
			}
		}
	}
}

// textParam is one parameter.
func textParam(value string) arrow.RecordBatch {
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{{Name: "1", Type: arrow.BinaryTypes.String}}, nil))
	defer b.Release()
	b.Field(0).(*array.StringBuilder).Append(value)
	return b.NewRecordBatch()
}
