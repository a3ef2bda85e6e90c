package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"
	"time"

	"skein/internal/fault"
	"skein/objstore"
	"skein/objstore/internal/disk"
)

// Options of a Store.
type Options struct {
	// NoSync leaves out every fsync: faster, and after a power cut objects may
	// be gone or damaged. For throwaway data only.
	NoSync bool
}

// Store keeps objects under a directory. It is an objstore.Store and an
// objstore.Localer.
type Store struct {
	dir     string // absolute
	root    *os.Root
	session *session
	options Options
}

const (
	objectsDir = "objects"
	dirMode    = 0o750
	fileMode   = 0o640
)

// Open makes dir if it is missing and removes what writers that have died
// left half written. The caller closes the store.
func Open(dir string, options Options) (*Store, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fault.Newf(fault.InvalidArgument, "object directory %q: %w", dir, err)
	}
	s := &Store{dir: abs, options: options}
	if err := s.open(); err != nil {
		return nil, s.classify(err)
	}
	return s, nil
}

func (s *Store) open() error {
	if err := os.MkdirAll(s.dir, dirMode); err != nil {
		return err
	}
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return err
	}
	if err := root.MkdirAll(objectsDir, dirMode); err != nil {
		root.Close()
		return err
	}
	session, err := openSession(root)
	if err != nil {
		root.Close()
		return err
	}
	s.root, s.session = root, session
	return s.syncDirs(".")
}

// Close gives back the directory. No other method may be running or follow,
// but readers that Get returned may be read on.
func (s *Store) Close() error {
	return errors.Join(s.session.close(s.root), s.root.Close())
}

// Get implements objstore.Store.
func (s *Store) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if err := objstore.ValidateKey(key); err != nil {
		return nil, err
	}
	if err := objstore.ValidateRange(key, offset, length); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("object %q: %w", key, err)
	}
	if _, err := s.lstat(key); err != nil {
		return nil, err
	}
	file, err := s.root.Open(objectName(key))
	if err != nil {
		return nil, s.objectError(key, err)
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = objstore.ErrNotFound
	}
	if err != nil {
		file.Close()
		return nil, s.objectError(key, err)
	}
	rest := max(0, info.Size()-offset)
	if length == -1 || length > rest {
		length = rest
	}
	return &reader{ctx: ctx, s: s, key: key, part: io.NewSectionReader(file, offset, length), file: file}, nil
}

// reader reads one range of an object's file.
type reader struct {
	ctx  context.Context
	s    *Store
	key  string
	part *io.SectionReader
	file *os.File
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, fmt.Errorf("object %q: %w", r.key, err)
	}
	n, err := r.part.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = r.s.objectError(r.key, err)
	}
	return n, err
}

func (r *reader) Close() error { return r.file.Close() }

// Stat implements objstore.Store.
func (s *Store) Stat(ctx context.Context, key string) (objstore.Info, error) {
	if err := objstore.ValidateKey(key); err != nil {
		return objstore.Info{}, err
	}
	if err := ctx.Err(); err != nil {
		return objstore.Info{}, fmt.Errorf("object %q: %w", key, err)
	}
	info, err := s.lstat(key)
	if err != nil {
		return objstore.Info{}, err
	}
	return objstore.Info{Key: key, Size: info.Size(), Modified: info.ModTime()}, nil
}

// LocalPath implements objstore.Localer. The file stays until the object is
// deleted or replaced.
func (s *Store) LocalPath(key string) (string, error) {
	if err := objstore.ValidateKey(key); err != nil {
		return "", err
	}
	if _, err := s.lstat(key); err != nil {
		return "", err
	}
	return filepath.Join(s.dir, filepath.FromSlash(objectName(key))), nil
}

// Ping writes and removes a probe file.
func (s *Store) Ping(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	temp, err := s.session.create(s.root)
	if err != nil {
		return s.classify(err)
	}
	_, err = temp.Write([]byte(time.Now().UTC().Format(time.RFC3339)))
	if err := errors.Join(err, temp.Close(), s.root.Remove(temp.name)); err != nil {
		return s.classify(err)
	}
	if _, err := s.root.Stat(objectsDir); err != nil {
		return s.classify(err)
	}
	return nil
}

// lstat describes the object's file; anything but a regular file is no object.
func (s *Store) lstat(key string) (fs.FileInfo, error) {
	info, err := s.root.Lstat(objectName(key))
	if err == nil && !info.Mode().IsRegular() {
		err = objstore.ErrNotFound
	}
	if err != nil {
		return nil, s.objectError(key, err)
	}
	return info, nil
}

// objectName is the object's file relative to the root.
func objectName(key string) string { return path.Join(objectsDir, key) }

func (s *Store) objectError(key string, err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		err = objstore.ErrNotFound
	}
	return fmt.Errorf("object %q: %w", key, s.classify(err))
}

func (s *Store) classify(err error) error { return disk.Classify(err, "object directory", s.dir) }
