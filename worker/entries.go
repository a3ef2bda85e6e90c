package worker

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"skein/internal/fault"
	nodev1 "skein/proto/node/v1"
)

// The log's records start with a byte that tells their kind.
const (
	entryRows      = 1 // rows of a unit
	entryCommitted = 2 // units that need no replay; JSON of []committed
	entryDiscarded = 3 // a table's UID: its rows so far need no replay
	entryOpened    = 4 // a unit that has a replica; JSON of opened
)

// rowsEntry is the log record of a chunk: kind 1 | unit 26 | file number 8 |
// schema version 4 | nodev1.AppendRequest.
type rowsEntry []byte

const (
	unitBytes  = 26 // of a ULID as text
	rowsHeader = 1 + unitBytes + 8 + 4
)

// newRowsEntry encodes all but the unit, which is known only under the lock.
func newRowsEntry(t *table, c chunk) (rowsEntry, error) {
	b := make([]byte, rowsHeader, rowsHeader+int(c.bytes))
	b[0] = entryRows
	binary.LittleEndian.PutUint32(b[1+unitBytes+8:], uint32(c.version))
	b, err := proto.MarshalOptions{}.MarshalAppend(b, &nodev1.AppendRequest{Table: t.name, TableUid: t.uid, Records: c.rows})
	if err != nil {
		return nil, fault.Newf(fault.InvalidArgument, "records: %w", err)
	}
	return b, nil
}

// of completes the entry.
func (e rowsEntry) of(u *unit) []byte {
	copy(e[1:], u.id)
	binary.LittleEndian.PutUint64(e[1+unitBytes:], uint64(u.ns))
	return e
}

// loggedRows is a rowsEntry read back.
type loggedRows struct {
	unit    string
	ns      int64
	version int
	request []byte
}

func readRowsEntry(b []byte) (loggedRows, error) {
	if len(b) < rowsHeader {
		return loggedRows{}, fault.New(fault.Internal, "a log record of rows is too short")
	}
	return loggedRows{
		unit:    string(b[1 : 1+unitBytes]),
		ns:      int64(binary.LittleEndian.Uint64(b[1+unitBytes:])),
		version: int(binary.LittleEndian.Uint32(b[1+unitBytes+8:])),
		request: b[rowsHeader:],
	}, nil
}

// committed is a unit that the catalog should forget some time later.
type committed struct {
	Table, TableUID, Unit string
	Time                  time.Time // of the commit
	segment               uint64    // of the log, where its last rows are; 0 if not known
	logged                bool      // the log says that it needs no replay
}

func newCommittedEntry(units []committed) []byte {
	b, err := json.Marshal(units)
	if err != nil {
		panic("BUG: committed units have no JSON form: " + err.Error())
	}
	return append([]byte{entryCommitted}, b...)
}

func readCommittedEntry(b []byte) (units []committed, err error) {
	if err := json.Unmarshal(b[1:], &units); err != nil {
		return nil, fmt.Errorf("log record of committed units: %w", err)
	}
	return units, nil
}
