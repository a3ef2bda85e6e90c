package main

import (
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
	url := "http://" + ts.Getenv("HTTP") + "/readyz"
	client := http.Client{Timeout: time.Second}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(readyTimeout); time.Now().Before(deadline); <-tick.C {
		res, err := client.Get(url)
		if err != nil {
			continue
		}
		res.Body.Close()
		if res.StatusCode == http.StatusOK {
			return
		}
	}
	ts.Fatalf("%s: not ready after %s", url, readyTimeout)
}
