package local_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"skein/internal/fault"
	"skein/objstore"
	"skein/objstore/local"
	"skein/objstore/objstoretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, dir string) *local.Store {
	t.Helper()
	s, err := local.Open(dir, local.Options{})
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

func put(t *testing.T, s objstore.Store, key, text string) {
	t.Helper()
	if err := s.Put(t.Context(), key, strings.NewReader(text), int64(len(text))); err != nil {
		t.Fatal(err)
	}
}

// files are the regular files below dir, relative to it.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, _ := filepath.Rel(dir, path)
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestLocal(t *testing.T) {
	objstoretest.Run(t, func(t testing.TB) objstore.Store { return open(t, t.TempDir()) })
}

func TestObjectsSurviveReopen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "by", "open")
	s, err := local.Open(dir, local.Options{})
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, "a/b", "text")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := open(t, dir).Stat(t.Context(), "a/b"); err != nil || info.Size != 4 {
		t.Fatal(info, err)
	}
}

func TestOpenRemovesWhatTheDeadLeft(t *testing.T) {
	dir := t.TempDir()
	live := open(t, dir)
	r, w := io.Pipe()
	put1 := make(chan error)
	go func() { put1 <- live.Put(t.Context(), "live", r, 6) }()
	if _, err := w.Write([]byte("abc")); err != nil { // its temporary file is there
		t.Fatal(err)
	}
	dead := filepath.Join(dir, "tmp", "dead")
	if err := os.Mkdir(dead, 0o750); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{filepath.Join(dead, "1"), filepath.Join(dir, "tmp", "stray")} {
		if err := os.WriteFile(name, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	second := open(t, dir)
	for _, gone := range []string{dead, filepath.Join(dir, "tmp", "stray")} {
		if _, err := os.Lstat(gone); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", gone, err)
		}
	}
	if _, err := w.Write([]byte("def")); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if err := <-put1; err != nil {
		t.Fatalf("the other open store cannot go on: %v", err)
	}
	if info, err := second.Stat(t.Context(), "live"); err != nil || info.Size != 6 {
		t.Fatal(info, err)
	}
}

func TestFailedPutLeavesNoFile(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	err := s.Put(t.Context(), "a/b/c", strings.NewReader("short"), 10)
	if !errors.Is(err, objstore.ErrSize) {
		t.Fatal(err)
	}
	if names := files(t, dir); strings.Join(names, " ") != "lock" {
		t.Fatalf("left: %v", names)
	}
}

func TestDeletePrunesDirectories(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	put(t, s, "t/id/day/1", "x")
	put(t, s, "t/id2/day/1", "x")
	if err := s.Delete(t.Context(), "t/id/day/1"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "objects", "t", "id")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("empty directory is left: %v", err)
	}
	if err := s.Delete(t.Context(), "t/id2/day/1"); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(filepath.Join(dir, "objects")); err != nil || len(entries) != 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
}

func TestObjectAndObjectsBelowIt(t *testing.T) {
	s := open(t, t.TempDir())
	put(t, s, "a", "x")
	put(t, s, "d/e", "x")
	for _, key := range []string{"a/b", "a/b/c", "d"} {
		err := s.Put(t.Context(), key, strings.NewReader("y"), 1)
		if fault.CodeOf(err) != fault.FailedPrecondition || !strings.Contains(err.Error(), "another key") {
			t.Errorf("put %q: %v", key, err)
		}
	}
}

func TestEmptyDirectoryLeftByACrashMakesRoom(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if err := os.MkdirAll(filepath.Join(dir, "objects", "a"), 0o750); err != nil {
		t.Fatal(err)
	}
	put(t, s, "a", "x")
}

func TestLocalPath(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	put(t, s, "t/id/1.parquet", "text")
	path, err := s.LocalPath("t/id/1.parquet")
	if err != nil || !filepath.IsAbs(path) {
		t.Fatal(path, err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "text" {
		t.Fatal(string(b), err)
	}
	for key, want := range map[string]error{"missing": objstore.ErrNotFound, "t/id": objstore.ErrNotFound, "../x": objstore.ErrInvalidKey} {
		if _, err := s.LocalPath(key); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", key, err, want)
		}
	}
}

func TestSymlinksAreNotFollowedOut(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	for name, target := range map[string]string{"dir": outside, "file": filepath.Join(outside, "secret"), "up": "../../.."} {
		if err := os.Symlink(target, filepath.Join(dir, "objects", name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"dir/secret", "file", "dir", "up", "up/x"} {
		if r, err := s.Get(t.Context(), key, 0, -1); err == nil {
			r.Close()
			t.Errorf("get %q follows a link", key)
		}
		if _, err := s.LocalPath(key); err == nil {
			t.Errorf("path of %q follows a link", key)
		}
	}
	if err := s.Put(t.Context(), "dir/new", strings.NewReader("x"), 1); err == nil {
		t.Error("put follows a link")
	}
	_ = s.Delete(t.Context(), "dir/secret") // may fail, must not follow
	if names := files(t, outside); strings.Join(names, " ") != "secret" {
		t.Fatalf("outside: %v", names)
	}
	for info, err := range s.List(t.Context(), "") {
		t.Errorf("list gives %+v, %v", info, err)
	}
}

func TestPingTellsWhenTheDirectoryIsGone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "objects-here")
	s, err := local.Open(dir, local.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	for op, err := range map[string]error{
		"ping": s.Ping(t.Context()),
		"put":  s.Put(t.Context(), "a", strings.NewReader("x"), 1),
	} {
		if fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "object directory "+dir) {
			t.Errorf("%s: %v", op, err)
		}
	}
}

func TestOpenRefusesAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := local.Open(path, local.Options{}); fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), path) {
		t.Fatal(err)
	}
}

func TestReaderStopsWhenCancelled(t *testing.T) {
	s := open(t, t.TempDir())
	put(t, s, "a", "text")
	ctx, cancel := context.WithCancel(t.Context())
	r, err := s.Get(ctx, "a", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cancel()
	if _, err := io.ReadAll(r); fault.CodeOf(err) != fault.Canceled {
		t.Fatal(err)
	}
}

func BenchmarkPut(b *testing.B) {
	s := open(b, b.TempDir())
	text := bytes.Repeat([]byte("x"), 1<<20)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if err := s.Put(b.Context(), "t/id/2024-01-15/1.parquet", bytes.NewReader(text), int64(len(text))); err != nil {
			b.Fatal(err)
		}
	}
}
