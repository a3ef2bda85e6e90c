//go:build duckdb_arrow

package coordinator

import (
	"context"
	"slices"

	"google.golang.org/protobuf/proto"

	"skein/internal/batch"
	"skein/internal/fault"
	"skein/planner"
	nodev1 "skein/proto/node/v1"
)

// Partition is a part of a statement's rows. All parts together, in any order,
// are its rows.
type Partition struct {
	Address  string // host:port of the worker that reads it best
	Fragment []byte // for ReadPartition: SQL that is run as it is, so it must not be taken from strangers
}

// partitionFilesMax bounds the files of the tables that are read in partitions: tickets name them.
const partitionFilesMax = 10_000

// Partitions divides a query whose answer is nothing but the rows of fragments
// over committed files. It returns nil where the answer is more than that, or
// one fragment, or rows are in it that are in no file yet: run it whole then.
func (c *Coordinator) Partitions(ctx context.Context, sql string) ([]Partition, error) {
	q, err := c.parse(ctx, sql)
	if err != nil {
		return nil, err
	}
	if q.Kind != planner.Select {
		return nil, nil
	}
	plan, views, err := c.plan(ctx, q, nil)
	if err != nil {
		return nil, q.place(err)
	}
	if !isParted(plan, views) {
		return nil, nil
	}
	e := &execution{c: c, ctx: ctx, views: views, text: plan.SQL}
	if e.nodes, err = c.workers(ctx); err != nil {
		return nil, err
	}
	last := &stageRun{Stage: plan.Stages[0]}
	e.stages = []*stageRun{last}
	e.make(last)
	return e.partitions(last)
}

// isParted tells that a plan's only stage is split, so that its fragments' rows
// are the answer, and that all it reads is in files.
func isParted(p *planner.Plan, views map[string]*tableView) bool {
	files := 0
	for _, v := range views {
		if len(v.hot) > 0 {
			return false
		}
		files += len(v.files)
	}
	kind := p.Stages[0].Kind
	return len(p.Stages) == 1 && (kind == planner.Split || kind == planner.Ranged) && len(p.Stages[0].Fragments) > 1 && files <= partitionFilesMax
}

func (e *execution) partitions(s *stageRun) ([]Partition, error) {
	var parts []Partition
	for _, f := range s.fragments {
		m, err := e.message(f, 0)
		if err != nil {
			return nil, err
		}
		b, err := proto.Marshal(m)
		if err != nil {
			return nil, fault.Wrap(fault.Internal, err)
		}
		parts = append(parts, Partition{Address: e.nodes[f.worker].Address, Fragment: b})
	}
	return parts, nil
}

// ReadPartition reads the rows of a partition that any node made, on this node
// if it is a worker, else on another. ctx must live until the reader is closed.
func (c *Coordinator) ReadPartition(ctx context.Context, fragment []byte) (batch.Reader, error) {
	if err := c.may(ctx, ToRead); err != nil {
		return nil, err
	}
	f := &nodev1.Fragment{}
	if err := proto.Unmarshal(fragment, f); err != nil {
		return nil, fault.New(fault.InvalidArgument, "malformed partition: are all nodes of one release?")
	}
	end := c.counters.query()
	e, err := c.admit(ctx)
	if err != nil {
		end()
		return nil, err
	}
	r, err := e.readPartition(f)
	if err != nil {
		err = e.cause(err)
		e.close()
		end()
		return nil, err
	}
	return &counted{Reader: &ownedReader{Reader: r, e: e}, end: end}, nil
}

// readPartition begins the fragment on one worker after another until one gives
// its first rows.
func (e *execution) readPartition(f *nodev1.Fragment) (r batch.Reader, err error) {
	if err := e.refresh(); err != nil {
		return nil, err
	}
	at := max(0, slices.Index(e.workers, e.home(e.workers[0])))
	for try := range min(fragmentTries, len(e.workers)) {
		id := e.workers[(at+try)%len(e.workers)]
		f.QueryId, f.Attempt = e.id, int32(try)
		if r, err = e.begun(e.c.worker(e.nodes[id]), f); err == nil || e.ctx.Err() != nil || fault.CodeOf(err) != fault.Unavailable {
			return r, err
		}
		e.c.Log.Warn("partition lost, trying again", "query", e.id, "worker", id, "error", err)
	}
	return nil, err
}

// begun starts a fragment and waits for its first batch.
func (e *execution) begun(w Worker, f *nodev1.Fragment) (batch.Reader, error) {
	r, err := w.Run(e.ctx, f)
	if err != nil {
		return nil, err
	}
	ahead, err := peek(e.ctx, r)
	if err != nil {
		r.Close()
		return nil, err
	}
	return ahead, nil
}
