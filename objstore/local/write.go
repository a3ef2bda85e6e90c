package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"syscall"

	"skein/internal/fault"
	"skein/objstore"
	"skein/objstore/internal/disk"
)

// renameTriesMax bounds how often Put makes its directory anew because
// concurrent Deletes keep pruning it.
const renameTriesMax = 100

// Put implements objstore.Store.
func (s *Store) Put(ctx context.Context, key string, r io.Reader, size int64) error {
	if err := objstore.ValidateKey(key); err != nil {
		return err
	}
	if size < 0 {
		return fault.Newf(fault.InvalidArgument, "object %q: size %d must be 0 or more", key, size)
	}
	temp, err := s.session.create(s.root)
	if err != nil {
		return s.putError(key, err)
	}
	source := objstore.Exactly(ctx, key, r, size)
	if err := s.fill(temp, source); err != nil {
		_ = s.root.Remove(temp.name) // else the next Open removes it
		if source.Err() != nil {
			return source.Err() // the caller's own, not the disk's
		}
		return s.putError(key, err)
	}
	if err := s.publish(temp.name, objectName(key)); err != nil {
		_ = s.root.Remove(temp.name)
		return s.putError(key, err)
	}
	return s.putError(key, s.syncDirs(path.Dir(objectName(key))))
}

// fill writes the object into temp, makes it durable and closes it.
func (s *Store) fill(temp *tempFile, r io.Reader) error {
	_, err := io.Copy(temp, r)
	if err == nil && !s.options.NoSync {
		err = temp.Sync()
	}
	return errors.Join(err, temp.Close())
}

// publish renames temp to name, making the directories above it.
func (s *Store) publish(temp, name string) (err error) {
	for range renameTriesMax {
		err = s.root.Rename(temp, name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			err := s.root.MkdirAll(path.Dir(name), dirMode)
			// A concurrent Delete may take away what was just made or found.
			if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrExist) {
				return err
			}
		case errors.Is(err, syscall.EISDIR), errors.Is(err, fs.ErrExist):
			// A directory without objects, left by a crash, makes room.
			if s.root.Remove(name+"/") != nil {
				return err
			}
		default:
			return err
		}
	}
	return err
}

// syncDirs makes the names in directory name and in those above it durable: a
// concurrent Put may have made one of them and not synced it yet.
func (s *Store) syncDirs(name string) error {
	if s.options.NoSync {
		return nil
	}
	for {
		err := disk.SyncDir(s.root, name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // pruned: the object is deleted again
			return err
		}
		if name == "." {
			return nil
		}
		name = path.Dir(name)
	}
}

func (s *Store) putError(key string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR), errors.Is(err, syscall.ENOTEMPTY), errors.Is(err, fs.ErrExist):
		return fault.Newf(fault.FailedPrecondition,
			"object %q: a directory driver cannot keep both an object and objects below it; use another key: %w", key, err)
	}
	return fmt.Errorf("object %q: %w", key, s.classify(err))
}

// Delete implements objstore.Store. It also removes the directories above the
// object that have become empty.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := objstore.ValidateKey(key); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("object %q: %w", key, err)
	}
	_, err := s.lstat(key)
	if errors.Is(err, objstore.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	name := objectName(key)
	if err := s.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s.objectError(key, err)
	}
	if err := s.syncDirs(path.Dir(name)); err != nil {
		return s.objectError(key, err)
	}
	s.prune(path.Dir(name))
	return nil
}

// prune removes empty directories from name upwards. A concurrent Put makes
// them again when it finds them gone.
func (s *Store) prune(name string) {
	for name != objectsDir && s.root.Remove(name+"/") == nil { // the slash: never a file
		name = path.Dir(name)
	}
}
