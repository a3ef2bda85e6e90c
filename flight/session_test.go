package flight_test

import (
	"maps"
	"testing"

	arrowflight "github.com/apache/arrow-go/v18/arrow/flight"
	"google.golang.org/grpc/metadata"

	"skein/flight"
	"skein/internal/fault"
)

func TestSessionOptions(t *testing.T) {
	d := open(t, newCoord(), nil, flight.Options{})
	ctx := t.Context()
	options, err := arrowflight.NewSessionOptionValues(map[string]any{"catalog": "skein", "schema": "MAIN", "timezone": "UTC", "digits": int64(3)})
	if err != nil {
		t.Fatal(err)
	}
	res, err := d.client.SetSessionOptions(ctx, &arrowflight.SetSessionOptionsRequest{SessionOptions: options})
	if err != nil || len(res.Errors) > 0 {
		t.Error(res, err)
	}
	options, err = arrowflight.NewSessionOptionValues(map[string]any{"catalog": "other", "schema": int64(1), "colour": "red", "timezone": "CET", "x'; DROP": "y", "list": []string{"a"}})
	if err != nil {
		t.Fatal(err)
	}
	res, err = d.client.SetSessionOptions(ctx, &arrowflight.SetSessionOptionsRequest{SessionOptions: options})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int32{}
	for name, e := range res.Errors {
		got[name] = int32(e.Value)
	}
	want := map[string]int32{
		"catalog":  int32(arrowflight.SetSessionOptionsResultErrorInvalidValue),
		"schema":   int32(arrowflight.SetSessionOptionsResultErrorInvalidValue),
		"colour":   int32(arrowflight.SetSessionOptionsResultErrorInvalidName),
		"timezone": int32(arrowflight.SetSessionOptionsResultErrorInvalidValue),
		"x'; DROP": int32(arrowflight.SetSessionOptionsResultErrorInvalidName),
		"list":     int32(arrowflight.SetSessionOptionsResultErrorInvalidName),
	}
	if !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	unset := map[string]*arrowflight.SessionOptionValue{"catalog": {}, "timezone": {}}
	if res, err = d.client.SetSessionOptions(ctx, &arrowflight.SetSessionOptionsRequest{SessionOptions: unset}); err != nil || len(res.Errors) > 0 {
		t.Error(res, err)
	}
	current, err := d.client.GetSessionOptions(ctx, &arrowflight.GetSessionOptionsRequest{})
	if err != nil || current.SessionOptions["catalog"].GetStringValue() != "skein" || current.SessionOptions["schema"].GetStringValue() != "main" {
		t.Error(current, err)
	}
	closed, err := d.client.CloseSession(ctx, &arrowflight.CloseSessionRequest{})
	if err != nil || closed.Status != arrowflight.CloseSessionResultClosed {
		t.Error(closed, err)
	}
}

type users map[string]string

func (u users) Basic(user, password string) (string, error) {
	if want, ok := u[user]; !ok || want != password {
		return "", fault.New(fault.Unauthenticated, "wrong user or password")
	}
	return "token-of-" + user, nil
}

func TestHandshake(t *testing.T) {
	for name, k := range map[string]struct {
		auth           flight.Authenticator
		user, password string
		token          string
	}{
		"open":   {nil, "any", "thing", "Bearer open"},
		"right":  {users{"ann": "s:e=c"}, "ann", "s:e=c", "Bearer token-of-ann"},
		"wrong":  {users{"ann": "secret"}, "ann", "guess", ""},
		"nobody": {users{}, "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t, newCoord(), nil, flight.Options{Authenticator: k.auth})
			ctx, err := d.raw.AuthenticateBasicToken(t.Context(), k.user, k.password)
			if k.token == "" {
				wantCode(t, err, fault.Unauthenticated, "wrong user or password")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			md, _ := metadata.FromOutgoingContext(ctx)
			if got := md.Get("authorization"); len(got) != 1 || got[0] != k.token {
				t.Errorf("%q, want %q", got, k.token)
			}
		})
	}
	d := open(t, newCoord(), nil, flight.Options{Authenticator: users{}})
	stream, err := d.raw.Handshake(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	wantCode(t, err, fault.Unauthenticated, "basic credentials")
}
