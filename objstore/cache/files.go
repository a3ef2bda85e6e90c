package cache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"

	"skein/internal/fault"
	"skein/objstore/internal/disk"
)

const (
	dataSuffix = ".parquet" // DuckDB goes by it
	sideSuffix = ".json"
	tempDir    = "tmp"
	lockFile   = "lock"
	dirMode    = 0o750
	fileMode   = 0o640

	nameLength   = 32       // hex digits of a file's name
	sideBytesMax = 64 << 20 // of a side file: 3 million parts
)

// side is what the side file keeps of an object.
type side struct {
	Key       string   `json:"key"`
	Size      int64    `json:"size"`
	PartBytes int64    `json:"part_bytes"`
	Sums      []uint64 `json:"sums"` // xxhash64 of each part
}

// parts is their number; an empty object has one.
func (s side) parts() int64 { return max(1, (s.Size-1)/s.PartBytes+1) }

// part is where the i-th part lies.
func (s side) part(i int) (offset, length int64) {
	offset = int64(i) * s.PartBytes
	return offset, min(s.PartBytes, s.Size-offset)
}

// found is a file from before.
type found struct {
	id
	used time.Time
}

// files is the cache's directory.
type files struct {
	dir  string
	lock *os.File
}

// openFiles takes the directory, empties what was being downloaded and finds
// the files that are whole by their names and sizes.
func openFiles(dir string) (*files, []found, error) {
	f := &files{dir: dir}
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return nil, nil, f.classify(err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, fileMode)
	if err != nil {
		return nil, nil, f.classify(err)
	}
	f.lock = lock
	ours, err := disk.TryLock(lock)
	if err == nil && !ours {
		err = fault.Newf(fault.FailedPrecondition, "object cache %s is in use by another process; give each its own directory", dir)
	}
	var all []found
	if err == nil {
		all, err = f.recover()
	}
	if err != nil {
		lock.Close()
		return nil, nil, f.classify(err)
	}
	return f, all, nil
}

func (f *files) close() error { return f.lock.Close() }

func (f *files) recover() ([]found, error) {
	temp := filepath.Join(f.dir, tempDir)
	if err := errors.Join(os.RemoveAll(temp), os.Mkdir(temp, dirMode)); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, err
	}
	var all []found
	for _, entry := range entries {
		name, isData := strings.CutSuffix(entry.Name(), dataSuffix)
		name, isSide := strings.CutSuffix(name, sideSuffix)
		if !isName(name) || isData == isSide || !entry.Type().IsRegular() {
			continue // not ours
		}
		one, ok := f.find(name)
		switch {
		case ok && isSide:
			all = append(all, one)
		case !ok:
			if err := os.Remove(filepath.Join(f.dir, entry.Name())); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

func isName(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) == nameLength
}

// find describes the object whose files have that name; false if they do not
// fit together.
func (f *files) find(name string) (found, bool) {
	base := filepath.Join(f.dir, name)
	s, used, err := readSide(base + sideSuffix)
	if err != nil || f.base(s.id()) != base {
		return found{}, false
	}
	return found{s.id(), used}, f.present(s.id())
}

func (s side) id() id { return id{s.Key, s.Size} }

func readSide(path string) (s side, used time.Time, err error) {
	file, err := os.Open(path)
	if err != nil {
		return side{}, time.Time{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return side{}, time.Time{}, err
	}
	if err := json.NewDecoder(io.LimitReader(file, sideBytesMax)).Decode(&s); err != nil {
		return side{}, time.Time{}, fmt.Errorf("side file: %w", err)
	}
	if s.Size < 0 || s.PartBytes <= 0 || s.parts() != int64(len(s.Sums)) {
		return side{}, time.Time{}, errors.New("side file: its numbers do not fit")
	}
	return s, info.ModTime(), nil
}

// base is the path of an object's files without suffix.
func (f *files) base(id id) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d/%s", id.size, id.key))
	return filepath.Join(f.dir, hex.EncodeToString(sum[:])[:nameLength])
}

func (f *files) data(id id) string { return f.base(id) + dataSuffix }

// present tells whether the object's file is there with the right size.
func (f *files) present(id id) bool {
	info, err := os.Lstat(f.data(id))
	return err == nil && info.Mode().IsRegular() && info.Size() == id.size
}

// touch notes that the object was used now.
func (f *files) touch(id id) {
	now := time.Now()
	_ = os.Chtimes(f.base(id)+sideSuffix, now, now) // only the order of eviction after a restart
}

func (f *files) create() (*os.File, error) {
	file, err := os.CreateTemp(filepath.Join(f.dir, tempDir), "part-*")
	return file, f.classify(err)
}

// publish gives a whole temporary file its name and writes its side file.
func (f *files) publish(temp string, s side) error {
	base := f.base(s.id())
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	tempSide := temp + sideSuffix
	if err := os.WriteFile(tempSide, text, fileMode); err != nil {
		return f.classify(err)
	}
	if err := os.Rename(temp, base+dataSuffix); err != nil {
		return f.classify(err)
	}
	if err := os.Rename(tempSide, base+sideSuffix); err != nil {
		return f.classify(errors.Join(err, os.Remove(base+dataSuffix)))
	}
	return nil
}

// remove takes the object's files away; that they are gone is no error.
func (f *files) remove(id id) error {
	var errs []error
	for _, suffix := range []string{dataSuffix, sideSuffix} {
		if err := os.Remove(f.base(id) + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, f.classify(err))
		}
	}
	return errors.Join(errs...)
}

// check compares the object's file with its checksums.
func (f *files) check(ctx context.Context, id id) error {
	s, _, err := readSide(f.base(id) + sideSuffix)
	if err != nil {
		return err
	}
	file, err := os.Open(f.data(id))
	if err != nil {
		return err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || info.Size() != id.size || s.id() != id {
		return errors.Join(err, errors.New("its size is not what the side file says"))
	}
	buffer := make([]byte, copyBytes)
	for i, want := range s.Sums {
		if err := ctx.Err(); err != nil {
			return err
		}
		sum := xxhash.New()
		offset, length := s.part(i)
		if _, err := io.CopyBuffer(sum, io.NewSectionReader(file, offset, length), buffer); err != nil {
			return err
		}
		if sum.Sum64() != want {
			return fmt.Errorf("checksum of %d bytes from %d is %x, not %x", length, offset, sum.Sum64(), want)
		}
	}
	return nil
}

func (f *files) classify(err error) error { return disk.Classify(err, "object cache", f.dir) }
