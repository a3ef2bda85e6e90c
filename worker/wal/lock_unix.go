//go:build unix

package wal

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"skein/internal/fault"
)

// lockDir keeps other processes out of dir until the file is closed.
func lockDir(dir string) (*os.File, error) {
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, classify(path, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fault.Newf(fault.FailedPrecondition, "log %s is in use by another process, give each its own directory: %w", dir, err)
	}
	return f, nil
}

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}
