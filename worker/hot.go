package worker

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"skein/internal/fault"
	nodev1 "skein/proto/node/v1"
)

// Hot tells which acknowledged rows of a table are not known to be committed,
// as prefixes of units. They can be read for a minute after their commit.
// Unavailable if some are lost here and wait for the node that has them, too.
func (w *Worker) Hot(ctx context.Context, req *nodev1.HotRequest) (*nodev1.HotResponse, error) {
	res := &nodev1.HotResponse{}
	if !w.settled.Load() {
		lost, err := w.lostUnit(ctx, req.Table, req.TableUid)
		if err != nil {
			return nil, err
		}
		if lost != "" {
			return nil, fault.Newf(fault.Unavailable, "node %s has lost rows of unit %s, its replica is to store them", w.o.NodeID, lost).RetryIn(time.Second)
		}
	}
	w.mu.Lock()
	t := w.tables[req.TableUid]
	w.mu.Unlock()
	if t == nil {
		return res, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, u := range t.units {
		if u.rows == 0 {
			continue
		}
		u.announced = time.Now()
		h := &nodev1.HotUnit{
			Unit: u.id, Rows: u.rows, Bytes: u.bytes, SchemaVersion: int32(version(u.chunks)),
			MinTimeUs: u.chunks[0].minTime, MaxTimeUs: u.chunks[0].maxTime, WrittenUs: u.written.UnixMicro(),
		}
		for _, c := range u.chunks {
			h.MinTimeUs, h.MaxTimeUs = min(h.MinTimeUs, c.minTime), max(h.MaxTimeUs, c.maxTime)
		}
		res.Units = append(res.Units, h)
	}
	return res, nil
}

// ReadHot opens a Parquet file of exactly the first rows of a unit that Hot
// told of. The caller closes it.
func (w *Worker) ReadHot(ctx context.Context, req *nodev1.ReadHotRequest) (io.ReadCloser, error) {
	path, release, err := w.HotPath(ctx, req.TableUid, req.Unit, req.Rows)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		release()
		return nil, fault.Newf(fault.Unavailable, "hot unit %s: %w", req.Unit, err)
	}
	return &hotReader{f, release}, nil
}

type hotReader struct {
	*os.File
	release func()
}

func (r *hotReader) Close() error {
	defer r.release()
	return r.File.Close()
}

// HotPath is ReadHot for a reader in this process: the file stays until
// release, which must be called once.
func (w *Worker) HotPath(ctx context.Context, tableUID, unit string, rows int64) (path string, release func(), err error) {
	if rows <= 0 {
		return "", nil, fault.Newf(fault.InvalidArgument, "hot unit %s: %d rows are asked for, at least one is needed", unit, rows)
	}
	t, chunks := w.hotRows(tableUID, unit, rows)
	if t == nil {
		return "", nil, fault.Newf(fault.Unavailable, "hot unit %s with %d rows is not here any more, run the query again", unit, rows)
	}
	layout, err := w.layout(ctx, t, version(chunks))
	if err != nil {
		return "", nil, fmt.Errorf("hot unit %s: %w", unit, err)
	}
	path, release, err = w.hot.open(w.hotDir(), hotKey{unit, rows}, func(out io.Writer) error {
		return writeRecords(out, layout, "", func(yield func(*nodev1.Record) bool) {
			for _, c := range chunks {
				for _, r := range c.rows {
					if !yield(r) {
						return
					}
				}
			}
		})
	})
	if err != nil {
		return "", nil, fmt.Errorf("hot unit %s: %w", unit, err)
	}
	return path, release, nil
}

// hotRows finds the first rows of a unit, buffered or pinned.
func (w *Worker) hotRows(tableUID, id string, rows int64) (*table, []chunk) {
	w.mu.Lock()
	t := w.tables[tableUID]
	w.mu.Unlock()
	if t == nil {
		return nil, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, u := range slices.Concat(t.units, t.pinned) {
		if u.id != id {
			continue
		}
		if chunks, ok := u.prefix(rows); ok {
			return t, chunks
		}
	}
	return nil, nil
}

// pin keeps a committed unit that a query may still read. The table's lock is
// held.
func (w *Worker) pin(u *unit) {
	u.table.pinned = append(u.table.pinned, u)
	w.mu.Lock()
	w.pinned = append(w.pinned, u)
	w.pinnedBytes += u.bytes
	w.mu.Unlock()
}

// unpin frees the units that were pinned long enough, and the oldest if they
// are too many.
func (w *Worker) unpin(now time.Time) {
	var over, kept []*unit
	w.mu.Lock()
	for _, u := range w.pinned {
		if now.After(u.pinnedTill) || w.pinnedBytes > w.o.PinnedBytesMax {
			w.pinnedBytes -= u.bytes
			over = append(over, u)
		} else {
			kept = append(kept, u)
		}
	}
	w.pinned = kept
	w.mu.Unlock()
	for _, u := range over {
		u.table.mu.Lock()
		u.table.pinned = slices.DeleteFunc(u.table.pinned, func(p *unit) bool { return p == u })
		u.table.mu.Unlock()
		w.hot.dropUnit(u.id)
	}
}
