package flight

import (
	"context"
	"strings"

	arrowflight "github.com/apache/arrow-go/v18/arrow/flight"
)

// The one catalog and the one schema of it.
const (
	Catalog  = "skein"
	DBSchema = "main"
)

// SetSessionOptions implements flightsql.Server. The catalog and the schema
// can be set to what they are, so there is no session to keep.
func (s *sqlServer) SetSessionOptions(_ context.Context, r *arrowflight.SetSessionOptionsRequest) (*arrowflight.SetSessionOptionsResult, error) {
	res := &arrowflight.SetSessionOptionsResult{Errors: map[string]*arrowflight.SetSessionOptionsResultError{}}
	fixed := map[string]string{"catalog": Catalog, "schema": DBSchema}
	for name, v := range r.GetSessionOptions() {
		want, known := fixed[strings.ToLower(name)]
		switch {
		case !known:
			res.Errors[name] = &arrowflight.SetSessionOptionsResultError{Value: arrowflight.SetSessionOptionsResultErrorInvalidName}
		case v.GetStringValue() != want:
			res.Errors[name] = &arrowflight.SetSessionOptionsResultError{Value: arrowflight.SetSessionOptionsResultErrorInvalidValue}
		}
	}
	return res, nil
}

// GetSessionOptions implements flightsql.Server.
func (s *sqlServer) GetSessionOptions(context.Context, *arrowflight.GetSessionOptionsRequest) (*arrowflight.GetSessionOptionsResult, error) {
	options, err := arrowflight.NewSessionOptionValues(map[string]any{"catalog": Catalog, "schema": DBSchema})
	if err != nil {
		return nil, err
	}
	return &arrowflight.GetSessionOptionsResult{SessionOptions: options}, nil
}

// CloseSession implements flightsql.Server.
func (s *sqlServer) CloseSession(context.Context, *arrowflight.CloseSessionRequest) (*arrowflight.CloseSessionResult, error) {
	return &arrowflight.CloseSessionResult{Status: arrowflight.CloseSessionResultClosed}, nil
}
