package catalog

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"time"

	"skein/internal/fault"
	"skein/meta"
	"skein/meta/rebuild"
	"skein/worker"
)

// found is the files of a table with what they tell of it. The files are more
// than fit in memory and lie in a temporary file.
type found struct {
	dir     string
	file    *os.File // nil while it is empty
	w       *bufio.Writer
	sources []*source
}

// source is a schema of an incarnation of the table.
type source struct {
	uid     string
	created time.Time
	config  meta.Config // of the newest file
	schema  meta.Schema
	version int   // of the schema, as its files tell it
	newest  int64 // number of a file
	place   int   // of the schema in the table that is made; -1 if not yet
}

func newFound(dir string) *found { return &found{dir: dir} }

// source returns the number of what a file's note says beside the file.
func (f *found) source(n worker.Note, number int64) int {
	for i, s := range f.sources {
		if s.uid == n.UID && s.version == n.File.SchemaVersion && reflect.DeepEqual(s.schema, n.Schema) {
			if number > s.newest {
				s.newest, s.config, s.created = number, n.Config, n.Created
			}
			return i
		}
	}
	f.sources = append(f.sources, &source{uid: n.UID, created: n.Created, config: n.Config, schema: n.Schema, version: n.File.SchemaVersion, newest: number, place: -1})
	return len(f.sources) - 1
}

func (f *found) add(files []rebuild.Found) error {
	if f.file == nil {
		file, err := os.CreateTemp(f.dir, "skein-rebuild-*")
		if err != nil {
			return spooled(err)
		}
		f.file, f.w = file, bufio.NewWriterSize(file, 256<<10)
	}
	for _, one := range files {
		data, err := json.Marshal(one)
		if err == nil {
			_, err = f.w.Write(append(data, '\n'))
		}
		if err != nil {
			return spooled(err)
		}
	}
	return nil
}

// pages gives the files back, size of them at most at a time.
func (f *found) pages(size int, use func([]rebuild.Found) error) error {
	if f.file == nil {
		return nil
	}
	if err := f.w.Flush(); err != nil {
		return spooled(err)
	}
	if _, err := f.file.Seek(0, io.SeekStart); err != nil {
		return spooled(err)
	}
	dec := json.NewDecoder(bufio.NewReaderSize(f.file, 256<<10))
	for {
		var page []rebuild.Found
		for len(page) < size {
			var one rebuild.Found
			err := dec.Decode(&one)
			if errors.Is(err, io.EOF) {
				return use(page)
			}
			if err != nil {
				return spooled(err)
			}
			page = append(page, one)
		}
		if err := use(page); err != nil {
			return err
		}
	}
}

func (f *found) close() {
	if f.file != nil {
		_, _ = f.file.Close(), os.Remove(f.file.Name())
	}
}

func spooled(err error) error {
	return fault.Wrap(fault.Unavailable, fmt.Errorf("temporary file of a rebuild: %w", err))
}
