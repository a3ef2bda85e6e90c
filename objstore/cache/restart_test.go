package cache_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"skein/internal/fault"
	"skein/objstore/cache"
	"skein/objstore/objstoretest"
)

func TestRestartKeepsFiles(t *testing.T) {
	store, dir := newStore(t), t.TempDir()
	options := cache.Options{Dir: dir, BytesMax: 30, PartBytes: 4}
	c := newCache(t, store, options)
	for _, key := range []string{"a", "b", "c"} {
		put(t, store, key, 10)
		use(t, c, key, 10)
		backdate(t, dir)
	}
	use(t, c, "a", 10) // so b is the oldest
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	before := store.Calls(objstoretest.OpGet)

	c = newCache(t, store, options)
	wantHere(t, c, 30, "a b c")
	use(t, c, "a", 10)
	use(t, c, "c", 10)
	if n := store.Calls(objstoretest.OpGet); n != before {
		t.Errorf("%d more range reads", n-before)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}

	options.BytesMax = 20
	wantHere(t, newCache(t, store, options), 20, "a c")
}

// backdate makes every file there a minute older.
func backdate(t *testing.T, dir string) {
	t.Helper()
	for _, path := range glob(t, dir, "*.json") {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		before := info.ModTime().Add(-time.Minute)
		if err := os.Chtimes(path, before, before); err != nil {
			t.Fatal(err)
		}
	}
}

func glob(t *testing.T, dir, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func TestRestartAfterDamage(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, data, side string){
		"byte changed": func(t *testing.T, data, _ string) {
			b, err := os.ReadFile(data)
			if err != nil {
				t.Fatal(err)
			}
			b[17] ^= 1
			if err := os.WriteFile(data, b, 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"zeros":         func(t *testing.T, data, _ string) { write(t, data, strings.Repeat("\x00", 25)) },
		"cut":           func(t *testing.T, data, _ string) { write(t, data, "short") },
		"file gone":     func(t *testing.T, data, _ string) { remove(t, data) },
		"side gone":     func(t *testing.T, _, side string) { remove(t, side) },
		"side empty":    func(t *testing.T, _, side string) { write(t, side, "") },
		"side of other": func(t *testing.T, _, side string) { write(t, side, `{"key":"x","size":25,"part_bytes":25,"sums":[1]}`) },
		"side nonsense": func(t *testing.T, _, side string) {
			write(t, side, `{"key":"a","size":25,"part_bytes":-1,"sums":[]}`)
		},
		"side sums": func(t *testing.T, _, side string) {
			write(t, side, `{"key":"a","size":25,"part_bytes":25,"sums":[12345]}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			store, dir := newStore(t), t.TempDir()
			put(t, store, "a", 25)
			c := newCache(t, store, cache.Options{Dir: dir, PartBytes: 10})
			use(t, c, "a", 25)
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			damage(t, glob(t, dir, "*.parquet")[0], glob(t, dir, "*.json")[0])
			c = newCache(t, store, cache.Options{Dir: dir, PartBytes: 10})
			use(t, c, "a", 25)
			wantHere(t, c, 25, "a")
			if n := store.Calls(objstoretest.OpGet); n != 6 {
				t.Errorf("%d range reads, want 2 x 3", n)
			}
			if data, side := glob(t, dir, "*.parquet"), glob(t, dir, "*.json"); len(data) != 1 || len(side) != 1 {
				t.Errorf("files %v %v", data, side)
			}
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func TestRestartRemovesHalfDownloadsOnly(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "tmp"), 0o750); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "tmp", "part-1"), "half")
	write(t, filepath.Join(dir, strings.Repeat("0a", 16)+".parquet"), "without a side file")
	write(t, filepath.Join(dir, "of-somebody.parquet"), "not ours")
	c := newCache(t, newStore(t), cache.Options{Dir: dir})
	wantHere(t, c, 0, "")
	if temp := glob(t, dir, "tmp/*"); len(temp) != 0 {
		t.Errorf("left: %v", temp)
	}
	if data := glob(t, dir, "*.parquet"); len(data) != 1 || filepath.Base(data[0]) != "of-somebody.parquet" {
		t.Errorf("files: %v", data)
	}
}

func TestDirectoryHasOneOwner(t *testing.T) {
	dir := t.TempDir()
	c := newCache(t, newStore(t), cache.Options{Dir: dir})
	if _, err := cache.New(newStore(t), cache.Options{Dir: dir}); fault.CodeOf(err) != fault.FailedPrecondition || !strings.Contains(err.Error(), dir) {
		t.Errorf("second owner: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	newCache(t, newStore(t), cache.Options{Dir: dir})
}
