package server

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"skein/objstore/pool"
)

// TestAlertsArrive posts events to a webhook that refuses at first.
func TestAlertsArrive(t *testing.T) {
	got := make(chan alertBody, 10)
	refusals := 2
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var b alertBody
		if err := json.NewDecoder(r.Body).Decode(&b); err != nil || r.Method != http.MethodPost {
			t.Errorf("%s: %v", r.Method, err)
		}
		if refusals > 0 {
			refusals--
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		got <- b
	}))
	defer hook.Close()
	s := &Server{config: Config{AlertWebhook: hook.URL}, log: slog.New(slog.DiscardHandler), registry: prometheus.NewRegistry()}
	alert := s.openAlerts("n1")
	at := time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)
	alert(pool.Alert{Kind: "failover", Subject: "primary", Message: "it is away", At: at})
	select {
	case b := <-got:
		if b != (alertBody{Kind: "failover", Subject: "primary", Message: "it is away", Node: "n1", At: at}) {
			t.Errorf("%+v", b)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("no alert")
	}
	alert(pool.Alert{Kind: "returned"})
	if err := s.closers[0](context.Background()); err != nil {
		t.Error(err)
	}
	close(got)
	for b := range got { // one whose answer was cut off comes twice
		if b.Kind == "returned" {
			return
		}
	}
	t.Error("what waits when the node stops is lost")
}

// TestAlertsAreBounded fills the queue of a webhook that never answers: nobody
// waits, and a stop is quick.
func TestAlertsAreBounded(t *testing.T) {
	block := make(chan struct{})
	hook := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-block }))
	defer hook.Close()
	defer close(block)
	s := &Server{config: Config{AlertWebhook: hook.URL}, log: slog.New(slog.DiscardHandler), registry: prometheus.NewRegistry()}
	alert := s.openAlerts("n1")
	start := time.Now()
	for range 2 * alertsWaitingMax {
		alert(pool.Alert{Kind: "endpoint-down"})
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("alerts took %s", took)
	}
	if err := s.closers[0](context.Background()); err != nil || time.Since(start) > 2*alertDrain+time.Second {
		t.Errorf("stop took %s, %v", time.Since(start), err)
	}
}
