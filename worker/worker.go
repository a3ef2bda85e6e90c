package worker

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"skein/internal/duck"
	"skein/internal/fault"
	"skein/meta"
	"skein/objstore"
	"skein/worker/wal"
)

// Worker takes in rows and executes fragments. All its methods may be called
// from many goroutines at once.
type Worker struct {
	meta    meta.Store
	objects objstore.Store
	db      *duck.DB
	log     *slog.Logger
	o       Options
	metrics *metrics

	wal    *wal.Log
	budget *semaphore.Weighted // of BufferBytesMax
	slots  *semaphore.Weighted // of FlushesMax
	names  *names

	calls *calls

	mu          sync.Mutex        // may be taken with a table's lock held, not the other way round
	tables      map[string]*table // by UID
	ready       []*unit           // sealed, waiting for a flush goroutine
	pinned      []*unit           // committed, oldest first
	pinnedBytes int64
	forget      []committed // oldest first

	forgetNext, trimNext time.Time // of the loop alone

	again    chan struct{} // closed when flushes that failed should be tried again; guarded by mu
	kick     chan struct{} // tells the loop that ready or pressure changed
	pressure chan struct{} // tells the loop that a write waits for room
	cancel   context.CancelFunc
	started  bool
	wg       sync.WaitGroup // the loop and what it starts
	hot      hotFiles

	peer     func(meta.Node) Peer // nil if there are no other nodes
	suspects map[string]time.Time // nodes -> when they failed as replicas; guarded by mu
	replicas *replicas            // rows of other nodes
	settled  atomic.Bool          // no unit of this node is known to the catalog alone

	unsettled atomic.Bool // Relearn could not settle, watch goes on
}

// New opens the log in Options.Dir and puts the acknowledged rows that it
// finds back into the buffer before it returns.
func New(d Deps, o Options) (*Worker, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	w := &Worker{
		meta: d.Meta, objects: d.Objects, db: d.DB, log: cmp.Or(d.Log, slog.New(slog.DiscardHandler)), o: o,
		budget: semaphore.NewWeighted(o.BufferBytesMax),
		slots:  semaphore.NewWeighted(int64(o.FlushesMax)),
		names:  newNames(o.NodeID),
		calls:  newCalls(),
		tables: map[string]*table{},
		again:  make(chan struct{}),
		kick:   make(chan struct{}, 1), pressure: make(chan struct{}, 1),
		peer: d.Peer, suspects: map[string]time.Time{},
	}
	for _, dir := range []string{w.hotDir(), w.tempDir()} {
		if err := emptyDir(dir); err != nil {
			return nil, err
		}
	}
	if w.wal, err = wal.Open(filepath.Join(o.Dir, "log"), wal.Options{SegmentBytes: o.SegmentBytes}); err != nil {
		return nil, err
	}
	if w.replicas, err = openReplicas(o.Dir, o, w.wanted); err != nil {
		w.wal.Close()
		return nil, err
	}
	if w.metrics, err = newMetrics(d.Registerer, w); err == nil {
		err = w.replay()
	}
	if err != nil {
		w.wal.Close()
		w.replicas.log.Close()
		w.metrics.unregister()
		return nil, err
	}
	return w, nil
}

func (w *Worker) hotDir() string  { return filepath.Join(w.o.Dir, "hot") }
func (w *Worker) tempDir() string { return filepath.Join(w.o.Dir, "tmp") }

// emptyDir makes dir and removes what a process before left in it.
func emptyDir(dir string) error {
	err := os.RemoveAll(dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return fault.Newf(fault.Unavailable, "worker directory: %w", err)
	}
	return nil
}

// Start begins to flush in the background, until Close: the end of ctx does
// not stop it, since then Close could flush nothing.
func (w *Worker) Start(ctx context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.started {
		return
	}
	w.started = true
	ctx, w.cancel = context.WithCancel(context.WithoutCancel(ctx))
	w.wg.Go(func() { w.loop(ctx) })
	w.wg.Go(func() { w.watch(ctx) })
}

// Close takes no more writes, flushes every row and waits for it. If ctx ends
// before, the rows left stay in the log for the next start and the error says
// how many units they are.
func (w *Worker) Close(ctx context.Context) error {
	if !w.calls.close(ctx) {
		return nil
	}
	w.Start(ctx)
	left, err := w.flushAll(ctx, "", true)
	if err != nil {
		err = fmt.Errorf("worker closed with %d units left in its log: %w", left, err)
	}
	w.cancel()
	w.wg.Wait()
	for _, log := range []*wal.Log{w.wal, w.replicas.log} {
		if e := log.Close(); err == nil {
			err = e
		}
	}
	w.hot.close()
	w.metrics.unregister()
	return err
}

const tick = 100 * time.Millisecond // how often ages are looked at

// loop seals units by age, starts their flushes, and cleans up behind them.
func (w *Worker) loop(ctx context.Context) {
	var flushes sync.WaitGroup
	defer flushes.Wait()
	flushes.Go(func() { w.closeLostUnits(ctx) })
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.pressure:
			w.sealAll(func(u *unit) bool { return u.queuedRows > 0 })
		case <-w.kick:
		case now := <-ticker.C:
			w.sealAll(func(u *unit) bool { return u.isDue(now) })
			w.relieveLog()
			w.unpin(now)
			w.trim(ctx)
			w.forgetCommitted(ctx, now)
		}
		for _, u := range w.takeReady() {
			flushes.Go(func() { w.flush(ctx, u) })
		}
	}
}

func (w *Worker) takeReady() []*unit {
	w.mu.Lock()
	defer w.mu.Unlock()
	ready := w.ready
	w.ready = nil
	return ready
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// tableList returns the known tables, of that name if it is not empty.
func (w *Worker) tableList(name string) []*table {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []*table
	for _, t := range w.tables {
		if name == "" || t.name == name {
			list = append(list, t)
		}
	}
	return list
}
