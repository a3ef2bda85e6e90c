package meta

import (
	"fmt"
	"strings"
	"time"
)

// Table is one table of the catalog.
type Table struct {
	Name     string // lower case, unique
	UID      string // of this incarnation: a table dropped and made again has another
	Revision int64  // grows with each update; UpdateTable compares it
	Config   Config
	Schemas  []Schema // by version; the last one is current, files keep the version they were written with
	Created  time.Time
	Stats    Stats // filled by reads, ignored by writes
}

// Schema returns the current schema.
func (t *Table) Schema() Schema {
	if len(t.Schemas) == 0 {
		return Schema{}
	}
	return t.Schemas[len(t.Schemas)-1]
}

// SchemaVersion is the version of the current schema: its place in Schemas.
func (t *Table) SchemaVersion() int { return len(t.Schemas) - 1 }

// Config is what the user may choose for a table. Zero means the default.
type Config struct {
	BufferSize           int32 // rows buffered before a flush; 10,000 if zero
	FlushIntervalSeconds int32 // longest time that a row stays in a buffer; 30 if zero
	RetentionDays        int32 // days that rows are kept; for ever if zero
	BackupEnabled        bool
	Replicated           bool              `json:",omitempty"` // unflushed rows are on a second node, too
	Properties           map[string]string // id_buckets, …
}

// Defaults of Config.
const (
	DefaultBufferSize           = 10_000
	DefaultFlushIntervalSeconds = 30
)

// WithDefaults fills in what is zero.
func (c Config) WithDefaults() Config {
	if c.BufferSize == 0 {
		c.BufferSize = DefaultBufferSize
	}
	if c.FlushIntervalSeconds == 0 {
		c.FlushIntervalSeconds = DefaultFlushIntervalSeconds
	}
	return c
}

// Stats counts what the index holds: committed files, not buffers. It changes
// in the same step as the index.
type Stats struct {
	Rows, Files, Bytes int64
	Oldest, Newest     time.Time // of the records' times; zero without rows or without a time column
	LastWrite          time.Time // of the last commit; zero if none
}

// File is one immutable data file of a table.
type File struct {
	Path          string // object key: TABLE/ID/YYYY-MM-DD/<nanoseconds>.parquet
	ID            string // the records' id; empty unless HasID
	HasID         bool   // every row has this ID; false for bucketed and id-less tables
	Day           string // YYYY-MM-DD, UTC: of the records' time, or of arrival without a time column
	SchemaVersion int    // of the table
	Rows, Bytes   int64
	MinTime       time.Time // of the records' time column; zero if the table has none or all are NULL
	MaxTime       time.Time
	NullTimes     bool   // some row has no time, so Min and Max do not bound it
	Unit          string // the write unit or ingest statement that made it
	Ranges        Ranges `json:",omitempty"` // of columns; none in entries of old
}

// Listing is a table's index at one moment.
type Listing struct {
	Version int64           // grows with each commit to the table
	Files   []File          // ordered by Path
	Units   map[string]bool // units committed and not yet forgotten
	Open    []OpenUnit      // units that may hold acknowledged rows not in Files
}

// OpenUnit says that a node may hold acknowledged rows of a table in its log.
type OpenUnit struct {
	Node, Unit string
	Replica    string `json:",omitempty"` // the other node that has the same rows; empty if none has
}

// holderSeparator is between the node and the replica of a unit where a driver
// keeps both in one text.
const holderSeparator = "\n"

// Holder is the node, and the replica if there is one, as one text.
func (u OpenUnit) Holder() string {
	if u.Replica == "" {
		return u.Node
	}
	return u.Node + holderSeparator + u.Replica
}

// HeldUnit is the unit of a Holder.
func HeldUnit(unit, holder string) OpenUnit {
	node, replica, _ := strings.Cut(holder, holderSeparator)
	return OpenUnit{Node: node, Unit: unit, Replica: replica}
}

// Units are those of a table that are not forgotten.
type Units struct {
	Committed map[string]bool
	Open      []OpenUnit
}

// Commit changes a table's index in one atomic step.
type Commit struct {
	Table, TableUID string
	Node, Unit      string // the unit that becomes committed and is no longer open
	Add             []File
	Remove          []string // paths; used by compaction and retention
	Time            time.Time

	// By is the node that commits, of a unit that two nodes may commit: the
	// first wins, and the other one is told so by ErrUnitTaken.
	By string
	// IfOpen leaves a unit alone that is neither open nor committed:
	// ErrUnitNotOpen.
	IfOpen bool
}

// Repeated is the answer to the commit of a unit that is committed already, by
// that node; empty if it is not known by whom.
func (c Commit) Repeated(by string) error {
	switch {
	case c.By == "" || c.By == by:
		return nil
	case by == "":
		return fmt.Errorf("table %s, unit %s: %w", c.Table, c.Unit, ErrUnitDone)
	}
	return fmt.Errorf("table %s, unit %s: %s: %w", c.Table, c.Unit, by, ErrUnitTaken)
}
