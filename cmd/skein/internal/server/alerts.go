package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"skein/objstore/pool"
)

const (
	alertsWaitingMax = 256 // more are dropped
	alertTriesMax    = 8   // of one, over about two minutes
	alertTimeout     = 10 * time.Second
	alertPauseMin    = 500 * time.Millisecond
	alertPauseMax    = time.Minute
	alertDrain       = 2 * time.Second // for what waits when the node stops
)

// webhook posts events to a URL, one after the other.
type webhook struct {
	url     string
	node    string
	log     *slog.Logger
	client  *http.Client
	waiting chan pool.Alert
	sent    *prometheus.CounterVec
}

// alertBody is what is posted.
type alertBody struct {
	Kind    string    `json:"kind"`
	Subject string    `json:"subject"`
	Message string    `json:"message"`
	Node    string    `json:"node"`
	At      time.Time `json:"at"`
}

// openAlerts returns what takes events. It never waits.
func (s *Server) openAlerts(node string) func(pool.Alert) {
	if s.config.AlertWebhook == "" {
		return func(pool.Alert) {}
	}
	w := &webhook{url: s.config.AlertWebhook, node: node, log: s.log, client: &http.Client{Timeout: alertTimeout}, waiting: make(chan pool.Alert, alertsWaitingMax),
		sent: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skein_alerts_posted_total", Help: "Events for the webhook by result: sent, failed, dropped.",
		}, []string{"result"})}
	s.registry.MustRegister(w.sent)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); w.run(ctx) }()
	s.onStop(func(context.Context) error { cancel(); <-done; w.client.CloseIdleConnections(); return nil })
	return w.take
}

func (w *webhook) take(a pool.Alert) {
	select {
	case w.waiting <- a:
	default:
		w.sent.WithLabelValues("dropped").Inc()
	}
}

func (w *webhook) run(ctx context.Context) {
	var cut *pool.Alert // what was being delivered when ctx ended
	for ctx.Err() == nil {
		select {
		case a := <-w.waiting:
			if !w.deliver(ctx, a) {
				cut = &a
			}
		case <-ctx.Done():
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), alertDrain)
	defer cancel()
	if cut != nil {
		w.deliver(last, *cut)
	}
	for len(w.waiting) > 0 && last.Err() == nil {
		w.deliver(last, <-w.waiting)
	}
}

// deliver tries until it is taken, for a while. It tells whether that is over:
// ctx has not ended meanwhile.
func (w *webhook) deliver(ctx context.Context, a pool.Alert) bool {
	body, err := json.Marshal(alertBody{Kind: a.Kind, Subject: a.Subject, Message: a.Message, Node: w.node, At: a.At})
	if err != nil {
		panic("BUG: an alert has no JSON: " + err.Error())
	}
	pause := alertPauseMin
	for range alertTriesMax {
		if err = w.post(ctx, body); err == nil {
			w.sent.WithLabelValues("sent").Inc()
			return true
		}
		select {
		case <-time.After(pause/2 + rand.N(pause)):
		case <-ctx.Done():
			return false
		}
		pause = min(2*pause, alertPauseMax)
	}
	w.sent.WithLabelValues("failed").Inc()
	w.log.Warn("alert is not delivered", "kind", a.Kind, "subject", a.Subject, "error", err)
	return true
}

// post sends once. Errors do not name the URL, which may hold a secret.
func (w *webhook) post(ctx context.Context, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return errors.New("the URL of the webhook cannot be used")
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := w.client.Do(request)
	if err != nil {
		return errors.New("the webhook does not answer")
	}
	defer response.Body.Close()
	_, _ = io.CopyN(io.Discard, response.Body, 64<<10) // for the next request on the connection
	if response.StatusCode >= 300 {
		return fmt.Errorf("the webhook answers %s", response.Status)
	}
	return nil
}
