package snapshot

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"skein/internal/fault"
	"skein/meta"
)

// spool keeps files of an index in a temporary file: they are more than fit in
// memory, and what gives them must be done before what takes them begins.
type spool struct {
	dir string
	f   *os.File // nil while it is empty
	w   *bufio.Writer
}

func newSpool(dir string) *spool { return &spool{dir: dir} }

func (s *spool) add(f meta.File) error {
	if s.f == nil {
		file, err := os.CreateTemp(s.dir, "skein-restore-*")
		if err != nil {
			return spoolError(err)
		}
		s.f, s.w = file, bufio.NewWriterSize(file, 256<<10)
	}
	data, err := json.Marshal(f)
	if err == nil {
		_, err = s.w.Write(append(data, '\n'))
	}
	return spoolError(err)
}

// pages gives the files back, a page at a time.
func (s *spool) pages(f func([]meta.File) error) error {
	if s.f == nil {
		return nil
	}
	if err := s.w.Flush(); err != nil {
		return spoolError(err)
	}
	if _, err := s.f.Seek(0, io.SeekStart); err != nil {
		return spoolError(err)
	}
	dec := json.NewDecoder(s.f)
	for {
		var page []meta.File
		for len(page) < meta.PageMax {
			var file meta.File
			err := dec.Decode(&file)
			if errors.Is(err, io.EOF) {
				return f(page)
			}
			if err != nil {
				return spoolError(err)
			}
			page = append(page, file)
		}
		if err := f(page); err != nil {
			return err
		}
	}
}

// remove ends the spool; of none it does nothing.
func (s *spool) remove() {
	if s != nil && s.f != nil {
		_, _ = s.f.Close(), os.Remove(s.f.Name())
		s.f = nil
	}
}

func spoolError(err error) error {
	if err == nil {
		return nil
	}
	return fault.Wrap(fault.Unavailable, fmt.Errorf("temporary file of a restore: %w", err))
}
