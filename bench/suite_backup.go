package bench

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"golang.org/x/sync/errgroup"

	"skein/internal/launch"
)

// BackupReport is of suite backup.
type BackupReport struct {
	Objects int          `json:"objects"`
	Bytes   int64        `json:"bytes"`
	Rounds  []BackupPair `json:"rounds"`
	Ratio   float64      `json:"ratio"` // plain copy's time to Skein's, sums of all rounds; higher is better
}

// BackupPair is one copy of all objects each way.
type BackupPair struct {
	SkeinMS float64 `json:"skein_ms"`
	PlainMS float64 `json:"plain_ms"`
}

const (
	backupTable    = "backup_bench"
	backupParallel = 16 // of the plain copy, as many as the backup's
	backupRounds   = 2
	backupBatch    = 1000 // records in a request that writes
	backupText     = 4096 // bytes of a record
	backupMax      = 10 * time.Minute
	backupBucket   = "olap-backup"
	dataBucket     = "olap-data"
	backupRatioMin = 0.8
)

func (b *BackupReport) targets() []Target {
	return []Target{atLeast("speed of the backup against a plain parallel copy", b.Ratio, backupRatioMin)}
}

// backupSite is Redis, two MinIOs and a node.
type backupSite struct {
	rest        *rest
	main, spare *minio.Client
	stops       []func()
}

func (s *backupSite) close() {
	for i := len(s.stops) - 1; i >= 0; i-- {
		s.stops[i]()
	}
}

// runBackup writes a table of as many files as asked, and copies it by Skein
// and by a plain copy in turns.
func runBackup(ctx context.Context, o Options) (*BackupReport, error) {
	dir, err := os.MkdirTemp(o.TempDir, "skein-bench-")
	if err != nil {
		return nil, invalid("temporary directory: %w", err)
	}
	defer os.RemoveAll(dir)
	s := &backupSite{}
	defer s.close()
	if err := s.start(ctx, o, dir); err != nil {
		return nil, err
	}
	if err := s.fill(ctx, o.BackupFiles); err != nil {
		return nil, err
	}
	r := &BackupReport{}
	if r.Objects, r.Bytes, err = count(ctx, s.main, dataBucket); err != nil {
		return nil, err
	}
	if r.Objects != o.BackupFiles {
		return nil, fmt.Errorf("%d objects, want %d", r.Objects, o.BackupFiles)
	}
	var skein, plain time.Duration
	for round := range backupRounds {
		p, err := s.round(ctx, round, r)
		if err != nil {
			return r, err
		}
		r.Rounds = append(r.Rounds, p)
		skein += time.Duration(p.SkeinMS * float64(time.Millisecond))
		plain += time.Duration(p.PlainMS * float64(time.Millisecond))
		fmt.Fprintf(o.Progress, "%d objects: backup %.0f ms, plain copy %.0f ms\n", r.Objects, p.SkeinMS, p.PlainMS)
	}
	r.Ratio = ratio(plain.Seconds(), skein.Seconds())
	return r, nil
}

// round copies both ways, the one first and then the other.
func (s *backupSite) round(ctx context.Context, round int, r *BackupReport) (p BackupPair, err error) {
	steps := []func() error{
		func() (err error) {
			p.SkeinMS, err = timeOf(func() error { return s.trigger(ctx, "") })
			return s.check(ctx, err, backupBucket, r)
		},
		func() (err error) {
			bucket := "plain-" + strconv.Itoa(round)
			if err := s.spare.MakeBucket(ctx, bucket, minio.MakeBucketOptions{}); err != nil {
				return err
			}
			p.PlainMS, err = timeOf(func() error { return s.copyPlain(ctx, bucket) })
			return s.check(ctx, err, bucket, r)
		},
	}
	if round%2 == 1 {
		steps[0], steps[1] = steps[1], steps[0]
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return p, err
		}
	}
	return p, nil
}

func timeOf(f func() error) (float64, error) {
	start := time.Now()
	err := f()
	return millis(time.Since(start)), err
}

// check counts what a copy has left, and removes it.
func (s *backupSite) check(ctx context.Context, err error, bucket string, r *BackupReport) error {
	if err != nil {
		return err
	}
	objects, bytes, err := count(ctx, s.spare, bucket)
	if err == nil && (objects != r.Objects || bytes != r.Bytes) {
		err = fmt.Errorf("bucket %s has %d objects with %d bytes, want %d with %d", bucket, objects, bytes, r.Objects, r.Bytes)
	}
	if err != nil {
		return err
	}
	for failed := range s.spare.RemoveObjects(ctx, bucket, s.spare.ListObjects(ctx, bucket, listAll), minio.RemoveObjectsOptions{}) {
		return failed.Err
	}
	return nil
}

var listAll = minio.ListObjectsOptions{Recursive: true}

// count leaves copies of the index out.
func count(ctx context.Context, c *minio.Client, bucket string) (objects int, bytes int64, err error) {
	for o := range c.ListObjectsIter(ctx, bucket, listAll) {
		if o.Err != nil {
			return 0, 0, o.Err
		}
		if filepath.Ext(o.Key) == ".parquet" {
			objects++
			bytes += o.Size
		}
	}
	return objects, bytes, ctx.Err()
}

// copyPlain is what a small program would do.
func (s *backupSite) copyPlain(ctx context.Context, bucket string) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(backupParallel)
	for o := range s.main.ListObjectsIter(ctx, dataBucket, listAll) {
		if o.Err != nil {
			return o.Err
		}
		group.Go(func() error {
			body, err := s.main.GetObject(ctx, dataBucket, o.Key, minio.GetObjectOptions{})
			if err != nil {
				return err
			}
			defer body.Close()
			_, err = s.spare.PutObject(ctx, bucket, o.Key, body, o.Size, minio.PutObjectOptions{})
			return err
		})
	}
	return group.Wait()
}

// fill writes so many records, each with an id and so a file of its own.
func (s *backupSite) fill(ctx context.Context, files int) error {
	config := fmt.Appendf(nil, `{"table_name":%q,"config":{"buffer_size":1000000,"flush_interval_seconds":3600}}`, backupTable)
	if err := s.rest.do(ctx, http.MethodPost, "/v1/tables", jsonMediaType, config); err != nil {
		return err
	}
	text := make([]byte, backupText)
	for first := 0; first < files; first += backupBatch {
		var body bytes.Buffer
		for n := first; n < min(first+backupBatch, files); n++ {
			seed := uint64(n)*0x9E3779B97F4A7C15 + 1
			for i := range text { // text that does not compress much
				seed ^= seed << 13
				seed ^= seed >> 7
				seed ^= seed << 17
				text[i] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"[seed>>58]
			}
			fmt.Fprintf(&body, `{"table":%q,"id":"id-%d","timestamp":"2024-01-15T10:00:00Z","payload":{"n":%d,"text":%q}}`+"\n", backupTable, n, n, text)
		}
		if err := s.rest.do(ctx, http.MethodPost, "/v1/data", ndjsonMediaType, body.Bytes()); err != nil {
			return err
		}
	}
	return s.trigger(ctx, "1970-01-01") // flushes, and copies nothing
}

func (s *backupSite) trigger(ctx context.Context, day string) error {
	return s.rest.do(ctx, http.MethodPost, "/v1/backup/trigger", jsonMediaType, fmt.Appendf(nil, `{"table":%q,"day":%q}`, backupTable, day))
}

// start runs the servers.
func (s *backupSite) start(ctx context.Context, o Options, dir string) error {
	const hint = "name the MinIO server by --minio or put it in PATH"
	dirs := map[string]string{}
	for _, name := range []string{"redis", "main", "spare", "node"} {
		dirs[name] = filepath.Join(dir, name)
		if err := os.Mkdir(dirs[name], 0o750); err != nil {
			return invalid("temporary directory: %w", err)
		}
	}
	redis, err := launch.Redis(ctx, "127.0.0.1", dirs["redis"])
	if err != nil {
		return err
	}
	s.stops = append(s.stops, redis.Kill)
	stores := make([]*launch.MinIOServer, 2)
	for i, name := range []string{"main", "spare"} {
		if stores[i], err = launch.MinIO(ctx, o.MinIO, hint, "127.0.0.1", dirs[name]); err != nil {
			return err
		}
		s.stops = append(s.stops, stores[i].Kill)
	}
	if s.main, err = clientOf(stores[0]); err != nil {
		return err
	}
	if s.spare, err = clientOf(stores[1]); err != nil {
		return err
	}
	web, err := launch.FreeAddr(ctx, "127.0.0.1")
	if err != nil {
		return err
	}
	if s.rest, err = newREST(Options{HTTP: "http://" + web, Connections: 1}); err != nil {
		return err
	}
	s.stops = append(s.stops, s.rest.close)
	s.rest.client.Timeout = backupMax
	node, err := launch.Launch(ctx, launch.Spec{
		Name: "skein serve", Output: filepath.Join(dirs["node"], "log"), OmitEnv: "SKEIN_",
		Env: []string{"SKEIN_S3_SECRET_KEY=" + stores[0].SecretKey, "SKEIN_S3_BACKUP_SECRET_KEY=" + stores[1].SecretKey},
		Argv: func(addr string) []string {
			return []string{o.Program, "serve", "--data-dir", filepath.Join(dirs["node"], "data"), "--grpc-addr", addr, "--http-addr", web, "--threads", strconv.Itoa(max(o.Threads, 1)),
				"--redis", "redis://" + redis.Addr + "/0", "--s3", stores[0].Endpoint, "--s3-access-key", stores[0].AccessKey,
				"--s3-backup", stores[1].Endpoint, "--s3-backup-access-key", stores[1].AccessKey}
		},
		Ready: func(ctx context.Context, _ *launch.Process) error {
			return s.rest.do(ctx, http.MethodGet, "/readyz", "", nil)
		},
	}, "127.0.0.1")
	if err != nil {
		return err
	}
	s.stops = append(s.stops, node.Kill)
	return nil
}

func clientOf(m *launch.MinIOServer) (*minio.Client, error) {
	transport := &http.Transport{MaxIdleConnsPerHost: 2 * backupParallel, DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext}
	return minio.New(m.Addr, &minio.Options{Creds: credentials.NewStaticV4(m.AccessKey, m.SecretKey, ""), Transport: transport})
}
