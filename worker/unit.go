package worker

import (
	"hash/maphash"
	"time"

	"github.com/oklog/ulid/v2"

	"skein/meta"
	nodev1 "skein/proto/node/v1"
)

// unit is the rows of one table that become files in one commit. Its fields
// are guarded by its table's lock, but for those that never change.
type unit struct {
	id    string
	ns    int64 // number of its files
	table *table

	chunks   []chunk   // acknowledged rows in the order of the log
	rows     int64     // in chunks
	written  time.Time // when the last chunk was acknowledged; of a replayed one, when it was replayed
	bytes    int64     // of chunks
	reserved int64     // taken from the worker's budget for chunks
	segment  uint64    // of the log, where the first chunk is; 0 if none
	last     uint64    // likewise the last

	queuedRows  int64 // rows, and those on their way to the log
	queuedBytes int64
	pending     int // writes on their way to the log
	first       time.Time
	groups      map[uint64]struct{} // hashes of (id, day) of all queued rows

	sealed     bool        // takes no more rows
	replayed   bool        // the catalog may have its commit already
	generation int         // of the table, when its rows' schemas were last looked at
	busy       bool        // sealed and handed to a flush
	files      []meta.File // uploaded; of the flush alone
	lastError  error
	announced  time.Time     // when Hot last told of it
	pinnedTill time.Time     // of a committed unit
	gone       bool          // its rows are not kept any more
	flushed    chan struct{} // closed when it is committed or dropped

	line    []*flight // writes under way, in the order of the log
	replica string    // the node that has its rows, too; empty if the table is not replicated
	link    *link     // to it; nil if there is none, or another process has logged the unit
	taken   error     // set if another node has committed it
}

// generationUnknown is that of rows that another process has logged.
const generationUnknown = -1

// chunk is the rows of one write.
type chunk struct {
	rows    []*nodev1.Record
	bytes   int64
	version int   // of a schema that holds the rows
	minTime int64 // microseconds since 1970
	maxTime int64
}

func newUnit(t *table, ns int64) *unit {
	return &unit{id: ulid.Make().String(), ns: ns, table: t, groups: map[uint64]struct{}{}, flushed: make(chan struct{})}
}

// recordBytes is about what a buffered row takes beside its id and payload.
const recordBytes = 128

func newChunk(rows []*nodev1.Record, version int) chunk {
	c := chunk{rows: rows, version: version, minTime: rows[0].TimestampUs, maxTime: rows[0].TimestampUs}
	for _, r := range rows {
		c.bytes += recordBytes + int64(len(r.Id)+len(r.Payload))
		c.minTime, c.maxTime = min(c.minTime, r.TimestampUs), max(c.maxTime, r.TimestampUs)
	}
	return c
}

// add appends acknowledged rows. The table's lock is held.
func (u *unit) add(c chunk, segment uint64) {
	u.touch(segment)
	u.chunks = append(u.chunks, c)
	u.written = time.Now()
	u.rows += int64(len(c.rows))
	u.bytes += c.bytes
}

// touch notes a segment of the log that holds something of the unit. The table's
// lock is held.
func (u *unit) touch(segment uint64) {
	if u.segment == 0 {
		u.segment = segment
	}
	u.last = max(u.last, segment)
}

// version is the oldest schema that holds the chunks.
func version(chunks []chunk) int {
	v := 0
	for _, c := range chunks {
		v = max(v, c.version)
	}
	return v
}

// prefix is the chunks of exactly the first rows; false if it has not so many.
// The table's lock is held.
func (u *unit) prefix(rows int64) ([]chunk, bool) {
	var chunks []chunk
	for _, c := range u.chunks {
		if rows == 0 {
			break
		}
		if n := int64(len(c.rows)); n > rows {
			c.rows = c.rows[:rows]
		}
		rows -= int64(len(c.rows))
		chunks = append(chunks, c)
	}
	return chunks, rows == 0
}

// groupsMax is how many (id, day) pairs, so files, a unit may have. A single
// write may pass it by its own.
const groupsMax = 5_000

var groupSeed = maphash.MakeSeed()

const microsecondsPerDay = 24 * 60 * 60 * 1_000_000

// groupsOf hashes the (id, day) pairs of rows.
func groupsOf(rows []*nodev1.Record) map[uint64]struct{} {
	groups := make(map[uint64]struct{}, 16)
	for _, r := range rows {
		groups[maphash.Comparable(groupSeed, struct {
			id  string
			day int64
		}{r.Id, floorDiv(r.TimestampUs, microsecondsPerDay)})] = struct{}{}
	}
	return groups
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// takes tells whether rows of these groups may be added.
func (u *unit) takes(groups map[uint64]struct{}) bool {
	if len(u.groups) == 0 || len(u.groups)+len(groups) <= groupsMax {
		return true
	}
	n := len(u.groups)
	for g := range groups {
		if _, ok := u.groups[g]; !ok {
			n++
		}
	}
	return n <= groupsMax
}

// isDue tells whether the unit's oldest row waited long enough.
func (u *unit) isDue(now time.Time) bool {
	interval := time.Duration(u.table.entry.Config.WithDefaults().FlushIntervalSeconds) * time.Second
	return u.queuedRows > 0 && now.Sub(u.first) >= interval
}

// seal lets the unit take no more rows. The table's lock is held.
func (w *Worker) seal(u *unit) {
	if u.table.active == u {
		u.table.active = nil
	}
	u.sealed = true
	w.handOver(u)
}

// handOver gives a sealed unit to the loop once all its writes are in the log
// or have failed. The table's lock is held.
func (w *Worker) handOver(u *unit) {
	if !u.sealed || u.busy || u.pending > 0 {
		return
	}
	u.busy = true
	w.mu.Lock()
	w.ready = append(w.ready, u)
	w.mu.Unlock()
	notify(w.kick)
}

// sealAll seals the active units that which chooses.
func (w *Worker) sealAll(which func(*unit) bool) {
	for _, t := range w.tableList("") {
		t.mu.Lock()
		if u := t.active; u != nil && which(u) {
			w.seal(u)
		}
		t.mu.Unlock()
	}
}

// relieveLog flushes what keeps a log that is too long from being trimmed.
func (w *Worker) relieveLog() {
	if w.wal.Bytes() <= w.o.LogBytesMax {
		return
	}
	oldest := w.wal.First()
	w.sealAll(func(u *unit) bool { return u.segment != 0 && u.segment <= oldest })
}
