package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// badNode is a node with a table of a few rows, which no bad input may
// change. At the end of the test it must be up, as it was, and without an
// error of its own making in the log.
func badNode(t *testing.T) *node {
	t.Helper()
	n := startNode(t, "bad")
	n.createTable(t, "events", neverRows, neverSeconds)
	n.write(t, numbered("events", 0, 10))
	t.Cleanup(func() {
		if !n.Alive() {
			t.Error("the node is gone")
			return
		}
		wantNumbered(t, n, "events", 10)
		if a, err := n.try("GET", "/readyz", "", nil); err != nil || a.Status != http.StatusOK {
			t.Errorf("/readyz: %v, %d", err, a.Status)
		}
		log, _ := os.ReadFile(n.logPath)
		for _, word := range []string{"panic", `"level":"ERROR"`} {
			if bytes.Contains(log, []byte(word)) {
				t.Errorf("the log has %s", word)
			}
		}
	})
	return n
}

// badStatements are refused by every door; the message holds the word.
var badStatements = []struct {
	sql, word string
	missing   bool // NotFound, else InvalidArgument
	line      string
	column    string
}{
	{sql: "SELECT * FROM nosuch", word: "nosuch", missing: true},
	{sql: "DROP TABLE nosuch", word: "nosuch", missing: true},
	{sql: "DESCRIBE nosuch", word: "nosuch", missing: true},
	{sql: "SELECT n,\n  FROM events WHERE WHERE", word: "syntax", line: "2", column: "21"},
	{sql: "SELECT 1 +", word: "syntax"},
	{sql: "SELEC 1", word: "SELEC", line: "1", column: "1"},
	{sql: "SELECT n,\n  nosuch\nFROM events", word: "nosuch", line: "2", column: "3"},
	{sql: "SELECT 'é', nosuch(n) FROM events", word: "nosuch", line: "1", column: "13"},
	{sql: "SELECT payload.nosuch FROM events", word: "nosuch"},
	{sql: "SELECT n, count(*) FROM events", word: "GROUP BY"},
	{sql: "SELECT text::INTEGER FROM events", word: "row"},
	{sql: "SELECT n + text FROM events", word: ""},
	{sql: "", word: ""},
	{sql: ";", word: ""},
	{sql: "-- nothing", word: ""},
	{sql: "SELECT 1; SELECT 2", word: "one"},
	{sql: "SELECT 1; DROP TABLE events", word: "one"},
	{sql: "DROP TABLE events; SELECT 1", word: ""},
	{sql: "SELECT 1\x00", word: ""},
	{sql: "SELECT n FROM events\x00; DROP TABLE events", word: ""},
	{sql: "SELECT * FROM read_csv('/etc/passwd')", word: "read_csv"},
	{sql: "SELECT * FROM read_csv_auto('/etc/passwd')", word: "read_csv"},
	{sql: "SELECT * FROM read_text('/etc/passwd')", word: "read_text"},
	{sql: "SELECT * FROM read_blob('/etc/passwd')", word: "read_blob"},
	{sql: "SELECT * FROM read_json('/etc/passwd')", word: "read_json"},
	{sql: "SELECT * FROM read_parquet('/tmp/x.parquet')", word: "read_parquet"},
	{sql: "SELECT * FROM parquet_metadata('/tmp/x.parquet')", word: "parquet_metadata"},
	{sql: "SELECT * FROM glob('/*')", word: "glob"},
	{sql: "SELECT * FROM sniff_csv('/etc/passwd')", word: "sniff_csv"},
	{sql: "SELECT (SELECT content FROM read_text('/etc/passwd'))", word: "read_text"},
	{sql: "WITH x AS (FROM glob('/*')) SELECT n FROM events", word: "glob"},
	{sql: "SELECT * FROM duckdb_extensions()", word: "duckdb_extensions"},
	{sql: "SELECT * FROM query('SELECT 1')", word: "query"},
	{sql: "SELECT * FROM query_table('events')", word: "query_table"},
	{sql: "SELECT getenv('HOME')", word: "getenv"},
	{sql: "SELECT current_setting('temp_directory')", word: "current_setting"},
	{sql: "COPY events TO '/tmp/skein-e2e-out.csv'", word: "COPY"},
	{sql: "COPY events FROM '/etc/passwd'", word: "COPY"},
	{sql: "ATTACH '/tmp/skein-e2e.db' AS x", word: "ATTACH"},
	{sql: "DETACH memory", word: "DETACH"},
	{sql: "SET threads = 1", word: "SET"},
	{sql: "RESET threads", word: "RESET"},
	{sql: "PRAGMA memory_limit = '1GB'", word: "PRAGMA"},
	{sql: "INSTALL httpfs", word: "INSTALL"},
	{sql: "LOAD httpfs", word: "LOAD"},
	{sql: "EXPORT DATABASE '/tmp/skein-e2e'", word: "EXPORT"},
	{sql: "CALL pragma_version()", word: "CALL"},
	{sql: "CREATE TABLE \"a-b\" (x INTEGER)", word: "name"},
	{sql: "CREATE TABLE \"../x\" (x INTEGER)", word: "name"},
	{sql: "CREATE TABLE t (x NOSUCHTYPE)", word: "NOSUCHTYPE"},
	{sql: "CREATE TABLE t (x INTEGER, at TIMESTAMP)", word: "syntax error at or near \"at\""},
	{sql: "CREATE TABLE t (x INTEGER", word: ""},
	{sql: "CREATE TABLE t (x INTEGER) WITH (nosuch = 1)", word: "nosuch"},
	{sql: "SELECT $1", word: "parameter"},
	{sql: "SELECT " + strings.Repeat("abs(", 5000) + "1" + strings.Repeat(")", 5000), word: "exhausted"},
	{sql: "SELECT " + strings.Repeat("NOT ", 100_000) + "true", word: ""},
}

func TestBadSQLOverREST(t *testing.T) {
	t.Parallel()
	n := badNode(t)
	for _, c := range badStatements {
		t.Run(title(c.sql), func(t *testing.T) {
			status, code := 400, "INVALID_ARGUMENT"
			if c.missing {
				status, code = 404, "NOT_FOUND"
			}
			for _, path := range []string{"/v1/query", "/v1/query?format=ndjson"} {
				details := n.post(t, path, object{"sql": c.sql}).wantError(t, status, code, c.word)
				if c.line != "" && (details["line"] != c.line || details["column"] != c.column) {
					t.Errorf("details %v, want line %s, column %s", details, c.line, c.column)
				}
			}
		})
	}
	for _, path := range []string{"/etc/passwd", "x.csv", "https://example.com/x.parquet"} {
		n.post(t, "/v1/query", object{"sql": "SELECT * FROM '" + path + "'"}).wantError(t, 404, "NOT_FOUND")
	}
	for _, sql := range []string{"INSERT OR REPLACE INTO events VALUES ('x')", "UPDATE events SET n = 1", "DELETE FROM events", "ALTER TABLE events ADD COLUMN y INTEGER"} {
		n.post(t, "/v1/query", object{"sql": sql}).wantError(t, 501, "UNIMPLEMENTED")
	}
	n.post(t, "/v1/query", object{"sql": "SELECT '" + strings.Repeat("x", 2<<20) + "'"}).wantError(t, 413, "TOO_LARGE")
}

func title(sql string) string {
	if sql == "" {
		return "empty"
	}
	return fmt.Sprintf("%.40q", sql)
}

// badRecords are bodies of POST /v1/data that are refused with 400.
var badRecords = []struct{ name, body, word string }{
	{"missing id", `{"table":"events","payload":{}}`, "id"},
	{"empty id", `{"table":"events","id":"","payload":{}}`, "id"},
	{"number as id", `{"table":"events","id":7,"payload":{}}`, "id"},
	{"NUL in id", `{"table":"events","id":"a\u0000b","payload":{}}`, "id"},
	{"parent directory in id", `{"table":"events","id":"../../etc/passwd","payload":{}}`, "id"},
	{"long id", `{"table":"events","id":"` + strings.Repeat("x", 513) + `","payload":{}}`, "id"},
	{"missing table", `{"id":"a","payload":{}}`, "table"},
	{"parent directory in table", `{"table":"../events","id":"a","payload":{}}`, "table"},
	{"NUL in table", `{"table":"ev\u0000ents","id":"a","payload":{}}`, "table"},
	{"bad table", `{"table":"ev ents","id":"a","payload":{}}`, "table"},
	{"year 12000", `{"table":"events","id":"a","timestamp":"12000-01-01T00:00:00Z","payload":{}}`, "year"},
	{"year +12000", `{"table":"events","id":"a","timestamp":"+12000-01-01T00:00:00Z","payload":{}}`, "year"},
	{"no time", `{"table":"events","id":"a","timestamp":"yesterday","payload":{}}`, "timestamp"},
	{"30 February", `{"table":"events","id":"a","timestamp":"2024-02-30T00:00:00Z","payload":{}}`, "timestamp"},
	{"number as time", `{"table":"events","id":"a","timestamp":1700000000,"payload":{}}`, "timestamp"},
	{"list as payload", `{"table":"events","id":"a","payload":[1]}`, "payload"},
	{"unknown field", `{"table":"events","id":"a","payload":{},"extra":1}`, "extra"},
	{"field twice", `{"table":"events","id":"a","payload":{"x":1,"x":2}}`, "twice"},
	{"deep payload", `{"table":"events","id":"a","payload":{"x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}}`, "deep"},
	{"no JSON", `{"table":"events","id":"a","payload":{"x":}}`, "JSON"},
	{"half JSON", `{"table":"events","id":"a","pay`, "JSON"},
	{"no object", `7`, "object"},
	{"no body", ``, "empty"},
	{"no UTF-8", "{\"table\":\"events\",\"id\":\"a\xff\",\"payload\":{}}", "UTF-8"},
}

func TestBadRecordsOverREST(t *testing.T) {
	t.Parallel()
	n := badNode(t)
	for _, c := range badRecords {
		t.Run(c.name, func(t *testing.T) {
			n.do(t, "POST", "/v1/data", "application/json", []byte(c.body)).wantError(t, 400, "INVALID_ARGUMENT", c.word)
			if c.body == "" || strings.Contains(c.name, "no object") {
				return
			}
			details := n.do(t, "POST", "/v1/data", "application/x-ndjson", []byte(c.body)).wantError(t, 400, "INVALID_ARGUMENT")
			if details["records_written"] != "0" || details["line"] != "1" && details["line"] == nil {
				t.Errorf("details %v", details)
			}
		})
	}
	n.post(t, "/v1/data", record{"nosuch", "a", "", object{}}).wantError(t, 404, "NOT_FOUND", "nosuch")
	big := record{"events", "a", "", object{"x": strings.Repeat("x", 20<<20)}}
	n.post(t, "/v1/data", big).wantError(t, 413, "TOO_LARGE", "16 MiB")
	n.do(t, "POST", "/v1/data", "application/x-ndjson", lines(t, []record{big})).wantError(t, 413, "TOO_LARGE")
	n.post(t, "/v1/tables", object{"table_name": "big", "config": object{"properties": object{"x": strings.Repeat("x", 2<<20)}}}).wantError(t, 413, "TOO_LARGE")
}

func TestBadTablesOverREST(t *testing.T) {
	t.Parallel()
	n := badNode(t)
	for _, name := range []string{"", "a-b", "1a", "a b", "a.b", "../a", "a/b", "a\x00b", "täble", "metadata", "pg_x", "information_schema", strings.Repeat("a", 65)} {
		n.post(t, "/v1/tables", object{"table_name": name}).wantError(t, 400, "INVALID_ARGUMENT")
	}
	for _, path := range []string{"..%2Fevents", "a%00b", "a-b", "%zz"} {
		for _, method := range []string{"GET", "DELETE"} {
			status := rawStatus(t, n, method+" /v1/tables/"+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			if !strings.Contains(status, " 400 ") {
				t.Errorf("%s /v1/tables/%s: %s", method, path, status)
			}
		}
	}
	for _, body := range []string{
		`{"table_name":"ok","config":{"buffer_size":-1}}`, `{"table_name":"ok","config":{"retention_days":"many"}}`,
		`{"table_name":"ok","nosuch":1}`, `{"table_name":7}`, `{`, `[]`, ``,
	} {
		n.do(t, "POST", "/v1/tables", "application/json", []byte(body)).wantError(t, 400, "INVALID_ARGUMENT")
	}
	n.get(t, "/v1/tables/nosuch").wantError(t, 404, "NOT_FOUND", "nosuch")
	n.do(t, "DELETE", "/v1/tables/nosuch?cascade=true", "", nil).wantError(t, 404, "NOT_FOUND", "nosuch")
	n.do(t, "DELETE", "/v1/tables/events", "", nil).wantError(t, 409, "FAILED_PRECONDITION", "cascade")
}

// rawStatus sends bytes as they are and returns the first line of the answer;
// empty if there is none.
func rawStatus(t testing.TB, n *node, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", n.HTTP)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(requestTimeout))
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	_ = conn.(*net.TCPConn).CloseWrite()
	data, _ := io.ReadAll(conn)
	line, _, _ := strings.Cut(string(data), "\r\n")
	return line
}

// TestRequestCutOff ends requests half way, by closing one direction and by
// closing the connection.
func TestRequestCutOff(t *testing.T) {
	t.Parallel()
	n := badNode(t)
	n.createTable(t, "cut", neverRows, neverSeconds)
	whole := `{"table":"cut","id":"a","payload":{"n":1}}`
	head := "POST /v1/data HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s"
	for _, sent := range []string{"", whole[:len(whole)/2], whole[:len(whole)-1]} {
		request := fmt.Sprintf(head, "application/json", len(whole), sent)
		if status := rawStatus(t, n, request); status != "" && !strings.Contains(status, " 400 ") {
			t.Errorf("%d of %d bytes: %s", len(sent), len(whole), status)
		}
		abandon(t, n, request)
	}
	if rows, _ := n.stats(t, "cut"); rows != 0 {
		t.Errorf("%d rows of records that were cut off", rows)
	}
	// Of a stream the whole records may be stored, and never a part of one.
	stream := strings.Repeat(whole+"\n", 5) + whole[:len(whole)-5]
	request := fmt.Sprintf(head, "application/x-ndjson", len(stream)+5, stream)
	if status := rawStatus(t, n, request); status != "" && !strings.Contains(status, " 400 ") {
		t.Errorf("a stream: %s", status)
	}
	chunked := "POST /v1/data HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
	abandon(t, n, fmt.Sprintf("%s%x\r\n%s\r\n", chunked, len(stream), stream))
	got := n.query(t, "SELECT count(*) AS c, count(n) AS n FROM cut")[0]
	if c := number(t, got["c"]); c < 5 || c > 10 || fmt.Sprint(got["c"]) != fmt.Sprint(got["n"]) {
		t.Errorf("two streams with five whole records each left %v", got)
	}
	abandon(t, n, "POST /v1/data HTT")
	abandon(t, n, "\x16\x03\x01\x02\x00")
	if status := rawStatus(t, n, "NONSENSE\r\n\r\n"); !strings.Contains(status, " 400 ") {
		t.Errorf("nonsense: %s", status)
	}
}

// abandon sends bytes and resets the connection.
func abandon(t testing.TB, n *node, request string) {
	t.Helper()
	for _, addr := range []string{n.HTTP, n.GRPC} {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, request)
		_ = conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	}
}

// TestIDsStayInTheirTable writes ids that are path syntax and looks where
// they landed.
func TestIDsStayInTheirTable(t *testing.T) {
	t.Parallel()
	n := startNode(t, "ids")
	n.createTable(t, "events", 1, 1)
	ids := []string{"..", ".", "/etc/passwd", "a/b", "a\\..\\b", "%2e%2e%2f", "_", "CON", "a:b", "~", "-", "*?", "'; DROP TABLE events; --"}
	for i, id := range ids {
		n.write(t, []record{{"events", id, "2024-01-01T00:00:00Z", object{"n": i}}})
	}
	waitFor(t, 20*time.Second, "all ids are in files", func() (bool, string) {
		rows, files := n.stats(t, "events")
		return files == int64(len(ids)) && rows == files, fmt.Sprint(rows, files)
	})
	for i, id := range ids {
		sql := "SELECT n FROM events WHERE id = '" + strings.ReplaceAll(id, "'", "''") + "'"
		if got := n.row(t, sql, "n"); got != fmt.Sprint(i) {
			t.Errorf("id %q has n %s, want %d", id, got, i)
		}
	}
	found, err := filepath.Glob(filepath.Join(n.Dir, "objects", "events", "*", "2024-01-01", "*.parquet"))
	if err != nil || len(found) != len(ids) {
		t.Errorf("%v: the files are %v", err, found)
	}
}
