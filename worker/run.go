//go:build duckdb_arrow

package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow"
	"golang.org/x/sync/errgroup"

	"skein/internal/batch"
	"skein/internal/duck"
	"skein/internal/fault"
	nodev1 "skein/proto/node/v1"
)

// Source gives a fragment's splits as files on this machine.
type Source interface {
	// Open returns the local path of a split. The caller calls release when
	// it has stopped reading.
	Open(ctx context.Context, s *nodev1.Split) (path string, release func(), err error)
	// Local tells whether rows kept on the node are kept by this Runner.
	Local(nodeID string) bool
	// ReadKept reads rows that another node keeps. ctx lives until the caller
	// closes the reader.
	ReadKept(ctx context.Context, s *nodev1.KeptShare) (batch.Reader, error)
}

// Runner executes fragments, and keeps rows of theirs for other fragments.
type Runner struct {
	db     *duck.DB
	source Source
	holds  holds
	poured atomic.Int64 // bytes of batches that wait for their readers
}

// NewRunner returns a Runner over a DuckDB instance that may read where the
// source's files lie.
func NewRunner(db *duck.DB, source Source) *Runner { return &Runner{db: db, source: source} }

// Run executes one fragment and streams its rows. Running it again gives the
// same rows. Closing the reader stops the work and frees what it holds; if the
// query is held here, so does the end of its Hold.
func (r *Runner) Run(ctx context.Context, f *nodev1.Fragment) (batch.Reader, error) {
	h, err := r.holds.get(f.GetQueryId())
	if err != nil {
		if s, err := r.pourFragment(ctx, f); s != nil || err != nil {
			return s, err
		}
		return orNil(r.run(ctx, nil, f))
	}
	return h.reader(ctx, func(ctx context.Context) (*running, error) { return r.run(ctx, h, f) })
}

func orNil(run *running, err error) (batch.Reader, error) {
	if err != nil {
		return nil, err
	}
	return run, nil
}

func (r *Runner) run(ctx context.Context, h *held, f *nodev1.Fragment) (*running, error) {
	run, err := r.prepare(ctx, h, f)
	if err != nil {
		return nil, err
	}
	if err := run.query(ctx, f.Sql); err != nil {
		run.Close()
		return nil, err
	}
	return run, nil
}

// prepare makes a fragment's views on a connection of its own. h is nil if the
// query is not held here.
func (r *Runner) prepare(ctx context.Context, h *held, f *nodev1.Fragment) (*running, error) {
	if len(f.Reads) > readsMax {
		return nil, fault.Newf(fault.InvalidArgument, "a fragment that reads %d stages, at most %d are possible", len(f.Reads), readsMax)
	}
	conn, err := r.conn(ctx, h)
	if err != nil {
		return nil, err
	}
	run := &running{conn: conn}
	if err := run.views(ctx, r.source, h, f); err != nil {
		run.Close()
		return nil, err
	}
	return run, nil
}

// conn opens a connection that sees what h keeps, if the query is held.
func (r *Runner) conn(ctx context.Context, h *held) (*duck.Conn, error) {
	c, err := r.db.Conn(ctx)
	if err == nil && h != nil && !h.reachable(c) {
		c.Close()
		return nil, errNotHeld
	}
	return c, err
}

// running is one executing fragment. It implements batch.Reader.
type running struct {
	conn     *duck.Conn
	prepared *duck.Prepared
	stream   *duck.Stream
	releases []func()
	files    []localFile
	fetched  int64 // bytes of other nodes' kept rows
	closed   bool
}

func (r *running) views(ctx context.Context, source Source, h *held, f *nodev1.Fragment) error {
	for _, t := range f.Tables {
		paths, err := r.open(ctx, source, t)
		if err != nil {
			return err
		}
		if _, err := r.conn.Exec(ctx, viewSQL(t, paths)); err != nil {
			return fmt.Errorf("table %s: %w", t.View, r.blame(ctx, err))
		}
	}
	for _, s := range f.Reads {
		if err := r.read(ctx, source, h, f.QueryId, s); err != nil {
			return fmt.Errorf("stage %s: %w", s.View, err)
		}
	}
	return nil
}

// query starts what gives the rows.
func (r *running) query(ctx context.Context, sql string) error {
	p, err := r.conn.Prepare(ctx, sql)
	if err != nil {
		return r.blame(ctx, err)
	}
	r.prepared = p
	if !p.ReturnsRows() {
		return fault.New(fault.InvalidArgument, "a fragment must be a query")
	}
	r.stream, err = p.Stream(ctx)
	return r.blame(ctx, err)
}

// opensMax is how many of a table's splits are fetched at once.
const opensMax = 8

// open returns the local paths of a table's splits, group by group.
func (r *running) open(ctx context.Context, source Source, t *nodev1.TableScan) ([][]string, error) {
	paths := make([][]string, len(t.Groups))
	opening, ctx := errgroup.WithContext(ctx)
	opening.SetLimit(opensMax)
	var mu sync.Mutex // of r
	for i, g := range t.Groups {
		paths[i] = make([]string, len(g.Splits))
		for j, s := range g.Splits {
			opening.Go(func() error {
				path, release, err := source.Open(ctx, s)
				if err != nil {
					return lost(t.View, s, err)
				}
				paths[i][j] = path
				mu.Lock()
				defer mu.Unlock()
				r.releases = append(r.releases, release)
				r.files = append(r.files, localFile{path, splitName(s)})
				return nil
			})
		}
	}
	return paths, opening.Wait()
}

// Schema implements batch.Reader.
func (r *running) Schema() *arrow.Schema { return r.stream.Schema() }

// Next implements batch.Reader.
func (r *running) Next(ctx context.Context) (arrow.RecordBatch, error) {
	b, err := r.stream.Next(ctx)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, r.blame(ctx, err)
	}
	return b, err
}

// Close implements batch.Reader.
func (r *running) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	var err error
	if r.stream != nil {
		err = r.stream.Close()
	}
	if r.prepared != nil {
		r.prepared.Close()
	}
	r.conn.Close()
	for _, release := range r.releases {
		release()
	}
	return err
}
