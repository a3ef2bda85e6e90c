package wal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"skein/internal/fault"
)

// segment is a closed segment file.
type segment struct {
	seq   uint64
	path  string
	bytes int64 // up to the end of the last acknowledged frame
}

// Open finds what the log in dir holds, makes dir if need be, and starts
// taking records. A frame that a crash left half written at the end is cut
// off; any other damage is an error that tells what to do.
func Open(dir string, o Options) (*Log, error) {
	o = o.withDefaults()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, classify(dir, err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	l := &Log{dir: dir, o: o, lock: lock, wake: make(chan struct{}, 1), stopped: make(chan struct{}), nextSeq: 1}
	if err := l.recover(); err != nil {
		lock.Close()
		return nil, err
	}
	l.mark = l.nextSeq
	go l.run()
	return l, nil
}

// recover checks all segments and fills in what is known of them.
func (l *Log) recover() error {
	seqs, err := l.list()
	if err == nil {
		seqs, err = l.dropTornHeader(seqs)
	}
	if err != nil {
		return err
	}
	for i := 1; i < len(seqs); i++ {
		if missing := seqs[i-1] + 1; missing != seqs[i] {
			return l.damaged(segmentName(missing), 0, "the file is missing")
		}
	}
	for i, seq := range seqs {
		var next *header
		if i+1 < len(seqs) {
			if next, err = l.headerOf(seq + 1); err != nil {
				return err
			}
		}
		s, torn, err := l.check(seq, next)
		if err != nil {
			return err
		}
		l.segments = append(l.segments, s)
		l.nextSeq, l.prevLen = seq+1, s.bytes
		l.torn += torn
	}
	return nil
}

// list returns the numbers of the segment files in order.
func (l *Log) list() ([]uint64, error) {
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		return nil, classify(l.dir, err)
	}
	var seqs []uint64
	for _, e := range entries {
		if seq, ok := segmentSeq(e.Name()); ok {
			seqs = append(seqs, seq)
		}
	}
	slices.Sort(seqs)
	return seqs, nil
}

// check reads one segment; next is the header of the one after it, nil if it
// is the last. It cuts a torn frame off the last one.
func (l *Log) check(seq uint64, next *header) (s segment, torn int64, err error) {
	s = segment{seq: seq, path: l.path(seq)}
	data, err := os.ReadFile(s.path)
	if err != nil {
		return s, 0, classify(s.path, err)
	}
	h, ok := decodeHeader(data)
	if !ok || h.seq != seq {
		return s, 0, l.damaged(segmentName(seq), 0, "its header is not valid")
	}
	end, _ := h.frames(data, nil)
	if next != nil {
		if end < next.prevLen {
			return s, 0, l.damaged(segmentName(seq), end, "a record is damaged")
		}
		s.bytes = next.prevLen
		return s, 0, nil
	}
	s.bytes, torn = end, int64(len(data))-end
	if torn == 0 {
		return s, 0, nil
	}
	if h.frameAfter(data, end) {
		return s, 0, l.damaged(segmentName(seq), end, "a record is damaged, though later ones are whole")
	}
	return s, torn, cut(s.path, end)
}

// dropTornHeader removes a last segment whose header never became durable: no
// record can be in it.
func (l *Log) dropTornHeader(seqs []uint64) ([]uint64, error) {
	if len(seqs) == 0 {
		return nil, nil
	}
	last := seqs[len(seqs)-1]
	data, err := readStart(l.path(last), headerBytes+1)
	if err != nil {
		return nil, classify(l.path(last), err)
	}
	if _, ok := decodeHeader(data); ok || len(data) > headerBytes {
		return seqs, nil
	}
	l.torn += int64(len(data))
	return seqs[:len(seqs)-1], classify(l.path(last), os.Remove(l.path(last)))
}

// headerOf reads the header of a segment.
func (l *Log) headerOf(seq uint64) (*header, error) {
	data, err := readStart(l.path(seq), headerBytes)
	if err != nil {
		return nil, classify(l.path(seq), err)
	}
	h, ok := decodeHeader(data)
	if !ok || h.seq != seq {
		return nil, l.damaged(segmentName(seq), 0, "its header is not valid")
	}
	return &h, nil
}

// readStart reads the first n bytes of a file, or all if it is shorter.
func readStart(path string, n int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data := make([]byte, n)
	got, err := f.ReadAt(data, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return data[:got], nil
}

func cut(path string, end int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return classify(path, err)
	}
	defer f.Close()
	if err := f.Truncate(end); err != nil {
		return classify(path, err)
	}
	return classify(path, f.Sync())
}

// Replay calls each with every acknowledged record, in order. Call it before
// the first Enqueue.
func (l *Log) Replay(each func(segment uint64, record []byte) error) error {
	for _, s := range l.segments {
		if err := l.scan(s, func(r []byte) error { return each(s.seq, r) }); err != nil {
			return err
		}
	}
	return nil
}

func (l *Log) scan(s segment, each func(record []byte) error) error {
	data, err := os.ReadFile(s.path)
	if err != nil {
		return classify(s.path, err)
	}
	h, ok := decodeHeader(data)
	if !ok {
		return l.damaged(segmentName(s.seq), 0, "its header is not valid")
	}
	end, err := h.frames(data[:min(s.bytes, int64(len(data)))], each)
	if err != nil {
		return fmt.Errorf("log segment %s: %w", s.path, err)
	}
	if end < s.bytes {
		return l.damaged(segmentName(s.seq), end, "a record is damaged")
	}
	return nil
}

// Scan calls each with every record that was acknowledged before the call and
// lies in the segment from or a later one, in order. The caller sees to it that
// these segments are not trimmed meanwhile.
func (l *Log) Scan(from uint64, each func(record []byte) error) error {
	l.mu.Lock()
	segments := slices.Clone(l.segments)
	if l.tail.bytes > 0 {
		segments = append(segments, l.tail)
	}
	l.mu.Unlock()
	for _, s := range segments {
		if s.seq < from {
			continue
		}
		if err := l.scan(s, func(r []byte) error { return each(r) }); err != nil {
			return err
		}
	}
	return nil
}

func (l *Log) damaged(name string, offset int64, what string) error {
	return fault.Newf(fault.FailedPrecondition,
		"log segment %s at byte %d: %s; acknowledged rows may be in it, so nothing is skipped: restore the file from a copy, or, to give up the rows from there on, move this file and all later ones out of %s and start again",
		filepath.Join(l.dir, name), offset, what, l.dir)
}

func classify(path string, err error) error {
	switch {
	case err == nil:
		return nil
	case isFull(err):
		return fault.Newf(fault.ResourceExhausted, "log %s: the disk is full, free space on it: %w", path, err)
	case errors.Is(err, fs.ErrPermission):
		return fault.Newf(fault.Unavailable, "log %s: check its owner and mode: %w", path, err)
	}
	return fault.Newf(fault.Unavailable, "log %s: %w", path, err)
}
