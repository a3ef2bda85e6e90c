//go:build duckdb_arrow

package bench

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"skein/bench/cluster"
	"skein/internal/fault"
	"skein/meta"
	"skein/meta/boltmeta"
)

func TestColdRunAdds(t *testing.T) {
	var r ColdRun
	r.add(use(1500, 100, 0, 7), false)
	r.add(use(500, 300, 0, 1), false)
	r.add(use(9000, 0, 50, 0), true)
	want := ColdRun{Read: 400, ReadMax: 300, CPU: 2, CPUMax: 1.5, Exchanged: 8, Results: 50}
	if r != want {
		t.Errorf("got %+v, want %+v", r, want)
	}
}

// coldQueries are two queries of the fact table, one that is not, and one that
// failed on four workers.
func coldQueries() []ColdQuery {
	run := func(workers int, ms float64, read int64, cpu float64) ColdRun {
		return ColdRun{Workers: workers, MS: ms, Read: 1000, ReadMax: read, CPUMax: cpu, Results: 5}
	}
	return []ColdQuery{
		{Name: "q01", Fact: true, Runs: []ColdRun{run(1, 4000, 1000, 8), run(4, 1000, 250, 2)}},
		{Name: "q03", Fact: true, Runs: []ColdRun{run(1, 2000, 1000, 2), run(4, 1000, 350, 1)}},
		{Name: "q22", Runs: []ColdRun{run(1, 100, 1000, 2), run(4, 100, 1000, 2)}},
		{Name: "q21", Fact: true, Runs: []ColdRun{run(1, 9000, 1000, 2), {Workers: 4, Error: "lost"}}},
	}
}

func TestDivideSums(t *testing.T) {
	d := &DivideReport{Workers: []int{1, 4}, Queries: coldQueries()}
	d.sum()
	if got := d.Shares; len(got) != 2 || got[0].Bytes != 1 || got[1].Bytes != 0.3 || got[1].CPU != 0.3 || d.CoordBytes != 0.005 {
		t.Errorf("got %+v", d)
	}
	r := &Report{Divide: d, Targets: d.targets()}
	for _, target := range r.Targets {
		if !target.Met {
			t.Error(target)
		}
	}
	if why := judgeOwn(r, true); len(r.Targets) != 3 || len(why) != 1 || why[0] != "errors and wrong answers: q21 on 4 workers error" {
		t.Errorf("got %q, %v", why, r.Targets)
	}
	d.Workers = []int{1}
	if d.sum(); len(d.targets()) != 1 {
		t.Errorf("a run that compares nothing has targets %v", d.targets())
	}
}

func TestLinksSums(t *testing.T) {
	l := &LinksReport{Workers: []int{1, 4}, Mbit: 100, Queries: coldQueries()}
	l.sum()
	if got := l.Sums; len(got) != 2 || got[0].MS != 6100 || got[1].MS != 2100 || got[0].LinkMS != 0.24 {
		t.Errorf("got %+v", got)
	}
	targets := l.targets()
	if len(targets) != 1 || targets[0].Met {
		t.Errorf("got %v", targets)
	}
	r := &Report{Links: l, Targets: targets}
	if why := strings.Join(judgeOwn(r, true), "; "); !strings.Contains(why, "links: speed of 4 workers, of one: 2.9, wanted at least 3.3: missed") {
		t.Errorf("got %q", why)
	}
	if why := judgeOwn(r, false); len(why) != 1 {
		t.Errorf("a missed target that does not count: %q", why)
	}
}

func TestPrintOwn(t *testing.T) {
	d := &DivideReport{Workers: []int{1, 4}, Queries: coldQueries()}
	d.sum()
	l := &LinksReport{Workers: []int{1, 2, 4}, Mbit: 100, Queries: coldQueries()}
	l.sum()
	p := &PlanReport{Runs: 3, Files: 10, P50MS: 2, Cases: []PlanEntry{
		{Name: pointInFile, P50MS: 1.5, Kept: 10, Known: 20}, {Name: pointInRedis, Error: "point: redis is slow"},
	}}
	var out bytes.Buffer
	if err := printReport(&out, &Report{Plan: p, Divide: d, Links: l, Targets: p.targets()}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"│ point, catalog in a file │      0.0 │   1.50 │", "clusters of 1, 4 workers", "q21 on 4: lost", "links of 100 Mbit/s", "│ ms on 2 │",
		"plan: ms for TPC-H, median: 2, wanted at most 3: met", "plan: ms for point, catalog in Redis of 10 files, median: 0, wanted at most 5: missed",
		"point: redis is slow",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
	if why := judgeOwn(&Report{Plan: p}, false); len(why) != 1 || why[0] != "errors and wrong answers: point, catalog in Redis not planned" {
		t.Errorf("got %q", why)
	}
}

func TestOwnSuitesWantTheirNeeds(t *testing.T) {
	for says, o := range map[string]Options{
		"suite plan needs the program":     {Suites: []string{SuitePlan}, DataDir: "d"},
		"suite backup needs the program":   {Suites: []string{SuiteBackup}},
		"suite divide needs a data":        {Suites: []string{SuiteDivide}, Program: "p"},
		"suite links runs alone":           {Suites: []string{SuiteLinks, SuiteTPCH}, DataDir: "d", Program: "p"},
		"workers: 0: want 1 to 32":         {Workers: []int{1, 0}},
		"workers: 33: want 1 to 32":        {Workers: []int{33}},
		"threads: -1: want":                {Threads: -1},
		"planning runs: -1: want 1":        {PlanRuns: -1},
		"megabits a second: -1: want":      {Mbit: -1},
		"point query's table: 10000001: w": {PlanFiles: 10_000_001},
	} {
		if len(o.Suites) == 0 {
			o.DataDir = "d"
		}
		if _, err := o.withDefaults(); fault.CodeOf(err) != fault.InvalidArgument || !strings.Contains(err.Error(), says) {
			t.Errorf("want %q, got %v", says, err)
		}
	}
	o := Options{Workers: []int{4, 1, 4}}
	if got := fmt.Sprint(o.sizes([]int{1})); got != "[1 4]" {
		t.Errorf("sizes %s", got)
	}
}

// TestLinksLeavesTheMachineAlone sees to it that no network is changed but one
// of its own.
func TestLinksLeavesTheMachineAlone(t *testing.T) {
	f, o := newFake(t), Options{Suites: []string{SuiteLinks}, DataDir: dataSet(t), Program: "skein"}
	r, _, err := runFake(t, f, o)
	if fault.CodeOf(err) != fault.FailedPrecondition || !strings.Contains(err.Error(), "network of its own") {
		t.Errorf("got %v", err)
	}
	if r.Links == nil || r.Failure == "" {
		t.Errorf("got %+v", r)
	}
}

func TestOwnSuitesTellWhatIsMissing(t *testing.T) {
	f := newFake(t)
	for _, suite := range []string{SuitePlan, SuiteDivide, SuiteBackup} {
		_, _, err := runFake(t, f, Options{Suites: []string{suite}, DataDir: dataSet(t), Program: "skein", MinIO: "no such minio"})
		if fault.CodeOf(err) != fault.FailedPrecondition || !strings.Contains(err.Error(), "--minio") {
			t.Errorf("%s: got %v", suite, err)
		}
	}
}

// TestPointTable fills a catalog and wants every id to have its files.
func TestPointTable(t *testing.T) {
	catalog, err := boltmeta.Open(filepath.Join(t.TempDir(), "catalog.db"), boltmeta.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer catalog.Close()
	o, err := Options{DataDir: "d", PlanFiles: meta.CommitFilesMax + 30}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	if err := newOwn(o, nil, nil).fill(context.Background(), catalog); err != nil {
		t.Fatal(err)
	}
	l, err := catalog.Listing(t.Context(), pointTable)
	if err != nil {
		t.Fatal(err)
	}
	days := map[string]map[string]bool{}
	for _, f := range l.Files {
		if days[f.ID] == nil {
			days[f.ID] = map[string]bool{}
		}
		days[f.ID][f.Day] = true
	}
	if ids := pointIDs(o.PlanFiles); len(l.Files) != o.PlanFiles || len(days) != ids || len(days[pointID(ids-1)]) != pointDays {
		t.Errorf("%d files of %d ids", len(l.Files), len(days))
	}
	if len(l.Open) > 0 || len(l.Units) > 0 {
		t.Errorf("units are left: %d open, %d committed", len(l.Open), len(l.Units))
	}
}

func use(cpuMS, read, results, exchanged int64) cluster.Use {
	return cluster.Use{CPU: time.Duration(cpuMS) * time.Millisecond, Read: read, Results: results, Exchanged: exchanged}
}
