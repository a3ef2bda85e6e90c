package gateway_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"skein/coordinator"
	"skein/gateway"
	"skein/internal/fault"
)

const ndjson = "Content-Type: application/x-ndjson"

func line(table string, i int) string {
	return fmt.Sprintf(`{"table":"%s","id":"id-%d","timestamp":"2024-01-01T00:00:00Z","payload":{"i":%d}}`, table, i, i)
}

func lines(table string, from, to int) string {
	var b strings.Builder
	for i := from; i <= to; i++ {
		b.WriteString(line(table, i) + "\n")
	}
	return b.String()
}

func TestNumbersKeepTheirValue(t *testing.T) {
	const payload = `{"big":9007199254740993,"neg":-9223372036854775808,"u":18446744073709551615,"d":1.0,"e":1e2,"s":"\u00e9<","t":123456789012345678901234567890.5}`
	record := `{"table":"Users","id":"é","payload":` + payload + `}`
	for _, header := range []string{ndjson, "Content-Type: application/json", "Content-Type: application/x-www-form-urlencoded"} {
		f := &fake{}
		got := send(t, serve(t, f, gateway.HandlerOptions{}), "POST", "/v1/data", record, header)
		if got.status != 200 || f.count() != 1 {
			t.Fatalf("%s: %d %s", header, got.status, got.body)
		}
		r := f.records[0]
		if string(r.Payload) != payload || r.ID != "é" || f.tables[0] != "users" || !r.Timestamp.Equal(arrival) {
			t.Errorf("%s: %+v %s", header, r, r.Payload)
		}
	}
}

func TestManyRecords(t *testing.T) {
	array := "[" + strings.ReplaceAll(strings.TrimSpace(lines("users", 1, 2500)), "\n", ",\n") + "] \n"
	noLastNewline := strings.TrimSpace(lines("users", 1, 2500))
	blanks := strings.ReplaceAll(lines("users", 1, 2500), "\n", "\r\n\n")
	for name, tc := range map[string]struct{ body, header string }{
		"lines":           {lines("users", 1, 2500), ndjson},
		"no last newline": {noLastNewline, ndjson},
		"blank lines":     {blanks, ndjson},
		"array":           {array, "Content-Type: application/json"},
	} {
		f := &fake{}
		got := send(t, serve(t, f, gateway.HandlerOptions{}), "POST", "/v1/data", tc.body, tc.header)
		if got.status != 200 {
			t.Fatalf("%s: %d %s", name, got.status, got.body)
		}
		sameJSON(t, got.body, `{"success":true,"message":"2500 records written","records_written":2500}`)
		for i, r := range f.records {
			if r.ID != fmt.Sprintf("id-%d", i+1) || string(r.Payload) != fmt.Sprintf(`{"i":%d}`, i+1) {
				t.Fatalf("%s: record %d is %+v", name, i+1, r)
			}
		}
		for _, n := range f.sizes {
			if n > 1000 {
				t.Errorf("%s: a batch of %d", name, n)
			}
		}
		if len(f.sizes) > 4 {
			t.Errorf("%s: batches of %v", name, f.sizes)
		}
	}
	f := &fake{}
	got := send(t, serve(t, f, gateway.HandlerOptions{}), "POST", "/v1/data", "", ndjson)
	sameJSON(t, got.body, `{"success":true,"message":"0 records written","records_written":0}`)
	got = send(t, serve(t, f, gateway.HandlerOptions{}), "POST", "/v1/data", " [ ] ")
	sameJSON(t, got.body, `{"success":true,"message":"0 records written","records_written":0}`)
}

func TestManyTables(t *testing.T) {
	var body strings.Builder
	for i := 1; i <= 900; i++ {
		body.WriteString(line([]string{"a", "b", "c"}[i%3], i) + "\n")
	}
	f := &fake{}
	got := send(t, serve(t, f, gateway.HandlerOptions{}), "POST", "/v1/data", body.String(), ndjson)
	if got.status != 200 || f.count() != 900 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if len(f.sizes) != 6 {
		t.Errorf("batches of %v", f.sizes)
	}
	for i, r := range f.records {
		var n int
		_, _ = fmt.Sscanf(r.ID, "id-%d", &n)
		if f.tables[i] != []string{"a", "b", "c"}[n%3] {
			t.Fatalf("%s went to %s", r.ID, f.tables[i])
		}
	}
}

// TestBadLine: exactly the lines before the bad one are stored, whatever is
// bad about it.
func TestBadLine(t *testing.T) {
	bad := func(table string, records []coordinator.Record) error {
		if table == "missing" {
			return errTable
		}
		for i, r := range records {
			if strings.Contains(string(r.Payload), "poison") {
				return fault.New(fault.InvalidArgument, "poison").With("record", fmt.Sprint(i))
			}
		}
		return nil
	}
	for name, tc := range map[string]struct {
		bad    string
		status int
		code   string
	}{
		"no JSON":       {`{"table":"users","id":`, 400, "INVALID_ARGUMENT"},
		"two objects":   {line("users", 1) + line("users", 2), 400, "INVALID_ARGUMENT"},
		"unknown field": {`{"table":"users","id":"a","x":1}`, 400, "INVALID_ARGUMENT"},
		"no id":         {`{"table":"users"}`, 400, "INVALID_ARGUMENT"},
		"bad time":      {`{"table":"users","id":"a","timestamp":"yesterday"}`, 400, "INVALID_ARGUMENT"},
		"poison":        {`{"table":"users","id":"a","payload":{"poison":1}}`, 400, "INVALID_ARGUMENT"},
		"missing table": {line("missing", 1), 404, "NOT_FOUND"},
		"too long":      {`{"table":"users","id":"a","payload":{"x":"` + strings.Repeat("x", 17<<20) + `"}}`, 413, "TOO_LARGE"},
	} {
		for _, at := range []int{1, 17, 1200} {
			f := &fake{writeErr: bad}
			body := lines("users", 1, at-1) + tc.bad + "\n" + lines("users", at+1, at+50)
			got := send(t, serve(t, f, gateway.HandlerOptions{}), "POST", "/v1/data", body, ndjson)
			code, msg, details := asError(t, got)
			if got.status != tc.status || code != tc.code {
				t.Errorf("%s at %d: %d %.300s", name, at, got.status, got.body)
			}
			if details["record"] != "" || details["line"] != fmt.Sprint(at) || details["records_written"] != fmt.Sprint(at-1) || !strings.HasPrefix(msg, fmt.Sprintf("line %d: ", at)) {
				t.Errorf("%s at %d: %q %v", name, at, msg, details)
			}
			if f.count() != at-1 {
				t.Errorf("%s at %d: %d stored", name, at, f.count())
			}
		}
	}
}

func TestBadArray(t *testing.T) {
	one := line("users", 1)
	for name, tc := range map[string]struct {
		body    string
		written string
	}{
		"cut in a record":    {"[" + one + "," + one[:30], "1"},
		"cut after a record": {"[" + one, "1"},
		"cut after a comma":  {"[" + one + ",", "1"},
		"comma at the end":   {"[" + one + ",]", "1"},
		"no comma":           {"[" + one + one + "]", "1"},
		"trailing":           {"[" + one + "] x", "1"},
		"not an object":      {"[" + one + ", 7]", "1"},
		"bad record":         {"[" + one + `, {"table":7}]`, "1"},
		"bad JSON":           {"[" + one + `, {"table" "users"}]`, "1"},
		"only open":          {"[", "0"},
	} {
		f := &fake{}
		got := send(t, serve(t, f, gateway.HandlerOptions{}), "POST", "/v1/data", tc.body)
		code, _, details := asError(t, got)
		if got.status != 400 || code != "INVALID_ARGUMENT" || details["records_written"] != tc.written || fmt.Sprint(f.count()) != tc.written {
			t.Errorf("%s: %d %s, %d stored", name, got.status, got.body, f.count())
		}
	}
}

// TestBlamesNobody: without a place in it, an error may mean that part of the
// batch is stored, so nothing is written again.
func TestBlamesNobody(t *testing.T) {
	calls := 0
	f := &fake{writeErr: func(_ string, records []coordinator.Record) error {
		if calls++; len(records) > 1 {
			return fault.New(fault.InvalidArgument, "too many columns")
		}
		return nil
	}}
	got := send(t, serve(t, f, gateway.HandlerOptions{}), "POST", "/v1/data", lines("users", 1, 500), ndjson)
	_, _, details := asError(t, got)
	if got.status != 400 || calls != 2 || details["line"] != "" || details["records_written"] != "1" {
		t.Errorf("%d %s after %d calls", got.status, got.body, calls)
	}
}

// TestStoreFails: an error that is no record's fault tells how many records
// from the front are stored.
func TestStoreFails(t *testing.T) {
	calls := 0
	f := &fake{writeErr: func(string, []coordinator.Record) error {
		if calls++; calls == 3 {
			return fault.New(fault.ResourceExhausted, "the buffer is full").RetryIn(1)
		}
		return nil
	}}
	got := send(t, serve(t, f, gateway.HandlerOptions{}), "POST", "/v1/data", lines("users", 1, 3000), ndjson)
	code, _, details := asError(t, got)
	if got.status != 429 || code != "RESOURCE_EXHAUSTED" || details["records_written"] != "1001" || details["line"] != "" || got.header.Get("Retry-After") != "1" {
		t.Errorf("%d %s %v", got.status, got.body, got.header)
	}
	if f.count() != 1001 {
		t.Errorf("%d stored", f.count())
	}
}

// TestCutOff: a connection that breaks in the middle of a line stores nothing
// of that line.
func TestCutOff(t *testing.T) {
	whole := lines("users", 1, 3)
	for _, framing := range []string{"Content-Length: 100000", "Transfer-Encoding: chunked"} {
		for name, body := range map[string]string{
			"in a line":           whole + line("users", 4)[:40],
			"before the newline":  whole + line("users", 4),
			"in a single record":  "",
			"after a whole array": "",
		} {
			header := ndjson
			switch name {
			case "in a single record":
				body, header = line("users", 1), "Content-Type: application/json"
			case "after a whole array":
				body, header = "["+line("users", 1), "Content-Type: application/json"
			}
			f := &fake{}
			s := serve(t, f, gateway.HandlerOptions{})
			reply := cutOff(t, s.Listener.Addr().String(), framing, header, body)
			if !strings.HasPrefix(reply, "HTTP/1.1 400 ") || !strings.Contains(reply, "cut off") {
				t.Errorf("%s, %s: %q", framing, name, reply)
			}
			s.Close() // waits for the handler
			for _, r := range f.records {
				if r.ID == "id-4" || name == "in a single record" {
					t.Errorf("%s, %s: %s is stored", framing, name, r.ID)
				}
			}
		}
	}
}

// cutOff sends the beginning of a request, closes the sending half, and
// returns the reply.
func cutOff(t *testing.T, addr, framing, header, body string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if strings.Contains(framing, "chunked") {
		body = fmt.Sprintf("%x\r\n%s", len(body)+500, body)
	}
	_, err = fmt.Fprintf(conn, "POST /v1/data HTTP/1.1\r\nHost: x\r\n%s\r\n%s\r\n\r\n%s", framing, header, body)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	reply, _ := io.ReadAll(conn)
	return string(reply)
}

// TestConstantMemory streams far more than may be held at once.
func TestConstantMemory(t *testing.T) {
	f := &fake{writeErr: func(_ string, records []coordinator.Record) error {
		if len(records) > 1 && len(records)*(1<<20) > 8<<20 {
			return fmt.Errorf("a batch of %d MiB", len(records))
		}
		return nil
	}}
	f.records = nil
	s := serve(t, f, gateway.HandlerOptions{})
	one := []byte(`{"table":"users","id":"a","payload":{"x":"` + strings.Repeat("x", 1<<20) + `"}}` + "\n")
	const n = 64
	var peak uint64
	body := &repeated{data: one, left: n, each: func() {
		f.mu.Lock()
		f.records = nil
		f.mu.Unlock()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		peak = max(peak, m.HeapAlloc)
	}}
	got := sendReader(t, s, "POST", "/v1/data", body, ndjson)
	if got.status != 200 || !strings.Contains(got.body, fmt.Sprintf(`"records_written":%d`, n)) {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if peak > 48<<20 {
		t.Errorf("%d MiB of heap for %d MiB of records", peak>>20, n)
	}
}

// repeated is a body of the same bytes several times.
type repeated struct {
	data []byte
	left int
	each func()
	r    *bytes.Reader
}

func (b *repeated) Read(p []byte) (int, error) {
	if b.r == nil || b.r.Len() == 0 {
		if b.left == 0 {
			return 0, io.EOF
		}
		b.left--
		b.each()
		b.r = bytes.NewReader(b.data)
	}
	return b.r.Read(p)
}

// TestSlowSender: a client that stops in the middle holds nothing for long.
func TestSlowSender(t *testing.T) {
	f := &fake{}
	s := serve(t, f, gateway.HandlerOptions{ClientTimeout: 50_000_000})
	pr, pw := io.Pipe()
	defer pw.Close()
	go func() { _, _ = pw.Write([]byte(lines("users", 1, 2) + `{"table":`)) }()
	req, _ := http.NewRequestWithContext(t.Context(), "POST", s.URL+"/v1/data", pr)
	req.Header.Set("Content-Type", "application/x-ndjson")
	resp, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != 400 || !strings.Contains(string(text), "stopped coming") || !strings.Contains(string(text), `"records_written":"2"`) {
		t.Errorf("%d %s", resp.StatusCode, text)
	}
}
