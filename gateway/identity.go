package gateway

import (
	"context"
	"net"
	"net/http"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"skein/gateway/auth"
	"skein/meta"
)

// behalfKey is the metadata key by which a node tells for whom it calls another.
const behalfKey = "skein-for"

// IdentifyUnary makes what a call changes in the catalog recorded in the name
// of its caller. It comes after the interceptors that find out who that is.
func IdentifyUnary(cluster bool) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		return next(meta.As(ctx, callerOf(ctx, cluster)), req)
	}
}

// IdentifyStream does the same for streams.
func IdentifyStream(cluster bool) grpc.StreamServerInterceptor {
	return func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
		return next(srv, identified{ss, meta.As(ss.Context(), callerOf(ss.Context(), cluster))})
	}
}

type identified struct {
	grpc.ServerStream
	ctx context.Context
}

func (i identified) Context() context.Context { return i.ctx }

// callerOf names the caller of a gRPC call: the user, or where an open server
// is called from. A node of the cluster may tell for whom it calls; on an open
// server anybody could say so, and anybody may do everything there anyway.
func callerOf(ctx context.Context, cluster bool) string {
	p, known := auth.From(ctx)
	if cluster && (!known || p.Role == auth.Node) {
		if md, ok := metadata.FromIncomingContext(ctx); ok {
			if names := md.Get(behalfKey); len(names) == 1 && names[0] != "" {
				return names[0]
			}
		}
	}
	if known && p.Name != "" {
		return p.Name
	}
	if from, ok := peer.FromContext(ctx); ok && from.Addr != nil {
		return anonymous(from.Addr.String())
	}
	return anonymous("")
}

func anonymous(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return "anonymous"
	}
	return "anonymous at " + host
}

// OnBehalf tells another node for whom a call is made.
func OnBehalf(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, call grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if who := meta.WriterOf(ctx).Who; who != "" && printable(who) {
		ctx = metadata.AppendToOutgoingContext(ctx, behalfKey, who)
	}
	return call(ctx, method, req, reply, conn, opts...)
}

// printable tells what a header may hold.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// identifiedRequest is the request with its caller's name for the catalog's history.
func identifiedRequest(r *http.Request) *http.Request {
	who := anonymous(r.RemoteAddr)
	if p, ok := auth.From(r.Context()); ok && p.Name != "" {
		who = p.Name
	}
	return r.WithContext(meta.As(r.Context(), who))
}
