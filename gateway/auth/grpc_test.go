package auth

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/flight/gen/flight"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/emptypb"

	nodev1 "skein/proto/node/v1"
	olapv1 "skein/proto/olap/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// seenCaller answers every call with Aborted and the caller's name, so that a
// call that got through the door can be told from one that did not.
func seenCaller(ctx context.Context) error {
	p, ok := From(ctx)
	return status.Errorf(codes.Aborted, "inside: %q %v %v", p.Name, p.Role, ok)
}

// everyService is a server of all services that Skein serves.
func everyService(t *testing.T, a *Auth) (*grpc.Server, *grpc.ClientConn) {
	t.Helper()
	server := grpc.NewServer(
		grpc.ChainUnaryInterceptor(a.UnaryInterceptor(), func(ctx context.Context, _ any, _ *grpc.UnaryServerInfo, _ grpc.UnaryHandler) (any, error) {
			return nil, seenCaller(ctx)
		}),
		grpc.ChainStreamInterceptor(a.StreamInterceptor(), func(_ any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, _ grpc.StreamHandler) error {
			return seenCaller(ss.Context())
		}))
	olapv1.RegisterOlapServiceServer(server, olapv1.UnimplementedOlapServiceServer{})
	olapv1.RegisterIngestServiceServer(server, olapv1.UnimplementedIngestServiceServer{})
	olapv1.RegisterAdminServiceServer(server, olapv1.UnimplementedAdminServiceServer{})
	olapv1.RegisterMetaServiceServer(server, olapv1.UnimplementedMetaServiceServer{})
	nodev1.RegisterNodeServiceServer(server, nodev1.UnimplementedNodeServiceServer{})
	flight.RegisterFlightServiceServer(server, flight.UnimplementedFlightServiceServer{})
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	reflection.Register(server)
	listener := bufconn.Listen(1 << 20)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///x", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return server, conn
}

// call opens any method as a stream and returns how it ends.
func call(ctx context.Context, conn *grpc.ClientConn, method string, keys ...string) error {
	ctx = metadata.AppendToOutgoingContext(ctx, keys...)
	s, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method)
	if err != nil {
		return err
	}
	_ = s.SendMsg(&emptypb.Empty{})
	_ = s.CloseSend()
	return s.RecvMsg(&emptypb.Empty{})
}

// TestEveryMethodHasARole walks through every RPC that a server of Skein has,
// with every kind of caller.
func TestEveryMethodHasARole(t *testing.T) {
	a := sample(t)
	server, conn := everyService(t, a)
	callers := map[Role][]string{
		None:  nil,
		Read:  {"authorization", "Basic cmF5OnBsYWlu"},
		Write: {"authorization", "Bearer secret-token"},
		Admin: {"authorization", "bearer " + a.Issue(Principal{"ann", Admin})},
		Node:  {ClusterKey, secret},
	}
	n := 0
	for service, info := range server.GetServiceInfo() {
		for _, m := range info.Methods {
			n++
			method := fmt.Sprintf("/%s/%s", service, m.Name)
			need, ok := RoleOf(method)
			if !ok {
				t.Errorf("%s has no role", method)
				continue
			}
			for role, keys := range callers {
				err := call(t.Context(), conn, method, keys...)
				want := codes.Aborted
				switch {
				case role == None && need > None:
					want = codes.Unauthenticated
				case role < need:
					want = codes.PermissionDenied
				}
				if status.Code(err) != want {
					t.Errorf("%s by %v: %v, want %v", method, role, err, want)
				}
			}
			if err := call(t.Context(), conn, method, "authorization", "Basic cmF5OndyaW5n"); status.Code(err) != codes.Unauthenticated {
				t.Errorf("%s with a wrong password: %v", method, err)
			}
		}
	}
	if n != len(methods) {
		t.Errorf("the services have %d methods, the table %d", n, len(methods))
	}
}

func TestCallerIsKnown(t *testing.T) {
	_, conn := everyService(t, sample(t))
	for _, method := range []string{olapService + "ListTables", flightService + "DoGet"} {
		err := call(t.Context(), conn, method, "authorization", "Bearer secret-token")
		if !strings.Contains(err.Error(), `inside: "collector" write true`) {
			t.Errorf("%s: %v", method, err)
		}
	}
	for name, keys := range map[string][]string{
		"wrong secret": {ClusterKey, "wrong"},
		"two secrets":  {ClusterKey, secret, ClusterKey, secret},
		"no base64":    {"authorization", "Basic ???"},
		"no colon":     {"authorization", "Basic cmF5"},
		"other scheme": {"authorization", "Negotiate x"},
		"empty":        {"authorization", ""},
	} {
		if err := call(t.Context(), conn, olapService+"ListTables", keys...); status.Code(err) != codes.Unauthenticated {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOpenServer(t *testing.T) {
	var a *Auth
	_, conn := everyService(t, a)
	for _, method := range []string{olapService + "DropTable", nodeService + "Append", flightService + "DoPut"} {
		if err := call(t.Context(), conn, method); !strings.Contains(err.Error(), `inside: "" none false`) {
			t.Errorf("%s: %v", method, err)
		}
	}
	if a.NodeCredentials() != nil {
		t.Error("an open server has credentials")
	}
}

func TestNodeCredentials(t *testing.T) {
	creds := sample(t).NodeCredentials()
	md, err := creds.GetRequestMetadata(t.Context())
	if err != nil || md[ClusterKey] != secret {
		t.Errorf("%v %v", md, err)
	}
	if text := fmt.Sprintf("%v %+v %s", creds, creds, creds); strings.Contains(text, secret) {
		t.Errorf("the secret prints: %s", text)
	}
}

func TestUnknownMethodIsRefused(t *testing.T) {
	a := sample(t)
	ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs(ClusterKey, secret))
	_, err := a.UnaryInterceptor()(ctx, nil, &grpc.UnaryServerInfo{FullMethod: "/new.v1.Service/Method"}, nil)
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("%v", err)
	}
}
