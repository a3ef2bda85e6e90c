//go:build !unix

package disk

import "os"

// TryLock cannot lock here: whoever opens a directory is taken for its owner.
func TryLock(*os.File) (bool, error) { return true, nil }

// Lock cannot lock here.
func Lock(*os.File) error { return nil }
