package flight

import (
	"encoding/base64"
	"errors"
	"io"
	"strings"

	arrowflight "github.com/apache/arrow-go/v18/arrow/flight"
	"google.golang.org/grpc/metadata"

	"skein/internal/fault"
)

// openToken is what clients get where there is no Authenticator: drivers that
// were given a user want some token.
const openToken = "open"

// handshakesMax bounds the messages of one handshake.
const handshakesMax = 16

// Handshake implements the Flight service: basic credentials become a bearer
// token. Both travel in the authorization header.
func (s *Server) Handshake(stream arrowflight.FlightService_HandshakeServer) (err error) {
	defer conclude(&err)
	token := openToken
	if s.auth != nil {
		user, password, err := basicCredentials(stream)
		if err != nil {
			return err
		}
		if token, err = s.auth.Basic(user, password); err != nil {
			return err
		}
	}
	if err := stream.SendHeader(metadata.Pairs("authorization", "Bearer "+token)); err != nil {
		return err
	}
	return drain(stream)
}

// drain answers what the client still sends; some end their side only then.
func drain(stream arrowflight.FlightService_HandshakeServer) error {
	for range handshakesMax {
		_, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := stream.Send(&arrowflight.HandshakeResponse{}); err != nil {
			return err
		}
	}
	return nil
}

func basicCredentials(stream arrowflight.FlightService_HandshakeServer) (user, password string, err error) {
	refused := fault.New(fault.Unauthenticated, "send a user and a password as basic credentials")
	md, _ := metadata.FromIncomingContext(stream.Context())
	for _, v := range md.Get("authorization") {
		scheme, text, _ := strings.Cut(strings.TrimSpace(v), " ")
		if !strings.EqualFold(scheme, "Basic") {
			continue
		}
		// Some clients pad, some do not.
		b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.TrimSpace(text), "="))
		if err != nil {
			return "", "", refused
		}
		user, password, ok := strings.Cut(string(b), ":")
		if !ok {
			return "", "", refused
		}
		return user, password, nil
	}
	return "", "", refused
}
