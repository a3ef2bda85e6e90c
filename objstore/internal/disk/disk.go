package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"skein/internal/fault"
)

// Classify gives a file system error its class. What says what the place is
// for, such as "object directory"; where is its path. A nil err stays nil; an
// err that has a class keeps it.
func Classify(err error, what, where string) error {
	if err == nil || fault.CodeOf(err) != fault.Internal {
		return err
	}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fault.Newf(fault.ResourceExhausted, "the disk of the %s %s is full; free space there: %w", what, where, err)
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return fault.Newf(fault.ResourceExhausted, "too many open files for the %s %s; raise the limit (ulimit -n): %w", what, where, err)
	case errors.Is(err, syscall.EFBIG):
		return fault.Newf(fault.ResourceExhausted, "the %s %s takes no file of this size: %w", what, where, err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fault.Newf(fault.Unavailable, "the %s %s refuses this user; check its owner and mode: %w", what, where, err)
	case isErrno(err), errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrClosed):
		return fault.Newf(fault.Unavailable, "the %s %s cannot be used: %w", what, where, err)
	}
	return err
}

func isErrno(err error) bool {
	var errno syscall.Errno
	return errors.As(err, &errno)
}

// SyncDir makes the names in directory name under root durable.
func SyncDir(root *os.Root, name string) error {
	dir, err := root.Open(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	return nil
}
