package cache_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"skein/internal/fault"
	"skein/objstore"
	"skein/objstore/cache"
	"skein/objstore/local"
	"skein/objstore/objstoretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newStore is a store whose objects need copies.
func newStore(t *testing.T, rules ...objstoretest.Rule) *objstoretest.FaultyStore {
	t.Helper()
	return objstoretest.Faulty(newLocal(t), rules...)
}

func newLocal(t *testing.T) *local.Store {
	t.Helper()
	s, err := local.Open(t.TempDir(), local.Options{NoSync: true})
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

func newCache(t *testing.T, store objstore.Store, options cache.Options) *cache.Cache {
	t.Helper()
	if options.Dir == "" {
		options.Dir = t.TempDir()
	}
	c, err := cache.New(store, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // a test may have closed it
	return c
}

// put stores size bytes that the key determines and returns them.
func put(t *testing.T, s objstore.Store, key string, size int) []byte {
	t.Helper()
	b := content(key, size)
	if err := s.Put(t.Context(), key, bytes.NewReader(b), int64(size)); err != nil {
		t.Fatal(err)
	}
	return b
}

func content(key string, size int) []byte {
	var seed [32]byte
	copy(seed[:], key)
	b := make([]byte, size)
	_, _ = rand.NewChaCha8(seed).Read(b) // never fails
	return b
}

func acquire(t *testing.T, c *cache.Cache, key string, size int) *cache.Handle {
	t.Helper()
	h, err := c.Acquire(t.Context(), key, int64(size))
	if err != nil {
		t.Fatalf("acquire %q: %v", key, err)
	}
	wantFile(t, h, content(key, size))
	return h
}

// use acquires and releases.
func use(t *testing.T, c *cache.Cache, key string, size int) {
	t.Helper()
	acquire(t, c, key, size).Release()
}

func wantFile(t *testing.T, h *cache.Handle, want []byte) {
	t.Helper()
	got, err := os.ReadFile(h.Path())
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("file has %d bytes, want %d: %v", len(got), len(want), err)
	}
}

func wantHere(t *testing.T, c *cache.Cache, size int64, keys string) {
	t.Helper()
	var here []string
	for _, key := range strings.Split("a b c d e", " ") {
		if c.Contains(key) {
			here = append(here, key)
		}
	}
	if got := strings.Join(here, " "); got != keys || c.Bytes() != size {
		t.Errorf("here are %q, %d bytes; want %q, %d bytes", got, c.Bytes(), keys, size)
	}
}

// wait waits until done holds.
func wait(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not in ten seconds: " + what)
		}
	}
}

func TestAcquireDownloadsOnce(t *testing.T) {
	store := newStore(t)
	want := put(t, store, "t/id/day/1.parquet", 1000)
	c := newCache(t, store, cache.Options{})
	var group errgroup.Group
	for range 50 {
		group.Go(func() error {
			h, err := c.Acquire(t.Context(), "t/id/day/1.parquet", 1000)
			if err != nil {
				return err
			}
			defer h.Release()
			got, err := os.ReadFile(h.Path())
			if err == nil && (!bytes.Equal(got, want) || filepath.Ext(h.Path()) != ".parquet" || !filepath.IsAbs(h.Path())) {
				return fmt.Errorf("%s has %d bytes", h.Path(), len(got))
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if n := store.Calls(objstoretest.OpGet); n != 1 {
		t.Errorf("%d downloads", n)
	}
	if c.Bytes() != 1000 || !c.Contains("t/id/day/1.parquet") || c.Contains("t/id/day/2.parquet") {
		t.Errorf("%d bytes", c.Bytes())
	}
}

func TestSizes(t *testing.T) {
	store := newStore(t)
	c := newCache(t, store, cache.Options{PartBytes: 100, PartsMax: 3})
	for _, size := range []int{0, 1, 99, 100, 101, 200, 1234} {
		key := fmt.Sprint("object-", size)
		put(t, store, key, size)
		use(t, c, key, size)
		use(t, c, key, size)
	}
	if n := store.Calls(objstoretest.OpGet); n != 1+1+1+1+2+2+13 {
		t.Errorf("%d range reads", n)
	}
}

func TestWrongSizeIsDamage(t *testing.T) {
	store := newStore(t)
	put(t, store, "a", 250)
	c := newCache(t, store, cache.Options{PartBytes: 100})
	for _, promised := range []int64{0, 249, 251, 300, 301, 1000} {
		_, err := c.Acquire(t.Context(), "a", promised)
		says := fmt.Sprintf(`object "a" has 250 bytes where %d were promised`, promised)
		if !errors.Is(err, cache.ErrDamaged) || !strings.Contains(err.Error(), says) {
			t.Errorf("promised %d: %v", promised, err)
		}
	}
	wantHere(t, c, 0, "")
	use(t, c, "a", 250)
}

func TestStoreErrors(t *testing.T) {
	errStore := fault.New(fault.Unavailable, "store is down")
	dir := t.TempDir()
	store := newStore(t,
		objstoretest.Rule{Op: objstoretest.OpGet, Key: "b", Err: errStore, Nth: 2},
		objstoretest.Rule{Op: objstoretest.OpGet, Key: "c", Cut: true, CutAt: 3, Err: errStore, Nth: 1},
		objstoretest.Rule{Op: objstoretest.OpGet, Key: "d", Cut: true, CutAt: 3, Nth: 1},
	)
	c := newCache(t, store, cache.Options{Dir: dir, PartBytes: 10})
	if _, err := c.Acquire(t.Context(), "a", 10); !errors.Is(err, objstore.ErrNotFound) {
		t.Errorf("missing: %v", err)
	}
	for _, key := range []string{"b", "c", "d"} {
		put(t, store, key, 25)
		_, err := c.Acquire(t.Context(), key, 25)
		if fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), `"`+key+`"`) {
			t.Errorf("%s: %v", key, err)
		}
	}
	wantHere(t, c, 0, "")
	if temp, err := os.ReadDir(filepath.Join(dir, "tmp")); err != nil || len(temp) != 0 {
		t.Errorf("left: %v, %v", temp, err)
	}
	use(t, c, "b", 25) // the next try is a new one
	use(t, c, "c", 25)
	use(t, c, "d", 25)
}

func TestLeastRecentlyUsedGoesFirst(t *testing.T) {
	store := newStore(t)
	c := newCache(t, store, cache.Options{BytesMax: 30})
	for _, key := range []string{"a", "b", "c", "d"} {
		put(t, store, key, 10)
	}
	for _, key := range []string{"a", "b", "c", "a", "d"} {
		use(t, c, key, 10)
	}
	wantHere(t, c, 30, "a c d")
	held := acquire(t, c, "c", 10)
	put(t, store, "e", 20)
	use(t, c, "e", 20)
	wantHere(t, c, 30, "c e")
	wantFile(t, held, content("c", 10))
	held.Release()
	held.Release() // harmless
	use(t, c, "a", 10)
	wantHere(t, c, 20, "a c")
}

func TestHeldFilesMayExceedTheLimit(t *testing.T) {
	store := newStore(t)
	c := newCache(t, store, cache.Options{BytesMax: 25, BytesHardMax: 45})
	for _, key := range []string{"a", "b", "c", "d", "e"} {
		put(t, store, key, 10)
	}
	var held []*cache.Handle
	for _, key := range []string{"a", "b", "c", "d"} {
		held = append(held, acquire(t, c, key, 10))
	}
	_, err := c.Acquire(t.Context(), "e", 10)
	if fault.CodeOf(err) != fault.ResourceExhausted || !strings.Contains(err.Error(), `"e"`) {
		t.Errorf("beyond the hard limit: %v", err)
	}
	wantHere(t, c, 40, "a b c d")
	again := acquire(t, c, "a", 10) // held already, so it costs nothing
	for _, h := range held {
		h.Release()
	}
	wantHere(t, c, 20, "a d")
	again.Release()
	use(t, c, "e", 10)
	wantHere(t, c, 20, "a e")
}

func TestObjectLargerThanTheCache(t *testing.T) {
	store := newStore(t)
	c := newCache(t, store, cache.Options{BytesMax: 25})
	put(t, store, "a", 10)
	put(t, store, "b", 60)
	put(t, store, "c", 200)
	use(t, c, "a", 10)
	h := acquire(t, c, "b", 60)
	wantHere(t, c, 70, "a b")
	h.Release()
	wantHere(t, c, 10, "a")
	for _, size := range []int64{200, math.MaxInt64} {
		if _, err := c.Acquire(t.Context(), "c", size); fault.CodeOf(err) != fault.ResourceExhausted {
			t.Errorf("size %d: %v", size, err)
		}
	}
}

func TestReplacedObjectOfAnotherSize(t *testing.T) {
	store := newStore(t)
	c := newCache(t, store, cache.Options{})
	put(t, store, "a", 10)
	old := acquire(t, c, "a", 10)
	put(t, store, "a", 20)
	use(t, c, "a", 20)
	wantFile(t, old, content("a", 10))
	old.Release()
	wantHere(t, c, 30, "a")
}

func TestFileRemovedByHandIsDownloadedAnew(t *testing.T) {
	store := newStore(t)
	c := newCache(t, store, cache.Options{})
	put(t, store, "a", 10)
	h := acquire(t, c, "a", 10)
	h.Release()
	if err := os.Remove(h.Path()); err != nil {
		t.Fatal(err)
	}
	use(t, c, "a", 10)
	wantHere(t, c, 10, "a")
}

func TestLocalStoreIsNotCopied(t *testing.T) {
	store := newLocal(t)
	c, err := cache.New(store, cache.Options{})
	if err != nil {
		t.Fatal(err)
	}
	put(t, store, "a", 10)
	h := acquire(t, c, "a", 10)
	h.Release()
	want, err := store.LocalPath("a")
	if err != nil || h.Path() != want {
		t.Errorf("path %s, want %s: %v", h.Path(), want, err)
	}
	wantHere(t, c, 0, "a")
	if _, err := c.Acquire(t.Context(), "a", 11); !errors.Is(err, cache.ErrDamaged) {
		t.Error(err)
	}
	if _, err := c.Acquire(t.Context(), "b", 1); !errors.Is(err, objstore.ErrNotFound) {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestBadArguments(t *testing.T) {
	store := newStore(t)
	for name, options := range map[string]cache.Options{
		"no directory":     {},
		"negative limit":   {Dir: t.TempDir(), BytesMax: -1},
		"hard limit below": {Dir: t.TempDir(), BytesMax: 2, BytesHardMax: 1},
	} {
		if _, err := cache.New(store, options); fault.CodeOf(err) != fault.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := newCache(t, store, cache.Options{})
	if _, err := c.Acquire(t.Context(), "../a", 1); !errors.Is(err, objstore.ErrInvalidKey) {
		t.Error(err)
	}
	if _, err := c.Acquire(t.Context(), "a", -1); fault.CodeOf(err) != fault.InvalidArgument {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Acquire(ctx, "a", 1); fault.CodeOf(err) != fault.Canceled {
		t.Error(err)
	}
}
