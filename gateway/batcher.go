package gateway

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"time"

	"skein/coordinator"
	"skein/gateway/internal/record"
	"skein/internal/fault"
)

const (
	batchRecordsMax = 1000
	batchBytesMax   = 4 << 20
)

// detailRecord is the detail by which the coordinator tells the bad record of
// a batch, from 0.
const detailRecord = "record"

// batcher gathers the records of a stream and writes them by table. Whatever
// is wrong with a record of a stream for one table, exactly the records before
// it are stored. With several tables that holds for what can be seen without
// writing (JSON, names, ids, times) and for missing tables; else a few records
// of another table that come after it may be stored too.
type batcher struct {
	coord   Coordinator
	timeout time.Duration
	place   string          // what a record's number counts: "line" or "record"
	known   map[string]bool // tables that have taken a record of this stream
	window  []entry
	bytes   int
	written int64 // records from the front of the stream that are stored
}

type entry struct {
	record.Row
	number int // place in the stream, from 1
}

func (s *Service) newBatcher(place string) *batcher {
	return &batcher{coord: s.coord, timeout: s.opts.RequestTimeout, place: place, known: map[string]bool{}}
}

// add takes one more record and its number. The first record of a table is
// written alone, so that a missing table shows before later records are
// stored.
func (b *batcher) add(ctx context.Context, row record.Row, number int) error {
	first := !b.known[row.Table]
	if first {
		if err := b.flush(ctx); err != nil {
			return err
		}
	}
	b.window = append(b.window, entry{row, number})
	b.bytes += len(row.ID) + len(row.Payload)
	if first || len(b.window) >= batchRecordsMax || b.bytes >= batchBytesMax {
		return b.flush(ctx)
	}
	return nil
}

// refuse writes what came before a bad record and returns why it is bad.
func (b *batcher) refuse(ctx context.Context, cause error, number int) error {
	if err := b.flush(ctx); err != nil {
		return err
	}
	return b.told(cause, number)
}

// flush writes what is gathered.
func (b *batcher) flush(ctx context.Context) error {
	stored := make([]bool, len(b.window))
	var cause error
	bad := 0
	for _, group := range b.groups() {
		n, err := b.write(ctx, group)
		for _, i := range group[:n] {
			stored[i] = true
		}
		if err != nil {
			cause = err
			if _, ok := blamed(err, len(group)); ok {
				bad = b.window[group[n]].number
			}
			break
		}
		b.known[b.window[group[0]].Table] = true
	}
	for i := 0; i < len(stored) && stored[i]; i++ {
		b.written++
	}
	b.window, b.bytes = b.window[:0], 0
	if cause == nil {
		return nil
	}
	return b.told(cause, bad)
}

// groups are the places in the window of each table's records, by first
// appearance.
func (b *batcher) groups() [][]int {
	var groups [][]int
	at := map[string]int{}
	for i, e := range b.window {
		g, ok := at[e.Table]
		if !ok {
			g = len(groups)
			at[e.Table] = g
			groups = append(groups, nil)
		}
		groups[g] = append(groups[g], i)
	}
	return groups
}

// write stores one table's records and returns how many, from the front: all,
// those before a bad one, or none.
func (b *batcher) write(ctx context.Context, group []int) (int, error) {
	err := b.writeAll(ctx, group)
	if err == nil {
		return len(group), nil
	}
	bad, _ := blamed(err, len(group))
	if bad == 0 {
		return 0, err
	}
	if before := b.writeAll(ctx, group[:bad]); before != nil {
		return 0, before
	}
	return bad, err
}

func (b *batcher) writeAll(ctx context.Context, group []int) error {
	records := make([]coordinator.Record, len(group))
	for i, at := range group {
		records[i] = b.window[at].Record
	}
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	return b.coord.Write(ctx, b.window[group[0]].Table, records)
}

// blamed tells which of a batch's records an error is about, if it is about one.
// Then none of them is stored.
func blamed(err error, size int) (int, bool) {
	switch fault.CodeOf(err) {
	case fault.NotFound: // the table, so the first
		return 0, true
	case fault.InvalidArgument, fault.TooLarge:
		n, err := strconv.Atoi(fault.Details(err)[detailRecord])
		return n, err == nil && n >= 0 && n < size
	}
	return 0, false
}

// told adds to an error how many records are stored and, if known, where the
// bad one stands.
func (b *batcher) told(err error, number int) error {
	err = ownPlace(err)
	more := map[string]string{"records_written": strconv.FormatInt(b.written, 10)}
	if number == 0 {
		return annotate(err, "", more)
	}
	more[b.place] = strconv.Itoa(number)
	return annotate(err, fmt.Sprintf("%s %d: ", b.place, number), more)
}

// ownPlace takes the coordinator's place in a batch out of an error: it means
// nothing to a client.
func ownPlace(err error) error {
	if _, ok := fault.Details(err)[detailRecord]; !ok {
		return err
	}
	return annotate(err, "", map[string]string{detailRecord: ""})
}

// annotate is err with a longer message and other details; an empty one is
// taken out.
func annotate(err error, prefix string, other map[string]string) error {
	details := maps.Clone(fault.Details(err))
	if details == nil {
		details = map[string]string{}
	}
	maps.Copy(details, other)
	e := fault.Newf(fault.CodeOf(err), "%s%w", prefix, err)
	for k, v := range details {
		if v != "" {
			e = e.With(k, v)
		}
	}
	if d := fault.RetryAfter(err); d > 0 {
		e = e.RetryIn(d)
	}
	return e
}
