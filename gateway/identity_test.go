package gateway

import (
	"context"
	"net"
	"net/http/httptest"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"skein/gateway/auth"
	"skein/meta"
)

// TestCallers: changes are in the name of who calls, and of whom a node calls
// for.
func TestCallers(t *testing.T) {
	from := peer.NewContext(t.Context(), &peer.Peer{Addr: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 7), Port: 5}})
	behalf := metadata.NewIncomingContext(from, metadata.Pairs(behalfKey, "ann"))
	ann, node := auth.Principal{Name: "ann", Role: auth.Write}, auth.Principal{Name: "node", Role: auth.Node}
	for name, c := range map[string]struct {
		ctx     context.Context
		cluster bool
		want    string
	}{
		"nobody":                           {t.Context(), false, "anonymous"},
		"an address":                       {from, true, "anonymous at 10.0.0.7"},
		"a user":                           {auth.With(from, ann), true, "ann"},
		"a user who says another name":     {auth.With(behalf, auth.Principal{Name: "eve", Role: auth.Admin}), true, "eve"},
		"a node for a user":                {auth.With(behalf, node), true, "ann"},
		"a node for itself":                {auth.With(from, node), true, "node"},
		"an open cluster's node":           {behalf, true, "ann"},
		"a stranger to a server by itself": {behalf, false, "anonymous at 10.0.0.7"},
	} {
		if got := callerOf(c.ctx, c.cluster); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	seen := ""
	_, err := IdentifyUnary(true)(auth.With(from, ann), nil, nil, func(ctx context.Context, _ any) (any, error) {
		seen = meta.WriterOf(ctx).Who
		return nil, nil
	})
	if err != nil || seen != "ann" {
		t.Error(seen, err)
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = "10.0.0.9:1"
	if got := meta.WriterOf(identifiedRequest(r).Context()).Who; got != "anonymous at 10.0.0.9" {
		t.Error(got)
	}
}

func TestOnBehalf(t *testing.T) {
	for who, want := range map[string]string{"ann": "ann", "": "", "bad\nname": "", "ünï": ""} {
		got := ""
		err := OnBehalf(meta.As(t.Context(), who), "m", nil, nil, nil, func(ctx context.Context, _ string, _, _ any, _ *grpc.ClientConn, _ ...grpc.CallOption) error {
			md, _ := metadata.FromOutgoingContext(ctx)
			for _, v := range md.Get(behalfKey) {
				got += v
			}
			return nil
		})
		if err != nil || got != want {
			t.Errorf("%q became %q, %v", who, got, err)
		}
	}
}
