package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/redis/go-redis/v9"
)

// leader is the node that holds the leader's lock.
func (c *cluster) leader() string {
	owner, _ := c.Redis.Get(c.t.Context(), "metadata:lock:leader").Result()
	name, _, _ := strings.Cut(owner, " ")
	return name
}

// TestLeaderKilled kills the leader: another one leads and does its work.
func TestLeaderKilled(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3, append(quickCatalog, "--meta-every", "1s", "--meta-keep", "3s")...)
	waitFor(t, 10*time.Second, "a node leads", func() (bool, string) { return c.leader() != "", "none" })
	first := c.leader()
	var other *node
	for _, n := range c.Nodes {
		if n.ID == first {
			n.Kill()
		} else {
			other = n
		}
	}
	waitFor(t, 15*time.Second, "another leads", func() (bool, string) {
		now := c.leader()
		return now != "" && now != first, now
	})
	second := c.leader()
	waitFor(t, 10*time.Second, "it is told", func() (bool, string) {
		text := other.meta(t, "version")
		return strings.Contains(text, "leader    "+second), text
	})
	// It makes snapshots, and removes old ones but the newest three.
	n, err := c.Redis.ZCard(t.Context(), "metadata:backup:list").Result()
	if err != nil || n == 0 {
		t.Errorf("%d snapshots are listed: %v", n, err)
	}
	newest := func() string {
		keys, _ := c.Redis.ZRangeArgs(t.Context(), redis.ZRangeArgs{Key: "metadata:backup:list", Start: 0, Stop: 0, Rev: true}).Result()
		return fmt.Sprint(keys)
	}
	was := newest()
	waitFor(t, 15*time.Second, "a new snapshot", func() (bool, string) { return newest() != was, was })
	waitFor(t, 15*time.Second, "old snapshots are removed", func() (bool, string) {
		n, err := c.Redis.ZCard(t.Context(), "metadata:backup:list").Result()
		lines := strings.Count(other.meta(t, "backups", "--format", "csv"), "backup_")
		return err == nil && n <= 6 && lines <= 7, fmt.Sprint(n, lines)
	})
}

// TestDamagedSnapshot: a snapshot that was changed is refused, and nothing is.
func TestDamagedSnapshot(t *testing.T) {
	t.Parallel()
	p := startPair(t, 1, "--meta-every", "1h", "--meta-plain")
	n := p.Nodes[0]
	p.createBacked("events", true)
	n.write(t, numbered("events", 0, 100))
	p.trigger(object{"table": "events"}) // flushes
	key, _, _ := strings.Cut(n.meta(t, "backup"), ":")
	stored, err := p.another.GetObject(t.Context(), spareBucket, key, minio.GetObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(stored)
	if err != nil {
		t.Fatalf("the snapshot is not in the backup store: %v", err)
	}
	if !json.Valid(text) || !strings.HasPrefix(key, "metadata/backups/") {
		t.Errorf("snapshot %s: %.300s", key, text)
	}
	spoilt := bytes.Replace(text, []byte("events"), []byte("evenTs"), 1)
	if _, err := p.another.PutObject(t.Context(), spareBucket, key, bytes.NewReader(spoilt), int64(len(spoilt)), minio.PutObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	n.write(t, numbered("events", 100, 100))
	p.trigger(object{"table": "events"})
	late := n.fingerprint(t, "events")
	o := n.tool(t, "", "meta", "restore", key, "--yes")
	if o.Exit != 1 || !strings.Contains(o.Stderr, "damaged") {
		t.Errorf("exit %d: %s%s", o.Exit, o.Stdout, o.Stderr)
	}
	wantSame(t, n.fingerprint(t, "events"), late)
	if _, err := p.another.PutObject(t.Context(), spareBucket, key, bytes.NewReader(text), int64(len(text)), minio.PutObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	if o := n.tool(t, "", "meta", "restore", key); o.Exit != 2 || !strings.Contains(o.Stderr, "--yes") {
		t.Errorf("without --yes: exit %d: %s%s", o.Exit, o.Stdout, o.Stderr)
	}
	history := n.meta(t, "history", "--format", "csv")
	if strings.Contains(history, "restore") {
		t.Errorf("history: %s", history)
	}
	wantSame(t, n.fingerprint(t, "events"), late)
}

// TestSnapshotThereAndBack goes back to a snapshot and forth again, whole and
// in part, and wants the history to tell who did it.
func TestSnapshotThereAndBack(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 2, quickCatalog...)
	n := c.Nodes[0]
	n.createTable(t, "events", 10, 1)
	n.createTable(t, "other", 10, 1)
	n.write(t, numbered("events", 0, 100))
	n.write(t, numbered("other", 0, 10))
	c.waitFlushed("events")
	c.waitFlushed("other")
	early := n.fingerprint(t, "events")
	key, _, _ := strings.Cut(n.meta(t, "backup"), ":")
	n.write(t, numbered("events", 100, 100))
	n.write(t, numbered("other", 10, 10))
	c.waitFlushed("events")
	c.waitFlushed("other")
	late, other := n.fingerprint(t, "events"), n.fingerprint(t, "other")
	if plan := n.meta(t, "restore", key, "--table", "events", "--dry-run"); !strings.Contains(plan, "200 -> 100 rows") {
		t.Errorf("plan: %s", plan)
	}
	o := n.tool(t, "", "meta", "restore", key, "--table", "events", "--yes")
	if o.Exit != 0 {
		t.Fatalf("exit %d: %s%s", o.Exit, o.Stdout, o.Stderr)
	}
	_, safety, found := strings.Cut(o.Stderr, "is kept in ")
	if !found {
		t.Fatalf("no safety snapshot: %s", o.Stderr)
	}
	for _, n := range c.Nodes {
		wantSame(t, n.fingerprint(t, "events"), early)
		wantSame(t, n.fingerprint(t, "other"), other)
	}
	n.meta(t, "restore", strings.TrimSpace(safety), "--yes")
	for _, n := range c.Nodes {
		wantSame(t, n.fingerprint(t, "events"), late)
		wantSame(t, n.fingerprint(t, "other"), other)
	}
	// One id alone.
	n.meta(t, "restore", key, "--key", "index:table:events:id:id-10*:*", "--yes")
	wantSame(t, n.row(t, "SELECT count(*) AS c FROM events", "c"), "190") // id-10 stays, id-100 to id-109 go
	if o := c.Nodes[1].tool(t, "", "sql", "-c", "CREATE TABLE declared (a INTEGER)"); o.Exit != 0 {
		t.Errorf("create: %s%s", o.Stdout, o.Stderr)
	}
	history := n.meta(t, "history", "--format", "csv", "--limit", "100")
	for _, word := range []string{"anonymous at 127.0.0.1,create,declared", "restore,events", "create,events", "anonymous at 127.0.0.1", "schema,events"} {
		if !strings.Contains(history, word) {
			t.Errorf("history lacks %q: %s", word, history)
		}
	}
	got := n.get(t, "/v1/meta/history?table=events&limit=2").want(t, 200)
	if changes, _ := got["changes"].([]any); len(changes) != 2 {
		t.Errorf("%v", got)
	}
	n.get(t, "/v1/meta/history?limit=-1").wantError(t, 400, "INVALID_ARGUMENT", "limit")
	n.post(t, "/v1/meta/restore", object{"snapshot": "nosuch"}).wantError(t, 404, "NOT_FOUND", "nosuch")
	n.post(t, "/v1/meta/restore", object{"keys": []string{"users*"}}).wantError(t, 400, "INVALID_ARGUMENT", "index:table")
	n.post(t, "/v1/meta/restore", object{"tables": []string{"nosuch"}, "dry_run": true}).wantError(t, 404, "NOT_FOUND", "nosuch")
	n.post(t, "/v1/meta/rebuild", object{"since": "yesterday"}).wantError(t, 400, "INVALID_ARGUMENT", "yesterday")
	n.get(t, "/v1/meta/ring?table=events").wantError(t, 400, "INVALID_ARGUMENT", "give both")
	ring := n.get(t, "/v1/meta/ring?table=events&id=id-1").want(t, 200)
	if owners, _ := ring["owners"].([]any); len(owners) != 2 {
		t.Errorf("%v", ring)
	}
}

// TestRetention takes old days out of the index and deletes their files later.
func TestRetention(t *testing.T) {
	t.Parallel()
	p := startPair(t, 2, append(quickCatalog, "--retention-grace", "2s", "--backup-grace", "1h")...)
	n := p.Nodes[0]
	n.post(t, "/v1/tables", object{"table_name": "events", "config": object{"buffer_size": 1, "flush_interval_seconds": 1, "retention_days": 2}}).want(t, 200)
	now := time.Now().UTC()
	var records []record
	for i := range 10 {
		records = append(records, record{"events", "a", now.AddDate(0, 0, -i).Format(time.RFC3339), object{"n": i}})
	}
	n.write(t, records)
	waitFor(t, 20*time.Second, "old days leave the index", func() (bool, string) {
		rows, _ := n.stats(t, "events")
		return rows == 3, fmt.Sprint(rows)
	})
	wantSame(t, n.row(t, "SELECT count(*) AS c, max(n) AS m FROM events", "c", "m"), "3 2")
	waitFor(t, 20*time.Second, "their files are deleted", func() (bool, string) {
		left := objects(t, p.main, mainBucket)
		return len(left) == 3, fmt.Sprint(len(left))
	})
	if plan := n.meta(t, "rebuild", "--dry-run"); !strings.Contains(plan, "no table lacks a file") {
		t.Errorf("plan: %s", plan)
	}
}
