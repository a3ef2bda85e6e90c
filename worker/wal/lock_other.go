//go:build !unix

package wal

import (
	"os"
	"path/filepath"
)

// lockDir keeps nobody out here.
func lockDir(dir string) (*os.File, error) {
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	return f, classify(path, err)
}

func isFull(error) bool { return false }
