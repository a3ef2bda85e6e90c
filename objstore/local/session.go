package local

import (
	"fmt"
	"os"
	"path"
	"sync/atomic"

	"github.com/oklog/ulid/v2"

	"skein/objstore/internal/disk"
)

const (
	tempDir  = "tmp"
	lockFile = "lock"
)

// session is the temporary directory of one open Store. It is locked for as
// long as the Store lives, so that another one knows whose owner has died.
type session struct {
	name string // such as tmp/01JD…
	held *os.File
	next atomic.Int64
}

// openSession removes the sessions of the dead and makes a new one.
func openSession(root *os.Root) (*session, error) {
	if err := root.MkdirAll(tempDir, dirMode); err != nil {
		return nil, err
	}
	// One opener at a time: a session exists for a moment before it is locked.
	lock, err := root.OpenFile(lockFile, os.O_CREATE|os.O_RDWR, fileMode)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	if err := disk.Lock(lock); err != nil {
		return nil, fmt.Errorf("lock %s: %w", lockFile, err)
	}
	if err := sweep(root); err != nil {
		return nil, err
	}
	s := &session{name: path.Join(tempDir, ulid.Make().String())}
	if err := root.Mkdir(s.name, dirMode); err != nil {
		return nil, err
	}
	if s.held, err = root.Open(s.name); err != nil {
		return nil, err
	}
	if _, err := disk.TryLock(s.held); err != nil {
		s.held.Close()
		return nil, fmt.Errorf("lock %s: %w", s.name, err)
	}
	return s, nil
}

// sweep removes what is in the temporary directory and nobody holds.
func sweep(root *os.Root) error {
	entries, err := readDir(root, tempDir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := path.Join(tempDir, entry.Name())
		if entry.IsDir() {
			dead, err := isDead(root, name)
			if err != nil {
				return err
			}
			if !dead {
				continue
			}
		}
		if err := root.RemoveAll(name); err != nil {
			return err
		}
	}
	return nil
}

func isDead(root *os.Root, name string) (bool, error) {
	f, err := root.Open(name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	return disk.TryLock(f)
}

// tempFile is a file that nobody else knows.
type tempFile struct {
	*os.File
	name string // relative to the root
}

func (s *session) create(root *os.Root) (*tempFile, error) {
	name := path.Join(s.name, fmt.Sprint(s.next.Add(1)))
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, fileMode)
	if err != nil {
		return nil, err
	}
	return &tempFile{f, name}, nil
}

func (s *session) close(root *os.Root) error {
	err := root.RemoveAll(s.name)
	s.held.Close()
	return err
}
