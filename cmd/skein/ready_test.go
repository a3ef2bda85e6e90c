package main

import (
	"context"
	"net/http"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

const readyTimeout = 30 * time.Second

// waitReady waits until the server of the script, whose HTTP address is $HTTP,
// takes queries.
func waitReady(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: waitready")
	}
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	url := "http://" + ts.Getenv("HTTP") + "/readyz"
	for !ready(ctx, url) {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			ts.Fatalf("%s: not ready after %s", url, readyTimeout)
		}
	}
}

func ready(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode == http.StatusOK
}
