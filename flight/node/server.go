package node

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"time"

	arrowflight "github.com/apache/arrow-go/v18/arrow/flight"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"skein/flight/internal/wire"
	"skein/internal/batch"
	"skein/internal/fault"
	nodev1 "skein/proto/node/v1"
)

// Worker is what a node does for its peers. Remote is one at the other end.
type Worker interface {
	// Append stores records durably.
	Append(ctx context.Context, r *nodev1.AppendRequest) error
	// Hot tells which rows may not be in the index yet.
	Hot(ctx context.Context, r *nodev1.HotRequest) (*nodev1.HotResponse, error)
	// ReadHot returns one hot unit as a Parquet file; the caller closes it.
	ReadHot(ctx context.Context, r *nodev1.ReadHotRequest) (io.ReadCloser, error)
	// Flush commits a table's buffer now; all tables' if the name is empty.
	Flush(ctx context.Context, table string) error
	// Discard forgets the buffered rows of a dropped table.
	Discard(ctx context.Context, tableUID string) error
	// Replicate stores rows of another node durably, beside its own.
	Replicate(ctx context.Context, r *nodev1.ReplicateRequest) error
	// Release lets replicated rows of units go: these are committed.
	Release(ctx context.Context, units []string) error
	// TakeOver commits the replicated rows of a unit.
	TakeOver(ctx context.Context, unit string) error
	// Run executes a fragment; the caller closes the reader, which stops it.
	// ctx lives until then. Running one twice is harmless.
	Run(ctx context.Context, f *nodev1.Fragment) (batch.Reader, error)
	// Keep executes a fragment and keeps its rows while the query is held.
	Keep(ctx context.Context, f *nodev1.Fragment) (*nodev1.KeepResponse, error)
	// ReadKept streams kept rows; like Run's, its reader is closed by the caller.
	ReadKept(ctx context.Context, r *nodev1.KeptRead) (batch.Reader, error)
	// Hold calls ready once the query's rows may be kept. It returns when ctx
	// ends, with its error, and they are freed; any other error means that
	// they are lost.
	Hold(ctx context.Context, queryID string, ready func()) error
}

// StatsFunc counts what this node did in the window before now.
type StatsFunc func(ctx context.Context, window time.Duration) (*nodev1.StatsResponse, error)

// secretKey is the metadata that carries the cluster's secret.
const secretKey = "skein-cluster"

// chunkBytes is the size of the chunks of a hot unit.
const chunkBytes = 1 << 20

// Server offers a worker to the node's peers.
type Server struct {
	nodev1.UnimplementedNodeServiceServer
	worker Worker
	stats  StatsFunc
	secret string
}

// NewServer returns a server over w. Callers must present secret, unless it is
// empty: leave it so only where nobody else can reach the port, because a
// fragment is SQL that is run as it is.
func NewServer(w Worker, stats StatsFunc, secret string) *Server {
	return &Server{worker: w, stats: stats, secret: secret}
}

// Register adds the node service to a gRPC server. Fragments come by Flight:
// give the server to the Flight door, too.
func (s *Server) Register(r grpc.ServiceRegistrar) { nodev1.RegisterNodeServiceServer(r, s) }

func (s *Server) authorize(ctx context.Context) error {
	if s.secret == "" {
		return nil
	}
	md, _ := metadata.FromIncomingContext(ctx)
	for _, v := range md.Get(secretKey) {
		if subtle.ConstantTimeCompare([]byte(v), []byte(s.secret)) == 1 {
			return nil
		}
	}
	return fault.New(fault.Unauthenticated, "only nodes of the cluster may call this: give all nodes the same secret")
}

// Match tells whether a Flight ticket is one of a node.
func (s *Server) Match(ticket []byte) bool { return isTicket(ticket) }

// DoGet runs the fragment of a ticket, or reads kept rows, and streams the
// result.
func (s *Server) DoGet(t *arrowflight.Ticket, stream arrowflight.FlightService_DoGetServer) error {
	ctx := stream.Context()
	if err := s.authorize(ctx); err != nil {
		return fault.Status(err)
	}
	r, err := s.open(ctx, t.GetTicket())
	if err != nil {
		return fault.Status(err)
	}
	return fault.Status(wire.Send(ctx, stream, r))
}

func (s *Server) open(ctx context.Context, ticket []byte) (batch.Reader, error) {
	t, err := parseTicket(ticket)
	if err != nil {
		return nil, err
	}
	if kept := t.GetKept(); kept != nil {
		return s.worker.ReadKept(ctx, kept)
	}
	return s.worker.Run(ctx, t.GetFragment())
}

// Keep implements the node service.
func (s *Server) Keep(ctx context.Context, r *nodev1.KeepRequest) (res *nodev1.KeepResponse, err error) {
	if err := s.authorize(ctx); err != nil {
		return nil, fault.Status(err)
	}
	if r.GetFragment() == nil {
		return nil, fault.Status(fault.New(fault.InvalidArgument, "no fragment to keep the rows of"))
	}
	res, err = s.worker.Keep(ctx, r.GetFragment())
	return res, fault.Status(err)
}

// Hold implements the node service.
func (s *Server) Hold(r *nodev1.HoldRequest, stream grpc.ServerStreamingServer[nodev1.HoldResponse]) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	if err := s.authorize(ctx); err != nil {
		return fault.Status(err)
	}
	return fault.Status(s.worker.Hold(ctx, r.GetQueryId(), func() {
		if stream.Send(&nodev1.HoldResponse{}) != nil {
			cancel()
		}
	}))
}

// Append implements the node service.
func (s *Server) Append(ctx context.Context, r *nodev1.AppendRequest) (*nodev1.AppendResponse, error) {
	return answer(s, ctx, &nodev1.AppendResponse{}, func() error { return s.worker.Append(ctx, r) })
}

// Hot implements the node service.
func (s *Server) Hot(ctx context.Context, r *nodev1.HotRequest) (res *nodev1.HotResponse, err error) {
	if err := s.authorize(ctx); err != nil {
		return nil, fault.Status(err)
	}
	res, err = s.worker.Hot(ctx, r)
	return res, fault.Status(err)
}

// Flush implements the node service.
func (s *Server) Flush(ctx context.Context, r *nodev1.FlushRequest) (*nodev1.FlushResponse, error) {
	return answer(s, ctx, &nodev1.FlushResponse{}, func() error { return s.worker.Flush(ctx, r.GetTable()) })
}

// Discard implements the node service.
func (s *Server) Discard(ctx context.Context, r *nodev1.DiscardRequest) (*nodev1.DiscardResponse, error) {
	return answer(s, ctx, &nodev1.DiscardResponse{}, func() error { return s.worker.Discard(ctx, r.GetTableUid()) })
}

// Replicate implements the node service.
func (s *Server) Replicate(ctx context.Context, r *nodev1.ReplicateRequest) (*nodev1.ReplicateResponse, error) {
	return answer(s, ctx, &nodev1.ReplicateResponse{}, func() error { return s.worker.Replicate(ctx, r) })
}

// Release implements the node service.
func (s *Server) Release(ctx context.Context, r *nodev1.ReleaseRequest) (*nodev1.ReleaseResponse, error) {
	return answer(s, ctx, &nodev1.ReleaseResponse{}, func() error { return s.worker.Release(ctx, r.GetUnits()) })
}

// TakeOver implements the node service.
func (s *Server) TakeOver(ctx context.Context, r *nodev1.TakeOverRequest) (*nodev1.TakeOverResponse, error) {
	return answer(s, ctx, &nodev1.TakeOverResponse{}, func() error { return s.worker.TakeOver(ctx, r.GetUnit()) })
}

// Stats implements the node service.
func (s *Server) Stats(ctx context.Context, r *nodev1.StatsRequest) (res *nodev1.StatsResponse, err error) {
	if err := s.authorize(ctx); err != nil {
		return nil, fault.Status(err)
	}
	if s.stats == nil {
		return nil, fault.Status(fault.New(fault.Unimplemented, "this node counts nothing"))
	}
	res, err = s.stats(ctx, time.Duration(r.GetWindowSeconds())*time.Second)
	return res, fault.Status(err)
}

// ReadHot implements the node service.
func (s *Server) ReadHot(r *nodev1.ReadHotRequest, stream grpc.ServerStreamingServer[nodev1.ReadHotResponse]) error {
	ctx := stream.Context()
	if err := s.authorize(ctx); err != nil {
		return fault.Status(err)
	}
	file, err := s.worker.ReadHot(ctx, r)
	if err != nil {
		return fault.Status(err)
	}
	err = sendChunks(stream, file)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	return fault.Status(err)
}

func sendChunks(stream grpc.ServerStreamingServer[nodev1.ReadHotResponse], r io.Reader) error {
	buf := make([]byte, chunkBytes)
	for {
		n, err := io.ReadFull(r, buf)
		if n > 0 {
			if err := stream.Send(&nodev1.ReadHotResponse{Data: buf[:n]}); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return fmt.Errorf("read hot unit: %w", err)
		}
	}
}

// answer does one call that gives nothing back.
func answer[T any](s *Server, ctx context.Context, res T, do func() error) (none T, err error) {
	if err := s.authorize(ctx); err != nil {
		return none, fault.Status(err)
	}
	if err := do(); err != nil {
		return none, fault.Status(err)
	}
	return res, nil
}
