package e2e

import (
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// curl sends a request as a person would, with the body of a file to the
// byte.
func (n *node) curl(t testing.TB, method, path, bodyFile string) reply {
	t.Helper()
	argv := []string{tool(t, "curl", "apt-get install -y curl"), "--silent", "--show-error", "--request", method, "--write-out", "\n%{http_code}"}
	if bodyFile != "" {
		argv = append(argv, "--header", "Content-Type: application/json", "--data-binary", "@"+filepath.Join("testdata", "spec", bodyFile))
	}
	out := must(t, append(argv, "http://"+n.HTTP+path)...)
	end := strings.LastIndexByte(out, '\n')
	status, err := strconv.Atoi(out[end+1:])
	if err != nil {
		t.Fatalf("curl: %q", out)
	}
	return reply{Status: status, Body: []byte(out[:end])}
}

// TestSpecificationByCurl runs the REST examples of the specification's
// section 5.1 in its order. The files of testdata/spec are its JSON blocks as
// printed there.
func TestSpecificationByCurl(t *testing.T) {
	t.Parallel()
	n := startNode(t, "spec")
	n.createTable(t, "users", 2000, 1)
	n.createTable(t, "orders", 2000, 1)

	wantFields(t, n.curl(t, "POST", "/v1/data", "write.json").want(t, 200), "success", "message")
	for i := range 3 { // the specification prints no orders
		n.write(t, []record{{"orders", "order-" + strconv.Itoa(i), "2023-10-28T08:00:00Z", object{"user_id": "user-123", "price": 9.5}}})
	}
	wantResult(t, n.curl(t, "POST", "/v1/query", "query.json"), `[{"count_star()":1}]`)
	wantResult(t, n.curl(t, "POST", "/v1/query", "query_join.json"), `[{"name":"张三","order_count":3}]`)

	wantFields(t, n.curl(t, "POST", "/v1/tables", "create_table.json").want(t, 200), "success", "message")
	n.curl(t, "POST", "/v1/tables", "create_table.json").wantError(t, 409, "ALREADY_EXISTS", "products")
	config := n.curl(t, "GET", "/v1/tables/products", "").want(t, 200)["table_info"].(map[string]any)["config"]
	wantSame(t, config, decodeFile(t, "create_table.json")["config"])

	waitFor(t, 20*time.Second, "users are flushed", func() (bool, string) {
		_, files := n.stats(t, "users")
		return files == 1, strconv.FormatInt(files, 10)
	})
	specifiedList(t, n)
	specifiedDescription(t, n)

	wantSame(t, n.curl(t, "DELETE", "/v1/tables/users?cascade=true", "").want(t, 200)["files_deleted"], "1")
	wantSame(t, n.curl(t, "DELETE", "/v1/tables/products?cascade=true", "").want(t, 200)["success"], "true")
	n.curl(t, "GET", "/v1/tables/users", "").wantError(t, 404, "NOT_FOUND", "users")
	n.curl(t, "POST", "/v1/query", "query.json").wantError(t, 404, "NOT_FOUND", "users")
	n.curl(t, "POST", "/v1/backup/trigger", "backup.json").wantError(t, 409, "FAILED_PRECONDITION", "--s3-backup")
}

func specifiedList(t *testing.T, n *node) {
	t.Helper()
	got, want := n.curl(t, "GET", "/v1/tables?pattern=user*&page=1&limit=20", "").want(t, 200), decodeFile(t, "list_response.json")
	wantKeys(t, got, want)
	for _, k := range []string{"total", "page", "limit"} {
		wantSame(t, got[k], want[k])
	}
	tables := got["tables"].([]any)
	if len(tables) != 1 {
		t.Fatalf("tables: %v", tables)
	}
	table := tables[0].(map[string]any)
	wantKeys(t, table, want["tables"].([]any)[0].(map[string]any))
	wantSame(t, table["name"], "users")
	wantSame(t, table["status"], "active")
	wantSame(t, table["record_count"], "1")
	wantSame(t, table["file_count"], "1")
	wantTime(t, table["created_at"])
	wantTime(t, table["last_write"])
	if number(t, table["size_bytes"]) < 100 {
		t.Errorf("size_bytes: %v", table["size_bytes"])
	}
}

func specifiedDescription(t *testing.T, n *node) {
	t.Helper()
	got, want := n.curl(t, "GET", "/v1/tables/users", "").want(t, 200), decodeFile(t, "describe_response.json")
	wantKeys(t, got, want)
	info, stats := got["table_info"].(map[string]any), got["stats"].(map[string]any)
	wantKeys(t, info, want["table_info"].(map[string]any))
	wantKeys(t, stats, want["stats"].(map[string]any))
	wantKeys(t, info["config"].(map[string]any), want["table_info"].(map[string]any)["config"].(map[string]any))
	wantSame(t, info["config"].(map[string]any)["buffer_size"], "2000")
	wantTime(t, info["created_at"])
	wantTime(t, info["last_write"])
	wantSame(t, stats["record_count"], "1")
	wantSame(t, stats["file_count"], "1")
	wantSame(t, stats["oldest_record"], "2023-10-27T10:00:00Z")
	wantSame(t, stats["newest_record"], "2023-10-27T10:00:00Z")
}

// TestEveryPathOfTheServiceAnswers calls what the specification names and
// prints no example for.
func TestEveryPathOfTheServiceAnswers(t *testing.T) {
	t.Parallel()
	n := startNode(t, "paths")
	health := n.get(t, "/v1/health").want(t, 200)
	wantSame(t, health["overall_status"], "healthy")
	wantKeys(t, health["component_status"].(map[string]any), object{"redis": 0, "minio": 0, "nodes": 0})
	nodes := n.get(t, "/v1/nodes").want(t, 200)
	wantSame(t, nodes["total_nodes"], "1")
	wantSame(t, nodes["healthy_nodes"], "1")
	wantSame(t, nodes["nodes"].([]any)[0].(map[string]any)["node_id"], "paths")
	wantFields(t, n.get(t, "/v1/stats?duration=1h").want(t, 200),
		"total_queries", "total_writes", "avg_query_time_ms", "total_data_size_bytes", "active_tables")
	n.get(t, "/v1/stats?duration=1y").wantError(t, 400, "INVALID_ARGUMENT", "1h")
	n.post(t, "/v1/backup/recover", object{"table": "users"}).wantError(t, 409, "FAILED_PRECONDITION", "--s3-backup")
	n.post(t, "/v1/backup/recover", object{"table": "users", "target_date": "soon"}).wantError(t, 400, "INVALID_ARGUMENT", "YYYY-MM-DD")
	n.post(t, "/v1/backup/trigger", object{"table": "users", "day": "2024-13-01"}).wantError(t, 400, "INVALID_ARGUMENT", "YYYY-MM-DD")
	n.post(t, "/v1/backup/trigger", object{"id": "a"}).wantError(t, 400, "INVALID_ARGUMENT", "table")
	paths := n.get(t, "/openapi.json").want(t, 200)["paths"].(map[string]any)
	for _, p := range []string{"/v1/data", "/v1/query", "/v1/tables", "/v1/tables/{table_name}", "/v1/backup/trigger", "/v1/health", "/v1/stats", "/v1/nodes"} {
		if paths[p] == nil {
			t.Errorf("openapi.json lacks %s", p)
		}
	}
	for _, p := range []string{"/healthz", "/readyz", "/metrics", "/"} {
		if a := n.get(t, p); a.Status != http.StatusOK {
			t.Errorf("GET %s: status %d", p, a.Status)
		}
	}
	n.get(t, "/v1/nothing").wantError(t, 404, "NOT_FOUND")
	n.do(t, "PUT", "/v1/tables", "", nil).wantError(t, 405, "METHOD_NOT_ALLOWED")
}

// TestTableConfigRoundTrip stores the whole TableConfig and pages through a
// list.
func TestTableConfigRoundTrip(t *testing.T) {
	t.Parallel()
	n := startNode(t, "config")
	config := object{"buffer_size": 7, "flush_interval_seconds": 11, "retention_days": 13, "backup_enabled": true, "properties": object{"owner": "ann"}}
	n.post(t, "/v1/tables", object{"table_name": "Mixed_Case", "config": config}).want(t, 200)
	n.post(t, "/v1/tables", object{"table_name": "mixed_case"}).wantError(t, 409, "ALREADY_EXISTS")
	n.post(t, "/v1/tables", object{"table_name": "mixed_case", "if_not_exists": true}).want(t, 200)
	got := n.get(t, "/v1/tables/MIXED_CASE").want(t, 200)["table_info"].(map[string]any)
	wantSame(t, got["name"], "mixed_case")
	wantSame(t, string(encode(t, got["config"])), string(encode(t, config)))

	for _, name := range []string{"t3", "t1", "t2"} {
		n.createTable(t, name, 10, 10)
	}
	page := n.get(t, "/v1/tables?pattern=t%3F&page=2&limit=2").want(t, 200)
	wantSame(t, page["total"], "3")
	if list := page["tables"].([]any); len(list) != 1 || list[0].(map[string]any)["name"] != "t3" {
		t.Errorf("page 2: %v", list)
	}
	n.get(t, "/v1/tables?limit=-1").wantError(t, 400, "INVALID_ARGUMENT")

	n.write(t, []record{{"t1", "a", "", object{"x": 1}}})
	n.do(t, "DELETE", "/v1/tables/t1", "", nil).wantError(t, 409, "FAILED_PRECONDITION", "cascade")
	n.do(t, "DELETE", "/v1/tables/t2", "", nil).want(t, 200)
	n.do(t, "DELETE", "/v1/tables/t2", "", nil).wantError(t, 404, "NOT_FOUND")
	n.do(t, "DELETE", "/v1/tables/t2?if_exists=true", "", nil).want(t, 200)
	n.do(t, "DELETE", "/v1/tables/t1?cascade=true", "", nil).want(t, 200)
}

func decodeFile(t testing.TB, name string) map[string]any {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "spec", name))
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, data)
}

func wantResult(t testing.TB, a reply, result string) {
	t.Helper()
	wantSame(t, a.want(t, 200)["result_json"], result)
}

func wantFields(t testing.TB, got map[string]any, names ...string) {
	t.Helper()
	want := map[string]any{}
	for _, n := range names {
		want[n] = nil
	}
	wantKeys(t, got, want)
}

func wantKeys(t testing.TB, got, want map[string]any) {
	t.Helper()
	g, w := slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want))
	if !slices.Equal(g, w) {
		t.Errorf("fields %v, want %v", g, w)
	}
}

func wantSame(t testing.TB, got, want any) {
	t.Helper()
	if g, w := text(t, got), text(t, want); g != w {
		t.Errorf("got %s, want %s", g, w)
	}
}

func text(t testing.TB, v any) string {
	t.Helper()
	if s, ok := v.(string); ok {
		return s
	}
	return string(encode(t, v))
}

// wantTime wants RFC 3339 of this year or close to it.
func wantTime(t testing.TB, v any) {
	t.Helper()
	s, _ := v.(string)
	at, err := time.Parse(time.RFC3339, s)
	if err != nil || time.Since(at).Abs() > time.Hour {
		t.Errorf("%q is not the RFC 3339 of a moment ago", s)
	}
}
