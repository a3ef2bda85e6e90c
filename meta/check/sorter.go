package check

import (
	"bufio"
	"cmp"
	"container/heap"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"

	"skein/internal/fault"
	"skein/meta"
)

const (
	runFiles  = 10_000 // entries that are sorted in memory
	writeSize = 256 << 10
	readSize  = 32 << 10 // of each sorted stretch
)

// sorter keeps the entries of an index in a temporary file and gives them back
// ordered by path. Stretches of the file are sorted; an index that comes in
// order is one stretch.
type sorter struct {
	dir  string
	f    *os.File // nil while nothing is written
	w    *bufio.Writer
	size int64
	buf  []meta.File
	ends []int64 // of the stretches
	last string  // path
}

func (s *sorter) add(files ...meta.File) error {
	for _, f := range files {
		if s.buf = append(s.buf, f); len(s.buf) == runFiles {
			if err := s.spill(); err != nil {
				return err
			}
		}
	}
	return nil
}

func byPath(a, b meta.File) int { return cmp.Compare(a.Path, b.Path) }

func (s *sorter) spill() error {
	if len(s.buf) == 0 {
		return nil
	}
	if s.f == nil {
		f, err := os.CreateTemp(s.dir, "skein-check-*")
		if err != nil {
			return spillError(err)
		}
		s.f, s.w = f, bufio.NewWriterSize(f, writeSize)
	}
	slices.SortFunc(s.buf, byPath)
	goesOn := len(s.ends) > 0 && s.buf[0].Path > s.last
	for _, f := range s.buf {
		data, err := json.Marshal(f)
		if err == nil {
			_, err = s.w.Write(append(data, '\n'))
		}
		if err != nil {
			return spillError(err)
		}
		s.size += int64(len(data)) + 1
	}
	s.last, s.buf = s.buf[len(s.buf)-1].Path, s.buf[:0]
	if goesOn {
		s.ends = s.ends[:len(s.ends)-1]
	}
	s.ends = append(s.ends, s.size)
	return nil
}

// all yields the entries in order, as often as it is called. Nothing may be
// added after the first call.
func (s *sorter) all() iter.Seq2[meta.File, error] {
	return func(yield func(meta.File, error) bool) {
		if s.f == nil { // they fit in memory
			slices.SortFunc(s.buf, byPath)
			for _, f := range s.buf {
				if !yield(f, nil) {
					return
				}
			}
			return
		}
		if err := errors.Join(s.spill(), s.w.Flush()); err != nil {
			yield(meta.File{}, spillError(err))
			return
		}
		s.merge(yield)
	}
}

func (s *sorter) merge(yield func(meta.File, error) bool) {
	var h stretches
	from := int64(0)
	for _, end := range s.ends {
		st := &stretch{dec: json.NewDecoder(bufio.NewReaderSize(io.NewSectionReader(s.f, from, end-from), readSize))}
		from = end
		if ok, err := st.next(); err != nil {
			yield(meta.File{}, err)
			return
		} else if ok {
			h = append(h, st)
		}
	}
	heap.Init(&h)
	for len(h) > 0 {
		if !yield(h[0].head, nil) {
			return
		}
		ok, err := h[0].next()
		switch {
		case err != nil:
			yield(meta.File{}, err)
			return
		case ok:
			heap.Fix(&h, 0)
		default:
			heap.Pop(&h)
		}
	}
}

// close removes the temporary file.
func (s *sorter) close() {
	if s.f != nil {
		_, _ = s.f.Close(), os.Remove(s.f.Name())
		s.f = nil
	}
}

// stretch is one sorted part of a sorter's file.
type stretch struct {
	dec  *json.Decoder
	head meta.File
}

func (s *stretch) next() (bool, error) {
	s.head = meta.File{}
	err := s.dec.Decode(&s.head)
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	return err == nil, spillError(err)
}

// stretches is a heap by the path of the heads.
type stretches []*stretch

func (h stretches) Len() int           { return len(h) }
func (h stretches) Less(i, j int) bool { return h[i].head.Path < h[j].head.Path }
func (h stretches) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *stretches) Push(x any)        { *h = append(*h, x.(*stretch)) } //nolint:forcetypeassert // container/heap
func (h *stretches) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

func spillError(err error) error {
	if err == nil {
		return nil
	}
	return fault.Wrap(fault.Unavailable, fmt.Errorf("temporary file of a check: %w", err))
}
