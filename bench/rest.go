package bench

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"skein/internal/fault"
)

const (
	requestTimeout  = time.Minute
	answerBytesMax  = 1 << 20
	retriesMax      = 100 // of one request that is told to come later
	retryDelayMin   = 50 * time.Millisecond
	retryDelayMax   = 10 * time.Second
	ndjsonMediaType = "application/x-ndjson"
	jsonMediaType   = "application/json"
)

// rest talks to the REST door. Many goroutines may use it.
type rest struct {
	base   string
	client *http.Client
	auth   func(*http.Request)
}

func newREST(o Options) (*rest, error) {
	t := &http.Transport{
		Proxy: nil, MaxConnsPerHost: o.Connections, MaxIdleConnsPerHost: o.Connections,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
	}
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, invalid("certificate authority: %w", err)
		}
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, invalid("certificate authority %s: holds no PEM certificate", o.CAFile)
		}
	}
	return &rest{base: o.HTTP, client: &http.Client{Transport: t, Timeout: requestTimeout}, auth: authorize(o)}, nil
}

func authorize(o Options) func(*http.Request) {
	return func(r *http.Request) {
		switch {
		case o.Token != "":
			r.Header.Set("Authorization", "Bearer "+o.Token)
		case o.User != "":
			r.SetBasicAuth(o.User, o.Password)
		}
	}
}

func (r *rest) close() { r.client.CloseIdleConnections() }

// refusal is an answer that is not a success.
type refusal struct {
	status     int
	retryAfter time.Duration
	Code       string            `json:"code"`
	Message    string            `json:"message"`
	Details    map[string]string `json:"details"`
}

func (e *refusal) Error() string {
	return fmt.Sprintf("HTTP %d %s: %s", e.status, e.Code, e.Message)
}

// do sends one request; an answer that is not a success is a *refusal.
func (r *rest) do(ctx context.Context, method, path, mediaType string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, method, r.base+path, bytes.NewReader(body))
	if err != nil {
		return invalid("%w", err)
	}
	if mediaType != "" {
		req.Header.Set("Content-Type", mediaType)
	}
	r.auth(req)
	res, err := r.client.Do(req)
	if err != nil {
		return r.unreachable(ctx, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, answerBytesMax))
	if err != nil {
		return r.unreachable(ctx, err)
	}
	if res.StatusCode/100 == 2 {
		return nil
	}
	e := &refusal{status: res.StatusCode}
	if json.Unmarshal(text, e) != nil {
		e.Message = strings.TrimSpace(string(text[:min(len(text), 200)]))
	}
	if seconds, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil {
		e.retryAfter = time.Duration(seconds) * time.Second
	}
	return e
}

func (r *rest) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fault.Newf(fault.Unavailable, "no answer from %s: start a server with `skein serve`, or give its HTTP address: %w", r.base, err)
}

// createTable makes a table for records.
func (r *rest) createTable(ctx context.Context, name string) error {
	return r.do(ctx, http.MethodPost, "/v1/tables", jsonMediaType, fmt.Appendf(nil, `{"table_name":%q}`, name))
}

// dropTable drops a table and its data.
func (r *rest) dropTable(ctx context.Context, name string) error {
	return r.do(ctx, http.MethodDelete, "/v1/tables/"+url.PathEscape(name)+"?cascade=true", "", nil)
}
