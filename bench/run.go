package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
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
		err = judge(report, o.RatioMax, o.Enforce)
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
	var s *server
	for _, c := range o.chosen() {
		var err error
		if c.data && files == nil {
			if files, err = tpch.Files(o.DataDir); err != nil {
				return err
			}
		}
		if c.server && s == nil {
			if s, err = dialServer(ctx, o); err != nil {
				return err
			}
			defer s.close()
		}
	}
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
	report.Server = "skein " + o.Version
	if s != nil {
		if report.Server, err = s.version(ctx); err != nil {
			return err
		}
	}
	engine, err := p.version(ctx)
	if err != nil {
		return err
	}
	report.Machine = thisMachine(engine, o.Version)
	if files != nil {
		if err := p.views(ctx, files); err != nil {
			return err
		}
	}
	for _, c := range o.chosen() {
		if err := runSuite(ctx, o, c, files, s, p, report); err != nil {
			return fmt.Errorf("suite %s: %w", c.name, err)
		}
	}
	return nil
}

func runSuite(ctx context.Context, o Options, c suite, files map[string][]string, s *server, p *peer, report *Report) (err error) {
	w := newOwn(o, files, p)
	switch c.name {
	case SuiteTPCH:
		report.TPCH, err = runTPCH(ctx, o, files, s, p)
	case SuiteWrites:
		report.Writes, err = runWrites(ctx, o, s)
	case SuitePlan:
		if report.Plan, err = runPlan(ctx, w); err == nil {
			report.Targets = append(report.Targets, report.Plan.targets()...)
		}
	case SuiteDivide:
		if report.Divide, err = runDivide(ctx, w, o.sizes(c.workers)); err == nil {
			report.Targets = append(report.Targets, report.Divide.targets()...)
		}
	case SuiteStream:
		if report.Stream, err = runStream(ctx, w); err == nil {
			report.Targets = append(report.Targets, report.Stream.targets()...)
		}
	case SuiteLinks:
		if report.Links, err = runLinks(ctx, w, o.sizes(c.workers)); err == nil {
			report.Targets = append(report.Targets, report.Links.targets()...)
		}
	case SuiteBackup:
		if report.Backup, err = runBackup(ctx, o); err == nil {
			report.Targets = append(report.Targets, report.Backup.targets()...)
		}
	case SuiteCatalog:
		if report.Catalog, err = runCatalog(ctx, o); err == nil {
			report.Targets = append(report.Targets, report.Catalog.targets()...)
		}
	}
	return err
}

// judge says in one line why a complete run failed.
func judge(r *Report, ratioMax float64, enforce bool) error {
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
	why = append(why, judgeOwn(r, enforce)...)
	if len(why) == 0 {
		return nil
	}
	return fmt.Errorf("bench %w: %s", ErrFailed, strings.Join(why, "; "))
}

// judgeOwn is what is wrong with the suites that start servers: bad answers
// and, where they count, missed targets.
func judgeOwn(r *Report, enforce bool) []string {
	var why, bad []string
	var queries []ColdQuery
	if r.Plan != nil {
		for _, e := range r.Plan.Cases {
			if e.Error != "" {
				bad = append(bad, e.Name+" not planned")
			}
		}
	}
	if r.Divide != nil {
		queries = r.Divide.Queries
	}
	if r.Links != nil {
		queries = append(queries, r.Links.Queries...)
	}
	for _, q := range queries {
		for _, run := range q.Runs {
			if v := run.verdict(); v != "right" {
				bad = append(bad, fmt.Sprintf("%s on %d workers %s", q.Name, run.Workers, v))
			}
		}
	}
	if len(bad) > 0 {
		why = append(why, "errors and wrong answers: "+strings.Join(bad, ", "))
	}
	for _, t := range r.Targets {
		if enforce && !t.Met {
			why = append(why, t.String())
		}
	}
	return why
}
