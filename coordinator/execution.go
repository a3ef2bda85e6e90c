//go:build duckdb_arrow

package coordinator

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/oklog/ulid/v2"

	"skein/internal/batch"
	"skein/internal/fault"
	"skein/meta"
	"skein/planner"
	nodev1 "skein/proto/node/v1"
	"skein/worker"
)

// execution is a plan being run. Its methods but for those of attempts run in
// one goroutine; attempts report through a channel.
type execution struct {
	c       *Coordinator
	id      string
	ctx     context.Context
	stop    context.CancelCauseFunc
	views   map[string]*tableView
	text    string               // the plan's statement
	nodes   map[string]meta.Node // workers that are alive
	known   map[string]meta.Node // and those that were
	workers []string             // their ids, in order
	stages  []*stageRun
	holds   map[string]*hold
	ended   chan outcome
	running int
	bytes   int64 // that are kept for the query
	owned   sync.WaitGroup
	timeout context.CancelFunc
	leave   func() // the admission
}

// lostNode is the detail of an error that names the node whose rows could not
// be read.
const lostNode = worker.LostNodeDetail

// unreadObject is the detail of an error that names the object that could not
// be read.
const unreadObject = worker.ObjectDetail

// attempt is one try of a fragment on a worker.
type attempt struct {
	worker string
	began  time.Time
	stop   context.CancelFunc
}

// outcome is how an attempt ended.
type outcome struct {
	f      *fragment
	number int
	worker string
	kept   *nodev1.KeepResponse
	err    error
}

// run sends the plan's fragments out and returns the rows of its last stage.
// The reader owns all that the query holds anywhere.
func (c *Coordinator) run(ctx context.Context, p *planner.Plan, views map[string]*tableView) (batch.Reader, *execution, error) {
	e, err := c.admit(ctx)
	if err != nil {
		return nil, nil, err
	}
	e.views, e.text = views, p.SQL
	for _, s := range p.Stages {
		e.stages = append(e.stages, &stageRun{Stage: s})
	}
	r, err := e.run()
	if err != nil {
		err = e.cause(err)
		e.close()
		return nil, nil, err
	}
	return &ownedReader{Reader: r, e: e}, e, nil
}

// admit waits until one more query may run. The caller closes the execution.
func (c *Coordinator) admit(ctx context.Context) (*execution, error) {
	leave, err := c.admission.enter(ctx)
	if err != nil {
		return nil, err
	}
	e := &execution{c: c, id: ulid.Make().String(), holds: map[string]*hold{}, known: map[string]meta.Node{}, ended: make(chan outcome), leave: leave}
	ctx, e.timeout = context.WithTimeoutCause(ctx, c.opts.QueryTimeout, fault.Newf(fault.DeadlineExceeded, "the query took longer than %v; raise --query-timeout", c.opts.QueryTimeout))
	e.ctx, e.stop = context.WithCancelCause(ctx)
	return e, nil
}

// ownedReader ends the execution with its rows.
type ownedReader struct {
	batch.Reader
	e    *execution
	once sync.Once
}

// Next implements batch.Reader. The query's timeout ends it, too.
func (r *ownedReader) Next(ctx context.Context) (arrow.RecordBatch, error) {
	work, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	defer context.AfterFunc(r.e.ctx, func() { stop(context.Cause(r.e.ctx)) })()
	b, err := r.Reader.Next(work)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, r.e.cause(err)
	}
	return b, err
}

// cause is err, or why the query is over: then workers tell all sorts of
// errors.
func (e *execution) cause(err error) error {
	if e.ctx.Err() != nil {
		return context.Cause(e.ctx)
	}
	return err
}

// Close implements batch.Reader.
func (r *ownedReader) Close() (err error) {
	r.once.Do(func() {
		err = r.Reader.Close()
		r.e.close()
	})
	return err
}

// close stops what runs and frees what is kept.
func (e *execution) close() {
	e.stop(context.Canceled)
	for e.running > 0 {
		<-e.ended
		e.running--
	}
	e.owned.Wait()
	e.timeout()
	e.leave()
}

// runTries bounds how often the last stage is begun.
const runTries = 4

func (e *execution) run() (batch.Reader, error) {
	if err := e.refresh(); err != nil {
		return nil, err
	}
	last := e.stages[len(e.stages)-1]
	for try := 1; ; try++ {
		if err := e.keepAll(); err != nil {
			return nil, err
		}
		if last.fragments == nil {
			e.make(last)
		}
		r, f, err := e.openLast(last)
		if err == nil {
			return r, nil
		}
		if e.ctx.Err() != nil || fault.CodeOf(err) != fault.Unavailable || try == runTries {
			return nil, err
		}
		if again := e.lost(f, f.worker, err); again != nil {
			return nil, again
		}
	}
}

// refresh learns which workers are alive.
func (e *execution) refresh() error {
	nodes, err := e.c.workers(e.ctx)
	if err != nil {
		return err
	}
	e.nodes, e.workers = nodes, sortedKeys(nodes)
	maps.Copy(e.known, nodes)
	if len(e.workers) == 0 {
		return fault.New(fault.Unavailable, "no worker is alive")
	}
	return nil
}

// keepAll runs the fragments of all stages but the last, each as soon as what
// it reads is kept.
func (e *execution) keepAll() error {
	for {
		waiting, err := e.begin()
		if err != nil {
			return err
		}
		if !waiting && e.running == 0 {
			return nil
		}
		select {
		case o := <-e.ended:
			e.running--
			if err := e.settle(o); err != nil {
				return err
			}
		case <-time.After(speculateEvery):
			if err := e.speculate(); err != nil {
				return err
			}
		case <-e.ctx.Done():
			return context.Cause(e.ctx)
		}
	}
}

// begin starts every fragment whose inputs are there. It tells whether rows
// are missing still.
func (e *execution) begin() (waiting bool, err error) {
	for _, s := range e.stages[:len(e.stages)-1] {
		if !e.hasInputs(s) {
			waiting = true
			continue
		}
		if s.fragments == nil {
			e.make(s)
		}
		for _, f := range s.fragments {
			if f.kept != nil {
				continue
			}
			waiting = true
			if len(f.running) == 0 {
				if err := e.attempt(f, f.worker); err != nil {
					return waiting, err
				}
			}
		}
	}
	return waiting, nil
}

// hasInputs tells that all that a stage reads is kept.
func (e *execution) hasInputs(s *stageRun) bool {
	for _, r := range s.Reads {
		from := e.stages[r.Stage]
		if from.fragments == nil || slices.ContainsFunc(from.fragments, func(f *fragment) bool { return f.kept == nil }) {
			return false
		}
	}
	return true
}

// attempt starts a fragment on a worker, or on another if that one is gone.
func (e *execution) attempt(f *fragment, worker string) error {
	if f.follows != nil && f.failures == 0 && len(f.running) == 0 {
		worker = f.follows.keeper
	}
	if _, ok := e.nodes[worker]; !ok {
		worker = e.other(f, worker)
	}
	n, w, err := e.worker(worker)
	if err != nil {
		return err
	}
	number := f.attempts
	m, err := e.message(f, number)
	if err != nil {
		return err
	}
	f.attempts++
	ctx, stop := context.WithCancel(e.ctx)
	f.running[number] = &attempt{worker: worker, began: time.Now(), stop: stop}
	e.running++
	h := e.hold(worker, w)
	go func() {
		defer stop()
		o := outcome{f: f, number: number, worker: worker}
		if o.err = h.wait(ctx); o.err == nil {
			o.kept, o.err = w.Keep(ctx, m)
		}
		if o.err != nil {
			o.err = e.describe(f, n, o.err)
		}
		e.ended <- o
	}()
	return nil
}

// other is a worker for a fragment whose own is lost.
func (e *execution) other(f *fragment, lost string) string {
	i, _ := slices.BinarySearch(e.workers, lost)
	return e.workers[(i+f.failures)%len(e.workers)]
}

func (e *execution) worker(id string) (meta.Node, Worker, error) {
	n, ok := e.nodes[id]
	if !ok {
		return n, nil, fault.Newf(fault.Unavailable, "worker %s is not alive", id)
	}
	return n, e.c.worker(n), nil
}

// settle takes an attempt's outcome in. An error ends the query.
func (e *execution) settle(o outcome) error {
	f := o.f
	delete(f.running, o.number)
	switch {
	case o.err == nil && f.kept != nil: // the other attempt was faster
		return nil
	case o.err == nil:
		f.kept, f.keeper, f.winner = o.kept, o.worker, o.number
		for number, a := range f.running {
			a.stop()
			if number < o.number {
				e.avoid(a.worker)
			}
		}
		if e.bytes += o.kept.Bytes; e.bytes > e.c.opts.QueryBytesMax {
			return fault.Newf(fault.ResourceExhausted, "the query keeps more than %d MB of rows between its stages; filter more, select fewer columns, or raise --query-memory", e.c.opts.QueryBytesMax>>20)
		}
		return nil
	case f.kept != nil:
		return nil
	case e.ctx.Err() != nil:
		return context.Cause(e.ctx)
	case fault.CodeOf(o.err) == fault.Unavailable:
		return e.lost(f, o.worker, o.err)
	}
	return o.err
}

// lost takes in that a fragment failed with its worker, or with the node whose
// rows it wanted to read. What that node kept is made again elsewhere. Where an
// object is behind it no node is lost, and another may have better luck.
func (e *execution) lost(f *fragment, worker string, err error) error {
	e.c.Log.Warn("fragment lost, trying again", "query", e.id, "stage", f.stage.ID, "fragment", f.number, "worker", worker, "error", err)
	f.failures++
	f.stage.retries++
	if f.failures >= fragmentTries {
		return err
	}
	if fault.Details(err)[unreadObject] != "" {
		f.worker = e.other(f, worker)
		return nil
	}
	node := worker
	if n := fault.Details(err)[lostNode]; n != "" {
		node = n
	}
	switch {
	case node != e.c.opts.Node.ID:
		e.drop(node)
		e.c.members.suspect(node)
	case e.holds[node].failed(): // DuckDB was started again
		e.drop(node)
	} // else this node is here; what failed is what it asked
	if refreshErr := e.refresh(); refreshErr != nil {
		return errors.Join(err, refreshErr)
	}
	e.avoid(node)
	switch _, ok := e.nodes[f.worker]; {
	case !ok || f.worker == node && len(e.workers) > 1:
		f.worker = e.other(f, f.worker)
	case node == e.c.opts.Node.ID: // the rows are here, and cannot be read from there
		f.worker = e.home(f.worker)
	}
	return nil
}

// drop forgets what a node keeps.
func (e *execution) drop(node string) {
	if h := e.holds[node]; h != nil {
		h.stop()
		delete(e.holds, node)
	}
	for _, s := range e.stages {
		for _, f := range s.fragments {
			if f.kept != nil && f.keeper == node {
				e.bytes -= f.kept.Bytes
				f.kept = nil
			}
		}
	}
}

// openLast starts the last stage's fragments.
func (e *execution) openLast(s *stageRun) (batch.Reader, *fragment, error) {
	for _, f := range s.fragments {
		if f.follows != nil {
			f.worker = f.follows.keeper
		}
		if _, ok := e.nodes[f.worker]; !ok {
			f.worker = e.other(f, f.worker)
		}
		f.attempts++
	}
	if len(s.fragments) == 1 {
		r, err := e.opened(e.ctx, s.fragments[0])
		return r, s.fragments[0], err
	}
	return newUnion(e.ctx, e, s.fragments)
}
