package s3_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"skein/internal/fault"
	"skein/internal/realtest"
	"skein/objstore"
	"skein/objstore/objstoretest"
	"skein/objstore/s3"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, options s3.Options) *s3.Store {
	t.Helper()
	s, err := s3.Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func put(t testing.TB, s objstore.Store, key, text string) {
	t.Helper()
	if err := s.Put(t.Context(), key, strings.NewReader(text), int64(len(text))); err != nil {
		t.Fatal(err)
	}
}

var buckets atomic.Int64

// minioOptions are those of a running server and a new bucket.
func minioOptions(t testing.TB, m *realtest.MinIOServer) s3.Options {
	t.Helper()
	return s3.Options{
		Endpoint: m.Endpoint, AccessKey: m.AccessKey, SecretKey: m.SecretKey,
		Bucket: fmt.Sprintf("bucket-%d", buckets.Add(1)),
	}
}

func TestMinIO(t *testing.T) {
	m := realtest.StartMinIO(t)
	objstoretest.Run(t, func(t testing.TB) objstore.Store { return open(t, minioOptions(t, m)) })
}

// client is a plain one, to see what is really there.
func client(t *testing.T, options s3.Options) *minio.Client {
	t.Helper()
	transport, err := minio.DefaultTransport(false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := minio.New(strings.TrimPrefix(options.Endpoint, "http://"), &minio.Options{
		Creds:     credentials.NewStaticV4(options.AccessKey, options.SecretKey, ""),
		Transport: transport,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestMinIOServer(t *testing.T) {
	m := realtest.StartMinIO(t)
	for name, test := range map[string]func(*testing.T, *realtest.MinIOServer){
		"checksum":     checksum,
		"credentials":  wrongCredentials,
		"pages":        listPages,
		"large-failed": failedLargePut,
		"bucket-gone":  bucketGone,
		"metrics":      metricsShared,
	} {
		t.Run(name, func(t *testing.T) { test(t, m) })
	}
}

func checksum(t *testing.T, m *realtest.MinIOServer) {
	options := minioOptions(t, m)
	s := open(t, options)
	put(t, s, "small", "123456789")
	large := bytes.Repeat([]byte("x"), 17<<20)
	if err := s.Put(t.Context(), "large", bytes.NewReader(large), int64(len(large))); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"small", "large"} {
		info, err := client(t, options).StatObject(t.Context(), options.Bucket, key, minio.StatObjectOptions{Checksum: true})
		if err != nil || info.ChecksumCRC32C == "" {
			t.Errorf("%s: checksum %q, %v", key, info.ChecksumCRC32C, err)
		}
	}
}

func wrongCredentials(t *testing.T, m *realtest.MinIOServer) {
	for _, change := range []func(o *s3.Options){
		func(o *s3.Options) { o.AccessKey = "nobody-known" },
		func(o *s3.Options) { o.SecretKey = "the-wrong-secret" },
		func(o *s3.Options) { o.AccessKey, o.SecretKey = "", "" },
	} {
		options := minioOptions(t, m)
		change(&options)
		_, err := s3.Open(t.Context(), options)
		if fault.CodeOf(err) != fault.PermissionDenied || !strings.Contains(err.Error(), options.Endpoint) {
			t.Errorf("%v %v", fault.CodeOf(err), err)
		}
		wantNoSecrets(t, options, err)
	}
}

func listPages(t *testing.T, m *realtest.MinIOServer) {
	s := open(t, minioOptions(t, m))
	const objects = 1010 // a page has a thousand
	var want []string
	var group errgroup.Group
	group.SetLimit(16)
	for i := range objects {
		key := fmt.Sprintf("t/%d/%d", i%7, i)
		want = append(want, key)
		group.Go(func() error { return s.Put(t.Context(), key, strings.NewReader(""), 0) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	var got []string
	for info, err := range s.List(t.Context(), "t/") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, info.Key)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d objects, want %d in order", len(got), len(want))
	}
}

func failedLargePut(t *testing.T, m *realtest.MinIOServer) {
	options := minioOptions(t, m)
	s := open(t, options)
	const size = 30 << 20
	if err := s.Put(t.Context(), "short", io.LimitReader(zeros{}, size-1), size); err == nil {
		t.Error("a short reader passes")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := &cancelAfter{left: 20 << 20, cancel: cancel}
	if err := s.Put(ctx, "cancelled", r, size); fault.CodeOf(err) != fault.Canceled {
		t.Error(err)
	}
	for upload := range client(t, options).ListIncompleteUploads(t.Context(), options.Bucket, "", true) {
		t.Errorf("an upload is left: %s %v", upload.Key, upload.Err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

type cancelAfter struct {
	left   int
	cancel func()
}

func (c *cancelAfter) Read(p []byte) (int, error) {
	if c.left -= len(p); c.left < 0 {
		c.cancel()
	}
	return zeros{}.Read(p)
}

func bucketGone(t *testing.T, m *realtest.MinIOServer) {
	options := minioOptions(t, m)
	s := open(t, options)
	if err := client(t, options).RemoveBucket(t.Context(), options.Bucket); err != nil {
		t.Fatal(err)
	}
	for op, err := range map[string]error{
		"ping": s.Ping(t.Context()),
		"put":  s.Put(t.Context(), "a", strings.NewReader("x"), 1),
	} {
		if fault.CodeOf(err) != fault.FailedPrecondition || !strings.Contains(err.Error(), options.Bucket) {
			t.Errorf("%s: %v %v", op, fault.CodeOf(err), err)
		}
	}
}

func metricsShared(t *testing.T, m *realtest.MinIOServer) {
	registry := prometheus.NewRegistry()
	for range 2 { // a second store of the same process
		options := minioOptions(t, m)
		options.Registerer = registry
		s := open(t, options)
		put(t, s, "a", "text")
		_, _ = s.Stat(t.Context(), "missing") // counted as NOT_FOUND
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counted := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			name := family.GetName()
			for _, label := range metric.GetLabel() {
				name += " " + label.GetValue()
			}
			counted[name] = metric.GetCounter().GetValue()
		}
	}
	for name, want := range map[string]float64{
		"skein_objstore_bytes_total sent":              8,
		"skein_objstore_requests_total OK put":         2,
		"skein_objstore_requests_total NOT_FOUND stat": 2,
	} {
		if counted[name] != want {
			t.Errorf("%s is %v, want %v", name, counted[name], want)
		}
	}
}

func TestServerDiesAndComesBack(t *testing.T) {
	m := realtest.StartMinIO(t)
	options := minioOptions(t, m)
	options.AttemptsMax = 1
	s := open(t, options)
	put(t, s, "a", "text")
	m.Kill()
	_, getErr := s.Get(t.Context(), "a", 0, -1)
	_, statErr := s.Stat(t.Context(), "a")
	var listErr error
	for _, err := range s.List(t.Context(), "") {
		listErr = err
	}
	for op, err := range map[string]error{
		"get": getErr, "stat": statErr, "list": listErr,
		"put":    s.Put(t.Context(), "b", strings.NewReader("x"), 1),
		"delete": s.Delete(t.Context(), "a"),
		"ping":   s.Ping(t.Context()),
	} {
		if fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), options.Endpoint) {
			t.Errorf("%s: %v %v", op, fault.CodeOf(err), err)
		}
		wantNoSecrets(t, options, err)
	}
	m.Start()
	if info, err := s.Stat(t.Context(), "a"); err != nil || info.Size != 4 {
		t.Errorf("after restart: %+v, %v", info, err)
	}
}
