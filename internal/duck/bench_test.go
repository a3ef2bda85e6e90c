//go:build duckdb_arrow

package duck_test

import (
	"errors"
	"io"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"skein/internal/batch"
	"skein/internal/duck"
)

// BenchmarkLoad appends 6 million rows of four columns that are in memory. A
// row counts as its values' bytes: 8, 8, 4 and 20.
func BenchmarkLoad(b *testing.B) {
	db, err := duck.Open(duck.Options{Threads: 2, TempDir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	const rows = 6_000_000
	const sql = `SELECT range AS k, (range * 0.37)::DOUBLE AS price, DATE '1992-01-01' + ((range * 31) % 2526)::INTEGER AS day,
		'comment ' || lpad((range % 1000000)::VARCHAR, 12, '0') AS comment FROM range(6000000)`
	c, err := db.Conn(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	s, err := c.Query(b.Context(), sql)
	if err != nil {
		b.Fatal(err)
	}
	var all []arrow.RecordBatch
	for {
		next, err := s.Next(b.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			b.Fatal(err)
		}
		next.Retain()
		all = append(all, next)
	}
	s.Close()
	b.SetBytes(rows * 40)
	for b.Loop() {
		for _, r := range all {
			r.Retain()
		}
		if _, err := c.Exec(b.Context(), "CREATE TEMP TABLE t (k BIGINT, price DOUBLE, day DATE, comment VARCHAR)"); err != nil {
			b.Fatal(err)
		}
		r := batch.NewSlice(s.Schema(), all...)
		if n, err := c.Load(b.Context(), "t", r); err != nil || n != rows {
			b.Fatal(n, err)
		}
		r.Close()
		if _, err := c.Exec(b.Context(), "DROP TABLE t"); err != nil {
			b.Fatal(err)
		}
	}
	for _, r := range all {
		r.Release()
	}
}
