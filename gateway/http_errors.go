package gateway

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http"
	"strconv"

	"skein/gateway/auth"
	"skein/internal/fault"
)

// errorBody is the body of every answer that is not a success.
type errorBody struct {
	Code    string            `json:"code"` // NOT_FOUND
	Message string            `json:"message"`
	Details map[string]string `json:"details"`
}

func errorJSON(name string, err error) []byte {
	e := errorBody{Code: name, Message: err.Error(), Details: fault.Details(err)}
	if e.Details == nil {
		e.Details = map[string]string{}
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if encErr := enc.Encode(e); encErr != nil {
		panic("BUG: an error is no JSON: " + encErr.Error())
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}

// fail answers with an error and logs it if it is a bug of ours.
func (h *handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	err = fault.From(err)
	if fault.CodeOf(err) == fault.Internal {
		h.opts.Log.ErrorContext(r.Context(), "request", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	h.write(w, r, err)
}

// write answers with an error that needs no log.
func (h *handler) write(w http.ResponseWriter, r *http.Request, err error) {
	code := fault.CodeOf(err)
	if code == fault.Unauthenticated {
		w.Header().Set("WWW-Authenticate", auth.Challenge)
	}
	if d := fault.RetryAfter(err); d > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(d.Seconds()))))
	}
	failStatus(w, r, code.HTTP(), code.String(), err)
}

// failStatus reads what the client still sends and answers.
func failStatus(w http.ResponseWriter, r *http.Request, status int, name string, err error) {
	drain(r)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(errorJSON(name, err), '\n'))
}
