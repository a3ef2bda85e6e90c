package check_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"skein/coordinator/repair"
	"skein/internal/duck"
	"skein/internal/realtest"
	"skein/meta"
	"skein/meta/check"
	"skein/meta/redismeta"
	"skein/objstore"
	"skein/objstore/s3"
	"skein/objstore/transfer"
	nodev1 "skein/proto/node/v1"
	"skein/worker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	nodeID = "n1"
	day1   = "2023-11-14"
	second = 1_000_000 // of timestamps
	start  = 1_700_000_000 * second
)

// house is a worker over a real Redis and two real MinIOs.
type house struct {
	t       testing.TB
	dir     string
	redis   *redis.Client
	catalog *redismeta.Store
	main    *s3.Store
	spare   *s3.Store
	queue   *redismeta.Queue
	db      *duck.DB
	w       *worker.Worker
	checks  *repair.Service
}

func newHouse(t testing.TB) *house {
	t.Helper()
	h := &house{t: t, dir: t.TempDir()}
	server := realtest.StartRedis(t)
	h.redis = redis.NewClient(&redis.Options{Addr: server.Addr})
	t.Cleanup(func() { h.redis.Close() })
	var err error
	h.catalog, err = redismeta.Open(t.Context(), "redis://"+server.Addr, redismeta.Options{})
	h.must(err)
	t.Cleanup(func() { h.catalog.Close() })
	h.queue = h.catalog.Queue("backup")
	h.main, h.spare = h.store("olap-data"), h.store("olap-backup")
	h.db, err = duck.Open(duck.Options{AllowedDirs: []string{h.dir}, Threads: 2})
	h.must(err)
	t.Cleanup(h.db.Close)
	h.w, err = worker.New(worker.Deps{Meta: h.catalog, Objects: h.main, DB: h.db}, worker.Options{NodeID: nodeID, Dir: filepath.Join(h.dir, "worker")})
	h.must(err)
	h.w.Start(t.Context())
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		h.must(h.w.Close(ctx))
	})
	h.beat(nodeID)
	h.must(h.catalog.SetRing(t.Context(), meta.NewRing([]string{nodeID})))
	h.checks = repair.New(repair.Deps{Catalog: h.catalog, Primary: h.main, Backup: h.spare, Queues: []repair.Queue{h.queue}})
	return h
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) store(bucket string) *s3.Store {
	h.t.Helper()
	m := realtest.StartMinIO(h.t)
	s, err := s3.Open(h.t.Context(), s3.Options{Endpoint: m.Endpoint, AccessKey: m.AccessKey, SecretKey: m.SecretKey, Bucket: bucket})
	h.must(err)
	h.t.Cleanup(func() { s.Close() })
	return s
}

func (h *house) beat(id string) {
	h.t.Helper()
	h.must(h.catalog.Heartbeat(h.t.Context(), meta.Node{ID: id, Address: "127.0.0.1:1", Roles: []string{"worker"}, Started: time.Now()}))
}

func (h *house) create(table string, backup bool) {
	h.t.Helper()
	s := meta.Schema{Columns: []meta.Column{{Name: "id", Type: meta.Type{Kind: "VARCHAR"}}, {Name: "timestamp", Type: meta.Type{Kind: "TIMESTAMP WITH TIME ZONE"}}},
		IDColumn: "id", TimeColumn: "timestamp", Records: true}
	h.must(h.catalog.CreateTable(h.t.Context(), meta.Table{Name: table, UID: table + "-uid", Created: time.Now(), Schemas: []meta.Schema{s},
		Config: meta.Config{BackupEnabled: backup, BufferSize: 1 << 20, FlushIntervalSeconds: 3600}}))
}

// write appends n rows from number first on, of three ids.
func (h *house) write(table string, first, n int) {
	h.t.Helper()
	var records []*nodev1.Record
	for i := first; i < first+n; i++ {
		records = append(records, &nodev1.Record{Id: fmt.Sprintf("id-%d", i%3), TimestampUs: start + int64(i)*second,
			Payload: fmt.Appendf(nil, `{"n": %d, "x": %d.5, "text": "row %d"}`, i, i, i)})
	}
	h.must(h.w.Append(h.t.Context(), &nodev1.AppendRequest{Table: table, TableUid: table + "-uid", Records: records}))
}

func (h *house) flush(table string) {
	h.t.Helper()
	h.must(h.w.Flush(h.t.Context(), table))
}

// fill makes a table with 30 rows in three files, which are in the backup too.
func (h *house) fill(table string) []meta.File {
	h.t.Helper()
	h.create(table, true)
	h.write(table, 0, 30)
	h.flush(table)
	files := h.files(table)
	if len(files) != 3 {
		h.t.Fatalf("%d files", len(files))
	}
	for _, f := range files {
		h.backUp(f.Path)
	}
	return files
}

func (h *house) backUp(path string) {
	h.t.Helper()
	_, err := transfer.Copy(h.t.Context(), h.main, h.spare, path)
	h.must(err)
}

func (h *house) files(table string) []meta.File {
	h.t.Helper()
	l, err := h.catalog.Listing(h.t.Context(), table)
	h.must(err)
	return l.Files
}

// change changes an entry, and the statistics with it.
func (h *house) change(table string, f meta.File, change func(*meta.File)) {
	h.t.Helper()
	change(&f)
	h.commit(table, f)
}

func (h *house) commit(table string, add ...meta.File) {
	h.t.Helper()
	h.must(h.catalog.Commit(h.t.Context(), meta.Commit{Table: table, TableUID: table + "-uid", Unit: "test-" + fmt.Sprint(time.Now().UnixNano()), Add: add}))
}

func (h *house) put(s objstore.Store, key string, data []byte) {
	h.t.Helper()
	h.must(s.Put(h.t.Context(), key, bytes.NewReader(data), int64(len(data))))
}

func (h *house) get(s objstore.Store, key string) []byte {
	h.t.Helper()
	body, err := s.Get(h.t.Context(), key, 0, -1)
	h.must(err)
	defer body.Close()
	data, err := io.ReadAll(body)
	h.must(err)
	return data
}

func (h *house) keys(s objstore.Store, prefix string) []string {
	h.t.Helper()
	var keys []string
	for o, err := range s.List(h.t.Context(), prefix) {
		h.must(err)
		keys = append(keys, o.Key)
	}
	return keys
}

// rows is the number of a table's rows in files and a hash of them, as DuckDB
// reads them.
func (h *house) rows(table string) string {
	h.t.Helper()
	dir, err := os.MkdirTemp(h.dir, "rows")
	h.must(err)
	var paths []string
	for i, f := range h.files(table) {
		path := filepath.Join(dir, fmt.Sprintf("%d.parquet", i))
		h.must(os.WriteFile(path, h.get(h.main, f.Path), 0o600))
		paths = append(paths, duck.Literal(path))
	}
	conn, err := h.db.Conn(h.t.Context())
	h.must(err)
	defer conn.Close()
	got, err := conn.Strings(h.t.Context(), "SELECT count(*), bit_xor(hash(id, timestamp, n, x, text)) FROM read_parquet(["+strings.Join(paths, ", ")+"], union_by_name = true)")
	h.must(err)
	return strings.Join(got[0], " ")
}

// options look at every footer, and at objects of any age.
func options() check.Options {
	return check.Options{AllFooters: true, MinAge: time.Millisecond, Parallel: 4, Who: "tester"}
}

func (h *house) run(o check.Options) check.Result {
	h.t.Helper()
	r, err := h.checks.Run(h.t.Context(), o)
	h.must(err)
	if r.Unread > 0 {
		h.t.Errorf("%d objects are unread: %s", r.Unread, r.UnreadWhy)
	}
	return r
}

// found is kind and path of the findings.
func found(r check.Result) []string {
	var all []string
	for _, f := range r.Findings {
		all = append(all, string(f.Kind)+" "+f.Path)
	}
	slices.Sort(all)
	return all
}

// temp is the quoted path of a temporary file.
func (h *house) temp(name string, data []byte) string {
	h.t.Helper()
	dir, err := os.MkdirTemp(h.dir, "temp")
	h.must(err)
	path := filepath.Join(dir, name+".parquet")
	if data != nil {
		h.must(os.WriteFile(path, data, 0o600))
	}
	return duck.Literal(path)
}

func (h *house) read(quoted string) []byte {
	h.t.Helper()
	data, err := os.ReadFile(strings.Trim(quoted, "'"))
	h.must(err)
	return data
}
