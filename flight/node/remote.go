package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	arrowflight "github.com/apache/arrow-go/v18/arrow/flight"
	flightpb "github.com/apache/arrow-go/v18/arrow/flight/gen/flight"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"

	"skein/internal/batch"
	"skein/internal/fault"
	nodev1 "skein/proto/node/v1"
)

// Remote is the worker of a peer. Its errors have the classes that they had
// there; Unavailable where the peer cannot be reached or went away.
type Remote struct {
	pool    *Pool
	address string
}

// Ready is Pool.Ready of the peer.
func (r *Remote) Ready(ctx context.Context) error { return r.pool.Ready(ctx, r.address) }

// Append implements Worker.
func (r *Remote) Append(ctx context.Context, req *nodev1.AppendRequest) error {
	return r.call(ctx, func(c nodev1.NodeServiceClient) error {
		_, err := c.Append(ctx, req)
		return err
	})
}

// Hot implements Worker.
func (r *Remote) Hot(ctx context.Context, req *nodev1.HotRequest) (res *nodev1.HotResponse, err error) {
	err = r.call(ctx, func(c nodev1.NodeServiceClient) (err error) {
		res, err = c.Hot(ctx, req)
		return err
	})
	return res, err
}

// Flush implements Worker.
func (r *Remote) Flush(ctx context.Context, table string) error {
	return r.call(ctx, func(c nodev1.NodeServiceClient) error {
		_, err := c.Flush(ctx, &nodev1.FlushRequest{Table: table})
		return err
	})
}

// Discard implements Worker.
func (r *Remote) Discard(ctx context.Context, tableUID string) error {
	return r.call(ctx, func(c nodev1.NodeServiceClient) error {
		_, err := c.Discard(ctx, &nodev1.DiscardRequest{TableUid: tableUID})
		return err
	})
}

// Replicate implements Worker.
func (r *Remote) Replicate(ctx context.Context, req *nodev1.ReplicateRequest) error {
	return r.call(ctx, func(c nodev1.NodeServiceClient) error {
		_, err := c.Replicate(ctx, req)
		return err
	})
}

// Release implements Worker.
func (r *Remote) Release(ctx context.Context, units []string) error {
	return r.call(ctx, func(c nodev1.NodeServiceClient) error {
		_, err := c.Release(ctx, &nodev1.ReleaseRequest{Units: units})
		return err
	})
}

// TakeOver implements Worker.
func (r *Remote) TakeOver(ctx context.Context, unit string) error {
	return r.call(ctx, func(c nodev1.NodeServiceClient) error {
		_, err := c.TakeOver(ctx, &nodev1.TakeOverRequest{Unit: unit})
		return err
	})
}

// Stats is the peer's StatsFunc.
func (r *Remote) Stats(ctx context.Context, window time.Duration) (res *nodev1.StatsResponse, err error) {
	err = r.call(ctx, func(c nodev1.NodeServiceClient) (err error) {
		res, err = c.Stats(ctx, &nodev1.StatsRequest{WindowSeconds: int64(window / time.Second)})
		return err
	})
	return res, err
}

// ReadHot implements Worker. The file ends with io.EOF only where the peer
// ended it.
func (r *Remote) ReadHot(ctx context.Context, req *nodev1.ReadHotRequest) (io.ReadCloser, error) {
	c, release, err := r.pool.conn(r.address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	stream, err := nodev1.NewNodeServiceClient(c).ReadHot(ctx, req)
	if err != nil {
		err = r.classify(ctx, err) // while ctx lives: it tells a peer that is gone from a caller that gave up
		cancel()
		release()
		return nil, err
	}
	f := &hotFile{remote: r, ctx: ctx, stream: stream, stop: func() { cancel(); release() }}
	if err := f.fill(); err != nil && !errors.Is(err, io.EOF) { // such as a unit that is gone
		f.Close()
		return nil, err
	}
	return f, nil
}

// Run implements Worker. It returns when the peer told the result's schema.
func (r *Remote) Run(ctx context.Context, f *nodev1.Fragment) (batch.Reader, error) {
	return r.get(ctx, kindResult, &nodev1.Ticket{Content: &nodev1.Ticket_Fragment{Fragment: f}})
}

// ReadKept implements Worker. It returns when the peer told the rows' schema.
func (r *Remote) ReadKept(ctx context.Context, read *nodev1.KeptRead) (batch.Reader, error) {
	return r.get(ctx, kindExchange, &nodev1.Ticket{Content: &nodev1.Ticket_Kept{Kept: read}})
}

func (r *Remote) get(ctx context.Context, kind string, t *nodev1.Ticket) (batch.Reader, error) {
	ticket, err := newTicket(t)
	if err != nil {
		return nil, fmt.Errorf("ticket: %w", err)
	}
	c, release, err := r.connect(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := func() { cancel(); release() }
	stream, err := flightpb.NewFlightServiceClient(c).DoGet(ctx, &arrowflight.Ticket{Ticket: ticket})
	if err != nil {
		err = r.classify(ctx, err)
		stop()
		return nil, err
	}
	return newResult(ctx, r, r.pool.counted(stream, kind), stop)
}

// Keep implements Worker.
func (r *Remote) Keep(ctx context.Context, f *nodev1.Fragment) (res *nodev1.KeepResponse, err error) {
	err = r.call(ctx, func(c nodev1.NodeServiceClient) (err error) {
		res, err = c.Keep(ctx, &nodev1.KeepRequest{Fragment: f})
		return err
	})
	return res, err
}

// Hold implements Worker. When ctx ends the peer is told, but not waited for.
func (r *Remote) Hold(ctx context.Context, queryID string, ready func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return r.call(ctx, func(c nodev1.NodeServiceClient) error {
		stream, err := c.Hold(ctx, &nodev1.HoldRequest{QueryId: queryID})
		if err != nil {
			return err
		}
		if _, err = stream.Recv(); err == nil {
			ready()
			_, err = stream.Recv()
		}
		if err == nil || errors.Is(err, io.EOF) {
			return fault.New(fault.Unavailable, "it holds the query no more")
		}
		return err
	})
}

// connect gives a peer that was gone one more chance to be back: gRPC would
// tell its last error for as long as it waits to try again.
func (r *Remote) connect(ctx context.Context) (c *conn, release func(), err error) {
	c, release, err = r.pool.conn(r.address)
	if err == nil && c.GetState() == connectivity.TransientFailure {
		if err = r.pool.Ready(ctx, r.address); err != nil {
			release()
		}
	}
	return c, release, err
}

func (r *Remote) call(ctx context.Context, do func(nodev1.NodeServiceClient) error) error {
	c, release, err := r.connect(ctx)
	if err != nil {
		return err
	}
	defer release()
	return r.classify(ctx, do(nodev1.NewNodeServiceClient(c)))
}

// classify turns a status into the error that the peer returned. A status that
// the peer's code did not make comes from a broken connection or a peer that
// stops, as does a cancellation that nobody asked for here: Unavailable.
func (r *Remote) classify(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("node at %s: %w", r.address, ctx.Err())
	}
	st, _ := status.FromError(err)
	broken := st.Code() == codes.Canceled
	if !fromPeer(st) {
		switch st.Code() {
		case codes.Internal, codes.Unknown, codes.Unavailable:
			broken = true
		}
	}
	if broken {
		return fault.Newf(fault.Unavailable, "node at %s: %s", r.address, st.Message())
	}
	return fmt.Errorf("node at %s: %w", r.address, fault.From(err))
}

// fromPeer tells whether fault.Status made the status.
func fromPeer(st *status.Status) bool {
	for _, d := range st.Details() {
		if _, ok := d.(*errdetails.ErrorInfo); ok {
			return true
		}
	}
	return false
}

// hotFile reads the chunks of a hot unit.
type hotFile struct {
	remote *Remote
	ctx    context.Context
	stream grpc.ServerStreamingClient[nodev1.ReadHotResponse]
	stop   func()
	rest   []byte // of the current chunk
	err    error
}

// fill receives the next chunk if the current one is used up.
func (f *hotFile) fill() error {
	for len(f.rest) == 0 && f.err == nil {
		chunk, err := f.stream.Recv()
		if err != nil {
			f.err = err
			if !errors.Is(err, io.EOF) {
				f.err = f.remote.classify(f.ctx, err)
			}
		}
		f.rest = chunk.GetData()
	}
	if len(f.rest) > 0 {
		return nil
	}
	return f.err
}

// Read implements io.Reader.
func (f *hotFile) Read(p []byte) (int, error) {
	if err := f.fill(); err != nil {
		return 0, err
	}
	n := copy(p, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

// Close implements io.Closer.
func (f *hotFile) Close() error {
	f.stop()
	return nil
}
