package bench

import (
	"strings"
	"testing"
	"time"

	"skein/internal/fault"
)

func TestOptionsDefaults(t *testing.T) {
	o, err := Options{DataDir: "d"}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	if o.Addr != "127.0.0.1:8815" || o.HTTP != "http://127.0.0.1:8080" || o.Runs != 3 || o.Connections != 16 || len(o.Suites) != 2 || o.Load != LoadAuto {
		t.Errorf("got %+v", o)
	}
	o, err = Options{DataDir: "d", Addr: "grpc+tls://:9/", HTTP: "https://h:1/"}.withDefaults()
	if err != nil || o.Addr != "127.0.0.1:9" || !o.TLS || o.HTTP != "https://h:1" {
		t.Errorf("got %+v, %v", o, err)
	}
}

func TestOptionsRefused(t *testing.T) {
	for says, o := range map[string]Options{
		"address x: want host:port":             {Addr: "x"},
		"address http://x:1: want host:port":    {Addr: "http://x:1"},
		"HTTP address 127.0.0.1:8080: want":     {HTTP: "127.0.0.1:8080"},
		"HTTP address http://: want a URL":      {HTTP: "http://"},
		"a token and a user exclude each other": {Token: "t", User: "u"},
		`suite "x": want`:                       {Suites: []string{"x"}},
		"needs a data directory":                {Suites: []string{SuiteTPCH}},
		`load "x": want auto`:                   {Load: "x"},
		"query 0: want a number from 1 to 22":   {Queries: []int{0}},
		"query 23: want":                        {Queries: []int{1, 23}},
		"runs: -1: want 1 to 1000":              {Runs: -1},
		"runs: 1001: want":                      {Runs: 1001},
		"connections: 1025: want 1 to 1024":     {Connections: 1025},
		"batch rows: 100001: want":              {BatchRows: 100_001},
		"batches: -5: want":                     {Batches: -5},
		"2000001 rows to write: want at most":   {Singles: 1, Batches: 2_000, BatchRows: 1_000},
		"greatest ratio -1: want":               {RatioMax: -1},
		"query timeout -1s: want":               {QueryTimeout: -time.Second},
	} {
		if o.DataDir == "" && !strings.Contains(says, "data directory") {
			o.DataDir = "d"
		}
		if _, err := o.withDefaults(); fault.CodeOf(err) != fault.InvalidArgument || !strings.Contains(err.Error(), says) {
			t.Errorf("want %q, got %v", says, err)
		}
	}
}
