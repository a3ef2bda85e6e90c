package pool_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"skein/internal/realtest"
	"skein/objstore"
	"skein/objstore/pool"
	"skein/objstore/s3"
	"skein/objstore/transfer"
)

// site is one MinIO behind a proxy that can spoil it.
type site struct {
	*realtest.MinIOServer
	bucket string
	proxy  *realtest.Proxy
}

func startSite(t *testing.T, bucket string) *site {
	m := realtest.StartMinIO(t)
	return &site{MinIOServer: m, bucket: bucket, proxy: realtest.StartProxy(t, m.Endpoint)}
}

func (s *site) open(t *testing.T, change func(*s3.Options)) *s3.Store {
	t.Helper()
	o := s3.Options{Endpoint: s.proxy.URL, AccessKey: s.AccessKey, SecretKey: s.SecretKey, Bucket: s.bucket,
		AttemptsMax: 1, DialTimeout: time.Second, StallTimeout: 20 * time.Second}
	if change != nil {
		change(&o)
	}
	store, err := s3.New(o)
	must(t, err)
	t.Cleanup(func() { must(t, store.Close()) })
	return store
}

// load reads and writes by several nodes until it is stopped.
type load struct {
	t        *testing.T
	nodes    []*pool.Pool
	queue    transfer.Queue // of what is to be copied to the backup
	quiet    atomic.Bool    // no writes
	old      []string       // keys that are in both sets
	stop     chan struct{}
	wg       sync.WaitGroup
	mu       sync.Mutex
	stored   []string // keys acknowledged
	reads    int
	readErrs []error
	putErrs  []error
	slowest  time.Duration // of one read
}

const objectBytes = 200 << 10

func content(key string) []byte {
	return bytes.Repeat([]byte(fmt.Sprintf("%-32s", key)), objectBytes/32)
}

func putObject(ctx context.Context, s objstore.Store, key string) error {
	return s.Put(ctx, key, bytes.NewReader(content(key)), objectBytes)
}

func (l *load) start() {
	l.stop = make(chan struct{})
	for i := range 4 {
		l.wg.Go(func() { l.repeat(func(int) { l.read(l.nodes[i%len(l.nodes)]) }) })
	}
	for i := range 2 {
		l.wg.Go(func() { l.repeat(func(n int) { l.write(l.nodes[i], fmt.Sprintf("t/new-%d/%d", i, n)) }) })
	}
}

func (l *load) repeat(f func(n int)) {
	for n := 0; ; n++ {
		select {
		case <-l.stop:
			return
		case <-time.After(20 * time.Millisecond):
			f(n)
		}
	}
}

func (l *load) read(p *pool.Pool) {
	l.mu.Lock()
	key := l.old[rand.IntN(len(l.old))]
	l.mu.Unlock()
	start := time.Now()
	text, err := get(l.t.Context(), p, key)
	took := time.Since(start)
	if err == nil && text != string(content(key)) {
		err = fmt.Errorf("%s: wrong bytes", key)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads++
	l.slowest = max(l.slowest, took)
	if err != nil {
		l.readErrs = append(l.readErrs, err)
	}
}

func (l *load) write(p *pool.Pool, key string) {
	if l.quiet.Load() {
		return
	}
	err := putObject(l.t.Context(), p, key)
	if err == nil {
		err = transfer.QueueCopies(l.t.Context(), l.queue, key)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.putErrs = append(l.putErrs, err)
		return
	}
	l.stored = append(l.stored, key)
}

// TestFaults loses the primary MinIO in several ways under load: reads go on
// within two seconds, nothing that was acknowledged is lost, and in the end
// both sets hold the same.
func TestFaults(t *testing.T) {
	primary, backup := startSite(t, "olap-data"), startSite(t, "olap-backup")
	catalog := openCatalog(t, realtest.Redis(t))
	for _, c := range []struct {
		name        string
		spoil, heal func()
		local       bool // it may pass without a failover of all
		quiet       bool // everything is in the backup before it happens
	}{
		{"killed", primary.Kill, primary.Start, false, false},
		{"paused", primary.Pause, primary.Resume, false, false},
		{"slow", func() { primary.proxy.Speed.Store(50 << 10) }, func() { primary.proxy.Speed.Store(0) }, true, false},
		{"refuses", func() { primary.proxy.Refuse.Store(true) }, func() { primary.proxy.Refuse.Store(false) }, false, false},
		{"bucket-deleted", func() { primary.deleteBucket(t) }, func() {}, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, a, b := startLoad(t, catalog.Queue("backup-"+c.name), func(node string) *pool.Agreement {
				return &pool.Agreement{Node: node, Switch: catalog.Register("switch:" + c.name), Votes: catalog.Votes("votes:" + c.name),
					Lease: catalog.Lease(c.name), Journal: catalog.Queue("return-" + c.name)}
			}, primary, backup)
			time.Sleep(500 * time.Millisecond)
			if c.quiet {
				l.quiet.Store(true)
				time.Sleep(200 * time.Millisecond)
				l.drain(a, b)
			}
			c.spoil()
			if !c.local {
				took := waitFor(t, "failover", 15*time.Second, func() bool { return l.nodes[0].State().Mode == pool.Backup })
				t.Logf("failover agreed after %s", took)
			}
			l.quiet.Store(false)
			time.Sleep(3 * time.Second)
			c.heal()
			took := waitFor(t, "return", 20*time.Second, func() bool {
				s := l.nodes[0].Status(t.Context())
				return s.State.Mode == pool.Primary && s.PrimaryUp && s.Pending == 0
			})
			l.finish(took, a, b)
		})
	}
}

func (s *site) deleteBucket(t *testing.T) {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client, err := minio.New(strings.TrimPrefix(s.Endpoint, "http://"), &minio.Options{
		Creds: credentials.NewStaticV4(s.AccessKey, s.SecretKey, ""), Transport: transport})
	must(t, err, client.RemoveBucketWithOptions(t.Context(), s.bucket, minio.RemoveBucketOptions{ForceDelete: true}))
}

// startLoad opens two nodes over new buckets with some objects in both sets.
func startLoad(t *testing.T, queue transfer.Queue, agree func(string) *pool.Agreement, primary, backup *site) (l *load, a, b *s3.Store) {
	name := strings.ToLower(strings.ReplaceAll(t.Name(), "/", "-"))
	primary.bucket, backup.bucket = name+"-data", name+"-backup"
	a, b = primary.open(t, nil), backup.open(t, nil)
	must(t, a.MakeBucket(t.Context()), b.MakeBucket(t.Context()))
	l = &load{t: t, queue: queue}
	for i := range 30 {
		key := fmt.Sprintf("t/old/%d", i)
		l.old = append(l.old, key)
		must(t, putObject(t.Context(), a, key), putObject(t.Context(), b, key))
	}
	for i := range 2 {
		l.nodes = append(l.nodes, openPool(t, pool.Options{
			Primary: []pool.Endpoint{{Name: "primary", Store: primary.open(t, nil)}}, Backup: []pool.Endpoint{{Name: "backup", Store: backup.open(t, nil)}},
			Agreement: agree(fmt.Sprint("n", i)), ProbeEvery: 300 * time.Millisecond,
		}))
	}
	l.start()
	t.Cleanup(func() {
		select {
		case <-l.stop:
		default:
			close(l.stop)
		}
		l.wg.Wait()
	})
	return l, a, b
}

// drain brings everything that is stored to the backup.
func (l *load) drain(a, b *s3.Store) {
	mover := transfer.NewMover(a, b, l.queue, transfer.Options{Poll: 50 * time.Millisecond})
	if parked, err := mover.Drain(l.t.Context()); parked != 0 || err != nil {
		l.t.Errorf("%d parked, %v", parked, err)
	}
}

// finish stops the load and checks that nothing is lost.
func (l *load) finish(returned time.Duration, a, b *s3.Store) {
	t := l.t
	close(l.stop)
	l.wg.Wait()
	t.Logf("%d reads, %d errors, slowest %s; %d objects stored, %d errors; return after %s",
		l.reads, len(l.readErrs), l.slowest, len(l.stored), len(l.putErrs), returned)
	for _, err := range append(l.readErrs, l.putErrs...)[:min(5, len(l.readErrs)+len(l.putErrs))] {
		t.Errorf("client saw: %v", err)
	}
	if l.slowest > 2500*time.Millisecond {
		t.Errorf("a read took %s", l.slowest)
	}
	l.drain(a, b)
	for _, key := range append(l.stored, l.old...) {
		if text, err := get(t.Context(), a, key); err != nil || text != string(content(key)) {
			t.Errorf("lost %s: %v", key, err)
		}
	}
	p, err := transfer.Sync(t.Context(), a, b, transfer.SyncOptions{Check: transfer.BySum, DryRun: true})
	if err != nil || p.Copied != 0 || p.Extra != 0 || p.Objects < int64(len(l.stored)+len(l.old)) {
		t.Errorf("the stores are not the same: %+v, %v", p, err)
	}
}

// Wrong credentials of the primary set: the node starts on the backup.
func TestWrongCredentials(t *testing.T) {
	primary, backup := startSite(t, "olap-data"), startSite(t, "olap-backup")
	catalog := openCatalog(t, realtest.Redis(t))
	wrong := primary.open(t, func(o *s3.Options) { o.SecretKey = "the-wrong-secret" })
	b := backup.open(t, nil)
	must(t, b.MakeBucket(t.Context()), putObject(t.Context(), b, "t/a"))
	p := openPool(t, pool.Options{Primary: []pool.Endpoint{{Name: "primary", Store: wrong}}, Backup: []pool.Endpoint{{Name: "backup", Store: b}},
		Agreement: agreement(catalog, "n1"), ProbeEvery: 100 * time.Millisecond})
	if text, err := get(t.Context(), p, "t/a"); err != nil || text != string(content("t/a")) {
		t.Error(err)
	}
	must(t, putObject(t.Context(), p, "t/b"))
	waitFor(t, "failover", 5*time.Second, func() bool { return p.State().Mode == pool.Backup })
	if s := p.Status(t.Context()); s.Pending != 1 || s.PrimaryUp || !strings.Contains(s.Endpoints[0].Why, "refuses") || strings.Contains(s.Endpoints[0].Why, "the-wrong-secret") {
		t.Errorf("status %+v", s)
	}
}
