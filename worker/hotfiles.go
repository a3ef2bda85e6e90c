package worker

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"skein/internal/fault"
)

// hotFiles are the Parquet files of units that were asked for. Its zero value
// is ready.
type hotFiles struct {
	mu    sync.Mutex
	files map[hotKey]*hotFile
	clock int64 // counts uses
}

type hotKey struct {
	unit string
	rows int64
}

type hotFile struct {
	path  string
	ready chan struct{} // closed when written
	err   error         // of writing, once ready
	users int
	used  int64 // last use on the clock
	gone  bool  // to be removed by its last user
}

// hotFilesMax is how many files of one unit are kept while nobody uses them.
const hotFilesMax = 4

// open returns the file of the key, which write writes if it is not there.
// release must be called once.
func (h *hotFiles) open(dir string, k hotKey, write func(io.Writer) error) (path string, release func(), err error) {
	h.mu.Lock()
	f := h.files[k]
	mine := f == nil
	if mine {
		f = &hotFile{path: filepath.Join(dir, fmt.Sprintf("%s-%d.parquet", k.unit, k.rows)), ready: make(chan struct{})}
		if h.files == nil {
			h.files = map[hotKey]*hotFile{}
		}
		h.files[k] = f
	}
	h.clock++
	f.users, f.used = f.users+1, h.clock
	h.mu.Unlock()
	if mine {
		f.err = writeFile(f.path, write)
		close(f.ready)
	}
	<-f.ready
	release = sync.OnceFunc(func() { h.release(k, f) })
	if f.err != nil {
		h.forget(k, f)
		release()
		return "", nil, f.err
	}
	return f.path, release, nil
}

func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return fault.Newf(fault.Unavailable, "temporary file: %w", err)
	}
	defer f.Close()
	if err := write(f); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return fault.Newf(fault.Unavailable, "temporary file: %w", err)
	}
	return nil
}

// forget makes the next open of the key write the file anew.
func (h *hotFiles) forget(k hotKey, f *hotFile) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f.gone = true
	if h.files[k] == f {
		delete(h.files, k)
	}
}

func (h *hotFiles) release(k hotKey, f *hotFile) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f.users--
	if f.users == 0 && f.gone && h.files[k] == nil { // else a new file has its name
		os.Remove(f.path)
	}
	h.evict(k.unit)
}

// evict removes the unit's files beyond hotFilesMax that nobody uses, the
// longest unused first.
func (h *hotFiles) evict(unit string) {
	for {
		var oldest hotKey
		var f *hotFile
		idle := 0
		for k, g := range h.files {
			if k.unit != unit || g.users > 0 {
				continue
			}
			idle++
			if f == nil || g.used < f.used {
				oldest, f = k, g
			}
		}
		if idle <= hotFilesMax {
			return
		}
		delete(h.files, oldest)
		os.Remove(f.path)
	}
}

// dropUnit removes the files of a unit whose rows are not kept any more.
func (h *hotFiles) dropUnit(unit string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for k, f := range h.files {
		if k.unit != unit {
			continue
		}
		delete(h.files, k)
		f.gone = true
		if f.users == 0 {
			os.Remove(f.path)
		}
	}
}

// close removes all files.
func (h *hotFiles) close() {
	h.mu.Lock()
	units := map[string]bool{}
	for k := range h.files {
		units[k.unit] = true
	}
	h.mu.Unlock()
	for u := range units {
		h.dropUnit(u)
	}
}
