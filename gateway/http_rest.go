package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"

	"skein/gateway/internal/record"
	"skein/internal/fault"
	olapv1 "skein/proto/olap/v1"
)

const requestBytesMax = 1 << 20 // of a JSON request other than records

// rest serves the RPCs whose HTTP form grpc-gateway can do: all but Write and
// Query.
func (h *handler) rest() (http.HandlerFunc, error) {
	mux := runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, wire{}),
		runtime.WithDisablePathLengthFallback(),
		runtime.WithIncomingHeaderMatcher(func(string) (string, bool) { return "", false }),
		runtime.WithErrorHandler(func(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error) {
			h.restError(w, r, err)
		}),
	)
	if err := olapv1.RegisterOlapServiceHandlerServer(context.Background(), mux, h.service); err != nil {
		return nil, err
	}
	if err := olapv1.RegisterMetaServiceHandlerServer(context.Background(), mux, h.service); err != nil {
		return nil, err
	}
	return func(w http.ResponseWriter, r *http.Request) {
		if err := wholeBody(r); err != nil {
			h.fail(w, r, err)
			return
		}
		if r.Method == http.MethodHead {
			r = r.WithContext(r.Context()) // a copy: net/http must go on knowing that it is a HEAD
			r.Method = http.MethodGet
		}
		mux.ServeHTTP(w, r)
	}, nil
}

// wholeBody reads a JSON body before it is decoded, so that its size and its
// syntax have errors of their own.
func wholeBody(r *http.Request) error {
	if r.Method != http.MethodPost {
		return nil
	}
	data, err := readAll(r, r.Body, requestBytesMax)
	if err != nil {
		return err
	}
	if err := record.CheckJSON(data); err != nil {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(data))
	return nil
}

func (h *handler) restError(w http.ResponseWriter, r *http.Request, err error) {
	var status *runtime.HTTPStatusError
	if errors.As(err, &status) {
		err = fault.Wrap(fault.InvalidArgument, status.Err)
	}
	h.fail(w, r, err)
}
