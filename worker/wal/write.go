package wal

import "os"

// writer is the segment that is being written.
type writer struct {
	header header
	path   string
	f      file
	end    int64 // of the last durable frame
}

// run writes what is in line until the log is closed.
func (l *Log) run() {
	defer close(l.stopped)
	for range l.wake {
		for {
			batch, closing := l.take()
			if len(batch) == 0 {
				if closing {
					l.finish()
					return
				}
				break
			}
			seq, err := l.write(batch)
			for _, e := range batch {
				e.durable(seq, err)
			}
			l.delivered(batch)
		}
	}
}

// take removes the next records for one fsync from the queue.
func (l *Log) take() (batch []entry, closing bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var bytes int64
	n := 0
	for n < len(l.queue) && (n == 0 || bytes+int64(len(l.queue[n].record)) <= l.o.BatchBytes) {
		bytes += int64(len(l.queue[n].record))
		n++
	}
	batch = l.queue[:n:n]
	l.queue = l.queue[n:]
	if len(l.queue) == 0 {
		l.queue = nil
	}
	return batch, l.closing
}

// write puts a batch on disk as one frame. After an error none of it is in the
// log.
func (l *Log) write(batch []entry) (seq uint64, err error) {
	if l.current == nil {
		if err := l.begin(); err != nil {
			return 0, err
		}
	}
	w := l.current
	records := make([][]byte, len(batch))
	for i, e := range batch {
		records[i] = e.record
	}
	l.buffer = w.header.appendFrame(l.buffer[:0], w.end, records)
	if _, err := w.f.WriteAt(l.buffer, w.end); err != nil {
		if w.f.Truncate(w.end) != nil {
			l.finish() // its end is told by the next segment
		}
		return 0, classify(w.path, err)
	}
	if err := w.f.Sync(); err != nil {
		// The disk may have lost any part of the frame and a second fsync
		// would not tell: nothing is written to this file again.
		_ = w.f.Truncate(w.end)
		l.finish()
		return 0, classify(w.path, err)
	}
	w.end += int64(len(l.buffer))
	l.mu.Lock()
	l.tail = segment{seq: w.header.seq, path: w.path, bytes: w.end}
	l.mu.Unlock()
	if cap(l.buffer) > int(2*l.o.BatchBytes) {
		l.buffer = nil
	}
	if w.end >= l.o.SegmentBytes {
		defer l.finish()
	}
	return w.header.seq, nil
}

// begin makes the next segment and its name durable.
func (l *Log) begin() error {
	w := &writer{header: newHeader(l.nextSeq, l.prevLen), path: l.path(l.nextSeq), end: headerBytes}
	f, err := l.o.create(w.path)
	if err != nil {
		return classify(w.path, err)
	}
	w.f = f
	_, err = f.WriteAt(w.header.encode(), 0)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = syncDir(l.dir)
	}
	if err != nil {
		f.Close()
		os.Remove(w.path)
		return classify(w.path, err)
	}
	l.nextSeq++
	l.current = w
	return nil
}

// finish closes the current segment; the next record begins another.
func (l *Log) finish() {
	w := l.current
	if w == nil {
		return
	}
	w.f.Close()
	l.current, l.prevLen = nil, w.end
	l.mu.Lock()
	l.segments = append(l.segments, segment{seq: w.header.seq, path: w.path, bytes: w.end})
	l.tail = segment{}
	l.mu.Unlock()
}

// delivered notes, after the durable functions of batch have run, where later
// records will lie.
func (l *Log) delivered(batch []entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range batch {
		l.pending -= int64(len(e.record))
	}
	l.mark, l.synced = l.nextSeq, 0
	if l.current != nil {
		l.mark, l.synced = l.current.header.seq, l.current.end
	}
}
