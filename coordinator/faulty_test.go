//go:build duckdb_arrow

package coordinator_test

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"skein/internal/batch"
	"skein/internal/fault"
	nodev1 "skein/proto/node/v1"
	"skein/worker"
)

// point is where in a worker's calls a fault may strike.
type point string

const (
	holding   point = "a query is to be held"
	keeping   point = "a fragment's rows are to be kept"
	opening   point = "a fragment opens an object"
	fetching  point = "a fragment fetches a peer's rows"
	kept      point = "a fragment's rows are kept"
	reading   point = "a peer asks for kept rows"
	sending   point = "a peer has a batch of kept rows"
	running   point = "a fragment of the last stage is to run"
	streaming point = "a fragment of the last stage gave a batch"
)

// faultFunc is called when a worker comes to a point, with what it is asked
// for: a fragment, a read, or an object's key. An error ends the call.
type faultFunc func(ctx context.Context, w *faultyWorker, p point, what any) error

// faultyWorker is a worker seen from other nodes.
type faultyWorker struct {
	*worker.Worker
	*worker.Runner
	id         string
	cluster    *cluster
	down       atomic.Bool // no new call gets through
	runs       atomic.Int64
	failRuns   atomic.Int64 // how many coming fragments are lost at once
	cutRuns    atomic.Bool  // fragments are lost after their first batch
	failAppend atomic.Bool  // an append is stored, and its answer lost
	held       atomic.Int64 // calls of Hold and open readers

	mu   sync.Mutex
	life context.Context // ends when the worker is killed
	end  context.CancelFunc
}

var errDown = fault.New(fault.Unavailable, "connection refused")

// kill ends all that the worker does, and what it keeps, as the death of its
// process would.
func (f *faultyWorker) kill() {
	f.down.Store(true)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.end()
}

func (f *faultyWorker) revive() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.life, f.end = context.WithCancel(context.Background())
	f.down.Store(false)
}

// reach lets a fault strike.
func (f *faultyWorker) reach(ctx context.Context, p point, what any) error {
	if strike := f.cluster.fault.Load(); strike != nil {
		return (*strike)(ctx, f, p, what)
	}
	return nil
}

// began is a call that the worker has taken.
type began struct {
	f    *faultyWorker
	ctx  context.Context
	life context.Context
	stop func()
}

func (f *faultyWorker) begin(ctx context.Context, p point, what any) (*began, error) {
	if f.down.Load() {
		return nil, errDown
	}
	f.mu.Lock()
	life := f.life
	f.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	unlink := context.AfterFunc(life, cancel)
	b := &began{f: f, ctx: ctx, life: life, stop: func() { unlink(); cancel() }}
	if err := f.reach(ctx, p, what); err != nil || life.Err() != nil {
		b.stop()
		return nil, b.lost(err)
	}
	return b, nil
}

// lost is the error as the caller hears it.
func (b *began) lost(err error) error {
	if b.life.Err() != nil {
		return errDown
	}
	return err
}

func (f *faultyWorker) Ready(context.Context) error {
	if f.down.Load() {
		return errDown
	}
	return nil
}

func (f *faultyWorker) Append(ctx context.Context, r *nodev1.AppendRequest) error {
	if f.down.Load() {
		return errDown
	}
	if err := f.Worker.Append(ctx, r); err != nil || !f.failAppend.Load() {
		return err
	}
	return fault.New(fault.Unavailable, "connection reset")
}

func (f *faultyWorker) Hot(ctx context.Context, r *nodev1.HotRequest) (*nodev1.HotResponse, error) {
	if f.down.Load() {
		return nil, errDown
	}
	return f.Worker.Hot(ctx, r)
}

func (f *faultyWorker) Run(ctx context.Context, m *nodev1.Fragment) (batch.Reader, error) {
	f.runs.Add(1)
	if f.failRuns.Add(-1) >= 0 {
		return nil, errDown
	}
	r, err := f.open(ctx, running, m, func(ctx context.Context) (batch.Reader, error) { return f.Runner.Run(ctx, m) })
	if err == nil && f.cutRuns.Load() {
		return &cutReader{Reader: r}, nil
	}
	return r, err
}

func (f *faultyWorker) ReadKept(ctx context.Context, m *nodev1.KeptRead) (batch.Reader, error) {
	return f.open(ctx, reading, m, func(ctx context.Context) (batch.Reader, error) { return f.Runner.ReadKept(ctx, m) })
}

func (f *faultyWorker) open(ctx context.Context, p point, what any, open func(context.Context) (batch.Reader, error)) (batch.Reader, error) {
	b, err := f.begin(ctx, p, what)
	if err != nil {
		return nil, err
	}
	r, err := open(b.ctx)
	if err != nil {
		b.stop()
		return nil, b.lost(err)
	}
	f.held.Add(1)
	return &lifeReader{Reader: r, began: b, opened: p, what: what}, nil
}

func (f *faultyWorker) Keep(ctx context.Context, m *nodev1.Fragment) (*nodev1.KeepResponse, error) {
	b, err := f.begin(ctx, keeping, m)
	if err != nil {
		return nil, err
	}
	defer b.stop()
	res, err := f.Runner.Keep(b.ctx, m)
	if err == nil {
		err = f.reach(b.ctx, kept, m)
	}
	if err = b.lost(err); err != nil {
		return nil, err
	}
	return res, nil
}

func (f *faultyWorker) Hold(ctx context.Context, queryID string, ready func()) error {
	b, err := f.begin(ctx, holding, queryID)
	if err != nil {
		return err
	}
	defer b.stop()
	f.held.Add(1)
	defer f.held.Add(-1)
	return b.lost(f.Runner.Hold(b.ctx, queryID, ready))
}

func (f *faultyWorker) Stats(context.Context, time.Duration) (*nodev1.StatsResponse, error) {
	return &nodev1.StatsResponse{}, nil
}

// lifeReader ends with its worker.
type lifeReader struct {
	batch.Reader
	began  *began
	opened point
	what   any
	next   int
	once   sync.Once
}

func (r *lifeReader) Next(ctx context.Context) (arrow.RecordBatch, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.began.ctx, cancel)()
	var err error
	switch {
	case r.opened == reading:
		err = r.began.f.reach(ctx, sending, r.what)
	case r.next > 0:
		err = r.began.f.reach(ctx, streaming, r.what)
	}
	r.next++
	if err = r.began.lost(err); err != nil {
		return nil, err
	}
	b, err := r.Reader.Next(ctx)
	if r.began.life.Err() != nil {
		return nil, errDown
	}
	return b, err
}

func (r *lifeReader) Close() error {
	defer r.once.Do(func() {
		r.began.stop()
		r.began.f.held.Add(-1)
	})
	return r.Reader.Close()
}

// cutReader loses its worker after one batch.
type cutReader struct {
	batch.Reader
	read bool
}

func (c *cutReader) Next(ctx context.Context) (arrow.RecordBatch, error) {
	if c.read {
		return nil, fault.New(fault.Unavailable, "connection reset")
	}
	c.read = true
	return c.Reader.Next(ctx)
}
