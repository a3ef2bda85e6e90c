package auth

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	"skein/internal/fault"
)

// ClusterKey is the metadata key of the secret between nodes.
const ClusterKey = "skein-cluster"

// UnaryInterceptor lets in who may call the method and puts them into ctx.
func (a *Auth) UnaryInterceptor() grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		ctx, err := a.admit(ctx, info.FullMethod)
		if err != nil {
			return nil, fault.Status(err)
		}
		return next(ctx, req)
	}
}

// StreamInterceptor does the same for streams.
func (a *Auth) StreamInterceptor() grpc.StreamServerInterceptor {
	return func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
		ctx, err := a.admit(ss.Context(), info.FullMethod)
		if err != nil {
			return fault.Status(err)
		}
		return next(srv, known{ss, ctx})
	}
}

// known is a stream whose context holds the caller.
type known struct {
	grpc.ServerStream
	ctx context.Context
}

func (k known) Context() context.Context { return k.ctx }

func (a *Auth) admit(ctx context.Context, method string) (context.Context, error) {
	if a == nil {
		return ctx, nil
	}
	md, _ := metadata.FromIncomingContext(ctx)
	p, err := a.identify(md.Get(ClusterKey), md.Get("authorization"))
	if err != nil {
		return nil, err
	}
	ctx = With(ctx, p)
	role, err := roleOf(method)
	if err != nil {
		return nil, err
	}
	return ctx, Require(ctx, role)
}

// identify returns who shows these credentials: nobody, with no error, if
// there are none, but an error if they are wrong.
func (a *Auth) identify(secrets, headers []string) (Principal, error) {
	switch {
	case len(secrets) > 1 || len(headers) > 1:
		return Principal{}, fault.New(fault.Unauthenticated, "the credentials are there more than once")
	case len(secrets) == 1:
		return a.Cluster(secrets[0])
	case len(headers) == 1:
		return a.authorization(headers[0])
	}
	return Principal{}, nil
}

// NodeCredentials shows the cluster secret on calls to other nodes; nil, which
// shows nothing, if the server is open or has no secret.
func (a *Auth) NodeCredentials() credentials.PerRPCCredentials {
	if a == nil || a.clusterSecret == "" {
		return nil
	}
	return nodeCredentials(a.clusterSecret)
}

type nodeCredentials string

func (n nodeCredentials) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{ClusterKey: string(n)}, nil
}

func (nodeCredentials) RequireTransportSecurity() bool { return false }

// String keeps the secret out of logs.
func (nodeCredentials) String() string { return "cluster secret" }

// ClusterSecret is the secret between nodes; empty if the server is open or
// takes no calls of other nodes.
func (a *Auth) ClusterSecret() string {
	if a == nil {
		return ""
	}
	return a.clusterSecret
}
