package transfer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"skein/internal/fault"
	"skein/internal/realtest"
	"skein/meta/redismeta"
	"skein/objstore"
	"skein/objstore/local"
	"skein/objstore/objstoretest"
	"skein/objstore/s3"
	"skein/objstore/transfer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func openLocal(t testing.TB) objstore.Store {
	t.Helper()
	s, err := local.Open(t.TempDir(), local.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

func openS3(t testing.TB, m *realtest.MinIOServer, bucket string) *s3.Store {
	t.Helper()
	s, err := s3.Open(t.Context(), s3.Options{Endpoint: m.Endpoint, AccessKey: m.AccessKey, SecretKey: m.SecretKey, Bucket: bucket})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

func openQueue(t testing.TB) *redismeta.Queue {
	t.Helper()
	s, err := redismeta.Open(t.Context(), "redis://"+miniredis.RunT(t).Addr(), redismeta.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s.Queue("backup")
}

func put(t testing.TB, s objstore.Store, key, text string) {
	t.Helper()
	must(t, s.Put(t.Context(), key, strings.NewReader(text), int64(len(text))))
}

func text(t testing.TB, s objstore.Store, key string) string {
	t.Helper()
	r, err := s.Get(t.Context(), key, 0, -1)
	if errors.Is(err, objstore.ErrNotFound) {
		return "none"
	}
	must(t, err)
	defer r.Close()
	b, err := io.ReadAll(r)
	must(t, err)
	return string(b)
}

func TestSync(t *testing.T) {
	m := realtest.StartMinIO(t)
	for name, open := range map[string]func(t *testing.T) (a, b objstore.Store){
		"local": func(t *testing.T) (a, b objstore.Store) { return openLocal(t), openLocal(t) },
		"minio": func(t *testing.T) (a, b objstore.Store) { return openS3(t, m, "data"), openS3(t, m, "backup") },
	} {
		t.Run(name, func(t *testing.T) {
			a, b := open(t)
			large := strings.Repeat("large", 5<<20) // in parts
			for key, pair := range map[string][2]string{
				"t/missing": {"1", ""}, "t/same": {"22", "22"}, "t/longer": {"333", "33"}, "t/damaged": {"4444", "4445"},
				"t/large": {large, ""}, "t/zero": {"", ""}, "u/other": {"x", ""}, "t/extra": {"", "only here"},
			} {
				if pair[0] != "" || key == "t/zero" {
					put(t, a, key, pair[0])
				}
				if pair[1] != "" {
					put(t, b, key, pair[1])
				}
			}
			want := transfer.Progress{Objects: 6, Bytes: int64(10 + len(large)), Copied: 5, Moved: int64(8 + len(large)), Extra: 1}
			for _, dry := range []bool{true, false} {
				steps := 0
				got, err := transfer.Sync(t.Context(), a, b, transfer.SyncOptions{Prefix: "t/", Check: transfer.BySum, DryRun: dry,
					Progress: func(transfer.Progress) { steps++ }})
				if err != nil || got != want || steps != 7 {
					t.Fatalf("dry run %v: %+v, %d steps, %v", dry, got, steps, err)
				}
			}
			got, err := transfer.Sync(t.Context(), a, b, transfer.SyncOptions{Prefix: "t/", Check: transfer.ByRead})
			if err != nil || got.Copied != 0 || text(t, b, "t/damaged") != "4444" || text(t, b, "t/large") != large || text(t, b, "u/other") != "none" {
				t.Errorf("%+v, %v", got, err)
			}
			for key, want := range map[string]error{"t/large": nil, "t/extra": objstore.ErrNotFound} {
				if err := transfer.Same(t.Context(), a, b, key); !errors.Is(err, want) {
					t.Errorf("%s: %v", key, err)
				}
			}
		})
	}
}

// One object that fails does not stop the others, and its error is told.
func TestSyncFailures(t *testing.T) {
	a, b := openLocal(t), openLocal(t)
	for i := range 20 {
		put(t, a, fmt.Sprintf("t/%02d", i), "text")
	}
	bad := objstoretest.Faulty(b, objstoretest.Rule{Op: objstoretest.OpPut, Key: "t/07", Err: fault.New(fault.Unavailable, "down")})
	got, err := transfer.Sync(t.Context(), a, bad, transfer.SyncOptions{})
	if got.Copied != 19 || got.Failed != 1 || err == nil || !strings.Contains(err.Error(), "t/07") {
		t.Errorf("%+v, %v", got, err)
	}
}

// Bytes that change on their way are not stored.
func TestDamagedCopy(t *testing.T) {
	m := realtest.StartMinIO(t)
	a, b := openS3(t, m, "data"), openLocal(t)
	put(t, a, "t/1", "some text")
	_, err := transfer.Copy(t.Context(), damaging{a}, b, "t/1")
	if !errors.Is(err, transfer.ErrDiffers) || text(t, b, "t/1") != "none" {
		t.Errorf("%v, %q", err, text(t, b, "t/1"))
	}
}

type damaging struct{ *s3.Store }

func (d damaging) Open(ctx context.Context, key string) (io.ReadCloser, objstore.Info, string, error) {
	r, info, sum, err := d.Store.Open(ctx, key)
	if err != nil {
		return nil, info, "", err
	}
	b, err := io.ReadAll(r)
	b[0] ^= 1
	return io.NopCloser(bytes.NewReader(b)), info, sum, errors.Join(err, r.Close())
}

func TestMover(t *testing.T) {
	a, b, q := openLocal(t), openLocal(t), openQueue(t)
	registry := prometheus.NewRegistry()
	ctx := t.Context()
	put(t, a, "t/copied", "text")
	put(t, b, "t/deleted", "old")
	put(t, a, "t/poison", "text")
	put(t, a, "t/later", "text")
	poisoned := objstoretest.Faulty(b, objstoretest.Rule{Op: objstoretest.OpPut, Key: "poison", Err: fault.New(fault.InvalidArgument, "no")},
		objstoretest.Rule{Op: objstoretest.OpPut, Key: "later", Nth: 1, Err: fault.New(fault.Unavailable, "down")})
	must(t, transfer.QueueCopies(ctx, q, "t/copied", "t/gone", "t/poison", "t/later"), transfer.QueueDeletions(ctx, q, 0, "t/deleted"),
		q.Add(ctx, 0, map[string]string{"t/garbage": "not JSON"}))
	mover := transfer.NewMover(a, poisoned, q, transfer.Options{Name: "backup", Poll: time.Millisecond, TriesMax: 3, RetryMin: time.Millisecond, Verify: true, Registerer: registry})
	parked, err := mover.Drain(ctx)
	if parked != 2 || err != nil {
		t.Errorf("%d parked, %v", parked, err)
	}
	if got := text(t, b, "t/copied") + text(t, b, "t/later") + text(t, b, "t/deleted") + text(t, b, "t/poison"); got != "texttextnonenone" {
		t.Error(got)
	}
	records, err := q.Parked(ctx, 10)
	must(t, err)
	if len(records) != 2 || records[0].Reason == "" || records[0].Tries != 3 {
		t.Errorf("%+v", records)
	}
	must(t, q.Unpark(ctx, "t/poison"))
	healthy := transfer.NewMover(a, b, q, transfer.Options{Poll: time.Millisecond})
	if parked, err := healthy.Drain(ctx); parked != 1 || err != nil || text(t, b, "t/poison") != "text" {
		t.Error(parked, err)
	}
	if families, err := registry.Gather(); len(families) < 3 || err != nil {
		t.Error(families, err)
	}
}

// A store that is away parks nothing, however long: work goes on when it is
// back, also by another mover.
func TestStoreAway(t *testing.T) {
	a, b, q := openLocal(t), openLocal(t), openQueue(t)
	var away atomic.Bool
	away.Store(true)
	flaky := objstoretest.Faulty(b, objstoretest.Rule{Do: func(context.Context) error {
		if away.Load() {
			return fault.New(fault.PermissionDenied, "wrong key")
		}
		return nil
	}})
	for i := range 30 {
		put(t, a, fmt.Sprint("t/", i), "text")
		must(t, transfer.QueueCopies(t.Context(), q, fmt.Sprint("t/", i)))
	}
	o := transfer.Options{Poll: time.Millisecond, TriesMax: 2, RetryMin: time.Millisecond, RetryMax: 5 * time.Millisecond, Parallel: 4}
	limited, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	transfer.NewMover(a, flaky, q, o).Run(limited)
	if waiting, parked, err := q.Len(t.Context()); waiting != 30 || parked != 0 || err != nil {
		t.Fatal(waiting, parked, err)
	}
	away.Store(false)
	if parked, err := transfer.NewMover(a, flaky, q, o).Drain(t.Context()); parked != 0 || err != nil {
		t.Fatal(parked, err)
	}
	if got, err := transfer.Sync(t.Context(), a, b, transfer.SyncOptions{DryRun: true}); got.Copied != 0 || got.Objects != 30 || err != nil {
		t.Errorf("%+v %v", got, err)
	}
}

func TestBacked(t *testing.T) {
	a, b, q := openLocal(t), openLocal(t), openQueue(t)
	s := &transfer.Backed{Store: a, Queue: q, Grace: 50 * time.Millisecond, Wants: func(_ context.Context, key string) bool { return strings.HasPrefix(key, "t/") }}
	put(t, s, "t/1", "text")
	put(t, s, "u/1", "text")
	if waiting, _, err := q.Len(t.Context()); waiting != 1 || err != nil {
		t.Fatal(waiting, err)
	}
	mover := transfer.NewMover(a, b, q, transfer.Options{Poll: time.Millisecond, LateMax: transfer.LateMax})
	_, err := mover.Drain(t.Context())
	must(t, err, s.Delete(t.Context(), "t/1"))
	if text(t, a, "t/1") != "none" || text(t, b, "t/1") != "text" {
		t.Error("a deletion has no grace")
	}
	_, err = mover.Drain(t.Context())
	must(t, err)
	if text(t, b, "t/1") != "none" {
		t.Error("it is not deleted")
	}
}

// sulking is a queue that does not answer at times.
type sulking struct {
	transfer.Queue
	away atomic.Bool
}

func (q *sulking) Add(ctx context.Context, after time.Duration, values map[string]string) error {
	if q.away.Load() {
		return fault.New(fault.Unavailable, "away")
	}
	return q.Queue.Add(ctx, after, values)
}

// What a queue does not take while it is away is queued when it answers again:
// of each object the last that happened to it.
func TestBackedCatchesUp(t *testing.T) {
	a, b := openLocal(t), openLocal(t)
	q := &sulking{Queue: openQueue(t)}
	s := &transfer.Backed{Store: a, Queue: q, Log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	put(t, s, "t/gone", "text")
	mover := transfer.NewMover(a, b, q, transfer.Options{Poll: time.Millisecond})
	_, err := mover.Drain(t.Context())
	must(t, err)
	q.away.Store(true)
	for i := range 600 { // more than one round takes
		put(t, s, fmt.Sprint("t/", i), "text")
	}
	must(t, s.Delete(t.Context(), "t/gone"), s.Delete(t.Context(), "t/7"))
	if waiting, _, err := q.Len(t.Context()); waiting != 0 || err != nil {
		t.Fatal(waiting, err)
	}
	q.away.Store(false)
	cancel() // it tries a last time
	<-done
	if waiting, _, err := q.Len(t.Context()); waiting != 601 || err != nil {
		t.Fatal(waiting, err)
	}
	_, err = mover.Drain(t.Context())
	must(t, err)
	p, err := transfer.Sync(t.Context(), a, b, transfer.SyncOptions{DryRun: true})
	if err != nil || p.Copied != 0 || p.Extra != 0 || p.Objects != 599 || text(t, b, "t/gone") != "none" {
		t.Errorf("%+v, %v", p, err)
	}
}

// The queue and the checks cost little: a mover is nearly as fast as a plain
// parallel copy of the same objects.
func TestSpeed(t *testing.T) {
	const objects, size, parallel = 1500, 16 << 10, 16
	from, to := realtest.StartMinIO(t), realtest.StartMinIO(t)
	a := openS3(t, from, "data")
	catalog, err := redismeta.Open(t.Context(), realtest.Redis(t), redismeta.Options{})
	must(t, err)
	defer catalog.Close()
	q := catalog.Queue("backup")
	each := func(f func(key string) error) time.Duration {
		var group errgroup.Group
		group.SetLimit(parallel)
		start := time.Now()
		for i := range objects {
			group.Go(func() error { return f(fmt.Sprintf("t/_/%d.parquet", i)) })
		}
		must(t, group.Wait())
		return time.Since(start)
	}
	body := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	each(func(key string) error { return a.Put(t.Context(), key, bytes.NewReader(body), size) })
	best := 0.0
	for round := range 2 {
		plainTo, movedTo := openS3(t, to, fmt.Sprint("plain-", round)), openS3(t, to, fmt.Sprint("moved-", round))
		plain := each(func(key string) error {
			r, err := a.Get(t.Context(), key, 0, -1)
			if err != nil {
				return err
			}
			return errors.Join(plainTo.Put(t.Context(), key, r, size), r.Close())
		})
		keys := make([]string, objects)
		for i := range keys {
			keys[i] = fmt.Sprintf("t/_/%d.parquet", i)
		}
		start := time.Now()
		must(t, transfer.QueueCopies(t.Context(), q, keys...))
		parked, err := transfer.NewMover(a, movedTo, q, transfer.Options{Parallel: parallel}).Drain(t.Context())
		moved := time.Since(start)
		must(t, err)
		start = time.Now()
		p, err := transfer.Sync(t.Context(), a, movedTo, transfer.SyncOptions{Check: transfer.BySum})
		if parked != 0 || err != nil || p.Copied != 0 || p.Objects != objects {
			t.Fatalf("%d parked, %+v, %v", parked, p, err)
		}
		t.Logf("plain %s, mover %s, ratio %.2f; verified in %s", plain, moved, plain.Seconds()/moved.Seconds(), time.Since(start))
		best = max(best, plain.Seconds()/moved.Seconds())
	}
	if best < 0.7 { // alone on a machine it is above 0.8
		t.Errorf("a mover has %.2f of the speed of a plain copy", best)
	}
}
