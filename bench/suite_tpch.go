package bench

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"skein/bench/answer"
	"skein/bench/tpch"
)

// runTPCH loads the data set and measures its queries.
func runTPCH(ctx context.Context, o Options, files map[string][]string, s *server, p *peer) (_ *TPCHReport, err error) {
	report := &TPCHReport{Runs: o.Runs, Tables: []TableReport{}, Queries: []QueryReport{}}
	l := &loader{server: s, files: files, mode: o.Load, progress: o.Progress}
	if report.Tables, err = l.load(ctx); err != nil {
		return report, err
	}
	d := &duel{skein: s, duck: p, runs: o.Runs, timeout: o.QueryTimeout}
	for _, q := range tpch.Queries() {
		if len(o.Queries) > 0 && !slices.Contains(o.Queries, q.Number) {
			continue
		}
		r, err := d.query(ctx, q)
		if err != nil {
			return report, fmt.Errorf("%s: %w", q.Name(), err)
		}
		report.add(r)
		progressLine(o.Progress, r)
	}
	return report, nil
}

func progressLine(w io.Writer, r QueryReport) {
	fmt.Fprintf(w, "%s: %.1f ms, DuckDB %.1f ms, %s\n", r.Name, r.SkeinMS, r.DuckMS, r.verdict())
}

// add takes one more query into the sums.
func (t *TPCHReport) add(q QueryReport) {
	t.Queries = append(t.Queries, q)
	if q.Error == "" {
		t.SkeinMS += q.SkeinMS
		t.DuckMS += q.DuckMS
		t.Ratio = ratio(t.SkeinMS, t.DuckMS)
	}
}

// duel runs a query on both engines.
type duel struct {
	skein, duck engine
	runs        int
	timeout     time.Duration // of one run
}

// query warms both up, then measures them in turn. Every answer of the server
// is compared. The server's errors and differences go into the report; an error
// of DuckDB's, or of ctx, ends the suite.
func (d *duel) query(ctx context.Context, q tpch.Query) (QueryReport, error) {
	r := QueryReport{Name: q.Name()}
	want, _, err := timed(ctx, d.duck, q.SQL, d.timeout)
	if err != nil {
		return r, err
	}
	r.Rows = len(want.Rows)
	var skein, duck []time.Duration
	for i := range 1 + d.runs {
		got, took, err := timed(ctx, d.skein, q.SQL, d.timeout)
		if ctx.Err() != nil {
			return r, err
		}
		if err != nil {
			r.Error = err.Error()
			break
		}
		if len(r.Differences) == 0 {
			r.Differences = answer.Compare(got, want, q.OrderBy)
		}
		if i == 0 {
			continue // warm-up
		}
		skein = append(skein, took)
		if _, took, err = timed(ctx, d.duck, q.SQL, d.timeout); err != nil {
			return r, err
		}
		duck = append(duck, took)
	}
	r.SkeinMS, r.DuckMS = millis(median(skein)), millis(median(duck))
	r.Ratio = ratio(r.SkeinMS, r.DuckMS)
	r.SkeinRuns, r.DuckRuns = allMillis(skein), allMillis(duck)
	return r, nil
}

func allMillis(d []time.Duration) []float64 {
	ms := make([]float64, len(d))
	for i := range d {
		ms[i] = millis(d[i])
	}
	return ms
}

// verdict is the answer's check in a few words.
func (q QueryReport) verdict() string {
	switch {
	case q.Error != "":
		return "error"
	case len(q.Differences) > 0:
		return "wrong"
	}
	return "right"
}
