package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"skein/objstore"
)

// List implements objstore.Store. It holds the names of one directory for each
// level in memory.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[objstore.Info, error] {
	return func(yield func(objstore.Info, error) bool) {
		w := walk{ctx: ctx, s: s, prefix: prefix, yield: yield}
		w.dir("")
	}
}

// walk goes through the tree in the order of keys.
type walk struct {
	ctx    context.Context
	s      *Store
	prefix string
	yield  func(objstore.Info, error) bool
}

// dir lists the directory whose keys start with base, which is empty or ends
// in a slash. False ends the walk.
func (w *walk) dir(base string) bool {
	entries, err := readDir(w.s.root, path.Join(objectsDir, base))
	if gone(err) && base != "" {
		return true // pruned since it was listed
	}
	if err != nil {
		return w.fail(err)
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(keyName(a), keyName(b)) })
	for _, entry := range entries {
		if err := w.ctx.Err(); err != nil {
			return w.fail(err)
		}
		key := base + keyName(entry)
		switch {
		case entry.IsDir() && (strings.HasPrefix(key, w.prefix) || strings.HasPrefix(w.prefix, key)):
			if !w.dir(key) {
				return false
			}
		case entry.Type().IsRegular() && strings.HasPrefix(key, w.prefix) && objstore.ValidateKey(key) == nil:
			if !w.object(key) {
				return false
			}
		}
	}
	return w.ctx.Err() == nil || w.fail(w.ctx.Err())
}

func (w *walk) object(key string) bool {
	info, err := w.s.root.Lstat(objectName(key))
	if gone(err) || err == nil && !info.Mode().IsRegular() {
		return true // deleted since the directory was read
	}
	if err != nil {
		return w.fail(fmt.Errorf("object %q: %w", key, err))
	}
	return w.yield(objstore.Info{Key: key, Size: info.Size(), Modified: info.ModTime()}, nil)
}

func (w *walk) fail(err error) bool {
	w.yield(objstore.Info{}, fmt.Errorf("list objects %q: %w", w.prefix, w.s.classify(err)))
	return false
}

// keyName is how the entry goes on in keys: below a directory comes a slash,
// which sorts after "-" and before "0".
func keyName(entry fs.DirEntry) string {
	if entry.IsDir() {
		return entry.Name() + "/"
	}
	return entry.Name()
}

func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) }

func readDir(root *os.Root, name string) ([]fs.DirEntry, error) {
	dir, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return dir.ReadDir(-1)
}
