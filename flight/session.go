package flight

import (
	"context"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	arrowflight "github.com/apache/arrow-go/v18/arrow/flight"
	flightpb "github.com/apache/arrow-go/v18/arrow/flight/gen/flight"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"skein/internal/fault"
)

// The one catalog and the one schema of it.
const (
	Catalog  = "skein"
	DBSchema = "main"
)

// SetSessionOptions implements flightsql.Server. The catalog and the schema
// can be set to what they are, and settings to what SET would take for them, so
// there is no session to keep. How many endpoints a client wants is in a cookie
// that it keeps.
func (s *sqlServer) SetSessionOptions(ctx context.Context, r *arrowflight.SetSessionOptionsRequest) (*arrowflight.SetSessionOptionsResult, error) {
	res := &arrowflight.SetSessionOptionsResult{Errors: map[string]*arrowflight.SetSessionOptionsResultError{}}
	fixed := map[string]string{"catalog": Catalog, "schema": DBSchema}
	refuse := func(name string, why flightpb.SetSessionOptionsResult_ErrorValue) {
		res.Errors[name] = &arrowflight.SetSessionOptionsResultError{Value: why}
	}
	for name, v := range r.GetSessionOptions() {
		if strings.EqualFold(name, EndpointsOption) {
			if !setEndpoints(ctx, v) {
				refuse(name, arrowflight.SetSessionOptionsResultErrorInvalidValue)
			}
			continue
		}
		want, known := fixed[strings.ToLower(name)]
		switch {
		case !known:
			sql, ok := settingStatement(name, v)
			if !ok {
				refuse(name, arrowflight.SetSessionOptionsResultErrorInvalidName)
				continue
			}
			_, err := s.coord.Execute(ctx, sql, nil)
			switch code := fault.CodeOf(err); {
			case err == nil:
			case code == fault.InvalidArgument:
				refuse(name, arrowflight.SetSessionOptionsResultErrorInvalidName)
			case code == fault.Unimplemented, code == fault.NotFound:
				refuse(name, arrowflight.SetSessionOptionsResultErrorInvalidValue)
			default:
				return nil, err
			}
		case v.GetOptionValue() == nil: // back to what it is by default
		case !strings.EqualFold(v.GetStringValue(), want):
			refuse(name, arrowflight.SetSessionOptionsResultErrorInvalidValue)
		}
	}
	return res, nil
}

// setEndpoints sets the cookie that says how many endpoints the client wants.
func setEndpoints(ctx context.Context, v *arrowflight.SessionOptionValue) bool {
	want := strings.ToLower(v.GetStringValue())
	cookie := &http.Cookie{Name: EndpointsOption, Value: want}
	switch {
	case v.GetOptionValue() == nil:
		cookie.MaxAge = -1
	case want != parallel && want != single:
		return false
	}
	return grpc.SetHeader(ctx, metadata.Pairs("set-cookie", cookie.String())) == nil
}

var settingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,99}$`)

// settingStatement is the SET for a session option.
func settingStatement(name string, v *arrowflight.SessionOptionValue) (sql string, ok bool) {
	if !settingName.MatchString(name) {
		return "", false
	}
	var value string
	switch o := v.GetOptionValue().(type) {
	case nil:
		return "RESET " + name, true
	case *flightpb.SessionOptionValue_StringValue:
		value = o.StringValue
	case *flightpb.SessionOptionValue_BoolValue:
		value = strconv.FormatBool(o.BoolValue)
	case *flightpb.SessionOptionValue_Int64Value:
		value = strconv.FormatInt(o.Int64Value, 10)
	case *flightpb.SessionOptionValue_DoubleValue:
		value = strconv.FormatFloat(o.DoubleValue, 'g', -1, 64)
	default:
		return "", false
	}
	return "SET " + name + " = '" + strings.ReplaceAll(value, "'", "''") + "'", true
}

// GetSessionOptions implements flightsql.Server.
func (s *sqlServer) GetSessionOptions(ctx context.Context, _ *arrowflight.GetSessionOptionsRequest) (*arrowflight.GetSessionOptionsResult, error) {
	endpoints := single
	if s.parts.wanted(ctx) {
		endpoints = parallel
	}
	options, err := arrowflight.NewSessionOptionValues(map[string]any{"catalog": Catalog, "schema": DBSchema, EndpointsOption: endpoints})
	if err != nil {
		return nil, err
	}
	return &arrowflight.GetSessionOptionsResult{SessionOptions: options}, nil
}

// CloseSession implements flightsql.Server.
func (s *sqlServer) CloseSession(context.Context, *arrowflight.CloseSessionRequest) (*arrowflight.CloseSessionResult, error) {
	return &arrowflight.CloseSessionResult{Status: arrowflight.CloseSessionResultClosed}, nil
}
