package gateway_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"skein/coordinator"
	"skein/gateway"
	"skein/internal/batch"
	"skein/internal/fault"
	"skein/meta"
)

func example(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func at(text string) time.Time {
	v, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(err)
	}
	return v
}

// sameJSON compares two JSON texts, the order of members included.
func sameJSON(t *testing.T, got, want string) {
	t.Helper()
	if diff := cmp.Diff(compact(t, want), compact(t, got)); diff != "" {
		t.Errorf("answer differs (-want +got):\n%s", diff)
	}
}

func compact(t *testing.T, text string) string {
	t.Helper()
	var b strings.Builder
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	for {
		tok, err := d.Token()
		if err == io.EOF {
			return b.String()
		}
		if err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		line, _ := json.Marshal(tok)
		if delim, ok := tok.(json.Delim); ok {
			line = []byte(delim.String())
		}
		b.Write(append(line, '\n'))
	}
}

// usersTable is the table of the specification's examples.
func usersTable() meta.Table {
	return meta.Table{
		Name:    "users",
		Created: at("2024-01-15T10:00:00Z"),
		Config:  meta.Config{BufferSize: 2000, FlushIntervalSeconds: 30, RetentionDays: 365, BackupEnabled: true},
		Stats: meta.Stats{
			Rows: 50000, Files: 25, Bytes: 1024000,
			Oldest: at("2024-01-01T00:00:00Z"), Newest: at("2024-01-15T15:30:00Z"), LastWrite: at("2024-01-15T15:30:00Z"),
		},
	}
}

func TestSpecificationExamples(t *testing.T) {
	f := &fake{rows: answering(1), table: usersTable(), page: coordinator.TablePage{Tables: []meta.Table{usersTable()}, Total: 1}}
	s := serve(t, f, gateway.HandlerOptions{})
	for _, tc := range []struct {
		name, method, path, body string
		status                   int
		want                     string
		call                     string
	}{
		{"write", "POST", "/v1/data", example(t, "write"), 200, `{"success":true,"message":"1 record written"}`, ""},
		{"query", "POST", "/v1/query", example(t, "query_count"), 200, `{"result_json":"[{\"n\":1}]"}`,
			"Query SELECT COUNT(*) FROM users WHERE id = 'user-123' AND timestamp >= '2023-10-01' AND payload.age > 20"},
		{"join", "POST", "/v1/query", example(t, "query_join"), 200, `{"result_json":"[{\"n\":1}]"}`,
			"Query SELECT u.payload.name, COUNT(o.id) as order_count FROM users u LEFT JOIN orders o ON u.id = o.payload.user_id GROUP BY u.payload.name"},
		{"create", "POST", "/v1/tables", example(t, "create_table"), 200, `{"success":true,"message":"table products created"}`, "CreateTable products"},
		{"list", "GET", "/v1/tables?pattern=user*&page=1&limit=20", "", 200, example(t, "list_tables.response"), "ListTables user*"},
		{"describe", "GET", "/v1/tables/users", "", 200, example(t, "describe_table.response"), "DescribeTable users"},
		{"drop", "DELETE", "/v1/tables/users?cascade=true", "", 200, `{"success":true,"message":"table users dropped","files_deleted":25}`, "DropTable users cascade"},
		{"backup", "POST", "/v1/backup/trigger", example(t, "backup"), 409,
			`{"code":"FAILED_PRECONDITION","message":"there is no backup store: start the nodes with --s3-backup and the URL of one, beside --s3 and --redis","details":{}}`, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f.calls = nil
			got := send(t, s, tc.method, tc.path, tc.body, "Content-Type: application/json")
			if got.status != tc.status {
				t.Errorf("status %d, want %d: %s", got.status, tc.status, got.body)
			}
			if ct := got.header.Get("Content-Type"); ct != "application/json" {
				t.Errorf("content type %q", ct)
			}
			sameJSON(t, got.body, tc.want)
			if tc.call != "" && !cmp.Equal(f.calls, []string{tc.call}) {
				t.Errorf("calls %q, want %q", f.calls, tc.call)
			}
		})
	}
	wantConfig := meta.Config{BufferSize: 2000, FlushIntervalSeconds: 60, RetentionDays: 730, BackupEnabled: true}
	if diff := cmp.Diff(wantConfig, f.config); diff != "" {
		t.Errorf("config differs: %s", diff)
	}
	checkWritten(t, f)
}

func checkWritten(t *testing.T, f *fake) {
	t.Helper()
	if len(f.records) != 1 {
		t.Fatalf("%d records", len(f.records))
	}
	r := f.records[0]
	if f.tables[0] != "users" || r.ID != "user-123" || !r.Timestamp.Equal(at("2023-10-27T10:00:00Z")) {
		t.Errorf("record %+v of %s", r, f.tables[0])
	}
	sameJSON(t, string(r.Payload), `{"name":"张三","age":25,"city":"北京"}`)
}

func TestAnswersOfOperation(t *testing.T) {
	f := &fake{
		health: coordinator.Health{Overall: "degraded", Components: map[string]coordinator.ComponentHealth{
			"redis": {Status: "healthy", Message: "ok", Elapsed: 1500 * time.Microsecond},
			"minio": {Status: "unhealthy", Message: "connection refused"},
		}},
		stats: coordinator.Stats{Queries: 1 << 60, Writes: 3, QueryTimeAvg: 12500 * time.Microsecond, Bytes: 5, Tables: 2},
		nodes: []meta.Node{
			{ID: "a", Address: "127.0.0.1:1", Age: 59 * time.Second, LastHeartbeat: at("2024-01-15T15:30:00.5Z"), ActiveQueries: 3},
			{ID: "b", Address: "127.0.0.1:2", Age: 60 * time.Second, LastHeartbeat: at("2024-01-15T15:30:00Z")},
			{ID: "c", Age: time.Second, LastHeartbeat: at("2024-01-15T15:30:00Z"), Left: true},
			{ID: "d"},
		},
	}
	s := serve(t, f, gateway.HandlerOptions{})
	for _, tc := range []struct{ path, want, call string }{
		{"/v1/health?components=redis&components=minio", `{"overall_status":"degraded","component_status":{
			"minio":{"status":"unhealthy","message":"connection refused","response_time_ms":0},
			"redis":{"status":"healthy","message":"ok","response_time_ms":1.5}}}`, "Health redis,minio"},
		{"/v1/stats", `{"total_queries":1152921504606846976,"total_writes":3,"avg_query_time_ms":12.5,"total_data_size_bytes":5,"active_tables":2}`, "Stats 24h0m0s"},
		{"/v1/stats?duration=7d", `{"total_queries":1152921504606846976,"total_writes":3,"avg_query_time_ms":12.5,"total_data_size_bytes":5,"active_tables":2}`, "Stats 168h0m0s"},
		{"/v1/nodes", `{"nodes":[
			{"node_id":"a","address":"127.0.0.1:1","status":"healthy","last_heartbeat":"2024-01-15T15:30:00.5Z","active_queries":3},
			{"node_id":"b","address":"127.0.0.1:2","status":"unhealthy","last_heartbeat":"2024-01-15T15:30:00Z","active_queries":0},
			{"node_id":"c","address":"","status":"unhealthy","last_heartbeat":"2024-01-15T15:30:00Z","active_queries":0},
			{"node_id":"d","address":"","status":"unknown","last_heartbeat":"","active_queries":0}],
			"total_nodes":4,"healthy_nodes":1}`, "Nodes"},
		{"/v1/tables", `{"tables":[],"total":0,"page":0,"limit":0}`, "ListTables "},
	} {
		f.calls = nil
		got := send(t, s, "GET", tc.path, "")
		if got.status != 200 {
			t.Errorf("%s: status %d: %s", tc.path, got.status, got.body)
		}
		sameJSON(t, got.body, tc.want)
		if !cmp.Equal(f.calls, []string{tc.call}) {
			t.Errorf("%s: calls %q, want %q", tc.path, f.calls, tc.call)
		}
	}
}

func TestDescribeNeverWritten(t *testing.T) {
	f := &fake{table: meta.Table{Name: "t", Created: at("2024-01-15T10:00:00.123456Z"), Config: meta.Config{Properties: map[string]string{"id_buckets": "8"}}}}
	got := send(t, serve(t, f, gateway.HandlerOptions{}), "GET", "/v1/tables/t", "")
	sameJSON(t, got.body, `{"table_info":{"name":"t","config":{"buffer_size":10000,"flush_interval_seconds":30,"retention_days":0,
		"backup_enabled":false,"properties":{"id_buckets":"8"}},"created_at":"2024-01-15T10:00:00.123456Z","last_write":"","status":"active"},
		"stats":{"record_count":0,"file_count":0,"size_bytes":0,"oldest_record":"","newest_record":""}}`)
}

// asError checks the shape of an error.
func asError(t *testing.T, a answer) (code, message string, details map[string]string) {
	t.Helper()
	var e struct {
		Code    *string            `json:"code"`
		Message *string            `json:"message"`
		Details *map[string]string `json:"details"`
	}
	d := json.NewDecoder(strings.NewReader(a.body))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil || e.Code == nil || e.Message == nil || e.Details == nil {
		t.Fatalf("not an error body (%v): %d %s", err, a.status, a.body)
	}
	if ct := a.header.Get("Content-Type"); ct != "application/json" {
		t.Errorf("content type %q", ct)
	}
	return *e.Code, *e.Message, *e.Details
}

func TestErrors(t *testing.T) {
	const rec = `{"table":"users","id":"a","timestamp":"2024-01-01T00:00:00Z","payload":{}}`
	deep := strings.Repeat(`{"a":`, 70) + "1" + strings.Repeat("}", 70)
	for _, tc := range []struct {
		name, method, path, body string
		err                      error
		status                   int
		code, message            string // message holds this
		details                  map[string]string
	}{
		{"unknown path", "GET", "/v2/nothing", "", nil, 404, "NOT_FOUND", "/v2/nothing", nil},
		{"unclean path", "GET", "//v1/tables", "", nil, 404, "NOT_FOUND", "no such path", nil},
		{"wrong method", "GET", "/v1/data", "", nil, 405, "METHOD_NOT_ALLOWED", "use POST", nil},
		{"wrong method on table", "PUT", "/v1/tables/users", "", nil, 405, "METHOD_NOT_ALLOWED", "use GET or DELETE", nil},
		{"odd table", "GET", "/v1/tables/a%2Fb", "", nil, 400, "INVALID_ARGUMENT", `"a/b"`, nil},
		{"dots in table", "GET", "/v1/tables/%2e%2e%2fetc", "", nil, 400, "INVALID_ARGUMENT", `"../etc"`, nil},
		{"NUL in table", "DELETE", "/v1/tables/a%00", "", nil, 400, "INVALID_ARGUMENT", `table name`, nil},
		{"colon in table", "GET", "/v1/tables/:a", "", nil, 400, "INVALID_ARGUMENT", `":a"`, nil},
		{"Chinese table", "GET", "/v1/tables/%E7%94%A8%E6%88%B7", "", nil, 400, "INVALID_ARGUMENT", "用户", nil},
		{"missing table", "GET", "/v1/tables/orders", "", errTable, 404, "NOT_FOUND", "table not found", nil},
		{"exists", "POST", "/v1/tables", `{"table_name":"users"}`, meta.ErrTableExists, 409, "ALREADY_EXISTS", "already exists", nil},
		{"not empty", "DELETE", "/v1/tables/users", "", fault.New(fault.FailedPrecondition, "holds rows"), 409, "FAILED_PRECONDITION", "holds rows", nil},
		{"down", "GET", "/v1/nodes", "", fault.New(fault.Unavailable, "redis is down").RetryIn(1500 * time.Millisecond), 503, "UNAVAILABLE", "redis", nil},
		{"a bug", "GET", "/v1/nodes", "", errBoom, 500, "INTERNAL", "boom", nil},
		{"no table name", "POST", "/v1/tables", `{}`, nil, 400, "INVALID_ARGUMENT", "table_name is missing", nil},
		{"negative buffer", "POST", "/v1/tables", `{"table_name":"t","config":{"buffer_size":-1}}`, nil, 400, "INVALID_ARGUMENT", "buffer_size is -1", nil},
		{"unknown field", "POST", "/v1/tables", `{"table_name":"t","confg":{}}`, nil, 400, "INVALID_ARGUMENT", "confg", nil},
		{"table bad JSON", "POST", "/v1/tables", "{\n\"table_name\":}", nil, 400, "INVALID_ARGUMENT", "line 2, column 14", map[string]string{"line": "2", "column": "14"}},
		{"table trailing", "POST", "/v1/tables", `{"table_name":"t"} x`, nil, 400, "INVALID_ARGUMENT", "column 20", map[string]string{"line": "1", "column": "20"}},
		{"table too large", "POST", "/v1/tables", strings.Repeat(" ", 2<<20), nil, 413, "TOO_LARGE", "1 MiB", nil},
		{"bad page", "GET", "/v1/tables?page=x", "", nil, 400, "INVALID_ARGUMENT", "page", nil},
		{"negative limit", "GET", "/v1/tables?limit=-1", "", nil, 400, "INVALID_ARGUMENT", "limit -1", nil},
		{"bad duration", "GET", "/v1/stats?duration=2h", "", nil, 400, "INVALID_ARGUMENT", "1h, 24h or 7d", nil},
		{"recover", "POST", "/v1/backup/recover", `{"table":"users"}`, nil, 409, "FAILED_PRECONDITION", "no backup store", nil},

		{"write empty", "POST", "/v1/data", "", nil, 400, "INVALID_ARGUMENT", "empty", nil},
		{"write cut", "POST", "/v1/data", rec[:40], nil, 400, "INVALID_ARGUMENT", "unexpected end", map[string]string{"line": "1", "column": "41"}},
		{"write trailing", "POST", "/v1/data", rec + rec, nil, 400, "INVALID_ARGUMENT", "after top-level value", map[string]string{"line": "1", "column": "75"}},
		{"write unknown", "POST", "/v1/data", `{"table":"users","id":"a","paylod":{}}`, nil, 400, "INVALID_ARGUMENT", "paylod", map[string]string{"field": "paylod"}},
		{"write twice", "POST", "/v1/data", `{"table":"users","id":"a","id":"b"}`, nil, 400, "INVALID_ARGUMENT", `"id" is there twice`, map[string]string{"field": "id"}},
		{"payload twice", "POST", "/v1/data", `{"table":"users","id":"a","payload":{"x":[{"k":1,"\u006b":2}]}}`, nil, 400, "INVALID_ARGUMENT", `"k" is there twice`, map[string]string{"field": "k"}},
		{"write no table", "POST", "/v1/data", `{"id":"a"}`, nil, 400, "INVALID_ARGUMENT", "table is missing", nil},
		{"write no id", "POST", "/v1/data", `{"table":"users"}`, nil, 400, "INVALID_ARGUMENT", "id is missing", nil},
		{"write NUL in id", "POST", "/v1/data", `{"table":"users","id":"a\u0000"}`, nil, 400, "INVALID_ARGUMENT", "control character", nil},
		{"write bad table", "POST", "/v1/data", `{"table":"../users","id":"a"}`, nil, 400, "INVALID_ARGUMENT", "table name", nil},
		{"write id number", "POST", "/v1/data", `{"table":"users","id":7}`, nil, 400, "INVALID_ARGUMENT", "id must be a string", nil},
		{"write year 12000", "POST", "/v1/data", `{"table":"users","id":"a","timestamp":"12000-01-01T00:00:00Z"}`, nil, 400, "INVALID_ARGUMENT", "12000-01-01", nil},
		{"write year 0", "POST", "/v1/data", `{"table":"users","id":"a","timestamp":"0000-06-01T00:00:00Z"}`, nil, 400, "INVALID_ARGUMENT", "year 0", nil},
		{"write year -1 by zone", "POST", "/v1/data", `{"table":"users","id":"a","timestamp":"9999-12-31T23:59:59-01:00"}`, nil, 400, "INVALID_ARGUMENT", "year 10000", nil},
		{"write null time", "POST", "/v1/data", `{"table":"users","id":"a","timestamp":null}`, nil, 400, "INVALID_ARGUMENT", "timestamp must be a string", nil},
		{"write payload list", "POST", "/v1/data", `{"table":"users","id":"a","payload":[]}`, nil, 400, "INVALID_ARGUMENT", "payload must be an object", nil},
		{"write deep", "POST", "/v1/data", `{"table":"users","id":"a","payload":` + deep + `}`, nil, 400, "INVALID_ARGUMENT", "deeper than 64", nil},
		{"write not UTF-8", "POST", "/v1/data", "{\"table\":\"users\",\"id\":\"a\xff\"}", nil, 400, "INVALID_ARGUMENT", "UTF-8", map[string]string{"line": "1", "column": "25"}},
		{"write a string", "POST", "/v1/data", `"x"`, nil, 400, "INVALID_ARGUMENT", "must be an object", nil},
		{"write too large", "POST", "/v1/data", `{"table":"users","id":"a","payload":{"x":"` + strings.Repeat("x", 20<<20) + `"}}`, nil, 413, "TOO_LARGE", "16 MiB", nil},
		{"write full", "POST", "/v1/data", rec, fault.New(fault.ResourceExhausted, "the buffer is full").RetryIn(2 * time.Second), 429, "RESOURCE_EXHAUSTED", "full", nil},

		{"query empty", "POST", "/v1/query", `{}`, nil, 400, "INVALID_ARGUMENT", "sql is missing", nil},
		{"query bad JSON", "POST", "/v1/query", `{"sql": "SELECT 1}`, nil, 400, "INVALID_ARGUMENT", "unexpected end", map[string]string{"line": "1", "column": "19"}},
		{"query twice", "POST", "/v1/query", `{"sql": "SELECT 1", "sql": "SELECT 2"}`, nil, 400, "INVALID_ARGUMENT", "duplicate field", nil},
		{"query type", "POST", "/v1/query", `{"sql": 1}`, nil, 400, "INVALID_ARGUMENT", "sql", nil},
		{"query format", "POST", "/v1/query?format=xml", `{"sql": "SELECT 1"}`, nil, 400, "INVALID_ARGUMENT", "json, ndjson, csv or arrow", nil},
		{"query too long", "POST", "/v1/query", `{"sql": "` + strings.Repeat("x", 3<<20) + `"}`, nil, 413, "TOO_LARGE", "2 MiB", nil},
		{"bad SQL", "POST", "/v1/query", `{"sql": "SELECT x FROM"}`, fault.New(fault.InvalidArgument, "syntax error").With("line", "1").With("column", "14"), 400, "INVALID_ARGUMENT", "syntax", map[string]string{"line": "1", "column": "14"}},
		{"bad SQL streamed", "POST", "/v1/query?format=csv", `{"sql": "SELECT x FROM"}`, fault.New(fault.InvalidArgument, "syntax error").With("line", "1"), 400, "INVALID_ARGUMENT", "syntax", map[string]string{"line": "1"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := &fake{err: tc.err, rows: refusing(tc.err), writeErr: func(string, []coordinator.Record) error { return tc.err }}
			got := send(t, serve(t, f, gateway.HandlerOptions{}), tc.method, tc.path, tc.body)
			if got.status != tc.status {
				t.Fatalf("status %d, want %d: %.300s", got.status, tc.status, got.body)
			}
			code, msg, details := asError(t, got)
			if code != tc.code || !strings.Contains(msg, tc.message) {
				t.Errorf("got %s %q, want %s and %q", code, msg, tc.code, tc.message)
			}
			if tc.details != nil && !cmp.Equal(details, tc.details) {
				t.Errorf("details %v, want %v", details, tc.details)
			}
			if d := fault.RetryAfter(tc.err); d > 0 && got.header.Get("Retry-After") != "2" {
				t.Errorf("retry after %q", got.header.Get("Retry-After"))
			}
			if f.count() != 0 {
				t.Errorf("%d records were stored", f.count())
			}
		})
	}
}

func TestAllowHeader(t *testing.T) {
	s := serve(t, &fake{}, gateway.HandlerOptions{})
	if got := send(t, s, "PATCH", "/v1/tables", "").header.Get("Allow"); got != "GET, POST" {
		t.Errorf("Allow: %s", got)
	}
}

func TestOtherSiteRefused(t *testing.T) {
	s := serve(t, &fake{rows: answering(1)}, gateway.HandlerOptions{})
	got := send(t, s, "POST", "/v1/query", "DROP TABLE users", "Content-Type: text/plain", "Sec-Fetch-Site: cross-site", "Origin: https://evil.example")
	if code, _, _ := asError(t, got); got.status != 403 || code != "PERMISSION_DENIED" {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestPanicIs500(t *testing.T) {
	f := &fake{rows: func(context.Context, string) (batch.Reader, error) { panic("surprise") }}
	s := serve(t, f, gateway.HandlerOptions{})
	got := send(t, s, "POST", "/v1/query", `{"sql":"SELECT 1"}`)
	code, msg, _ := asError(t, got)
	if got.status != 500 || code != "INTERNAL" || strings.Contains(msg, "surprise") {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestPages(t *testing.T) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "skein_test_total"}))
	ready := false
	s := serve(t, &fake{}, gateway.HandlerOptions{Registry: registry, Ready: func() bool { return ready }})
	for _, tc := range []struct {
		path   string
		status int
		holds  string
	}{
		{"/healthz", 200, "alive"},
		{"/readyz", 503, "UNAVAILABLE"},
		{"/metrics", 200, "skein_test_total 0"},
		{"/", 200, "POST /v1/data"},
		{"/openapi.json", 200, `"swagger":"2.0"`},
	} {
		got := send(t, s, "GET", tc.path, "")
		if got.status != tc.status || !strings.Contains(got.body, tc.holds) {
			t.Errorf("%s: %d %.200s", tc.path, got.status, got.body)
		}
		if head := send(t, s, "HEAD", tc.path, ""); head.status != tc.status || head.body != "" {
			t.Errorf("HEAD %s: %d %q", tc.path, head.status, head.body)
		}
	}
	ready = true
	if got := send(t, s, "GET", "/readyz", ""); got.status != http.StatusOK {
		t.Errorf("ready: %d", got.status)
	}
	if got := send(t, s, "HEAD", "/v1/tables", ""); got.status != http.StatusOK {
		t.Errorf("HEAD /v1/tables: %d", got.status)
	}
}

func TestOpenAPI(t *testing.T) {
	s := serve(t, &fake{}, gateway.HandlerOptions{})
	got := send(t, s, "GET", "/openapi.json", "")
	var doc struct {
		Paths       map[string]map[string]any
		Definitions map[string]struct {
			Properties map[string]map[string]any
		}
	}
	if err := json.Unmarshal([]byte(got.body), &doc); err != nil {
		t.Fatal(err)
	}
	for path, method := range map[string]string{
		"/v1/data": "post", "/v1/query": "post", "/v1/tables": "get", "/v1/tables/{table_name}": "delete",
		"/v1/backup/trigger": "post", "/v1/backup/recover": "post", "/v1/health": "get", "/v1/stats": "get", "/v1/nodes": "get",
	} {
		if doc.Paths[path][method] == nil {
			t.Errorf("no %s %s", method, path)
		}
	}
	if typ := doc.Definitions["v1TableStats"].Properties["record_count"]["type"]; typ != "integer" {
		t.Errorf("record_count is a %v", typ)
	}
	if typ := doc.Definitions["rpcStatus"].Properties["code"]["type"]; typ != "string" {
		t.Errorf("code is a %v", typ)
	}
	if strings.Contains(got.body, `"type":"string","format":"int64"`) || strings.Contains(got.body, `"format":"int64","type":"string"`) {
		t.Error("an int64 is described as a string")
	}
}
