package bench

import (
	"fmt"
	"strconv"
	"time"

	"skein/bench/answer"
)

// devices is how many ids the written records share.
const devices = 16

// recordsStart is the first record's time; each next one is a millisecond
// later.
var recordsStart = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// record is one written row. All of it follows from its number, so that a
// reader can tell what each row must be.
type record struct {
	seq   int64
	id    string
	at    time.Time
	name  string
	value float64
	ok    bool
}

func recordOf(seq int) record {
	return record{
		seq:   int64(seq),
		id:    fmt.Sprintf("device-%02d", seq%devices),
		at:    recordsStart.Add(time.Duration(seq) * time.Millisecond),
		name:  "传感器 " + strconv.Itoa(seq%1000),
		value: float64(seq%10_007) / 8,
		ok:    seq%3 == 0,
	}
}

// appendJSON appends the record as the Write API takes it, without a newline.
func (r record) appendJSON(b []byte, table string) []byte {
	return fmt.Appendf(b, `{"table":"%s","id":"%s","timestamp":"%s","payload":{"seq":%d,"name":"%s","value":%s,"ok":%t}}`,
		table, r.id, r.at.Format(time.RFC3339Nano), r.seq, r.name, r.decimal(), r.ok)
}

// decimal always has a point, so that the column is no integer at first.
func (r record) decimal() string { return strconv.FormatFloat(r.value, 'f', 3, 64) }

// recordColumns are how a record is read back.
const recordColumns = `seq, id, "timestamp", name, value, ok`

// cells are the values of recordColumns, as package answer reads them.
func (r record) cells() []any {
	return []any{strconv.FormatInt(r.seq, 10), r.id, r.at.Format(answer.TimestampLayout), r.name, r.value, r.ok}
}
