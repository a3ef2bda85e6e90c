package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/apache/arrow-adbc/go/adbc"

	"skein/bench/cluster"
	"skein/meta"
	"skein/meta/boltmeta"
	"skein/meta/redismeta"
)

// runPlan measures what planning costs: TPC-H's statements for a cluster
// of planWorkers whose catalog is in Redis, and a point query on a table of very many files, with
// the catalog in Redis and in a file.
//
// A statement is planned by EXPLAIN. The round trip that is taken off asks for
// what the server tells of itself: two calls, as a query makes, and no SQL. So
// what is left holds all of the parsing, reading the catalog, planning, and
// writing the plan down.
func runPlan(ctx context.Context, w *own) (*PlanReport, error) {
	report := &PlanReport{Runs: w.o.PlanRuns, Files: w.o.PlanFiles, Cases: []PlanEntry{}}
	if err := w.planCluster(ctx, report); err != nil {
		return report, err
	}
	return report, w.planSingle(ctx, report)
}

func (w *own) planCluster(ctx context.Context, report *PlanReport) error {
	c, stop, err := w.start(ctx, cluster.Options{})
	if err != nil {
		return err
	}
	defer stop()
	if err := w.load(ctx, c); err != nil {
		return err
	}
	if err := c.Up(ctx, planWorkers); err != nil {
		return err
	}
	s, err := w.dial(ctx, c.Coordinator)
	if err != nil {
		return err
	}
	defer s.close()
	var all []time.Duration
	for _, q := range w.queries() {
		e, took, err := w.plan(ctx, s, q.Name(), func(int) string { return q.SQL })
		if err != nil {
			return err
		}
		report.Cases = append(report.Cases, e)
		all = append(all, took...)
	}
	report.P50MS, report.P95MS = millis(percentile(all, 50)), millis(percentile(all, 95))
	catalog, err := redismeta.Open(ctx, c.RedisURL(), redismeta.Options{})
	if err != nil {
		return err
	}
	defer catalog.Close()
	if err := w.fill(ctx, catalog); err != nil {
		return err
	}
	return w.planPoint(ctx, s, pointInRedis, report)
}

// planWorkers is for how many workers plans are made.
const planWorkers = 4

// The point query's names in the report.
const (
	pointInRedis = "point, catalog in Redis"
	pointInFile  = "point, catalog in a file"
)

func (w *own) planSingle(ctx context.Context, report *PlanReport) error {
	dir, err := os.MkdirTemp(w.o.TempDir, "skein-bench-")
	if err != nil {
		return invalid("temporary directory: %w", err)
	}
	defer os.RemoveAll(dir)
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(cluster.DataDir(dir), 0o750); err != nil {
		return err
	}
	catalog, err := boltmeta.Open(filepath.Join(cluster.DataDir(dir), "catalog.db"), boltmeta.Options{})
	if err != nil {
		return err
	}
	err = w.fill(ctx, catalog)
	if closeErr := catalog.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	n, err := cluster.Single(ctx, w.o.Program, dir, w.o.Threads)
	if err != nil {
		return err
	}
	defer n.Stop()
	s, err := w.dial(ctx, n)
	if err != nil {
		return err
	}
	defer s.close()
	return w.planPoint(ctx, s, pointInFile, report)
}

func (w *own) planPoint(ctx context.Context, s *server, name string, report *PlanReport) error {
	ids := pointIDs(w.o.PlanFiles)
	e, _, err := w.plan(ctx, s, name, func(run int) string {
		return fmt.Sprintf("SELECT * FROM %s WHERE id = '%s'", pointTable, pointID(run*7919%ids)) // another one each time
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil { // the other catalog may do better
		e.Error = err.Error()
		fmt.Fprintln(w.o.Progress, e.Error)
	}
	report.Cases = append(report.Cases, e)
	return nil
}

// plan measures one statement, which may differ from run to run. It returns
// the times less the round trip, too.
func (w *own) plan(ctx context.Context, s *server, name string, sql func(run int) string) (PlanEntry, []time.Duration, error) {
	e := PlanEntry{Name: name}
	once := func(run int) (time.Duration, error) {
		_, took, err := timed(ctx, s, "EXPLAIN "+sql(run), w.o.QueryTimeout)
		return took, err
	}
	first, err := once(0)
	if err == nil {
		e.Kept, e.Known, err = s.filesKept(ctx, sql(0))
	}
	if err != nil {
		return e, nil, fmt.Errorf("%s: %w", name, err)
	}
	var trips, took []time.Duration
	for run := range w.o.PlanRuns { // in turn, so that both meet the same machine
		d, err := once(run + 1)
		if err == nil {
			took = append(took, d)
			d, err = s.trip(ctx)
		}
		if err != nil {
			return e, nil, fmt.Errorf("%s: %w", name, err)
		}
		trips = append(trips, d)
	}
	trip := median(trips)
	for i := range took {
		took[i] = max(0, took[i]-trip)
	}
	e.FirstMS, e.TripMS, e.P50MS, e.P95MS = millis(first), millis(trip), millis(percentile(took, 50)), millis(percentile(took, 95))
	fmt.Fprintf(w.o.Progress, "%s: planned in %.2f ms, %d of %d files\n", name, e.P50MS, e.Kept, e.Known)
	return e, took, nil
}

// trip is how long the server takes to tell its name, in two calls.
func (s *server) trip(ctx context.Context) (time.Duration, error) {
	start := time.Now()
	r, err := s.conn.GetInfo(ctx, []adbc.InfoCode{adbc.InfoVendorName})
	if err != nil {
		return 0, s.fault(err)
	}
	defer r.Release()
	for r.Next() {
	}
	return time.Since(start), s.fault(r.Err())
}

// filesKept asks the plan how many files a statement reads, of how many.
func (s *server) filesKept(ctx context.Context, sql string) (kept, known int, err error) {
	text, err := s.scalar(ctx, "EXPLAIN (FORMAT json) "+sql)
	if err != nil {
		return 0, 0, err
	}
	var plan struct {
		Tables []struct {
			Kept  int `json:"files_kept"`
			Known int `json:"files_known"`
		}
	}
	if err := json.Unmarshal([]byte(text), &plan); err != nil {
		return 0, 0, fmt.Errorf("plan: %w", err)
	}
	for _, t := range plan.Tables {
		kept, known = kept+t.Kept, known+t.Known
	}
	return kept, known, nil
}

// targets of the report.
func (p *PlanReport) targets() []Target {
	all := []Target{atMost("plan: ms for TPC-H, median", p.P50MS, planTPCHMax)}
	for _, e := range p.Cases {
		if e.Name == pointInRedis || e.Name == pointInFile {
			t := atMost(fmt.Sprintf("plan: ms for %s of %d files, median", e.Name, p.Files), e.P50MS, planPointMax)
			t.Met = t.Met && e.Error == ""
			all = append(all, t)
		}
	}
	return all
}

// pointTable is the table of the point query. Its files are in the catalog
// alone: a plan reads none.
const (
	pointTable = "points"
	pointDays  = 10 // files of one id
)

func pointIDs(files int) int { return max(1, files/pointDays) }

func pointID(i int) string { return fmt.Sprintf("device-%07d", i) }

// fill makes the point query's table in a catalog.
func (w *own) fill(ctx context.Context, catalog meta.Store) error {
	start := time.Now()
	t := meta.Table{Name: pointTable, UID: "bench", Created: start.UTC(), Schemas: []meta.Schema{{
		Columns: []meta.Column{
			{Name: "id", Type: meta.Type{Kind: meta.KindVarchar}},
			{Name: "at", Type: meta.Type{Kind: "TIMESTAMP"}},
			{Name: "value", Type: meta.Type{Kind: meta.KindDouble}},
		},
		IDColumn: "id", TimeColumn: "at",
	}}}
	if err := catalog.CreateTable(ctx, t); err != nil {
		return err
	}
	for from := 0; from < w.o.PlanFiles; from += meta.CommitFilesMax {
		unit := fmt.Sprintf("bench-%d", from)
		c := meta.Commit{Table: t.Name, TableUID: t.UID, Node: "bench", Unit: unit, Time: start.UTC()}
		for i := from; i < min(from+meta.CommitFilesMax, w.o.PlanFiles); i++ {
			c.Add = append(c.Add, pointFile(i, unit))
		}
		if err := catalog.Commit(ctx, c); err != nil {
			return err
		}
		if err := catalog.ForgetUnits(ctx, t.Name, []string{unit}); err != nil {
			return err
		}
	}
	fmt.Fprintf(w.o.Progress, "an index of %d files in %.1f s\n", w.o.PlanFiles, time.Since(start).Seconds())
	return nil
}

// pointFile is the i-th file: one id's rows of one day.
func pointFile(i int, unit string) meta.File {
	id, day := pointID(i/pointDays), recordsStart.AddDate(0, 0, i%pointDays)
	text := day.Format(time.DateOnly)
	return meta.File{
		Path: meta.ObjectPath(pointTable, meta.EncodeID(id), text, day.UnixNano()+int64(i)), ID: id, HasID: true, Day: text,
		Rows: 1000, Bytes: 50_000, MinTime: day, MaxTime: day.Add(24*time.Hour - time.Microsecond), Unit: unit,
	}
}
