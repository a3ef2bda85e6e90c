package gateway

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"time"

	"skein/internal/fault"
)

const (
	headerTimeout  = 10 * time.Second
	idleTimeout    = 2 * time.Minute
	headerBytesMax = 64 << 10
	writeBytes     = 64 << 10 // written under one deadline
	drainBytesMax  = 64 << 20 // of a refused body
	drainTimeout   = 5 * time.Second
)

// NewServer returns an HTTP server with limits for clients that are slow to
// ask. How long answers may take is the handler's matter.
func NewServer(h http.Handler, log *slog.Logger) *http.Server {
	s := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerBytesMax,
	}
	if log != nil {
		s.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelWarn)
	}
	return s
}

// response gives each piece that is written its own deadline, so that a
// client that stopped reading holds nothing for long, and a slow one may take
// all the time it needs.
type response struct {
	http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration
	begun   bool
}

func (w *response) WriteHeader(status int) {
	w.begun = true
	w.extend()
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(p []byte) (n int, err error) {
	w.begun = true
	for {
		w.extend()
		piece := p[n:min(n+writeBytes, len(p))]
		k, err := w.ResponseWriter.Write(piece)
		n += k
		if err != nil || n == len(p) {
			return n, err
		}
	}
}

// FlushError sends what is written.
func (w *response) FlushError() error {
	w.begun = true
	w.extend()
	return w.control.Flush()
}

// Unwrap is for http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// extend moves the deadline. Writers that know no deadline need none.
func (w *response) extend() { _ = w.control.SetWriteDeadline(time.Now().Add(w.timeout)) }

// body gives each read its own deadline.
type body struct {
	io.ReadCloser
	control *http.ResponseController
	timeout time.Duration
	last    time.Time // deadline of all further reads, if set
	begun   bool
	broken  bool // by an error other than io.EOF
}

func (b *body) Read(p []byte) (int, error) {
	b.begun = true
	deadline := b.last
	if deadline.IsZero() {
		deadline = time.Now().Add(b.timeout)
	}
	_ = b.control.SetReadDeadline(deadline)
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		// The connection is now watched for the client's leaving, for as long
		// as the answer takes.
		_ = b.control.SetReadDeadline(time.Time{})
		b.broken = b.broken || !errors.Is(err, io.EOF)
	}
	return n, err
}

// drain reads on for a while what a refused client still sends: closing at
// once would destroy the answer on its way. A client that waits for leave to
// send is not given it.
func drain(r *http.Request) {
	b, ok := r.Body.(*body)
	if !ok || b.broken || !b.begun && r.Header.Get("Expect") != "" {
		return
	}
	b.last = time.Now().Add(drainTimeout)
	_, _ = io.CopyN(io.Discard, b, drainBytesMax)
}

// readAll reads a request's body, from its beginning, of at most limit bytes.
func readAll(r *http.Request, from io.Reader, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	data, err := io.ReadAll(io.LimitReader(from, limit+1))
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, fault.New(fault.InvalidArgument, "the body stopped coming: send it without long pauses")
	case err != nil:
		return nil, fault.New(fault.InvalidArgument, "the body is cut off")
	case int64(len(data)) > limit:
		return nil, tooLarge(limit)
	}
	return data, nil
}

func tooLarge(limit int64) error {
	return fault.Newf(fault.TooLarge, "the body is larger than %d MiB", limit>>20)
}
