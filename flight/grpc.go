package flight

import (
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"skein/flight/internal/wire"
)

// GRPCOptions of a gRPC server that carries Flight.
type GRPCOptions struct {
	ReceiveBytesMax int    // of one message; 256 MiB if zero: bulk ingest sends batches as large as the client's
	StreamsMax      uint32 // open calls of one connection; 1,024 if zero
}

// ServerOptions are what Flight needs of its gRPC server. gRPC's own defaults
// receive 4 MiB at most, which ends bulk ingest, and close connections of
// clients that ping.
func ServerOptions(o GRPCOptions) []grpc.ServerOption {
	if o.ReceiveBytesMax == 0 {
		o.ReceiveBytesMax = 256 << 20
	}
	if o.StreamsMax == 0 {
		o.StreamsMax = 1024
	}
	return []grpc.ServerOption{
		grpc.ForceServerCodecV2(wire.Codec()),
		grpc.MaxRecvMsgSize(o.ReceiveBytesMax),
		grpc.MaxConcurrentStreams(o.StreamsMax),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 30 * time.Second, Timeout: 20 * time.Second}),
		grpc.ConnectionTimeout(20 * time.Second),
		grpc.WaitForHandlers(true),
	}
}
