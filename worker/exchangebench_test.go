package worker

import (
	"testing"

	"skein/internal/duck"
	nodev1 "skein/proto/node/v1"
)

const benchRows = 6_000_000

// benchKeep keeps 6 million rows of four columns on n1. A row counts as its
// values' bytes: 8, 8, 4 and 20.
func benchKeep(b *testing.B) (*fleet, *nodev1.KeepResponse) {
	f := newFleet(b, duck.Options{}, "n1", "n2")
	f.hold(b, "n1", "q")
	res := f.keep(b, "n1", &nodev1.Fragment{QueryId: "q", Sql: `SELECT range AS k, (range * 0.37)::DOUBLE AS price, DATE '1992-01-01' + ((range * 31) % 2526)::INTEGER AS day,
		'comment ' || lpad((range % 1000000)::VARCHAR, 12, '0') AS comment FROM range(6000000)`})
	b.SetBytes(benchRows * 40)
	return f, res
}

// BenchmarkReadKept reads kept rows on the node that keeps them: all, and one
// part of four.
func BenchmarkReadKept(b *testing.B) {
	f, _ := benchKeep(b)
	for name, s := range map[string]*nodev1.KeptShare{"all": share("n1", 0), "part": part(share("n1", 0), 1, 4, "k")} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(benchRows * 40)
			for b.Loop() {
				r, err := f.runners["n1"].ReadKept(b.Context(), s.Read)
				if err == nil {
					err = drain(b.Context(), r)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkExchange moves the rows, as messages, from one DuckDB into another.
func BenchmarkExchange(b *testing.B) {
	f, res := benchKeep(b)
	read := &nodev1.StageRead{View: "v", Columns: res.Columns, Shares: []*nodev1.KeptShare{share("n1", 0)}}
	for b.Loop() {
		r, err := f.runners["n2"].Run(b.Context(), &nodev1.Fragment{QueryId: "q", Sql: "SELECT count(*) AS n FROM v", Reads: []*nodev1.StageRead{read}})
		if err != nil {
			b.Fatal(err)
		}
		if got, err := texts(b.Context(), r); err != nil || got[0][0] != "6000000" {
			b.Fatal(got, err)
		}
		r.Close()
	}
	b.ReportMetric(benchRows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
