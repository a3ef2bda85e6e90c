package gateway

import (
	_ "embed"
	"encoding/json"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"skein/internal/fault"
)

// Paths that are open to all.
const (
	pathAlive = "/healthz"
	pathReady = "/readyz"
)

const readyRetry = time.Second

//go:embed landing.html
var landing []byte

func (h *handler) addPages() {
	h.routes.HandleFunc("GET "+pathAlive, serveAlive)
	h.routes.HandleFunc("GET "+pathReady, h.serveReady)
	h.routes.HandleFunc("GET /openapi.json", h.serveOpenAPI)
	h.routes.HandleFunc("GET /{$}", serveLanding)
	if h.opts.Registry != nil {
		h.routes.Handle("GET /metrics", promhttp.HandlerFor(h.opts.Registry, promhttp.HandlerOpts{}))
	}
}

func serveAlive(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"status":"alive"}` + "\n"))
}

func (h *handler) serveReady(w http.ResponseWriter, r *http.Request) {
	if !h.opts.Ready() {
		h.fail(w, r, fault.New(fault.Unavailable, "the server is starting or stopping").RetryIn(readyRetry))
		return
	}
	h.answer(w, []byte(`{"status":"ready"}`))
}

func (h *handler) serveOpenAPI(w http.ResponseWriter, _ *http.Request) {
	h.answer(w, h.openAPI)
}

func serveLanding(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	_, _ = w.Write(landing)
}

// object is a JSON object of the API's description.
type object = map[string]any

// openAPI returns the generated description as the server really behaves:
// 64-bit integers are numbers, errors have their own shape, and /v1/data and
// /v1/query take and give more than one format.
func openAPI(generated []byte) ([]byte, error) {
	var doc object
	if err := json.Unmarshal(generated, &doc); err != nil {
		return nil, fault.Newf(fault.Internal, "openapi: %w", err)
	}
	numbers(doc)
	doc["info"] = object{"title": "Skein", "version": "v1", "description": "Distributed OLAP: write records, manage tables, query with SQL."}
	definitions, _ := doc["definitions"].(object)
	definitions["rpcStatus"] = object{
		"type":     "object",
		"required": []string{"code", "message", "details"},
		"properties": object{
			"code":    object{"type": "string", "description": "such as NOT_FOUND"},
			"message": object{"type": "string"},
			"details": object{"type": "object", "additionalProperties": object{"type": "string"}},
		},
	}
	describe(doc, "/v1/data", object{
		"consumes":    []string{"application/json", "application/x-ndjson"},
		"description": "Takes one record, an array of records, or a record on each line. Many records are answered with records_written; so is an error, in its details.",
	})
	describe(doc, "/v1/query", object{
		"consumes":    []string{"application/json", "application/sql", "text/plain"},
		"produces":    []string{"application/json", "application/x-ndjson", "text/csv", "application/vnd.apache.arrow.stream"},
		"description": "Answers with result_json, or streams the rows as ?format=json, ndjson, csv or arrow, or as Accept asks.",
	})
	return json.Marshal(doc)
}

// numbers turns {"type":"string","format":"int64"} into an integer, anywhere.
func numbers(node any) {
	switch n := node.(type) {
	case object:
		if n["type"] == "string" && n["format"] == "int64" {
			n["type"] = "integer"
		}
		for _, child := range n {
			numbers(child)
		}
	case []any:
		for _, child := range n {
			numbers(child)
		}
	}
}

// describe adds members to a path's POST operation.
func describe(doc object, path string, more object) {
	paths, _ := doc["paths"].(object)
	item, _ := paths[path].(object)
	post, ok := item["post"].(object)
	if !ok {
		panic("BUG: the API has no POST " + path)
	}
	for k, v := range more {
		post[k] = v
	}
}
