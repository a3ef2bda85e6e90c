package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestResultFormats asks for one result in every form of REST.
func TestResultFormats(t *testing.T) {
	t.Parallel()
	n := startNode(t, "formats")
	n.createTable(t, "events", neverRows, neverSeconds)
	body := `{"table":"events","id":"a","timestamp":"2024-01-01T00:00:00.5+08:00","payload":{"big":9007199254740993,"huge":123456789012345678901234567890,"d":1.0,"x":0.1,"s":"q\"é,\n","l":[1,null],"o":{"k":true}}}`
	n.do(t, http.MethodPost, "/v1/data", "application/json", []byte(body)).want(t, 200)
	const (
		sql    = "SELECT id, timestamp, big, huge, d, x, s, l, o, NULL AS nothing FROM events"
		values = `"id":"a","timestamp":"2023-12-31T16:00:00.5Z","big":9007199254740993,"huge":123456789012345678901234567890,"d":1.0,"x":0.1,"s":"q\"é,\n","l":[1,null],"o":{"k":true},"nothing":null`
		csv    = "id,timestamp,big,huge,d,x,s,l,o,nothing\na,2023-12-31T16:00:00.5Z,9007199254740993,123456789012345678901234567890,1.0,0.1,\"q\"\"é,\n\",\"[1,null]\",\"{\"\"k\"\":true}\",\n"
	)
	wantResult(t, n.post(t, "/v1/query", object{"sql": sql}), "[{"+values+"}]")
	for _, c := range []struct{ path, accept, kind, want string }{
		{"?format=ndjson", "", "application/x-ndjson", "{" + values + "}\n"},
		{"", "application/x-ndjson", "application/x-ndjson", "{" + values + "}\n"},
		{"?format=csv", "", "text/csv", csv},
		{"", "text/csv", "text/csv", csv},
	} {
		a := n.do(t, http.MethodPost, "/v1/query"+c.path, "application/json", encode(t, object{"sql": sql}), "Accept", c.accept)
		if a.Status != 200 || !strings.HasPrefix(a.Header.Get("Content-Type"), c.kind) || string(a.Body) != c.want {
			t.Errorf("%s %s: %d, %s\n got %q\nwant %q", c.path, c.accept, a.Status, a.Header.Get("Content-Type"), a.Body, c.want)
		}
	}
	rich := n.post(t, "/v1/query?format=json", object{"sql": "SELECT 1 AS a, 2.50 AS b UNION ALL SELECT NULL, 0"}).want(t, 200)
	if got := text(t, rich["rows"]); got != "[[1,2.50],[null,0.00]]" {
		t.Errorf("rows %s", got)
	}
	if got := text(t, rich["columns"]); got != `[{"name":"a","type":"INTEGER"},{"name":"b","type":"DECIMAL(12,2)"}]` {
		t.Errorf("columns %s", got)
	}
	n.post(t, "/v1/query?format=xml", object{"sql": "SELECT 1"}).wantError(t, 400, "INVALID_ARGUMENT", "ndjson")
	wantSame(t, string(n.do(t, http.MethodPost, "/v1/query?format=csv", "text/plain", []byte("SELECT 1 AS a")).Body), "a\n1\n")
}

// TestLargeResultsStream fetches more rows than a node may keep in memory.
func TestLargeResultsStream(t *testing.T) {
	t.Parallel()
	n := startNode(t, "streams")
	const rows = 3_000_000
	sql := fmt.Sprintf("SELECT range AS n, repeat('x', 100) AS s FROM range(%d)", rows)
	a := n.do(t, http.MethodPost, "/v1/query?format=csv", "application/json", encode(t, object{"sql": sql}))
	if got := strings.Count(string(a.Body), "\n"); a.Status != 200 || got != rows+1 {
		t.Errorf("status %d, %d lines, want %d", a.Status, got, rows+1)
	}
	count, err := flightRows(t, n.flight(t), sql)
	if err != nil || count != rows {
		t.Errorf("%d rows by Flight SQL, %v", count, err)
	}
	n.post(t, "/v1/query", object{"sql": sql}).wantError(t, 413, "TOO_LARGE", "format=")
}

// TestTablesBySQL makes, lists, describes and drops tables by statements.
func TestTablesBySQL(t *testing.T) {
	t.Parallel()
	n := startNode(t, "ddl")
	for _, sql := range []string{
		"CREATE TABLE sales (shop VARCHAR, day DATE, price DOUBLE, cut DECIMAL(12,2), since TIMESTAMP) WITH (id = shop, time = day)",
		"CREATE TABLE IF NOT EXISTS sales (x INTEGER)",
		"CREATE TABLE events WITH (buffer_size = 5, flush_interval_seconds = 6, retention_days = 7, backup_enabled = true)",
	} {
		n.query(t, sql)
	}
	n.post(t, "/v1/query", object{"sql": "CREATE TABLE sales (x INTEGER)"}).wantError(t, 409, "ALREADY_EXISTS", "sales")
	n.post(t, "/v1/query", object{"sql": "CREATE TABLE bad (x INTEGER) WITH (id = nosuch)"}).wantError(t, 400, "INVALID_ARGUMENT", "nosuch")
	wantSame(t, n.csv(t, "SHOW TABLES"), "name\nevents\nsales\n")
	wantSame(t, n.csv(t, "SELECT column_name, column_type FROM (DESCRIBE sales)"), "column_name,column_type\nshop,VARCHAR\nday,DATE\nprice,DOUBLE\ncut,\"DECIMAL(12,2)\"\nsince,TIMESTAMP\n")
	config := n.get(t, "/v1/tables/events").want(t, 200)["table_info"].(map[string]any)["config"]
	wantSame(t, config, `{"backup_enabled":true,"buffer_size":5,"flush_interval_seconds":6,"retention_days":7}`)
	n.write(t, []record{{"events", "a", "", object{"x": 1}}})
	n.post(t, "/v1/data", record{"sales", "a", "", object{"price": 1}}).wantError(t, 400, "INVALID_ARGUMENT", "sales")
	n.load(t, "sales", "--mode", "append", writeFile(t, "sales.csv", "shop,day,price,since\nn,2024-02-29,12.50,2024-02-29 12:00:00\ns,2024-03-01,7,2024-03-01 01:00:00\n"))
	wantSame(t, n.csv(t, "SELECT * FROM sales ORDER BY shop"), "shop,day,price,cut,since\nn,2024-02-29,12.5,,2024-02-29T12:00:00\ns,2024-03-01,7.0,,2024-03-01T01:00:00\n")
	n.query(t, "DROP TABLE events")
	n.query(t, "DROP TABLE IF EXISTS events")
	wantSame(t, n.csv(t, "SHOW TABLES"), "name\nsales\n")
	n.Kill()
	n.Start()
	wantSame(t, n.csv(t, "SELECT sum(price) AS s FROM sales"), "s\n19.5\n")
}
