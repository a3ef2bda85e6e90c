package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"skein/bench/answer"
	"skein/bench/cluster"
	"skein/bench/tpch"
)

// factTable is the one whose queries must divide.
const factTable = "lineitem"

// own is what the suites share that start servers of their own.
type own struct {
	o     Options
	files map[string][]string
	peer  *peer
	want  map[int]answer.Answer // DuckDB's, by query
}

func newOwn(o Options, files map[string][]string, p *peer) *own {
	return &own{o: o, files: files, peer: p, want: map[int]answer.Answer{}}
}

// queries are the chosen ones.
func (w *own) queries() []tpch.Query {
	return slices.DeleteFunc(tpch.Queries(), func(q tpch.Query) bool {
		return len(w.o.Queries) > 0 && !slices.Contains(w.o.Queries, q.Number)
	})
}

// start runs a cluster's Redis and MinIO in an empty directory. The caller
// calls stop, which removes it.
func (w *own) start(ctx context.Context, o cluster.Options) (c *cluster.Cluster, stop func(), err error) {
	dir, err := os.MkdirTemp(w.o.TempDir, "skein-bench-")
	if err != nil {
		return nil, nil, invalid("temporary directory: %w", err)
	}
	if dir, err = filepath.Abs(dir); err == nil {
		o.Program, o.MinIO, o.Threads, o.Dir = w.o.Program, w.o.MinIO, w.o.Threads, dir
		c, err = cluster.Start(ctx, o)
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, nil, err
	}
	return c, func() { c.Close(); os.RemoveAll(dir) }, nil
}

// dial connects to a node that this run has started.
func (w *own) dial(ctx context.Context, n *cluster.Node) (*server, error) {
	return dialServer(ctx, Options{Addr: n.GRPC})
}

// load brings TPC-H to a cluster through a node that is stopped again.
func (w *own) load(ctx context.Context, c *cluster.Cluster) error {
	n, err := c.Loader(ctx)
	if err != nil {
		return err
	}
	defer n.Stop()
	s, err := w.dial(ctx, n)
	if err != nil {
		return err
	}
	defer s.close()
	l := &loader{server: s, files: w.files, mode: LoadAuto, progress: w.o.Progress}
	_, err = l.load(ctx)
	return err
}

// cold runs all queries at all sizes, each on nodes that have just been
// started.
func (w *own) cold(ctx context.Context, c *cluster.Cluster, sizes []int) ([]ColdQuery, error) {
	var all []ColdQuery
	for _, q := range w.queries() {
		all = append(all, ColdQuery{Name: q.Name(), Fact: strings.Contains(q.SQL, factTable)})
	}
	for _, workers := range sizes {
		for i, q := range w.queries() {
			r, err := w.coldRun(ctx, c, workers, q)
			if err != nil {
				return all, fmt.Errorf("%s on %d workers: %w", q.Name(), workers, err)
			}
			all[i].Runs = append(all[i].Runs, r)
			fmt.Fprintf(w.o.Progress, "%s on %d: %.0f ms, %.1f MB read (%.1f by one), %.2f s CPU (%.2f), %s\n",
				q.Name(), workers, r.MS, mb(r.Read), mb(r.ReadMax), r.CPU, r.CPUMax, r.verdict())
		}
	}
	return all, nil
}

// coldRun is one query. The server's errors and differences are its result; an
// error is of the machine, of DuckDB, or of ctx.
func (w *own) coldRun(ctx context.Context, c *cluster.Cluster, workers int, q tpch.Query) (ColdRun, error) {
	r := ColdRun{Workers: workers}
	want, err := w.wanted(ctx, q)
	if err != nil {
		return r, err
	}
	if err := c.Up(ctx, workers); err != nil {
		return r, err
	}
	defer c.Down()
	s, err := w.dial(ctx, c.Coordinator)
	if err != nil {
		return r, err
	}
	defer s.close()
	before, err := uses(ctx, c)
	if err != nil {
		return r, err
	}
	got, took, err := timed(ctx, s, q.SQL, w.o.QueryTimeout)
	if ctx.Err() != nil {
		return r, context.Cause(ctx)
	}
	r.MS = millis(took)
	if err != nil {
		r.Error = err.Error()
		return r, nil
	}
	if d := answer.Compare(got, want, q.OrderBy); len(d) > 0 {
		r.Difference = d[0].String()
	}
	after, err := uses(ctx, c)
	if err != nil {
		return r, err
	}
	for i, u := range after {
		r.add(u.Less(before[i]), i == len(c.Workers))
	}
	return r, nil
}

// wanted is DuckDB's answer over the files that were loaded.
func (w *own) wanted(ctx context.Context, q tpch.Query) (answer.Answer, error) {
	if a, ok := w.want[q.Number]; ok {
		return a, nil
	}
	a, _, err := timed(ctx, w.peer, q.SQL, w.o.QueryTimeout)
	if err == nil {
		w.want[q.Number] = a
	}
	return a, err
}

// uses are the workers' and, last, the coordinator's.
func uses(ctx context.Context, c *cluster.Cluster) ([]cluster.Use, error) {
	var all []cluster.Use
	for _, n := range append(slices.Clone(c.Workers), c.Coordinator) {
		u, err := n.Use(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, u)
	}
	return all, nil
}

// add takes one node's use in.
func (r *ColdRun) add(u cluster.Use, coordinator bool) {
	if coordinator {
		r.Results += u.Results + u.Exchanged + u.Read
		return
	}
	cpu := u.CPU.Round(time.Millisecond).Seconds()
	r.Read, r.ReadMax = r.Read+u.Read, max(r.ReadMax, u.Read)
	r.CPU, r.CPUMax = r.CPU+cpu, max(r.CPUMax, cpu)
	r.Exchanged += u.Exchanged
}

func mb(n int64) float64 { return float64(n) / 1e6 }
