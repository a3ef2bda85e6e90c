package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"skein/gateway"
	"skein/internal/batch"
	"skein/internal/fault"
)

const selectOne = `{"sql":"SELECT n FROM t"}`

func TestFormats(t *testing.T) {
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "a", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
		{Name: "a", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "d", Type: &arrow.Decimal128Type{Precision: 38, Scale: 2}, Nullable: true},
		{Name: "t", Type: &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}, Nullable: true},
		{Name: "f", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
	}, nil)
	rows := func(context.Context, string) (batch.Reader, error) {
		b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
		defer b.Release()
		b.Field(0).(*array.Int64Builder).Append(9007199254740993)
		b.Field(1).(*array.StringBuilder).Append("x")
		b.Field(2).(*array.Decimal128Builder).Append(decimal128.FromI64(125))
		b.Field(3).(*array.TimestampBuilder).AppendTime(at("2024-01-01T00:00:00.5Z"))
		b.Field(4).(*array.Float64Builder).Append(2)
		return batch.NewSlice(schema, b.NewRecordBatch()), nil
	}
	s := serve(t, &fake{rows: rows}, gateway.HandlerOptions{})
	for _, tc := range []struct{ name, path, header, ctype, holds string }{
		{"default", "", "Accept: */*", "application/json", `\"a\":9007199254740993,\"a_1\":`},
		{"accept json", "", "Accept: application/json; charset=utf-8", "application/json", `"result_json":`},
		{"json", "?format=json", "Accept: text/csv", "application/json", `{"columns":[{"name":"a","type":"BIGINT"},{"name":"a","type":"VARCHAR"},{"name":"d","type":"DECIMAL(38,2)"},{"name":"t","type":"TIMESTAMP WITH TIME ZONE"},{"name":"f","type":"DOUBLE"}],"rows":[`},
		{"json rows", "?format=json", "Accept: */*", "application/json", `"2024-01-01T00:00:00.5Z",2.0]],"row_count":1}`},
		{"ndjson", "?format=ndjson", "Accept: */*", "application/x-ndjson", `"d":1.25,"t":"2024-01-01T00:00:00.5Z","f":2.0}` + "\n"},
		{"accept ndjson", "", "Accept: application/x-ndjson", "application/x-ndjson", `{"a":9007199254740993,`},
		{"csv", "", "Accept: text/html;q=0.1, text/csv;q=0.9, application/json;q=0.5", "text/csv; charset=utf-8; header=present", "a,a_1,d,t,f\n9007199254740993,"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := send(t, s, "POST", "/v1/query"+tc.path, selectOne, tc.header)
			if got.status != 200 || got.header.Get("Content-Type") != tc.ctype || !strings.Contains(got.body, tc.holds) {
				t.Errorf("%d %s\n%s\nwant %s", got.status, got.header.Get("Content-Type"), got.body, tc.holds)
			}
		})
	}
	got := send(t, s, "POST", "/v1/query", selectOne, "Accept: application/vnd.apache.arrow.stream")
	r, err := ipc.NewReader(strings.NewReader(got.body))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	if !r.Next() || r.RecordBatch().Column(0).(*array.Int64).Value(0) != 9007199254740993 || r.Next() || r.Err() != nil {
		t.Errorf("arrow stream: %v", r.Err())
	}
	if !r.Schema().Equal(schema) {
		t.Errorf("schema %v", r.Schema())
	}
}

func TestEmptyResult(t *testing.T) {
	rows := func(context.Context, string) (batch.Reader, error) { return batch.NewSlice(oneColumn), nil }
	s := serve(t, &fake{rows: rows}, gateway.HandlerOptions{})
	for format, want := range map[string]string{
		"":               `{"result_json":"[]"}` + "\n",
		"?format=json":   `{"columns":[{"name":"n","type":"BIGINT"}],"rows":[],"row_count":0}` + "\n",
		"?format=ndjson": "",
		"?format=csv":    "n\n",
	} {
		if got := send(t, s, "POST", "/v1/query"+format, selectOne); got.status != 200 || got.body != want {
			t.Errorf("%q: %d %q", format, got.status, got.body)
		}
	}
	got := send(t, s, "POST", "/v1/query?format=arrow", selectOne)
	r, err := ipc.NewReader(strings.NewReader(got.body))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	if r.Next() || r.Err() != nil || r.Schema().NumFields() != 1 {
		t.Errorf("arrow: %v", r.Err())
	}
}

func TestRawSQL(t *testing.T) {
	for _, ctype := range []string{"application/sql", "text/plain; charset=utf-8"} {
		f := &fake{rows: answering(1)}
		got := send(t, serve(t, f, gateway.HandlerOptions{}), "POST", "/v1/query?format=csv", "SELECT '北京'", "Content-Type: "+ctype)
		if got.body != "n\n1\n" || f.calls[0] != "Query SELECT '北京'" {
			t.Errorf("%s: %d %s %q", ctype, got.status, got.body, f.calls)
		}
	}
	s := serve(t, &fake{}, gateway.HandlerOptions{})
	got := send(t, s, "POST", "/v1/query", "SELECT '\xff'", "Content-Type: application/sql")
	if code, msg, _ := asError(t, got); code != "INVALID_ARGUMENT" || !strings.Contains(msg, "UTF-8") {
		t.Errorf("%s", got.body)
	}
}

func TestStatementWithoutRows(t *testing.T) {
	f := &fake{rows: answering(7)}
	s := serve(t, f, gateway.HandlerOptions{})
	got := send(t, s, "POST", "/v1/query", `{"sql":"CREATE TABLE t (a INT)"}`)
	sameJSON(t, got.body, `{"result_json":"[{\"count\":null}]"}`)
	if strings.Join(f.calls, ";") != "Prepare CREATE TABLE t (a INT);Execute CREATE TABLE t (a INT)" {
		t.Errorf("calls %q", f.calls)
	}
	f.calls = nil
	send(t, s, "POST", "/v1/query", `{"sql":"SHOW TABLES"}`)
	if strings.Join(f.calls, ";") != "Prepare SHOW TABLES;Query SHOW TABLES" {
		t.Errorf("calls %q", f.calls)
	}
}

func TestResultTooLarge(t *testing.T) {
	f := &fake{rows: answering(make([]int64, 1000)...)}
	s := serve(t, f, gateway.HandlerOptions{}, gateway.Options{ResultBytesMax: 4000})
	got := send(t, s, "POST", "/v1/query", selectOne)
	if code, msg, _ := asError(t, got); got.status != 413 || code != "TOO_LARGE" || !strings.Contains(msg, "format=ndjson") {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := send(t, s, "POST", "/v1/query?format=ndjson", selectOne); strings.Count(got.body, "\n") != 1000 {
		t.Errorf("%d lines", strings.Count(got.body, "\n"))
	}
}

// TestRowsComeAsMade: the first row is read before the second is made.
func TestRowsComeAsMade(t *testing.T) {
	for format, first := range map[string]string{"json": "[1]", "ndjson": `{"n":1}`, "csv": "1"} {
		rows := newStepped()
		s := serve(t, &fake{rows: func(context.Context, string) (batch.Reader, error) { return rows, nil }}, gateway.HandlerOptions{})
		go func() { rows.batches <- numbersBatch(1) }()
		resp := open(t, s.Client(), s.URL, format)
		r := bufio.NewReader(resp.Body)
		for {
			text, err := r.ReadString('\n')
			if strings.HasPrefix(text, first) {
				break
			}
			if format == "json" && err == nil { // the row's line has no end yet
				head, _ := r.Peek(len(first))
				if string(head) == first {
					break
				}
			}
			if err != nil {
				t.Fatalf("%s: %v after %q", format, err, text)
			}
		}
		rows.batches <- numbersBatch(2)
		close(rows.batches)
		if _, err := io.ReadAll(r); err != nil {
			t.Errorf("%s: %v", format, err)
		}
		resp.Body.Close()
		<-rows.closed
	}
}

func open(t *testing.T, c *http.Client, url, format string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", url+"/v1/query?format="+format, strings.NewReader(selectOne))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 200 {
		t.Fatalf("status %d", resp.StatusCode)
	}
	return resp
}

// TestErrorBetweenRows: an answer that broke off does not look whole.
func TestErrorBetweenRows(t *testing.T) {
	for _, format := range []string{"json", "ndjson", "csv", "arrow"} {
		rows := newStepped()
		rows.err = fault.New(fault.Unavailable, "worker w2 is gone").With("node", "w2")
		s := serve(t, &fake{rows: func(context.Context, string) (batch.Reader, error) { return rows, nil }}, gateway.HandlerOptions{})
		go func() {
			rows.batches <- numbersBatch(1)
			close(rows.batches)
		}()
		got := send(t, s, "POST", "/v1/query?format="+format, selectOne)
		<-rows.closed
		if got.err == nil {
			t.Errorf("%s: the body ends like a whole one: %q", format, got.body)
		}
		if format == "json" {
			sameJSON(t, got.body, `{"columns":[{"name":"n","type":"BIGINT"}],"rows":[[1]],"row_count":1,
				"error":{"code":"UNAVAILABLE","message":"worker w2 is gone","details":{"node":"w2"}}}`)
		}
	}
}

func TestErrorBeforeRows(t *testing.T) {
	for _, format := range []string{"", "json", "ndjson", "csv", "arrow"} {
		rows := newStepped()
		rows.err = fault.New(fault.InvalidArgument, "division by zero")
		close(rows.batches)
		s := serve(t, &fake{rows: func(context.Context, string) (batch.Reader, error) { return rows, nil }}, gateway.HandlerOptions{})
		path := "/v1/query"
		if format != "" {
			path += "?format=" + format
		}
		got := send(t, s, "POST", path, selectOne)
		if code, _, _ := asError(t, got); got.status != 400 || code != "INVALID_ARGUMENT" {
			t.Errorf("%s: %d %s", format, got.status, got.body)
		}
		<-rows.closed
	}
}

// TestClientLeaves: the coordinator learns that nobody waits any more, before
// the first row and between rows.
func TestClientLeaves(t *testing.T) {
	for _, path := range []string{"/v1/query", "/v1/query?format=ndjson"} {
		for _, some := range []bool{false, true} {
			rows := newStepped()
			started := make(chan context.Context, 1)
			s := serve(t, &fake{rows: func(ctx context.Context, _ string) (batch.Reader, error) {
				started <- ctx
				return rows, nil
			}}, gateway.HandlerOptions{})
			ctx, leave := context.WithCancel(t.Context())
			req, _ := http.NewRequestWithContext(ctx, "POST", s.URL+path, strings.NewReader(selectOne))
			gone := make(chan struct{})
			go func() {
				defer close(gone)
				if resp, err := s.Client().Do(req); err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			}()
			running := <-started
			if some {
				rows.batches <- numbersBatch(1)
			}
			leave()
			<-running.Done()
			<-rows.closed
			<-gone
		}
	}
}

func TestQueryTimeout(t *testing.T) {
	rows := newStepped()
	f := &fake{rows: func(context.Context, string) (batch.Reader, error) { return rows, nil }}
	s := serve(t, f, gateway.HandlerOptions{}, gateway.Options{QueryTimeout: time.Millisecond})
	got := send(t, s, "POST", "/v1/query?format=csv", selectOne)
	if code, _, _ := asError(t, got); got.status != 504 || code != "DEADLINE_EXCEEDED" {
		t.Errorf("%d %s", got.status, got.body)
	}
	<-rows.closed
}

// TestLongQueryOfFastClient: the limit on a client's pauses is not one on the
// server's work.
func TestLongQueryOfFastClient(t *testing.T) {
	rows := newStepped()
	f := &fake{rows: func(context.Context, string) (batch.Reader, error) { return rows, nil }}
	s := serve(t, f, gateway.HandlerOptions{ClientTimeout: 20 * time.Millisecond})
	go func() {
		time.Sleep(100 * time.Millisecond) // the work itself takes longer than the pause
		rows.batches <- numbersBatch(1)
		time.Sleep(100 * time.Millisecond)
		close(rows.batches)
	}()
	got := send(t, s, "POST", "/v1/query?format=csv", selectOne)
	if got.status != 200 || got.body != "n\n1\n" || got.err != nil {
		t.Errorf("%d %q %v", got.status, got.body, got.err)
	}
}

// TestStalledReader: a client that stops reading loses the connection, and the
// query ends.
func TestStalledReader(t *testing.T) {
	rows := newStepped()
	f := &fake{rows: func(context.Context, string) (batch.Reader, error) { return rows, nil }}
	s := serve(t, f, gateway.HandlerOptions{ClientTimeout: 50 * time.Millisecond})
	big := make([]int64, 100_000)
	go func() {
		for {
			b := numbersBatch(big...)
			select {
			case rows.batches <- b:
			case <-rows.closed:
				b.Release()
				return
			}
		}
	}()
	resp := open(t, s.Client(), s.URL, "ndjson")
	defer resp.Body.Close()
	<-rows.closed
}

func TestResultJSONIsJSON(t *testing.T) {
	s := serve(t, &fake{rows: answering(1, 2, 3)}, gateway.HandlerOptions{})
	var outer struct {
		ResultJSON string `json:"result_json"`
	}
	var inner []map[string]int
	got := send(t, s, "POST", "/v1/query", selectOne)
	if err := json.Unmarshal([]byte(got.body), &outer); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(outer.ResultJSON), &inner); err != nil || len(inner) != 3 || inner[2]["n"] != 3 {
		t.Errorf("%v %v", err, inner)
	}
}
