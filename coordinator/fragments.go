//go:build duckdb_arrow

package coordinator

import (
	"context"
	"fmt"
	"slices"

	"github.com/oklog/ulid/v2"

	"skein/internal/batch"
	"skein/internal/fault"
	"skein/meta"
	"skein/planner"
	nodev1 "skein/proto/node/v1"
)

// run sends the plan's fragments out and returns their rows.
func (c *Coordinator) run(ctx context.Context, p *planner.Plan, views map[string]*tableView) (batch.Reader, error) {
	id := ulid.Make().String()
	runs := make([]*fragmentRun, len(p.Fragments))
	for i, f := range p.Fragments {
		runs[i] = &fragmentRun{c: c, worker: f.Worker, fragment: message(id, i, p.SQL, f, views)}
	}
	if len(runs) == 1 {
		return runs[0].open(ctx)
	}
	return newUnion(ctx, runs)
}

func message(id string, number int, sql string, f planner.Fragment, views map[string]*tableView) *nodev1.Fragment {
	m := &nodev1.Fragment{QueryId: id, Number: int32(number), Sql: sql}
	for _, name := range sortedKeys(views) {
		m.Tables = append(m.Tables, views[name].scan(f.Files[name]))
	}
	return m
}

// fragmentRun is one fragment and where it runs.
type fragmentRun struct {
	c        *Coordinator
	worker   string
	fragment *nodev1.Fragment
	tried    []string
}

// fragmentTries is how many workers a fragment is tried on.
const fragmentTries = 3

// open starts the fragment on its worker, or on others when that one is lost.
// It returns once the first batch is there, so that a worker lost before that
// costs nothing: the fragment is deterministic, and nothing was handed on.
func (r *fragmentRun) open(ctx context.Context) (batch.Reader, error) {
	for {
		reader, err := r.start(ctx)
		if err == nil {
			return reader, nil
		}
		if ctx.Err() != nil || fault.CodeOf(err) != fault.Unavailable {
			return nil, err
		}
		r.c.Log.Warn("fragment failed, trying another worker", "query", r.fragment.QueryId, "fragment", r.fragment.Number, "worker", r.worker, "error", err)
		if r.worker != r.c.opts.Node.ID {
			r.c.members.suspect(r.worker)
		}
		r.tried = append(r.tried, r.worker)
		next, nextErr := r.another(ctx)
		if nextErr != nil || next == "" {
			return nil, err
		}
		r.worker = next
	}
}

func (r *fragmentRun) another(ctx context.Context) (string, error) {
	if len(r.tried) >= fragmentTries {
		return "", nil
	}
	nodes, err := r.c.workers(ctx)
	if err != nil {
		return "", err
	}
	for _, id := range sortedKeys(nodes) {
		if !slices.Contains(r.tried, id) {
			return id, nil
		}
	}
	return "", nil
}

func (r *fragmentRun) start(ctx context.Context) (batch.Reader, error) {
	nodes, err := r.c.workers(ctx)
	if err != nil {
		return nil, err
	}
	n, ok := nodes[r.worker]
	if !ok {
		return nil, fault.Newf(fault.Unavailable, "worker %s is not alive", r.worker)
	}
	reader, err := r.c.worker(n).Run(ctx, r.fragment)
	if err != nil {
		return nil, r.describe(n, err)
	}
	ahead, err := peek(ctx, reader)
	if err != nil {
		reader.Close()
		return nil, r.describe(n, err)
	}
	return ahead, nil
}

// describe names the worker in errors that are not the statement's own.
func (r *fragmentRun) describe(n meta.Node, err error) error {
	switch fault.CodeOf(err) {
	case fault.Unavailable, fault.Internal, fault.ResourceExhausted:
		return fmt.Errorf("worker %s: %w", n.ID, err)
	}
	return err
}
