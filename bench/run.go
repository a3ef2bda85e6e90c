package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"skein/bench/tpch"
	"skein/internal/fault"
)

// ErrFailed means that the run was complete and the server did not pass: a
// wrong answer, a lost row, too slow.
var ErrFailed = fault.New(fault.FailedPrecondition, "failed")

// Run runs the suites against a running server and prints tables to out. A run
// that ends early still reports what it has.
func Run(ctx context.Context, o Options, out io.Writer) error {
	o, err := o.withDefaults()
	if err != nil {
		return err
	}
	file, err := reportFile(o.JSON)
	if err != nil {
		return err
	}
	report := &Report{}
	if err = run(ctx, o, report); err == nil {
		err = judge(report, o.RatioMax)
	}
	if err != nil {
		report.Failure = err.Error()
	}
	err = errors.Join(err, printReport(out, report))
	if file == nil {
		return err
	}
	return errors.Join(err, writeReport(file, report), file.Close())
}

func run(ctx context.Context, o Options, report *Report) error {
	var files map[string][]string // of TPC-H
	if o.runs(SuiteTPCH) {
		var err error
		if files, err = tpch.Files(o.DataDir); err != nil {
			return err
		}
	}
	s, err := dialServer(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	spill, err := os.MkdirTemp(o.TempDir, "skein-bench-")
	if err != nil {
		return invalid("temporary directory: %w", err)
	}
	defer os.RemoveAll(spill)
	p, err := openPeer(ctx, spill)
	if err != nil {
		return err
	}
	defer p.close()
	if report.Server, err = s.version(ctx); err != nil {
		return err
	}
	engine, err := p.version(ctx)
	if err != nil {
		return err
	}
	report.Machine = thisMachine(engine, o.Version)
	for _, suite := range slices.Compact(slices.Sorted(slices.Values(o.Suites))) {
		switch suite {
		case SuiteTPCH:
			report.TPCH, err = runTPCH(ctx, o, files, s, p)
		case SuiteWrites:
			report.Writes, err = runWrites(ctx, o, s)
		}
		if err != nil {
			return fmt.Errorf("suite %s: %w", suite, err)
		}
	}
	return nil
}

// judge says in one line why a complete run failed.
func judge(r *Report, ratioMax float64) error {
	var why []string
	if t := r.TPCH; t != nil {
		var bad []string
		for _, q := range t.Queries {
			if v := q.verdict(); v != "right" {
				bad = append(bad, q.Name+" "+v)
			}
		}
		if len(bad) > 0 {
			why = append(why, fmt.Sprintf("%d of %d queries: %s", len(bad), len(t.Queries), strings.Join(bad, ", ")))
		}
		if ratioMax > 0 && t.Ratio > ratioMax {
			why = append(why, fmt.Sprintf("the queries took %.2f times as long as DuckDB's, more than %.2f", t.Ratio, ratioMax))
		}
	}
	if w := r.Writes; w != nil && w.bad() {
		why = append(why, fmt.Sprintf("of %d rows written %d are missing, %d repeated, %d wrong", w.Rows, w.Missing, w.Repeated, w.Wrong))
	}
	if len(why) == 0 {
		return nil
	}
	return fmt.Errorf("bench %w: %s", ErrFailed, strings.Join(why, "; "))
}
