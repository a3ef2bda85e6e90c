package objstoretest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"skein/internal/fault"
	"skein/objstore"
)

func replace(t testing.TB, s objstore.Store) {
	for i, size := range []int{100, 50, 0, 9_000_000, 10} {
		want := content(uint64(i), size)
		put(t, s, "a/b", want)
		wantObject(t, s, "a/b", want)
		wantList(t, s, "", "a/b")
	}
}

func deletes(t testing.TB, s objstore.Store) {
	for _, key := range []string{"a/b/1", "a/b/2", "a/c", "ab"} {
		put(t, s, key, []byte(key))
	}
	for _, key := range []string{"a/b/1", "a/b/1", "missing", "missing/below", "a/b", "a", "a/c/below"} {
		if err := s.Delete(t.Context(), key); err != nil {
			t.Fatalf("delete %q: %v", key, err)
		}
	}
	wantAbsent(t, s, "a/b/1")
	wantList(t, s, "", "a/b/2", "a/c", "ab")
	if err := s.Delete(t.Context(), "a/b/2"); err != nil {
		t.Fatal(err)
	}
	put(t, s, "a/b", []byte("below it was another")) // nothing is left of a/b/…
	wantObject(t, s, "a/b", []byte("below it was another"))
}

func keysInvalid(t testing.TB, s objstore.Store) {
	for _, key := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/..", "a/../b", "a/./b", "../../etc/passwd",
		"a\x00b", "a\nb", "a\x7fb", "a\xffb", strings.Repeat("a", 2000), strings.Repeat("ab/", 667) + "c",
		strings.Repeat("a", objstore.KeyPartBytesMax+1),
	} {
		ctx := t.Context()
		wantInvalid := func(op string, err error) {
			t.Helper()
			if !errors.Is(err, objstore.ErrInvalidKey) || fault.CodeOf(err) != fault.InvalidArgument {
				t.Fatalf("%s %.40q: %v, want ErrInvalidKey", op, key, err)
			}
		}
		wantInvalid("put", s.Put(ctx, key, strings.NewReader("x"), 1))
		_, err := get(t, s, key, 0, -1)
		wantInvalid("get", err)
		_, err = s.Stat(ctx, key)
		wantInvalid("stat", err)
		wantInvalid("delete", s.Delete(ctx, key))
	}
	wantList(t, s, "")
}

func keysOdd(t testing.TB, s objstore.Store) {
	long := strings.Repeat(strings.Repeat("l", 100)+"/", 10) + strings.Repeat("l", 14)
	keys := []string{
		"a b/ c /d", "%2e%2e/%2F", "100%", "a+b", "a&b=c?d#e", "日本語/ключ/🪿", "..a/b..", "...", "-rf", "~", "*", "[a]", "a;b,c:d@e$f!",
		`"quoted"`, "'", "<xml>", long, strings.Repeat("p", 240), "tmp/x", "objects/x", ".hidden/.x",
	}
	for _, key := range keys {
		put(t, s, key, []byte(key))
	}
	seen := 0
	for info, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		wantObject(t, s, info.Key, []byte(info.Key))
		seen++
	}
	if seen != len(keys) {
		t.Fatalf("list gives %d of %d objects", seen, len(keys))
	}
	wantList(t, s, ".", "...", "..a/b..", ".hidden/.x")
	wantList(t, s, "..", "...", "..a/b..")
	for _, key := range keys {
		if info, err := s.Stat(t.Context(), key); err != nil || info.Size != int64(len(key)) {
			t.Fatalf("stat %q: %+v, %v", key, info, err)
		}
		if err := s.Delete(t.Context(), key); err != nil {
			t.Fatalf("delete %q: %v", key, err)
		}
	}
	wantList(t, s, "")
}

// bigSize is more than a driver holds in memory, so it is sent in parts.
const bigSize = 20_000_000

func putBadReader(t testing.TB, s objstore.Store) {
	errReader := fault.New(fault.Aborted, "the reader failed")
	old := []byte("old")
	put(t, s, "there", old)
	for _, size := range []int{0, 10, bigSize} {
		b := content(1, size)
		readers := map[string]func() io.Reader{
			"long":   func() io.Reader { return io.MultiReader(bytes.NewReader(b), strings.NewReader("x")) },
			"at end": func() io.Reader { return io.MultiReader(bytes.NewReader(b), iotest.ErrReader(errReader)) },
		}
		if size > 0 {
			readers["short"] = func() io.Reader { return bytes.NewReader(b[:size-1]) }
			readers["empty"] = func() io.Reader { return strings.NewReader("") }
			readers["broken"] = func() io.Reader {
				return io.MultiReader(bytes.NewReader(b[:size/2]), iotest.ErrReader(errReader))
			}
			readers["cut"] = func() io.Reader {
				return io.MultiReader(bytes.NewReader(b[:size/2]), iotest.ErrReader(io.ErrUnexpectedEOF))
			}
		}
		for name, reader := range readers {
			for _, key := range []string{"there", "new/one"} {
				err := s.Put(t.Context(), key, reader(), int64(size))
				switch {
				case err == nil:
					t.Fatalf("put with reader %q of %d bytes did not fail", name, size)
				case name == "broken" && fault.CodeOf(err) != fault.Aborted:
					t.Fatalf("put hides the reader's error: %v", err)
				case (name == "short" || name == "long") && !errors.Is(err, objstore.ErrSize):
					t.Fatalf("put with reader %q: %v, want ErrSize", name, err)
				}
			}
			wantObject(t, s, "there", old)
			wantAbsent(t, s, "new/one")
		}
	}
	wantList(t, s, "", "there")
}

func putSize(t testing.TB, s objstore.Store) {
	if err := s.Put(t.Context(), "a", strings.NewReader("x"), -1); fault.CodeOf(err) != fault.InvalidArgument {
		t.Fatalf("put of size -1: %v, want InvalidArgument", err)
	}
	want := content(1, 5000)
	slow := iotest.DataErrReader(iotest.HalfReader(bytes.NewReader(want)))
	if err := s.Put(t.Context(), "a", slow, int64(len(want))); err != nil {
		t.Fatal(err)
	}
	wantObject(t, s, "a", want)
	file := bytes.NewReader(append([]byte("skipped"), want...))
	if _, err := file.Seek(int64(len("skipped")), io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), "a", file, int64(len(want))); err != nil {
		t.Fatal(err)
	}
	wantObject(t, s, "a", want) // from where the reader stood, not from its start
}

// parallel runs work n times at once and fails t with the first error.
func parallel(t testing.TB, n int, work func(i int) error) {
	t.Helper()
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = work(i) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func putConcurrent(t testing.TB, s objstore.Store) {
	const writers, readers, rounds = 6, 3, 5
	whole := map[string]bool{}
	contents := make([][]byte, writers)
	for i := range contents {
		contents[i] = content(uint64(i), 50_000+i*10_000)
		whole[string(contents[i])] = true
	}
	put(t, s, "hot/one", contents[0])
	parallel(t, writers+readers, func(i int) error {
		for range rounds {
			if i < writers {
				if err := s.Put(t.Context(), "hot/one", bytes.NewReader(contents[i]), int64(len(contents[i]))); err != nil {
					return err
				}
				continue
			}
			b, err := get(t, s, "hot/one", 0, -1)
			if err != nil {
				return err
			}
			if !whole[string(b)] {
				return fmt.Errorf("a reader saw %s, which nobody has put", brief(b))
			}
		}
		return nil
	})
	if b, err := get(t, s, "hot/one", 0, -1); err != nil || !whole[string(b)] {
		t.Fatalf("left: %s, %v", brief(b), err)
	}
	wantList(t, s, "hot/", "hot/one")
}

func putDeleteConcurrent(t testing.TB, s objstore.Store) {
	const writers, rounds = 6, 15
	parallel(t, writers, func(i int) error {
		key := fmt.Sprintf("deep/er/%d", i)
		for range rounds {
			if err := s.Put(t.Context(), key, strings.NewReader(key), int64(len(key))); err != nil {
				return err
			}
			if b, err := get(t, s, key, 0, -1); err != nil || string(b) != key {
				return fmt.Errorf("after put: %s, %w", brief(b), err)
			}
			if err := s.Delete(t.Context(), key); err != nil {
				return err
			}
		}
		return nil
	})
	wantList(t, s, "")
}

func cancelled(t testing.TB, s objstore.Store) {
	old := []byte("old")
	put(t, s, "there", old)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantCanceled := func(op string, err error) {
		t.Helper()
		if !errors.Is(err, context.Canceled) || fault.CodeOf(err) != fault.Canceled {
			t.Fatalf("%s after cancel: %v, want context.Canceled", op, err)
		}
	}
	wantCanceled("put", s.Put(ctx, "there", strings.NewReader("new"), 3))
	wantCanceled("delete", s.Delete(ctx, "there"))
	_, err := s.Stat(ctx, "there")
	wantCanceled("stat", err)
	if r, getErr := s.Get(ctx, "there", 0, -1); getErr != nil {
		wantCanceled("get", getErr)
	} else {
		_, err = io.ReadAll(r)
		r.Close()
		wantCanceled("read", err)
	}
	err = nil
	for _, listErr := range s.List(ctx, "") {
		err = listErr
	}
	wantCanceled("list", err)
	wantCanceled("ping", s.Ping(ctx))

	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	wantCanceled("put", s.Put(ctx, "there", &cancelReader{r: bytes.NewReader(content(1, bigSize)), after: bigSize / 2, cancel: cancel}, bigSize))
	wantObject(t, s, "there", old)
	wantList(t, s, "", "there")
}

// cancelReader cancels once it has given so many bytes.
type cancelReader struct {
	r      io.Reader
	after  int
	cancel func()
}

func (c *cancelReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if c.after -= n; c.after <= 0 {
		c.cancel()
	}
	return n, err
}
