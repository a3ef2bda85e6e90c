//go:build duckdb_arrow

package worker

import (
	"context"
	"errors"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"golang.org/x/sync/errgroup"

	"skein/internal/fault"
	nodev1 "skein/proto/node/v1"
)

// fetchesMax bounds how many shares are fetched at once. Each has a few
// batches in memory.
const fetchesMax = 16

// gathered is the rows of several shares in one stream, in no order. It
// implements batch.Reader.
type gathered struct {
	schema  *arrow.Schema
	cancel  context.CancelFunc
	arrived chan arrival
	err     error // why it ended; set before arrived is closed
	current arrow.RecordBatch
	bytes   int64 // of the batches given
}

// arrival is a batch, or the schema that begins a share.
type arrival struct {
	schema *arrow.Schema
	batch  arrow.RecordBatch // the receiver releases it
}

// gather starts fetching, and returns when the first share told its schema.
func gather(ctx context.Context, source Source, shares []*nodev1.KeptShare) (*gathered, error) {
	ctx, cancel := context.WithCancel(ctx)
	g := &gathered{cancel: cancel, arrived: make(chan arrival)}
	go g.fetchAll(ctx, source, shares)
	first, ok := <-g.arrived
	if !ok {
		cancel()
		return nil, g.err
	}
	g.schema = first.schema
	return g, nil
}

// fetchAll closes arrived at the end.
func (g *gathered) fetchAll(ctx context.Context, source Source, shares []*nodev1.KeptShare) {
	defer close(g.arrived)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(fetchesMax)
	for _, s := range shares {
		group.Go(func() error {
			if err := g.fetch(ctx, source, s); err != nil {
				return lostNode(s.NodeId, err)
			}
			return nil
		})
	}
	g.err = group.Wait()
}

func (g *gathered) fetch(ctx context.Context, source Source, s *nodev1.KeptShare) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r, err := source.ReadKept(ctx, s)
	if err != nil {
		return err
	}
	defer r.Close()
	if err := g.give(ctx, arrival{schema: r.Schema()}); err != nil {
		return err
	}
	for {
		b, err := r.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		b.Retain()
		if err := g.give(ctx, arrival{batch: b}); err != nil {
			b.Release()
			return err
		}
	}
}

func (g *gathered) give(ctx context.Context, a arrival) error {
	select {
	case g.arrived <- a:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Schema implements batch.Reader.
func (g *gathered) Schema() *arrow.Schema { return g.schema }

// Next implements batch.Reader. The context of gather stops it.
func (g *gathered) Next(context.Context) (arrow.RecordBatch, error) {
	g.release()
	for a := range g.arrived {
		if a.batch != nil {
			g.current = a.batch
			for _, c := range a.batch.Columns() {
				g.bytes += int64(c.Data().SizeInBytes())
			}
			return a.batch, nil
		}
		if !a.schema.Equal(g.schema) {
			return nil, fault.Newf(fault.Internal, "shares of one stage have different columns: %s and %s", g.schema, a.schema)
		}
	}
	if g.err != nil {
		return nil, g.err
	}
	return nil, io.EOF
}

func (g *gathered) release() {
	if g.current != nil {
		g.current.Release()
		g.current = nil
	}
}

// Close implements batch.Reader. It waits for what is being fetched.
func (g *gathered) Close() error {
	g.release()
	g.cancel()
	for a := range g.arrived {
		if a.batch != nil {
			a.batch.Release()
		}
	}
	return nil
}
