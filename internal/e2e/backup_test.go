package e2e

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/redis/go-redis/v9"

	"skein/internal/realtest"
)

// pair is a cluster with a primary and a backup store.
type pair struct {
	*cluster
	Catalog       *realtest.Server // nil: several
	Main, Spare   *realtest.MinIOServer
	main, another *minio.Client
}

const mainBucket, spareBucket = "olap-data", "olap-backup"

// startPair starts Redis, two MinIOs and so many nodes, with further flags.
func startPair(t testing.TB, nodes int, flags ...string) *pair {
	t.Helper()
	return pairOf(t, realtest.StartMinIO(t), nodes, flags...)
}

// pairOf is startPair with a primary store that runs already.
func pairOf(t testing.TB, first *realtest.MinIOServer, nodes int, flags ...string) *pair {
	t.Helper()
	catalog := realtest.StartRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	p := pairOn(t, redis.NewClient(&redis.Options{Addr: catalog.Addr}), "redis://"+catalog.Addr+"/0", first, nodes, flags...)
	p.Catalog = catalog
	return p
}

// pairOn is pairOf with a catalog that runs already, as --redis takes it.
func pairOn(t testing.TB, client redis.UniversalClient, url string, first *realtest.MinIOServer, nodes int, flags ...string) *pair {
	t.Helper()
	p := &pair{Main: first, Spare: realtest.StartMinIO(t)}
	p.main, p.another = storeClient(t, p.Main), storeClient(t, p.Spare)
	p.cluster = &cluster{t: t, Redis: client, Store: p.Main,
		flags: append(flags, "--redis", url, "--s3", p.Main.Endpoint, "--s3-access-key", p.Main.AccessKey,
			"--s3-backup", p.Spare.Endpoint, "--s3-backup-access-key", p.Spare.AccessKey),
		env: []string{"SKEIN_S3_SECRET_KEY=" + p.Main.SecretKey, "SKEIN_S3_BACKUP_SECRET_KEY=" + p.Spare.SecretKey}}
	t.Cleanup(func() { p.Redis.Close() })
	for range nodes {
		p.add()
	}
	p.waitNodes(nodes)
	return p
}

func storeClient(t testing.TB, m *realtest.MinIOServer) *minio.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := minio.New(m.Addr, &minio.Options{Creds: credentials.NewStaticV4(m.AccessKey, m.SecretKey, ""), Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// objects are the keys of a bucket's Parquet files with size and ETag.
func objects(t testing.TB, c *minio.Client, bucket string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for o := range c.ListObjects(t.Context(), bucket, minio.ListObjectsOptions{Recursive: true}) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		if strings.HasSuffix(o.Key, ".parquet") {
			all[o.Key] = fmt.Sprint(o.Size, " ", o.ETag)
		}
	}
	return all
}

// empty deletes all objects of a bucket whose key begins with prefix.
func empty(t testing.TB, c *minio.Client, bucket, prefix string) (deleted int) {
	t.Helper()
	for o := range c.ListObjects(t.Context(), bucket, minio.ListObjectsOptions{Recursive: true, Prefix: prefix}) {
		if o.Err == nil {
			o.Err = c.RemoveObject(t.Context(), bucket, o.Key, minio.RemoveObjectOptions{})
		}
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		deleted++
	}
	return deleted
}

// waitBackedUp waits until nothing is queued.
func (p *pair) waitBackedUp() {
	p.t.Helper()
	waitFor(p.t, 30*time.Second, "all files are backed up", func() (bool, string) {
		n, err := p.Redis.HLen(context.Background(), "{queue:backup}:items").Result()
		return err == nil && n == 0, fmt.Sprint(n, err)
	})
}

// fingerprint is the number of a table's rows and a hash of all of them.
func (n *node) fingerprint(t testing.TB, table string) string {
	t.Helper()
	return n.row(t, "SELECT count(*) AS c, coalesce(bit_xor(hash(r)), 0)::VARCHAR AS h FROM "+table+" AS r", "c", "h")
}

func (p *pair) createBacked(name string, enabled bool) {
	p.t.Helper()
	p.Nodes[0].post(p.t, "/v1/tables", object{"table_name": name, "config": object{
		"buffer_size": neverRows, "flush_interval_seconds": neverSeconds, "backup_enabled": enabled}}).want(p.t, http.StatusOK)
}

func (p *pair) trigger(body object) map[string]any {
	p.t.Helper()
	return p.Nodes[0].post(p.t, "/v1/backup/trigger", body).want(p.t, http.StatusOK)
}

func (p *pair) recover(body object) map[string]any {
	p.t.Helper()
	return p.Nodes[0].post(p.t, "/v1/backup/recover", body).want(p.t, http.StatusOK)
}

// TestBackupAndRecovery backs a table up by hand, by id and by day, spoils the
// primary store and brings everything back.
func TestBackupAndRecovery(t *testing.T) {
	t.Parallel()
	p := startPair(t, 2, "--backup-history", "1h")
	n := p.Nodes[0]
	p.createBacked("events", false)
	n.write(t, numbered("events", 0, 400))
	want := n.fingerprint(t, "events")

	if got := p.trigger(object{"table": "events", "id": "id-7", "day": "2023-11-13"}); number(t, got["files_backed_up"]) != 0 {
		t.Errorf("no file is of that id and day: %v", got) // the rows begin on the 14th
	}
	one := p.trigger(object{"table": "events", "id": "id-8"})
	if got := objects(t, p.another, spareBucket); number(t, one["files_backed_up"]) != 1 || len(got) != 1 {
		t.Errorf("one id: %v, %v", one, got)
	}
	all := p.trigger(object{"table": "events"})
	files := objects(t, p.main, mainBucket)
	if number(t, all["files_backed_up"]) != int64(len(files)) || len(files) != numberedIDs {
		t.Errorf("%v; %d files", all, len(files))
	}
	wantSame(t, objects(t, p.another, spareBucket), files)
	wantSame(t, p.trigger(object{"table": "events"})["files_backed_up"], fmt.Sprint(len(files)))
	p.verify("events", 0, "200 files and 400 rows")

	o := n.tool(t, "", "backup", "restore", "--dry-run")
	if o.Exit != 0 || !strings.Contains(o.Stdout, "200 files: 0 would be copied") {
		t.Errorf("dry run: exit %d: %s%s", o.Exit, o.Stdout, o.Stderr)
	}
	key := slices.Sorted(keysOf(files))[0]
	if _, err := p.main.PutObject(t.Context(), mainBucket, key, strings.NewReader("spoilt"), 6, minio.PutObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	lost := empty(t, p.main, mainBucket, "events/id-1")
	if _, spoilt := files["events/id-1/"]; spoilt || lost < 100 {
		t.Fatalf("%d objects deleted", lost)
	}
	got := p.recover(object{"table": "events", "backup_source": "backup"})
	if n := number(t, got["files_recovered"]); n < int64(lost) || n > int64(lost)+1 {
		t.Errorf("%d objects were lost: %v", lost, got)
	}
	wantSame(t, objects(t, p.main, mainBucket), files)
	for _, n := range p.Nodes {
		wantSame(t, n.fingerprint(t, "events"), want)
	}
	wantSame(t, p.recover(object{"table": "events"})["files_recovered"], "0")

	n.post(t, "/v1/backup/trigger", object{"table": "nosuch"}).wantError(t, 404, "NOT_FOUND", "nosuch")
	n.post(t, "/v1/backup/recover", object{"table": "nosuch"}).wantError(t, 404, "NOT_FOUND", "nosuch")
	n.post(t, "/v1/backup/recover", object{"table": "events", "backup_source": "http://elsewhere:9000"}).wantError(t, 400, "INVALID_ARGUMENT", "source")
	n.post(t, "/v1/backup/recover", object{"table": "events", "target_date": "2020-01-01"}).wantError(t, 404, "NOT_FOUND", "oldest")
	n.post(t, "/v1/backup/trigger", object{"day": "2020-01-01"}).wantError(t, 400, "INVALID_ARGUMENT")

	if lost := empty(t, p.another, spareBucket, "events/id-1"); lost < 100 {
		t.Fatalf("%d objects deleted", lost)
	}
	p.verify("events", 1, "111 files would not")
	o = n.tool(t, "", "backup", "status")
	for _, word := range []string{"primary is in charge", "restore", "verify", "events"} {
		if !strings.Contains(o.Stdout, word) {
			t.Errorf("status lacks %q: %s%s", word, o.Stdout, o.Stderr)
		}
	}
	o = n.tool(t, "", "backup", "run", "--table", "events")
	if o.Exit != 0 || !strings.Contains(o.Stdout, "111 of them copied") {
		t.Errorf("run: exit %d: %s%s", o.Exit, o.Stdout, o.Stderr)
	}
	health := n.get(t, "/v1/health").want(t, 200)
	minioHealth := health["component_status"].(map[string]any)["minio"].(map[string]any)
	if !strings.Contains(fmt.Sprint(minioHealth["message"]), "primary: 1 of 1 endpoints") {
		t.Errorf("health: %v", health)
	}
}

func keysOf(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// verify runs skein backup verify and wants its exit code and words.
func (p *pair) verify(table string, exit int, words string) {
	p.t.Helper()
	for _, more := range [][]string{nil, {"--deep"}} {
		o := p.Nodes[0].tool(p.t, "", append([]string{"backup", "verify", "--table", table}, more...)...)
		if o.Exit != exit || !strings.Contains(o.Stdout+o.Stderr, words) {
			p.t.Errorf("verify %v: exit %d: %s%s", more, o.Exit, o.Stdout, o.Stderr)
		}
	}
}

// TestWholePrimaryBucketDeleted deletes the primary bucket with all its
// objects and brings all tables back, and one that was dropped before.
func TestWholePrimaryBucketDeleted(t *testing.T) {
	t.Parallel()
	p := startPair(t, 2)
	n := p.Nodes[0]
	tables := []string{"alpha", "beta", "gamma"}
	want := map[string]string{}
	for i, table := range tables {
		p.createBacked(table, i > 0) // the first is backed up by hand alone
		n.write(t, numbered(table, i*50, 300+i))
		want[table] = n.fingerprint(t, table)
	}
	if o := n.tool(t, "", "backup", "run"); o.Exit != 0 {
		t.Fatalf("run: exit %d: %s", o.Exit, o.Stderr)
	}
	p.waitBackedUp()
	before := objects(t, p.main, mainBucket)
	n.do(t, "DELETE", "/v1/tables/gamma?cascade=true", "", nil).want(t, 200)

	empty(t, p.main, mainBucket, "")
	if err := p.main.RemoveBucket(t.Context(), mainBucket); err != nil {
		t.Fatal(err)
	}
	o := n.tool(t, "", "backup", "restore", "--dropped")
	if o.Exit != 0 {
		t.Fatalf("restore: exit %d: %s%s\n%s", o.Exit, o.Stdout, o.Stderr, n.logTail())
	}
	t.Log(o.Stdout)
	waitFor(t, 60*time.Second, "the primary is in charge again", func() (bool, string) {
		text, err := p.Redis.HGet(t.Context(), "pool:minio:switch", "value").Result()
		return err != nil || strings.Contains(text, `"primary"`), text
	})
	for _, n := range p.Nodes {
		for _, table := range tables {
			wantSame(t, n.fingerprint(t, table), want[table])
		}
	}
	wantSame(t, objects(t, p.main, mainBucket), before)
	wantSame(t, objects(t, p.another, spareBucket), before)
	n.write(t, numbered("gamma", 1000, 10))
	if rows, _ := n.stats(t, "gamma"); rows != 312 {
		t.Errorf("gamma has %d rows", rows)
	}
}

// TestBackInTime writes, remembers a moment, writes and drops, and goes back
// to the moment, and forth again.
func TestBackInTime(t *testing.T) {
	t.Parallel()
	p := startPair(t, 1)
	n := p.Nodes[0]
	p.createBacked("events", true)
	n.write(t, numbered("events", 0, 200))
	p.trigger(object{"table": "events"})
	early := n.fingerprint(t, "events")
	moment := time.Now().UTC().Format(time.RFC3339Nano)
	n.write(t, numbered("events", 200, 300))
	late := n.fingerprint(t, "events")

	o := n.tool(t, "", "backup", "restore", "--table", "events", "--at", moment, "--dry-run")
	if o.Exit != 0 || n.fingerprint(t, "events") != late {
		t.Errorf("dry run: exit %d: %s%s", o.Exit, o.Stdout, o.Stderr)
	}
	p.recover(object{"table": "events", "target_date": moment})
	wantSame(t, n.fingerprint(t, "events"), early)
	p.recover(object{"table": "events", "target_date": moment})
	wantSame(t, n.fingerprint(t, "events"), early)
	// The step back saved the state before it.
	keys := p.indexCopies("events")
	if len(keys) < 2 {
		t.Fatalf("copies of the index: %v", keys)
	}
	p.recover(object{"table": "events", "target_date": keys[1].Format(time.RFC3339Nano)})
	wantSame(t, n.fingerprint(t, "events"), late)
	p.recover(object{"table": "events", "target_date": time.Now().UTC().Format(time.DateOnly)}) // not over: now
	wantSame(t, n.fingerprint(t, "events"), late)

	p.waitBackedUp()
	n.do(t, "DELETE", "/v1/tables/events?cascade=true", "", nil).want(t, 200)
	n.post(t, "/v1/query", object{"sql": "SELECT * FROM events"}).wantError(t, 404, "NOT_FOUND")
	p.recover(object{"table": "events"})
	wantSame(t, n.fingerprint(t, "events"), late)
	p.waitBackedUp() // the deletions that the drop has queued are not waiting any more
	p.recover(object{"table": "events", "target_date": moment})
	wantSame(t, n.fingerprint(t, "events"), early)

	n.do(t, "DELETE", "/v1/tables/events?cascade=true", "", nil).want(t, 200)
	p.createBacked("events", true)
	n.post(t, "/v1/backup/recover", object{"table": "events", "target_date": moment}).wantError(t, 409, "FAILED_PRECONDITION", "drop it first")
}

// indexCopies are the moments of the copies of a table's index.
func (p *pair) indexCopies(table string) []time.Time {
	p.t.Helper()
	var all []time.Time
	for o := range p.another.ListObjects(p.t.Context(), spareBucket, minio.ListObjectsOptions{Recursive: true, Prefix: "metadata/tables/" + table + "/"}) {
		var ns int64
		name := o.Key[strings.LastIndexByte(o.Key, '/')+1:]
		if _, err := fmt.Sscanf(name, "%d.json.zst", &ns); err != nil || o.Err != nil {
			p.t.Fatal(o.Key, err, o.Err)
		}
		all = append(all, time.Unix(0, ns).UTC())
	}
	return all
}

// TestHistoryIsKept wants the index of a table with backup_enabled to be
// copied by itself, and when the table is dropped.
func TestHistoryIsKept(t *testing.T) {
	t.Parallel()
	p := startPair(t, 2, "--backup-history", "1s")
	n := p.Nodes[0]
	p.createFlushing("events")
	p.createBacked("plain", false)
	n.write(t, numbered("events", 0, 50))
	p.waitFlushed("events")

	waitFor(t, 20*time.Second, "the index is copied", func() (bool, string) {
		keys := p.indexCopies("events")
		return len(keys) > 1, fmt.Sprint(keys)
	})
	rows := n.fingerprint(t, "events")
	p.waitBackedUp()
	before := len(p.indexCopies("events"))
	n.do(t, "DELETE", "/v1/tables/events?cascade=true", "", nil).want(t, 200)
	n.do(t, "DELETE", "/v1/tables/plain?cascade=true", "", nil).want(t, 200)
	if after := len(p.indexCopies("events")); after <= before {
		t.Errorf("%d copies before the drop, %d after", before, after)
	}
	if keys := p.indexCopies("plain"); len(keys) > 0 {
		t.Errorf("copies of a table without backup: %v", keys)
	}
	p.recover(object{"table": "events"})
	wantSame(t, n.fingerprint(t, "events"), rows)
}
