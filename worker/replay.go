package worker

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"skein/internal/fault"
	nodev1 "skein/proto/node/v1"
)

// replay rebuilds the units that the log does not say to be over. They take
// no more rows.
func (w *Worker) replay() error {
	over := map[string]bool{}     // units
	discarded := map[string]int{} // table UIDs -> number of the record that tells the last end
	number := 0
	err := w.wal.Replay(func(_ uint64, b []byte) error {
		number++
		return w.replayEnds(b, number, over, discarded)
	})
	if err != nil {
		return err
	}
	units := map[string]*unit{}
	number = 0
	err = w.wal.Replay(func(segment uint64, b []byte) error {
		number++
		if len(b) > 0 && b[0] == entryOpened {
			o, err := readOpenedEntry(b)
			if err != nil || over[o.Unit] || number < discarded[o.TableUID] {
				return err
			}
			w.replayed(segment, o.Unit, o.NS, o.Table, o.TableUID, units).replica = o.Replica
			return nil
		}
		if len(b) == 0 || b[0] != entryRows {
			return nil
		}
		e, err := readRowsEntry(b)
		if err != nil || over[e.unit] {
			return err
		}
		return w.replayRows(segment, e, units, func(tableUID string) bool { return number < discarded[tableUID] })
	})
	if err != nil {
		return err
	}
	w.adopt(units)
	return nil
}

func (w *Worker) replayEnds(b []byte, number int, over map[string]bool, discarded map[string]int) error {
	if len(b) == 0 {
		return fault.New(fault.Internal, "an empty log record")
	}
	switch b[0] {
	case entryRows, entryOpened:
	case entryDiscarded:
		discarded[string(b[1:])] = number
	case entryCommitted:
		list, err := readCommittedEntry(b)
		if err != nil {
			return err
		}
		for _, c := range list {
			if over[c.Unit] {
				continue
			}
			over[c.Unit] = true
			c.logged = true
			w.forget = append(w.forget, c)
		}
	default:
		return fault.Newf(fault.FailedPrecondition, "the log has a record of kind %d, which this release does not know; start the newer release again", b[0])
	}
	return nil
}

// replayRows adds rows to their unit, unless their table ended after them: one
// that was dropped and restored is the same one, and has rows from after its end.
func (w *Worker) replayRows(segment uint64, e loggedRows, units map[string]*unit, ended func(tableUID string) bool) error {
	var req nodev1.AppendRequest
	if err := proto.Unmarshal(e.request, &req); err != nil {
		return fmt.Errorf("log record of unit %s: %w", e.unit, err)
	}
	if ended(req.TableUid) || len(req.Records) == 0 {
		return nil
	}
	w.replayed(segment, e.unit, e.ns, req.Table, req.TableUid, units).add(newChunk(req.Records, e.version), segment)
	return nil
}

// replayed is the unit of a log record.
func (w *Worker) replayed(segment uint64, id string, ns int64, table, tableUID string, units map[string]*unit) *unit {
	u := units[id]
	if u == nil {
		u = newUnit(w.keep(newTable(table, tableUID)), ns)
		u.id, u.sealed, u.replayed, u.generation = id, true, true, generationUnknown
		units[id] = u
		u.table.units = append(u.table.units, u)
	}
	u.touch(segment)
	return u
}

// adopt reserves buffer space for the replayed units, as much as there is, and
// hands them to the loop.
func (w *Worker) adopt(units map[string]*unit) {
	left := w.o.BufferBytesMax
	rows := int64(0)
	for _, u := range units {
		u.reserved = min(u.bytes, left)
		u.queuedRows, u.queuedBytes = u.rows, u.bytes
		left -= u.reserved
		if !w.budget.TryAcquire(u.reserved) {
			panic("BUG: replay takes more than the buffer")
		}
		rows += u.rows
		w.handOver(u)
	}
	if torn := w.wal.Torn(); torn > 0 {
		w.log.Warn("cut a half-written record off the log; nothing in it was acknowledged", "bytes", torn)
	}
	if rows > 0 {
		w.log.Info("rows found in the log", "rows", rows, "units", len(units))
	}
}
