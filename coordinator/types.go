package coordinator

import (
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"skein/meta"
)

// Record is one row of the Write API.
type Record struct {
	ID        string
	Timestamp time.Time // years 1 to 9999; kept to the microsecond
	Payload   []byte    // a JSON object, numbers as the client wrote them
}

// Statement is what a client learns by preparing.
type Statement struct {
	Schema *arrow.Schema // of the result; nil if the statement returns no rows
	Params *arrow.Schema // one field for each ? or $n, in order
}

// ReturnsRows tells a query from a statement that only changes something.
func (s *Statement) ReturnsRows() bool { return s.Schema != nil }

// IngestMode says what to do about the target table of an ingest.
type IngestMode int

// The modes of Flight SQL's bulk ingest.
const (
	IngestAppend         IngestMode = iota // the table must exist
	IngestCreate                           // the table must not exist
	IngestCreateOrAppend                   // made when missing
	IngestReplace                          // takes the place of one that exists
)

// Ingest is one bulk load.
type Ingest struct {
	Table      string
	Mode       IngestMode
	IDColumn   string // of a table that is made; may be empty
	TimeColumn string // likewise
	Properties map[string]string

	StatementID string // a load with one is stored once, also if it is sent again; may be empty
}

// DropOptions of DropTable.
type DropOptions struct {
	IfExists bool
	Cascade  bool // also when the table holds rows
}

// TablePage is one page of a table listing.
type TablePage struct {
	Tables      []meta.Table // with exact Stats, buffered rows counted
	Total       int          // tables that match, on all pages
	Page, Limit int          // as applied, from 1
}

// Health is the state of the node's parts.
type Health struct {
	Overall    string // healthy, degraded, unhealthy
	Components map[string]ComponentHealth
}

// ComponentHealth is the state of one part: catalog ("redis"), objects
// ("minio") or "nodes".
type ComponentHealth struct {
	Status  string // healthy, degraded, unhealthy
	Message string
	Elapsed time.Duration // of the check
}

// Stats counts over a window of time, on all live nodes, since they started.
type Stats struct {
	Queries, Writes int64
	QueryTimeAvg    time.Duration
	Bytes           int64 // of all tables' files
	Tables          int
}
