package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

// check runs skein meta check over all footers and wants its exit code and
// words.
func (n *node) check(t testing.TB, exit int, words ...string) {
	t.Helper()
	n.metaTool(t, exit, words, "meta", "check", "--all", "--min-age", "1ms")
}

func (n *node) metaTool(t testing.TB, exit int, words []string, argv ...string) {
	t.Helper()
	o := n.tool(t, "", argv...)
	if o.Exit != exit {
		t.Fatalf("%v: exit %d, want %d: %s%s\n%s", argv, o.Exit, exit, o.Stdout, o.Stderr, n.logTail())
	}
	for _, w := range words {
		if !strings.Contains(o.Stdout+o.Stderr, w) {
			t.Errorf("%v lacks %q: %s%s", argv, w, o.Stdout, o.Stderr)
		}
	}
}

// TestCheckAndRepair damages a cluster with a backup in many ways at once. The
// check tells of each, the repair mends them, and queries give the rows again.
func TestCheckAndRepair(t *testing.T) {
	t.Parallel()
	p := startPair(t, 2)
	n := p.Nodes[0]
	p.createBacked("events", true)
	n.write(t, numbered("events", 0, 300))
	p.trigger(object{"table": "events"})
	p.waitBackedUp()
	want := n.fingerprint(t, "events")
	n.check(t, 0, "nothing is wrong")

	files := slices.Sorted(keysOf(objects(t, p.main, mainBucket)))
	remove := func(c *minio.Client, bucket, key string) {
		if err := c.RemoveObject(t.Context(), bucket, key, minio.RemoveObjectOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	put := func(key string, data []byte) {
		if _, err := p.main.PutObject(t.Context(), mainBucket, key, bytes.NewReader(data), int64(len(data)), minio.PutObjectOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	get := func(key string) []byte {
		o, err := p.main.GetObject(t.Context(), mainBucket, key, minio.GetObjectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer o.Close()
		data, err := io.ReadAll(o)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	remove(p.main, mainBucket, files[0])
	put(files[1], []byte("spoilt"))
	put(files[2], get(files[3]))
	remove(p.another, spareBucket, files[4])
	orphan := "events/id-0/2023-11-14/1700000000000000000.parquet"
	put(orphan, get(files[5]))
	p.createBacked("dropped", false)
	n.do(t, "DELETE", "/v1/tables/dropped?cascade=true", "", nil).want(t, 200)
	put("dropped/id-0/2023-11-14/1700000000000000000.parquet", get(files[5]))
	ctx := t.Context()
	index := "index:table:events:files"
	for i, change := range map[int][2]string{6: {`"rows":`, `"rows":1`}, 7: {`"bytes":`, `"bytes":9`}, 8: {`"day":"2023`, `"day":"2024`}, 9: {`"schema_version":`, `"schema_version":7`}} {
		text, err := p.Redis.HGet(ctx, index, files[i]).Result()
		if err == nil {
			err = p.Redis.HSet(ctx, index, files[i], strings.Replace(text, change[0], change[1], 1)).Err()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Redis.ZRemRangeByRank(ctx, "cluster:hash_ring", 0, 9).Err(); err != nil {
		t.Fatal(err)
	}

	kinds := []string{"missing-object", "2 damaged-object", "backup-missing", "2 orphan-object", "wrong-rows", "wrong-size", "wrong-bounds", "wrong-schema", "wrong-statistics", "wrong-ring"}
	n.check(t, 1, kinds...)
	n.metaTool(t, 1, append(kinds, "would be repaired"), "meta", "repair", "--all", "--min-age", "1ms", "--dry-run")
	n.metaTool(t, 2, []string{"--yes"}, "meta", "repair", "--all", "--min-age", "1ms")
	n.check(t, 1, kinds...)
	n.metaTool(t, 0, append(kinds, "repaired"), "meta", "repair", "--all", "--min-age", "1ms", "--yes")
	n.check(t, 0, "nothing is wrong")
	n.metaTool(t, 0, []string{"nothing is wrong"}, "meta", "repair", "--all", "--min-age", "1ms", "--yes")
	for _, n := range p.Nodes {
		wantSame(t, n.fingerprint(t, "events"), want)
		wantNumbered(t, n, "events", 300)
	}
	day := time.Now().UTC().Format(time.DateOnly)
	for _, key := range []string{orphan, orphan + ".json", files[1]} {
		if _, err := p.main.StatObject(ctx, mainBucket, "quarantine/"+day+"/"+key, minio.StatObjectOptions{}); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
	n.metaTool(t, 0, []string{"repair"}, "meta", "history")
	n.write(t, numbered("events", 300, 100))
	wantNumbered(t, p.Nodes[1], "events", 400)

	body := n.post(t, "/v1/meta/check", object{"scope": object{"tables": []string{"events"}, "all_footers": true}})
	if body.Status != http.StatusOK || !strings.Contains(string(body.Body), "nothing is wrong") {
		t.Errorf("REST: %d %s", body.Status, body.Body)
	}
	n.post(t, "/v1/meta/repair", object{"policy": object{"orphan-object": "delete"}}).wantError(t, 400, "INVALID_ARGUMENT", "quarantine")
	n.post(t, "/v1/meta/check", object{"scope": object{"tables": []string{"nosuch"}}}).wantError(t, 404, "NOT_FOUND", "nosuch")
	n.metaTool(t, 1, []string{"nosuch"}, "meta", "check", "--table", "nosuch")
	n.metaTool(t, 2, []string{"--min-age"}, "meta", "check", "--min-age", "-1h")
}

// TestCheckOfEveryShape finds nothing wrong with files of all kinds of tables
// on one node without Redis: loads with and without id and time, buckets,
// nested columns, schemas that grew.
func TestCheckOfEveryShape(t *testing.T) {
	t.Parallel()
	n := startNode(t, "shapes")
	for _, sql := range []string{
		`CREATE TABLE plain AS SELECT i AS a, i::TINYINT AS t, i::UINTEGER AS u, i / 2 AS d, i::DECIMAL(12,2) AS m, i::DECIMAL(30,3) AS big, i::FLOAT AS f, 'text ' || i AS s,
			i % 2 = 0 AS b, DATE '2024-01-01' + i::INTEGER AS day, TIMESTAMP '2024-01-01' + INTERVAL (i) HOUR AS ts, TIMESTAMPTZ '2024-01-01 00:00:00+00' + INTERVAL (i) MINUTE AS tz,
			{'x': i, 'y': [i, i + 1]} AS st, [i, NULL] AS l, MAP {'k': i} AS mp, CASE WHEN i > 3 THEN i END AS sometimes, NULL AS never, 'x'::BLOB AS bl, uuid() AS id, TIME '10:00:00' AS tm,
			CASE WHEN i = 2 THEN 'nan'::DOUBLE ELSE i END AS odd, repeat('long ', 20) || i AS long
			FROM range(100) r(i)`,
		`CREATE TABLE parted (k VARCHAR, t TIMESTAMP, v BIGINT) WITH (id = k, time = t)`,
		`INSERT INTO parted SELECT 'key ' || i % 7, TIMESTAMP '2024-01-01' + INTERVAL (i) HOUR, i FROM range(500) r(i)`,
		`INSERT INTO parted VALUES (NULL, NULL, 1), ('key 1', NULL, 2), ('', TIMESTAMP '2024-01-01', 3)`,
		`CREATE TABLE numbered (k INTEGER, t DATE, v BIGINT) WITH (id = k, time = t)`,
		`INSERT INTO numbered SELECT i % 5, DATE '2024-01-01' + (i % 3)::INTEGER, i FROM range(100) r(i)`,
		`CREATE TABLE bucketed (k VARCHAR, t TIMESTAMPTZ, v BIGINT) WITH (id = k, time = t, id_buckets = 4)`,
		`INSERT INTO bucketed SELECT 'key ' || i, TIMESTAMPTZ '2024-01-01 00:00:00+00' + INTERVAL (i) SECOND, i FROM range(1000) r(i)`,
		`CREATE TABLE nanos (k VARCHAR, t TIMESTAMP_NS, v BIGINT) WITH (id = k, time = t)`,
		`INSERT INTO nanos SELECT 'k', make_timestamp_ns(1704067200000000001 + i), i FROM range(10) r(i)`,
	} {
		if got := n.post(t, "/v1/query", object{"sql": sql}); got.Status != http.StatusOK {
			t.Fatalf("%.60s: %d %s", sql, got.Status, got.Body)
		}
	}
	n.createTable(t, "grown", 2000, 1)
	for i, payload := range []object{{"n": 1}, {"n": 2, "s": "x"}, {"n": 2.5}, {"n": "text"}, {"o": object{"deep": []int{1}}}, {"id": "own", "timestamp": "own"}} {
		n.write(t, []record{{"grown", fmt.Sprintf("ü/%d", i%2), "2024-01-15T10:00:00.123456Z", payload}})
		waitFor(t, 20*time.Second, "the row is flushed", func() (bool, string) {
			_, files := n.stats(t, "grown")
			return files == int64(i+1), fmt.Sprint(files)
		})
	}
	n.metaTool(t, 0, []string{"nothing is wrong", " footers read"}, "meta", "check", "--deep", "--min-age", "1ms")
	n.metaTool(t, 0, []string{"nothing is wrong"}, "meta", "repair", "--deep", "--min-age", "1ms", "--yes")
	o := n.tool(t, "", "meta", "check", "--deep")
	t.Log(o.Stdout)
}

// TestRepairOfLostCatalog empties Redis: a repair must not take the files of
// the tables that it does not know any more for orphans.
func TestRepairOfLostCatalog(t *testing.T) {
	t.Parallel()
	p := startPair(t, 1)
	n := p.Nodes[0]
	p.createBacked("events", true)
	n.write(t, numbered("events", 0, 100))
	p.trigger(object{"table": "events"})
	p.waitBackedUp()
	before := objects(t, p.main, mainBucket)
	if err := p.Redis.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	n.metaTool(t, 1, nil, "meta", "repair", "--all", "--min-age", "1ms", "--yes")
	wantSame(t, objects(t, p.main, mainBucket), before)
}
