//go:build duckdb_arrow

package worker

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/util"

	"skein/internal/batch"
	"skein/internal/duck"
	nodev1 "skein/proto/node/v1"
)

// Of a fragment that is poured.
const (
	pourAtOnce     = 2         // portions that run
	pourAhead      = 8         // portions whose files are fetched before their turn
	pouredBytes    = 16 << 20  // of batches that wait; while there are more no portion begins
	pouredBytesMax = 160 << 20 // likewise; DuckDB waits where a statement makes more of a portion than was thought
	pouredSumMax   = 512 << 20 // of all fragments of a Runner; while there are more no other is poured
)

// pouring runs a fragment whose rows come from its files one by one: a portion
// of the files after the other, whose rows wait here for the reader. So DuckDB's
// threads are not held by a reader that is slow. It implements batch.Reader.
type pouring struct {
	runner   *Runner
	pour     *duck.Pour
	portions []*nodev1.Fragment
	ctx      context.Context
	cancel   context.CancelFunc
	working  sync.WaitGroup

	mu      sync.Mutex
	next    int // portion
	left    int // portions that are not at their end
	batches []arrow.RecordBatch
	bytes   int64 // of batches
	err     error
	changed chan struct{} // closed when something above has

	current arrow.RecordBatch
	ahead   *ahead
}

// pourFragment starts a fragment in portions; nil if that cannot be or is not
// worth it.
func (r *Runner) pourFragment(ctx context.Context, f *nodev1.Fragment) (batch.Reader, error) {
	if !f.Apart || len(f.Tables) != 1 || len(f.Reads) > 0 || bytesOf(f.Tables[0]) < pourBytesMin || r.poured.Load() > pouredSumMax {
		return nil, nil
	}
	first, err := r.prepare(ctx, nil, firstPortion(f))
	if err != nil {
		return nil, err
	}
	pour, err := first.conn.Pour(ctx, f.Sql)
	if err != nil || pour == nil {
		err = first.blame(ctx, err)
		first.Close()
		return nil, err
	}
	parts := portions(f, widthOf(pour.Schema()))
	if parts == nil {
		first.Close()
		return nil, nil
	}
	p := &pouring{runner: r, pour: pour, portions: parts, next: 1, left: len(parts), changed: make(chan struct{}), ahead: newAhead(r.source, pourAhead)}
	p.ctx, p.cancel = context.WithCancel(ctx)
	p.working.Go(func() {
		p.ended(p.run(first, parts[0]))
		p.work()
	})
	for range min(pourAtOnce, len(parts)) - 1 {
		p.working.Go(p.work)
	}
	p.working.Go(func() { p.ahead.fetch(p.ctx, parts) })
	return p, nil
}

func bytesOf(t *nodev1.TableScan) (n int64) {
	for _, g := range t.Groups {
		for _, s := range g.Splits {
			n += s.Size
		}
	}
	return n
}

// work runs portions until none is left, or one has failed.
func (p *pouring) work() {
	for {
		i, ok := p.turn()
		if !ok {
			return
		}
		run, err := p.runner.prepare(p.ctx, nil, p.portions[i])
		p.ahead.done(i)
		if err == nil {
			err = p.run(run, p.portions[i])
		}
		p.ended(err)
	}
}

// run gives a portion's rows and frees what it took.
func (p *pouring) run(r *running, f *nodev1.Fragment) error {
	defer r.Close()
	return r.blame(p.ctx, p.pour.Run(p.ctx, r.conn, f.Sql, p.put))
}

// turn waits until the next portion may run, and tells which it is; false if
// there is none.
func (p *pouring) turn() (portion int, ok bool) {
	for {
		p.mu.Lock()
		if p.next == len(p.portions) || p.err != nil {
			p.mu.Unlock()
			return 0, false
		}
		if p.room(pouredBytes) {
			p.next++
			defer p.mu.Unlock()
			return p.next - 1, true
		}
		changed := p.changed
		p.mu.Unlock()
		select {
		case <-changed:
		case <-p.ctx.Done():
			return 0, false
		}
	}
}

// room tells whether more may wait: below a limit of its own, and of all
// fragments, though each may have something. The lock is held.
func (p *pouring) room(most int64) bool {
	return p.bytes < most && (p.bytes == 0 || p.runner.poured.Load() < pouredSumMax)
}

// put takes a batch over.
func (p *pouring) put(b arrow.RecordBatch) {
	for {
		changed := p.tryPut(b)
		if changed == nil {
			return
		}
		select {
		case <-changed:
		case <-p.ctx.Done():
			b.Release()
			return
		}
	}
}

// tryPut returns nil if the batch found room; else what is closed when there
// may be some.
func (p *pouring) tryPut(b arrow.RecordBatch) (changed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.room(pouredBytesMax) {
		return p.changed
	}
	p.batches = append(p.batches, b)
	p.count(util.TotalRecordSize(b))
	p.tell()
	return nil
}

// count adds to the bytes that wait. The lock is held.
func (p *pouring) count(bytes int64) {
	p.bytes += bytes
	p.runner.poured.Add(bytes)
}

// ended notes the end of a portion.
func (p *pouring) ended(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left--
	if err != nil && p.err == nil {
		p.err = err
		p.cancel() // the others
	}
	p.tell()
}

// tell wakes who waits for a change. The lock is held.
func (p *pouring) tell() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// Schema implements batch.Reader.
func (p *pouring) Schema() *arrow.Schema { return p.pour.Schema() }

// Next implements batch.Reader.
func (p *pouring) Next(ctx context.Context) (arrow.RecordBatch, error) {
	p.release()
	for {
		b, changed, err := p.take()
		if b != nil || err != nil {
			p.current = b
			return b, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-p.ctx.Done(): // after an error of its own, too
			if _, _, err := p.take(); err != nil && !errors.Is(err, io.EOF) {
				return nil, err
			}
			return nil, context.Cause(p.ctx)
		}
	}
}

// take is the batch that waits longest; without one it is nil, and changed is
// closed when that may be otherwise.
func (p *pouring) take() (b arrow.RecordBatch, changed <-chan struct{}, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.err != nil:
		return nil, nil, p.err
	case len(p.batches) > 0:
		b = p.batches[0]
		p.batches[0] = nil
		p.batches = p.batches[1:]
		p.count(-util.TotalRecordSize(b))
		p.tell()
		return b, nil, nil
	case p.left == 0:
		return nil, nil, io.EOF
	}
	return nil, p.changed, nil
}

func (p *pouring) release() {
	if p.current != nil {
		p.current.Release()
		p.current = nil
	}
}

// Close implements batch.Reader.
func (p *pouring) Close() error {
	p.cancel()
	p.working.Wait()
	for i := range p.portions {
		p.ahead.done(i)
	}
	p.release()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range p.batches {
		b.Release()
	}
	p.batches = nil
	p.count(-p.bytes)
	return nil
}
