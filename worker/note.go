package worker

import (
	"encoding/json"
	"io"
	"time"

	"github.com/apache/arrow-go/v18/parquet/file"

	"skein/internal/fault"
	"skein/meta"
)

// noteKey is the key of a Note in the metadata of a Parquet file.
const noteKey = "skein"

// Note is what a data file tells of itself and its table, so that the index
// can be made again from the files alone.
type Note struct {
	UID     string // of the table's incarnation
	Created time.Time
	Config  meta.Config // of the table when the file was written
	Schema  meta.Schema // of version File.SchemaVersion
	File    meta.File   // its entry in the index, without what is only known once it is written
}

// newNote is the text of a file's note. entry has the schema of the file's
// version at least, or s is that schema.
func newNote(entry meta.Table, s meta.Schema, f meta.File) string {
	f.Bytes, f.Ranges = 0, ""
	text, err := json.Marshal(Note{UID: entry.UID, Created: entry.Created, Config: entry.Config, Schema: s, File: f})
	if err != nil {
		panic("BUG: a note has no JSON: " + err.Error())
	}
	return string(text)
}

// ReadNote reads what a data file of so many bytes tells of itself, its size
// and the ranges of its columns included. What is no Parquet file, or one that
// tells nothing, is FailedPrecondition; an error of r stays as it is.
func ReadNote(r io.ReaderAt, size int64) (n Note, err error) {
	source := &sourceReader{r: r}
	defer func() {
		if p := recover(); p != nil { // a damaged footer
			err = fault.Newf(fault.FailedPrecondition, "its footer is damaged: %v", p)
		}
		if source.err != nil {
			err = source.err
		}
	}()
	p, err := file.NewParquetReader(io.NewSectionReader(source, 0, size))
	if err != nil {
		return n, fault.Newf(fault.FailedPrecondition, "it is no Parquet file: %w", err)
	}
	defer p.Close()
	text := p.MetaData().KeyValueMetadata().FindValue(noteKey)
	if text == nil {
		return n, fault.New(fault.FailedPrecondition, "it does not tell which table it is of")
	}
	if err := json.Unmarshal([]byte(*text), &n); err != nil {
		return n, fault.Newf(fault.FailedPrecondition, "what it tells of its table cannot be read: %w", err)
	}
	if n.File.Rows == 0 { // they were not counted before they were written
		n.File.Rows = p.NumRows()
	}
	if rows := p.NumRows(); rows != n.File.Rows {
		return n, fault.Newf(fault.FailedPrecondition, "it has %d rows and tells of %d", rows, n.File.Rows)
	}
	n.File.Bytes = size
	n.File.Ranges = rangesOf(p.MetaData(), &n.File, n.Schema)
	return n, nil
}

// sourceReader remembers the error of a reader.
type sourceReader struct {
	r   io.ReaderAt
	err error
}

// ReadAt implements io.ReaderAt.
func (s *sourceReader) ReadAt(b []byte, offset int64) (int, error) {
	n, err := s.r.ReadAt(b, offset)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}
