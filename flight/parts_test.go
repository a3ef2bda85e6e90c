package flight_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	arrowflight "github.com/apache/arrow-go/v18/arrow/flight"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"skein/flight"
)

// inParts asks for an endpoint for each part.
func inParts(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, flight.EndpointsOption, "parallel")
}

// userHeader tells the test's server who the caller is.
func userHeader(ctx context.Context) string {
	md, _ := metadata.FromIncomingContext(ctx)
	return strings.Join(md.Get("test-user"), "")
}

func TestPartsHaveEndpoints(t *testing.T) {
	c := newCoord()
	d := open(t, c, nil, flight.Options{Address: "b:1"})
	ctx := within(t)
	for _, k := range []struct {
		ctx  context.Context
		sql  string
		want int
	}{
		{ctx, "SELECT many", 1}, {inParts(ctx), "SELECT many", 2}, {inParts(ctx), "SELECT 1", 1},
		{metadata.AppendToOutgoingContext(ctx, "cookie", "a=b; skein-endpoints=parallel"), "SELECT many", 2},
		{metadata.AppendToOutgoingContext(ctx, "cookie", "skein-endpoints=one"), "SELECT many", 1},
		{metadata.AppendToOutgoingContext(ctx, "cookie", ";;="), "SELECT many", 1},
	} {
		info, err := d.client.Execute(k.ctx, k.sql)
		if err != nil || len(info.Endpoint) != k.want {
			t.Fatalf("%s: %d endpoints, want %d: %v", k.sql, len(info.GetEndpoint()), k.want, err)
		}
	}
	info, err := d.client.Execute(inParts(ctx), "SELECT many")
	if err != nil {
		t.Fatal(err)
	}
	var uris [][]string
	for _, e := range info.Endpoint {
		var list []string
		for _, l := range e.Location {
			list = append(list, l.Uri)
		}
		uris = append(uris, list)
		r, err := d.client.DoGet(ctx, e.Ticket)
		if err != nil {
			t.Fatal(err)
		}
		if err := drained(r); err != nil {
			t.Error(err)
		}
		if left := time.Until(e.ExpirationTime.AsTime()); left < 9*time.Minute || left > 11*time.Minute {
			t.Errorf("expires in %v", left)
		}
	}
	reuse := arrowflight.LocationReuseConnection
	if want := [][]string{{"grpc+tcp://a:1", "grpc+tcp://b:1", reuse}, {"grpc+tcp://b:1", reuse}}; !slices.EqualFunc(uris, want, slices.Equal) {
		t.Errorf("locations %v, want %v", uris, want)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Contains(c.executed, "part first") || !slices.Contains(c.executed, "part second") {
		t.Errorf("ran %v", c.executed)
	}
}

// TestPartTickets sees to it that only what a node signed is run, for whom it
// was signed, and not for ever.
func TestPartTickets(t *testing.T) {
	d := open(t, newCoord(), nil, flight.Options{PartKey: []byte("key"), PartLife: 2 * time.Second, User: userHeader})
	other := open(t, newCoord(), nil, flight.Options{PartKey: []byte("another key"), User: userHeader})
	same := open(t, newCoord(), nil, flight.Options{PartKey: []byte("key"), User: userHeader})
	ctx := within(t)
	ann := metadata.AppendToOutgoingContext(ctx, "test-user", "ann")
	info, err := d.client.Execute(inParts(ann), "SELECT many")
	if err != nil {
		t.Fatal(err)
	}
	good := info.Endpoint[0].Ticket.Ticket
	get := func(ctx context.Context, d *door, ticket []byte) codes.Code {
		r, err := d.client.DoGet(ctx, &arrowflight.Ticket{Ticket: ticket})
		if err == nil {
			err = drained(r)
		}
		return status.Code(err)
	}
	flipped := bytes.Clone(good)
	flipped[len(flipped)-1] ^= 1
	for name, k := range map[string]struct {
		ctx    context.Context
		d      *door
		ticket []byte
		want   codes.Code
	}{
		"good":              {ann, d, good, codes.OK},
		"on another node":   {ann, same, good, codes.OK},
		"of another server": {ann, other, good, codes.InvalidArgument},
		"changed":           {ann, d, flipped, codes.InvalidArgument},
		"cut":               {ann, d, good[:40], codes.InvalidArgument},
		"empty":             {ann, d, []byte("skein-part/1\n"), codes.InvalidArgument},
		"unsigned":          {ann, d, []byte("skein-part/1\n" + strings.Repeat("\x00", 64)), codes.InvalidArgument},
		"of another user":   {metadata.AppendToOutgoingContext(ctx, "test-user", "bob"), d, good, codes.PermissionDenied},
	} {
		if code := get(k.ctx, k.d, k.ticket); code != k.want {
			t.Errorf("%s: %v, want %v", name, code, k.want)
		}
	}
	renewed, err := d.client.RenewFlightEndpoint(ann, &arrowflight.RenewFlightEndpointRequest{Endpoint: info.Endpoint[1]})
	if err != nil || get(ann, d, renewed.Ticket.Ticket) != codes.OK || !renewed.ExpirationTime.IsValid() {
		t.Errorf("renewed: %v %v", renewed, err)
	}
	canceled, err := d.cancel(ann, &arrowflight.FlightInfo{Endpoint: info.Endpoint[1:]})
	if err != nil || canceled != arrowflight.CancelStatusCancelled {
		t.Errorf("cancel: %v %v", canceled, err)
	}
	if code := get(ann, d, info.Endpoint[1].Ticket.Ticket); code != codes.NotFound {
		t.Errorf("cancelled: %v", code)
	}
	deadline := time.Now().Add(10 * time.Second)
	for get(ann, d, good) != codes.NotFound {
		if time.Now().After(deadline) {
			t.Fatal("the ticket does not expire")
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func TestSessionSetsACookie(t *testing.T) {
	d := open(t, newCoord(), nil, flight.Options{Parallel: true})
	ctx := within(t)
	options, err := arrowflight.NewSessionOptionValues(map[string]any{flight.EndpointsOption: "one"})
	if err != nil {
		t.Fatal(err)
	}
	var header metadata.MD
	res, err := d.client.SetSessionOptions(ctx, &arrowflight.SetSessionOptionsRequest{SessionOptions: options}, grpc.Header(&header))
	if err != nil || len(res.Errors) > 0 {
		t.Fatal(res, err)
	}
	if got := header.Get("set-cookie"); !slices.Equal(got, []string{"skein-endpoints=one"}) {
		t.Errorf("cookies %v", got)
	}
	for value, want := range map[string]string{"skein-endpoints=one": "one", "": "parallel"} {
		current, err := d.client.GetSessionOptions(metadata.AppendToOutgoingContext(ctx, "cookie", value), &arrowflight.GetSessionOptionsRequest{})
		if err != nil || current.SessionOptions[flight.EndpointsOption].GetStringValue() != want {
			t.Errorf("with cookie %q: %v %v, want %s", value, current, err, want)
		}
	}
	options, _ = arrowflight.NewSessionOptionValues(map[string]any{flight.EndpointsOption: "many"})
	if res, err = d.client.SetSessionOptions(ctx, &arrowflight.SetSessionOptionsRequest{SessionOptions: options}); err != nil || len(res.Errors) != 1 {
		t.Errorf("a wrong value: %v %v", res, err)
	}
}
