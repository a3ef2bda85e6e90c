package wal

import (
	"context"
	"os"
	"path/filepath"
	"sync"

	"skein/internal/fault"
)

// Options of a log.
type Options struct {
	SegmentBytes int64 // a segment is closed once it is this long; 64 MiB if zero
	BatchBytes   int64 // records written with one fsync; 4 MiB if zero
	PendingBytes int64 // records that may wait for their fsync; 512 MiB if zero

	create func(path string) (file, error) // for tests; the file system if nil
}

// RecordBytesMax is the longest record.
const RecordBytesMax = 64 << 20

func (o Options) withDefaults() Options {
	if o.SegmentBytes == 0 {
		o.SegmentBytes = 64 << 20
	}
	if o.BatchBytes == 0 {
		o.BatchBytes = 4 << 20
	}
	if o.PendingBytes == 0 {
		o.PendingBytes = 512 << 20
	}
	if o.create == nil {
		o.create = func(path string) (file, error) {
			return os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		}
	}
	return o
}

// file is what the log needs of an open segment.
type file interface {
	WriteAt(p []byte, off int64) (int, error)
	Sync() error
	Truncate(size int64) error
	Close() error
}

// Log is an append-only log in one directory, which it locks.
type Log struct {
	dir     string
	o       Options
	lock    *os.File
	wake    chan struct{} // tells run that the queue or closing changed
	stopped chan struct{} // closed when run has ended
	torn    int64

	mu       sync.Mutex
	queue    []entry
	pending  int64
	closing  bool
	segments []segment // closed ones, in order
	tail     segment   // the one that is written, as far as it is durable; zero if none is
	mark     uint64
	synced   int64

	// Of run alone, after Open.
	nextSeq uint64
	prevLen int64 // of the segment before nextSeq
	current *writer
	buffer  []byte
}

type entry struct {
	record  []byte
	durable func(segment uint64, err error)
}

// Torn is how many bytes of an unacknowledged frame Open cut off.
func (l *Log) Torn() int64 { return l.torn }

// Enqueue takes over record and puts it in line without waiting. durable is
// called once, in the order of the log: with the record's segment when the
// record is on disk, or with an error when it is not in the log. It must not
// block. On an error of Enqueue itself durable is not called.
func (l *Log) Enqueue(record []byte, durable func(segment uint64, err error)) error {
	if len(record) > RecordBytesMax {
		return fault.Newf(fault.TooLarge, "log record of %d bytes, at most %d are allowed", len(record), RecordBytesMax)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing {
		return fault.New(fault.Unavailable, "the log is closed")
	}
	if l.pending > 0 && l.pending+int64(len(record)) > l.o.PendingBytes {
		return fault.New(fault.ResourceExhausted, "the log's disk is too slow for its writers, retry later")
	}
	l.queue = append(l.queue, entry{record, durable})
	l.pending += int64(len(record))
	l.signal()
	return nil
}

// Append writes one record and waits until it is on disk. When ctx ends first
// the record may be in the log or not.
func (l *Log) Append(ctx context.Context, record []byte) error {
	done := make(chan error, 1)
	if err := l.Enqueue(record, func(_ uint64, err error) { done <- err }); err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l *Log) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Mark returns a segment number: every record whose durable function has not
// been called yet lies in that segment or a later one.
func (l *Log) Mark() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mark
}

// Bytes is the size of all segments.
func (l *Log) Bytes() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.synced
	for _, s := range l.segments {
		n += s.bytes
	}
	return n
}

// First is the number of the oldest segment; zero if there is no closed one.
func (l *Log) First() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.segments) == 0 {
		return 0
	}
	return l.segments[0].seq
}

// Trim removes the closed segments before the given one, oldest first, and
// makes that durable. It tells how many it removed.
func (l *Log) Trim(before uint64) (removed int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before = min(before, l.mark)
	for len(l.segments) > 0 && l.segments[0].seq < before {
		path := l.segments[0].path
		if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
			return removed, classify(path, err)
		}
		l.segments = l.segments[1:]
		removed++
	}
	if removed == 0 {
		return 0, nil
	}
	return removed, syncDir(l.dir)
}

// Close writes what is in line, ends the log's goroutine and unlocks the
// directory.
func (l *Log) Close() error {
	l.mu.Lock()
	again := l.closing
	l.closing = true
	l.signal()
	l.mu.Unlock()
	<-l.stopped
	if again {
		return nil
	}
	return l.lock.Close()
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return classify(dir, err)
	}
	defer d.Close()
	return classify(dir, d.Sync())
}

func (l *Log) path(seq uint64) string { return filepath.Join(l.dir, segmentName(seq)) }
