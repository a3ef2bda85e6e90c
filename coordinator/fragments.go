//go:build duckdb_arrow

package coordinator

import (
	"context"
	"fmt"
	"slices"
	"time"

	"skein/internal/batch"
	"skein/internal/fault"
	"skein/meta"
	"skein/planner"
	nodev1 "skein/proto/node/v1"
)

// fragment is one fragment of a stage and how far it is.
type fragment struct {
	stage    *stageRun
	number   int
	worker   string                    // where it runs, or should
	home     string                    // where it was meant to run at first
	files    map[string][]planner.File // by view
	follows  *fragment                 // whose rows it reads where they are
	attempts int                       // begun so far
	failures int                       // of them, lost with their worker
	running  map[int]*attempt          // by number
	kept     *nodev1.KeepResponse      // nil until its rows are kept
	keeper   string                    // the node that keeps them
	winner   int                       // the attempt that did
	streamed *measured                 // of the last stage
}

// stageRun is a stage being run. Its fragments are made when the stages that
// it reads are there.
type stageRun struct {
	*planner.Stage
	fragments []*fragment
	parts     int // into how many parts its shared reads are dealt
	retries   int
}

// fragmentTries is how many workers a fragment is tried on.
const fragmentTries = 3

// message is the fragment as its worker gets it.
func (e *execution) message(f *fragment, number int) (*nodev1.Fragment, error) {
	m := &nodev1.Fragment{QueryId: e.id, Stage: int32(f.stage.ID), Number: int32(f.number), Attempt: int32(number), Sql: f.stage.SQL, Bounds: f.stage.Bounds, Apart: f.stage.Apart}
	for _, t := range f.stage.Tables {
		s := f.scan(t, e.views[t.Table])
		s.View = t.View
		m.Tables = append(m.Tables, s)
	}
	for _, r := range f.stage.Reads {
		read, err := e.read(f, r)
		if err != nil {
			return nil, err
		}
		m.Reads = append(m.Reads, read)
	}
	return m, nil
}

// scan is what the fragment reads of a table. Of a table of ranges the files
// at the edges hold rows of other fragments, too.
func (f *fragment) scan(t planner.StageTable, v *tableView) *nodev1.TableScan {
	if t.Key == "" {
		return v.scan(f.files[t.View])
	}
	var inside, edges []planner.File
	for _, file := range f.files[t.View] {
		if t.Parts[f.number].IsEdge(file) {
			edges = append(edges, file)
		} else {
			inside = append(inside, file)
		}
	}
	s, filtered := v.scan(inside), v.scan(edges)
	for _, g := range filtered.Groups {
		g.Filter = f.stage.Within(t.Key, f.number)
	}
	s.Groups = append(s.Groups, filtered.Groups...)
	return s
}

// read tells a fragment where the rows of an earlier stage are.
func (e *execution) read(f *fragment, r planner.Read) (*nodev1.StageRead, error) {
	from := e.stages[r.Stage]
	read := &nodev1.StageRead{View: r.View}
	var kept []*nodev1.Column
	for _, g := range from.fragments {
		if kept == nil {
			kept = g.kept.Columns
		} else if !sameColumns(kept, g.kept.Columns) {
			return nil, fault.Newf(fault.Internal, "fragments of stage %d disagree about its columns", from.ID)
		}
		if r.Own && g != f.follows || r.Near && e.nearest(f.stage, g) != f.number || g.kept.Rows == 0 {
			continue
		}
		k := &nodev1.KeptRead{QueryId: e.id, Stage: int32(from.ID), Number: int32(g.number), Attempt: int32(g.winner), Only: r.Only}
		switch {
		case r.Ranged:
			k.Filter = f.stage.Within(r.Keys[0], f.number)
		case len(r.Keys) > 0 && f.stage.parts > 1:
			k.Keys, k.Parts, k.Part = r.Keys, int32(f.stage.parts), int32(f.number)
		}
		read.Shares = append(read.Shares, &nodev1.KeptShare{NodeId: g.keeper, Address: e.known[g.keeper].Address, Read: k})
	}
	for _, c := range kept {
		if r.Only == "" || r.Only == c.Name {
			read.Columns = append(read.Columns, c)
		}
	}
	return read, nil
}

// nearest is the fragment of a stage that reads all that g kept: one on the
// same worker, if there is one.
func (e *execution) nearest(s *stageRun, g *fragment) int {
	for _, f := range s.fragments {
		if f.home == g.home {
			return f.number
		}
	}
	return g.number % len(s.fragments)
}

func sameColumns(a, b []*nodev1.Column) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Name != b[i].Name || a[i].Type != b[i].Type {
			return false
		}
	}
	return true
}

// make makes a stage's fragments.
func (e *execution) make(s *stageRun) {
	add := func(worker string, split []planner.File) *fragment {
		f := &fragment{home: worker, stage: s, number: len(s.fragments), worker: worker, files: map[string][]planner.File{}, running: map[int]*attempt{}}
		for _, t := range s.Tables {
			f.files[t.View] = e.narrowed(s, t.View, t.Of(f.number, split))
		}
		s.fragments = append(s.fragments, f)
		return f
	}
	switch s.Kind {
	case planner.Split:
		for _, f := range s.Fragments {
			add(f.Worker, f.Files)
		}
	case planner.Ranged:
		for _, f := range s.Fragments {
			add(f.Worker, nil)
		}
	case planner.Follow:
		for _, g := range e.stages[s.Follow].fragments {
			add(g.keeper, nil).follows = g
		}
	case planner.Shared:
		workers := e.workers
		if e.inputRows(s) <= e.c.opts.CollapseRows {
			workers = []string{e.home(workers[0])}
		}
		for _, w := range workers {
			add(w, nil)
		}
	case planner.One:
		add(e.home(s.Worker), nil)
	}
	s.parts = len(s.fragments)
}

// narrowed leaves files of a view out that hold no value that the rows of
// earlier stages have.
func (e *execution) narrowed(s *stageRun, view string, files []planner.File) []planner.File {
	for _, n := range s.Narrow {
		if n.View != view {
			continue
		}
		wanted := map[string]bool{}
		for _, f := range e.stages[n.Stage].fragments {
			for _, b := range f.kept.Bounds {
				if b.Column != n.Kept {
					continue
				}
				for _, file := range n.Keep(files, b.Min, b.Max) {
					wanted[file.Path] = true
				}
			}
		}
		files = slices.DeleteFunc(slices.Clone(files), func(f planner.File) bool { return !wanted[f.Path] })
	}
	return files
}

// inputRows is how many rows a stage reads of earlier ones.
func (e *execution) inputRows(s *stageRun) int64 {
	var rows int64
	for _, r := range s.Reads {
		for _, f := range e.stages[r.Stage].fragments {
			rows += f.kept.Rows
		}
	}
	return rows
}

// home is where a single fragment runs best: here, if this node is a worker.
func (e *execution) home(otherwise string) string {
	if _, ok := e.nodes[e.c.opts.Node.ID]; ok && e.c.Local != nil {
		return e.c.opts.Node.ID
	}
	return otherwise
}

// opened starts a fragment of the last stage and returns once its first batch
// is there, so that a worker lost before that costs nothing: nothing was
// handed on.
func (e *execution) opened(ctx context.Context, f *fragment) (batch.Reader, error) {
	m, err := e.message(f, f.attempts)
	if err != nil {
		return nil, err
	}
	n, w, err := e.worker(f.worker)
	if err != nil {
		return nil, err
	}
	reader, err := w.Run(ctx, m)
	if err != nil {
		return nil, e.describe(f, n, err)
	}
	f.streamed = &measured{Reader: reader, began: time.Now(), describe: func(err error) error { return e.describe(f, n, err) }}
	ahead, err := peek(ctx, f.streamed)
	if err != nil {
		reader.Close()
		return nil, err
	}
	return ahead, nil
}

// describe names the worker in errors that are not the statement's own. Those
// tell a place only if it is one of the plan's statement.
func (e *execution) describe(f *fragment, n meta.Node, err error) error {
	switch fault.CodeOf(err) {
	case fault.Unavailable, fault.Internal, fault.ResourceExhausted:
		return fmt.Errorf("worker %s: %w", n.ID, err)
	case fault.InvalidArgument:
		if f.stage.SQL != e.text {
			return fault.New(fault.InvalidArgument, err.Error())
		}
	}
	return err
}
