package gateway

import (
	"context"
	"fmt"
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

// batcher gathers the records of a stream and writes them by table. Whatever
// is wrong with a record of a stream for one table, exactly the records before
// it are stored. With several tables that holds for what can be seen without
// writing (JSON, names, ids, times) and for missing tables.
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
			if blames(err) || fault.CodeOf(err) == fault.NotFound {
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

// write stores one table's records and returns how many, from the front. When
// one of them is bad it halves the batch until it has found it.
func (b *batcher) write(ctx context.Context, group []int) (int, error) {
	err := b.writeAll(ctx, group)
	if err == nil {
		return len(group), nil
	}
	if len(group) == 1 || !blames(err) {
		return 0, err
	}
	mid := len(group) / 2
	n, err := b.write(ctx, group[:mid])
	if err != nil {
		return n, err
	}
	m, err := b.write(ctx, group[mid:])
	return mid + m, err
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

// blames tells whether an error is about the records themselves.
func blames(err error) bool {
	c := fault.CodeOf(err)
	return c == fault.InvalidArgument || c == fault.TooLarge
}

// told adds to an error how many records are stored and, if known, where the
// bad one stands.
func (b *batcher) told(err error, number int) error {
	more := map[string]string{"records_written": strconv.FormatInt(b.written, 10)}
	if number == 0 {
		return annotate(err, "", more)
	}
	more[b.place] = strconv.Itoa(number)
	return annotate(err, fmt.Sprintf("%s %d: ", b.place, number), more)
}

// annotate is err with a longer message and more details.
func annotate(err error, prefix string, more map[string]string) error {
	e := fault.Newf(fault.CodeOf(err), "%s%w", prefix, err)
	for _, details := range []map[string]string{fault.Details(err), more} {
		for k, v := range details {
			e = e.With(k, v)
		}
	}
	if d := fault.RetryAfter(err); d > 0 {
		e = e.RetryIn(d)
	}
	return e
}
