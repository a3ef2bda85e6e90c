package cache_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"skein/internal/fault"
	"skein/internal/realtest"
	"skein/objstore/cache"
	"skein/objstore/local"
	"skein/objstore/objstoretest"
	"skein/objstore/s3"
)

func TestPartsAreReadAtOnce(t *testing.T) {
	var now, most atomic.Int64
	all := make(chan struct{})
	store := newStore(t, objstoretest.Rule{Op: objstoretest.OpGet, Do: func(ctx context.Context) error {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		if n == 4 {
			close(all)
		}
		select {
		case <-all: // four are under way
			return nil
		case <-time.After(10 * time.Second):
			return errors.New("parts are not read at once")
		}
	}})
	put(t, store, "a", 20)
	c := newCache(t, store, cache.Options{PartBytes: 5})
	use(t, c, "a", 20)
	if most.Load() != 4 {
		t.Errorf("%d at once", most.Load())
	}
}

func TestOneCallerLeavesTheOthersStay(t *testing.T) {
	gate := make(chan struct{})
	store := newStore(t, objstoretest.Rule{Op: objstoretest.OpGet, Wait: gate})
	put(t, store, "a", 10)
	c := newCache(t, store, cache.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error)
	go func() { _, err := c.Acquire(ctx, "a", 10); first <- err }()
	wait(t, "download begins", func() bool { return store.Calls(objstoretest.OpGet) == 1 })
	second := make(chan error)
	go func() {
		h, err := c.Acquire(t.Context(), "a", 10)
		if err == nil {
			h.Release()
		}
		second <- err
	}()
	cancel()
	if err := <-first; fault.CodeOf(err) != fault.Canceled {
		t.Errorf("first: %v", err)
	}
	close(gate)
	if err := <-second; err != nil {
		t.Errorf("second: %v", err)
	}
}

func TestNobodyWaitsSoTheDownloadStops(t *testing.T) {
	stopped := make(chan struct{})
	store := newStore(t, objstoretest.Rule{Op: objstoretest.OpGet, Nth: 1, Do: func(ctx context.Context) error {
		<-ctx.Done()
		<-stopped // it takes its time to stop
		return ctx.Err()
	}})
	put(t, store, "a", 10)
	c := newCache(t, store, cache.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error)
	go func() { _, err := c.Acquire(ctx, "a", 10); first <- err }()
	wait(t, "download begins", func() bool { return store.Calls(objstoretest.OpGet) == 1 })
	cancel()
	if err := <-first; fault.CodeOf(err) != fault.Canceled {
		t.Errorf("first: %v", err)
	}
	second := make(chan error) // joins what is being stopped
	go func() {
		h, err := c.Acquire(t.Context(), "a", 10)
		if err == nil {
			h.Release()
		}
		second <- err
	}()
	close(stopped)
	if err := <-second; err != nil {
		t.Errorf("second: %v", err)
	}
	wantHere(t, c, 10, "a")
}

func TestCloseStopsDownloads(t *testing.T) {
	store := newStore(t, objstoretest.Rule{Op: objstoretest.OpGet, Wait: make(chan struct{})}) // for ever
	put(t, store, "a", 10)
	c := newCache(t, store, cache.Options{})
	got := make(chan error)
	go func() { _, err := c.Acquire(t.Context(), "a", 10); got <- err }()
	wait(t, "download begins", func() bool { return store.Calls(objstoretest.OpGet) == 1 })
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; fault.CodeOf(err) != fault.Unavailable {
		t.Error(err)
	}
	if _, err := c.Acquire(t.Context(), "a", 10); fault.CodeOf(err) != fault.Unavailable {
		t.Error(err)
	}
}

// TestManyAtOnce holds every promise under load: content, limits, no leaks.
func TestManyAtOnce(t *testing.T) {
	const objects, workers, rounds, size = 12, 16, 60, 3000
	errStore := fault.New(fault.Unavailable, "now and then")
	store := newStore(t, objstoretest.OnNth(objstoretest.OpGet, 7, errStore), objstoretest.OnNth(objstoretest.OpGet, 30, errStore))
	for i := range objects {
		put(t, store, fmt.Sprint(i), size+i)
	}
	c := newCache(t, store, cache.Options{BytesMax: 4 * size, BytesHardMax: 100 * size, PartBytes: 1000, LoadsMax: 3})
	var group errgroup.Group
	var failed atomic.Int64
	for w := range workers {
		random := rand.New(rand.NewPCG(1, uint64(w)))
		group.Go(func() error {
			for range rounds {
				i := random.IntN(objects)
				ctx, cancel := context.WithCancel(t.Context())
				if random.IntN(4) == 0 {
					time.AfterFunc(time.Duration(random.IntN(500))*time.Microsecond, cancel)
				}
				h, err := c.Acquire(ctx, fmt.Sprint(i), int64(size+i))
				if err != nil {
					if code := fault.CodeOf(err); code != fault.Canceled && code != fault.Unavailable {
						cancel()
						return err
					}
					failed.Add(1)
					cancel()
					continue
				}
				got, err := os.ReadFile(h.Path())
				h.Release()
				cancel()
				if err != nil || !bytes.Equal(got, content(fmt.Sprint(i), size+i)) {
					return fmt.Errorf("object %d: %d bytes, %w", i, len(got), err)
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	wait(t, "given up downloads end", func() bool { return c.Bytes() <= 4*size })
	if failed.Load() == workers*rounds {
		t.Error("nothing succeeded")
	}
}

func TestOverMinIO(t *testing.T) {
	endpoint, accessKey, secretKey := realtest.MinIO(t)
	store, err := s3.Open(t.Context(), s3.Options{Endpoint: endpoint, AccessKey: accessKey, SecretKey: secretKey, Bucket: "olap-data"})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	const size = 20_000_000 // three parts
	put(t, store, "t/id/day/1.parquet", size)
	c := newCache(t, store, cache.Options{})
	use(t, c, "t/id/day/1.parquet", size)
	if _, err := c.Acquire(t.Context(), "t/id/day/1.parquet", size-1); !errors.Is(err, cache.ErrDamaged) {
		t.Error(err)
	}
	if c.Bytes() != size {
		t.Errorf("%d bytes", c.Bytes())
	}
}

func BenchmarkAcquireHit(b *testing.B) {
	s, err := local.Open(b.TempDir(), local.Options{NoSync: true})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	if err := s.Put(b.Context(), "a", io.LimitReader(rand.NewChaCha8([32]byte{}), 100), 100); err != nil {
		b.Fatal(err)
	}
	c, err := cache.New(objstoretest.Faulty(s), cache.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	for b.Loop() {
		h, err := c.Acquire(b.Context(), "a", 100)
		if err != nil {
			b.Fatal(err)
		}
		h.Release()
	}
}
