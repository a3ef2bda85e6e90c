package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

const requestTimeout = 60 * time.Second

// reply is an HTTP answer, read whole.
type reply struct {
	Status int
	Header http.Header
	Body   []byte
}

// client keeps no connections that a killed node would break.
var client = &http.Client{Timeout: requestTimeout, Transport: &http.Transport{DisableKeepAlives: true}}

// try sends a request; an error means that no whole answer came.
func (n *node) try(method, path, contentType string, body []byte, header ...string) (reply, error) {
	request, err := http.NewRequest(method, "http://"+n.HTTP+path, bytes.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	for kv := range slices.Chunk(header, 2) {
		request.Header.Set(kv[0], kv[1])
	}
	response, err := client.Do(request)
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	return reply{Status: response.StatusCode, Header: response.Header, Body: data}, err
}

// do sends a request and wants an answer.
func (n *node) do(t testing.TB, method, path, contentType string, body []byte, header ...string) reply {
	t.Helper()
	a, err := n.try(method, path, contentType, body, header...)
	if err != nil {
		t.Fatalf("%s %s on %s: %v", method, path, n.ID, err)
	}
	return a
}

func (n *node) get(t testing.TB, path string) reply {
	t.Helper()
	return n.do(t, http.MethodGet, path, "", nil)
}

func (n *node) post(t testing.TB, path string, body any) reply {
	t.Helper()
	return n.do(t, http.MethodPost, path, "application/json", encode(t, body))
}

// want checks the status and decodes the body, numbers as json.Number.
func (a reply) want(t testing.TB, status int) map[string]any {
	t.Helper()
	if a.Status != status {
		t.Fatalf("status %d, want %d: %.2000s", a.Status, status, a.Body)
	}
	return decode(t, a.Body)
}

// wantError checks the status, the shape of all errors, the code, and that the
// message holds each of the parts.
func (a reply) wantError(t testing.TB, status int, code string, parts ...string) map[string]any {
	t.Helper()
	if a.Status != status {
		t.Errorf("status %d, want %d: %.2000s", a.Status, status, a.Body)
		return nil
	}
	var e struct {
		Code, Message string
		Details       map[string]any
	}
	d := json.NewDecoder(bytes.NewReader(a.Body))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil || e.Details == nil {
		t.Errorf("the error is not {code, message, details}: %v: %.500s", err, a.Body)
		return nil
	}
	if e.Code != code {
		t.Errorf("code %s, want %s: %.500s", e.Code, code, e.Message)
	}
	for _, p := range parts {
		if !strings.Contains(strings.ToLower(e.Message), strings.ToLower(p)) {
			t.Errorf("the message does not say %q: %.500s", p, e.Message)
		}
	}
	return e.Details
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	if raw, ok := v.([]byte); ok {
		return raw
	}
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func decode(t testing.TB, data []byte) map[string]any {
	t.Helper()
	var v map[string]any
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v: %.2000s", err, data)
	}
	return v
}

// object is a JSON object in a request.
type object = map[string]any

// createTable makes a table for records with the given buffer size in rows
// and flush interval in seconds.
func (n *node) createTable(t testing.TB, name string, bufferSize, flushSeconds int) {
	t.Helper()
	n.post(t, "/v1/tables", object{"table_name": name, "config": object{
		"buffer_size": bufferSize, "flush_interval_seconds": flushSeconds}}).want(t, http.StatusOK)
}

// neverFlush are a buffer size and flush interval that no test reaches.
const neverRows, neverSeconds = 1_000_000, 3600

// record is a record of the Write API.
type record struct {
	Table     string `json:"table"`
	ID        string `json:"id"`
	Timestamp string `json:"timestamp,omitempty"`
	Payload   object `json:"payload"`
}

// lines is records as NDJSON.
func lines(t testing.TB, records []record) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, r := range records {
		b.Write(encode(t, r))
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// write stores records by one NDJSON request and wants all acknowledged.
func (n *node) write(t testing.TB, records []record) {
	t.Helper()
	got := n.do(t, http.MethodPost, "/v1/data", "application/x-ndjson", lines(t, records)).want(t, http.StatusOK)
	if fmt.Sprint(got["records_written"]) != fmt.Sprint(len(records)) {
		t.Fatalf("%d records were sent: %v", len(records), got)
	}
}

// tryQuery runs a SELECT; its rows are objects with numbers as json.Number.
func (n *node) tryQuery(sql string) ([]map[string]any, reply, error) {
	body, err := json.Marshal(object{"sql": sql})
	if err != nil {
		return nil, reply{}, err
	}
	a, err := n.try(http.MethodPost, "/v1/query", "application/json", body)
	if err != nil || a.Status != http.StatusOK {
		return nil, a, err
	}
	var response struct {
		Result string `json:"result_json"`
	}
	if err := json.Unmarshal(a.Body, &response); err != nil {
		return nil, a, err
	}
	var rows []map[string]any
	d := json.NewDecoder(strings.NewReader(response.Result))
	d.UseNumber()
	return rows, a, d.Decode(&rows)
}

func (n *node) query(t testing.TB, sql string) []map[string]any {
	t.Helper()
	rows, a, err := n.tryQuery(sql)
	if err != nil || a.Status != http.StatusOK {
		t.Fatalf("%s on %s: %v, status %d: %.2000s", sql, n.ID, err, a.Status, a.Body)
	}
	return rows
}

// row runs a SELECT that gives one row, and prints its values in the order of
// the names, separated by spaces.
func (n *node) row(t testing.TB, sql string, names ...string) string {
	t.Helper()
	rows := n.query(t, sql)
	if len(rows) != 1 {
		t.Fatalf("%s: %d rows, want 1", sql, len(rows))
	}
	return texts(rows[0], names)
}

func texts(row map[string]any, names []string) string {
	values := make([]string, len(names))
	for i, name := range names {
		values[i] = fmt.Sprint(row[name])
	}
	return strings.Join(values, " ")
}

// stats of a table, as described.
func (n *node) stats(t testing.TB, table string) (rows, files int64) {
	t.Helper()
	got := n.get(t, "/v1/tables/"+table).want(t, http.StatusOK)
	s, _ := got["stats"].(map[string]any)
	return number(t, s["record_count"]), number(t, s["file_count"])
}

func number(t testing.TB, v any) int64 {
	t.Helper()
	text, ok := v.(json.Number)
	if !ok {
		t.Fatalf("%v is a %T, want a number", v, v)
	}
	i, err := text.Int64()
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// explain is the plan of a query as text.
func (n *node) explain(t testing.TB, sql string) string {
	t.Helper()
	var b strings.Builder
	for _, row := range n.query(t, "EXPLAIN "+sql) {
		fmt.Fprintln(&b, row["plan"])
	}
	return b.String()
}
