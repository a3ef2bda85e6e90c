package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestClusterGrowsAndShrinks follows three nodes: writes reach their owners,
// queries use all workers, one leaves, a fourth joins.
func TestClusterGrowsAndShrinks(t *testing.T) {
	t.Parallel()
	const count = 900
	c := startCluster(t, 3)
	c.Nodes[0].createTable(t, "events", neverRows, neverSeconds)
	for i, n := range c.Nodes { // each node takes a third, whoever owns it
		n.write(t, numbered("events", i*count/3, count/3))
	}
	if open := c.openUnits("events"); len(open) != 3 {
		t.Errorf("rows of %d ids are on the nodes %v, want all three", numberedIDs, open)
	}
	for _, n := range c.Nodes {
		wantNumbered(t, n, "events", count)
		wantScan(t, n, "events", count, "n1", "n2", "n3")
	}
	redisKeys(t, c)

	c.Nodes[2].Stop()
	if ring := c.ring(); len(ring) != 2 || ring["n3"] {
		t.Errorf("n3 has stopped and the ring has %v", ring)
	}
	if services := c.services(t); len(services) != 2 || services["n3"] != "" {
		t.Errorf("n3 has stopped and nodes:services has %v", services)
	}
	if open := c.openUnits("events"); open["n3"] {
		t.Errorf("n3 has stopped and left unflushed rows")
	}
	c.waitNodes(2)
	for _, n := range c.Nodes[:2] {
		wantNumbered(t, n, "events", count)
		wantScan(t, n, "events", count, "n1", "n2")
	}
	joins(t, c, count)
}

// joins adds a fourth node and writes rows of ids that it owns.
func joins(t *testing.T, c *cluster, count int) {
	t.Helper()
	n4 := c.add()
	c.waitNodes(3)
	if ring := c.ring(); !ring["n4"] || len(ring) != 3 {
		t.Errorf("n4 has joined and the ring has %v", ring)
	}
	c.Nodes[0].write(t, numbered("events", count, 600))
	if !c.openUnits("events")["n4"] {
		t.Errorf("rows of %d ids were written and n4 got none", numberedIDs)
	}
	if rows := metric(t, n4, "skein_worker_rows_total"); rows == "0" || rows == "" {
		t.Errorf("n4 has acknowledged %q rows", rows)
	}
	for _, n := range []*node{c.Nodes[0], c.Nodes[1], n4} {
		wantNumbered(t, n, "events", count+600)
		wantScan(t, n, "events", count+600, "n1", "n2", "n4")
	}
}

// TestNodeLostWithFlushedRows kills a node that holds no unflushed rows:
// queries and writes go on at once, and still after it has expired.
func TestNodeLostWithFlushedRows(t *testing.T) {
	t.Parallel()
	const count = 600
	c := startCluster(t, 3)
	c.Nodes[0].createTable(t, "events", 100, 1)
	c.Nodes[1].write(t, numbered("events", 0, count))
	c.waitFlushed("events")
	wantScan(t, c.Nodes[0], "events", count, "n1", "n2", "n3")
	c.Nodes[2].Kill()
	for range 5 {
		for _, n := range c.Nodes[:2] {
			wantNumbered(t, n, "events", count)
			if got := len(n.query(t, "SELECT n, text FROM events WHERE n >= 0")); got != count {
				t.Errorf("a scan on %s right after n3 died gave %d rows, want %d", n.ID, got, count)
			}
		}
	}
	for i, n := range c.Nodes[:2] { // others stand in for the owner
		n.write(t, numbered("events", count+i*100, 100))
		wantNumbered(t, n, "events", count+(i+1)*100)
	}
	waitFor(t, 100*time.Second, "n3 expires", func() (bool, string) {
		ring, services := c.ring(), c.services(t)
		return !ring["n3"] && services["n3"] == "", fmt.Sprint(ring, services)
	})
	c.waitNodes(2)
	for _, n := range c.Nodes[:2] {
		wantNumbered(t, n, "events", count+200)
		wantScan(t, n, "events", count+200, "n1", "n2")
	}
}

// TestNodeLostWithUnflushedRows kills a node that holds rows nobody else has:
// queries of that table fail until it is back, and never give short results.
func TestNodeLostWithUnflushedRows(t *testing.T) {
	t.Parallel()
	const count = 300
	c := startCluster(t, 3)
	c.Nodes[0].createTable(t, "events", neverRows, neverSeconds)
	c.Nodes[0].createTable(t, "other", 10, 1)
	c.Nodes[0].write(t, numbered("events", 0, count))
	c.Nodes[0].write(t, numbered("other", 0, 20))
	c.waitFlushed("other")
	if !c.openUnits("events")["n2"] {
		t.Fatal("n2 holds no rows")
	}
	c.Nodes[1].Kill()
	for range 3 {
		for _, n := range []*node{c.Nodes[0], c.Nodes[2]} {
			for _, sql := range []string{"SELECT n FROM events", sums + "events", "SELECT * FROM events LIMIT 1"} {
				_, a, err := n.tryQuery(sql)
				if err != nil {
					t.Fatal(err)
				}
				a.wantError(t, http.StatusServiceUnavailable, "UNAVAILABLE", "n2", "events")
				if a.Header.Get("Retry-After") == "" {
					t.Error("503 without Retry-After")
				}
			}
			wantNumbered(t, n, "other", 20)
		}
	}
	c.Nodes[1].Start()
	c.waitNodes(3)
	for _, n := range c.Nodes {
		wantNumbered(t, n, "events", count)
		wantScan(t, n, "events", count, "n1", "n2", "n3")
	}
}

// wantScan wants a plan with a fragment on each of the workers, and all rows.
func wantScan(t testing.TB, n *node, table string, count int, workers ...string) {
	t.Helper()
	sql := "SELECT n, text FROM " + table + " WHERE payload.n >= 0"
	plan := n.explain(t, sql)
	if !strings.HasPrefix(plan, fmt.Sprintf("scan  %d fragments", len(workers))) {
		t.Errorf("on %s, want a scan with %d fragments:\n%s", n.ID, len(workers), plan)
	}
	for _, w := range workers {
		if !strings.Contains(plan, "· "+w+" ") {
			t.Errorf("on %s, no fragment for %s:\n%s", n.ID, w, plan)
		}
	}
	seen := map[int64]bool{}
	rows := n.query(t, sql)
	for _, row := range rows {
		k := number(t, row["n"])
		if want := fmt.Sprintf("row %d", k); row["text"] != want {
			t.Fatalf("row %v, want %s", row, want)
		}
		seen[k] = true
	}
	if len(rows) != count || len(seen) != count {
		t.Errorf("on %s, %d rows with %d numbers, want %d", n.ID, len(rows), len(seen), count)
	}
}

func (c *cluster) services(t testing.TB) map[string]string {
	t.Helper()
	m, err := c.Redis.HGetAll(t.Context(), "nodes:services").Result()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// redisKeys wants the keys of the specification's section 3.2.d, with their
// types and contents. The table events has unflushed rows only.
func redisKeys(t *testing.T, c *cluster) {
	t.Helper()
	ctx, r := t.Context(), c.Redis
	n := c.Nodes[0]
	n.createTable(t, "users", 1, 1)
	n.write(t, []record{{"users", "user-123", "2023-10-27T10:00:00Z", object{"name": "张三"}}, {"users", "a b/c%:é", "2023-10-28T10:00:00Z", object{"name": "x"}}})
	c.waitFlushed("users")
	for key, kind := range map[string]string{
		"nodes:services": "hash", "tables:list": "set", "cluster:hash_ring": "zset",
		"table:users:config": "hash", "table:users:stats": "hash", "table:users:created_at": "string", "table:users:last_write": "string",
		"index:table:users:id:user-123:2023-10-27": "set", "index:table:users:id:a b/c%:é:2023-10-28": "set",
	} {
		if got := r.Type(ctx, key).Val(); got != kind {
			t.Errorf("key %s is a %s, want a %s", key, got, kind)
		}
	}
	for _, n := range c.Nodes {
		if got := r.HGet(ctx, "nodes:services", n.ID).Val(); got != n.GRPC {
			t.Errorf("nodes:services has %q for %s, want %s", got, n.ID, n.GRPC)
		}
	}
	paths := r.SMembers(ctx, "index:table:users:id:user-123:2023-10-27").Val()
	if len(paths) != 1 || !strings.HasPrefix(paths[0], "users/user-123/2023-10-27/") || !strings.HasSuffix(paths[0], ".parquet") {
		t.Errorf("files of user-123: %v", paths)
	}
	paths = r.SMembers(ctx, "index:table:users:id:a b/c%:é:2023-10-28").Val()
	if len(paths) != 1 || !strings.HasPrefix(paths[0], "users/a%20b%2Fc%25%3A%C3%A9/2023-10-28/") {
		t.Errorf("files of a strange id: %v", paths)
	}
	for _, name := range []string{"users", "events"} {
		if !r.SIsMember(ctx, "tables:list", name).Val() {
			t.Errorf("tables:list lacks %s", name)
		}
	}
	config, stats := r.HGetAll(ctx, "table:users:config").Val(), r.HGetAll(ctx, "table:users:stats").Val()
	if config["buffer_size"] != "1" || config["flush_interval_seconds"] != "1" {
		t.Errorf("table:users:config: %v", config)
	}
	if stats["record_count"] != "2" || stats["file_count"] != "2" {
		t.Errorf("table:users:stats: %v", stats)
	}
	wantTime(t, r.Get(ctx, "table:users:created_at").Val())
	wantTime(t, r.Get(ctx, "table:users:last_write").Val())
}

// metric is the value of a metric without labels.
func metric(t testing.TB, n *node, name string) string {
	t.Helper()
	for line := range strings.Lines(string(n.get(t, "/metrics").Body)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
