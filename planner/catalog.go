package planner

import (
	"slices"
	"time"
)

// Catalog is what the planner knows of the world.
type Catalog struct {
	Tables    map[string]*Table // by lower-case name
	Workers   []string          // live, in order
	Functions Functions
	Splits    Splits
	Now       time.Time // when the statement began
	Written   Memo      // of trees that were written as SQL; may be nil
	// DivideBytesMin is how many bytes of files a statement must read to be
	// divided; below, one worker runs it whole.
	DivideBytesMin int64
}

// Memo remembers what depends on its key alone.
type Memo interface {
	Get(key string) (any, bool)
	Put(key string, value any)
}

// Table is one table of a query with its files.
type Table struct {
	Name       string
	Records    bool // of the Write API: payload.x names the column of field x
	Columns    []Column
	IDColumn   string     // column that every File.ID holds; empty for none
	TimeColumn string     // column that MinTime and MaxTime bound; empty for none
	Files      []File     // in the index
	ByID       *FileIndex // of Files; nil where there is none
	Unflushed  []File     // rows that are in no file yet
}

// FileIndex finds a table's files by id.
type FileIndex struct {
	byID map[string][]int // places
	any  []int            // of files that may hold any id
}

// IndexFiles makes the index of a table's files.
func IndexFiles(files []File) *FileIndex {
	x := &FileIndex{byID: map[string][]int{}}
	for i := range files {
		if f := &files[i]; f.HasID {
			x.byID[f.ID] = append(x.byID[f.ID], i)
		} else {
			x.any = append(x.any, i)
		}
	}
	return x
}

// places are those of the files that may hold one of the ids, in order.
func (x *FileIndex) places(ids []string) []int {
	places := slices.Clone(x.any)
	for _, id := range ids {
		places = append(places, x.byID[id]...)
	}
	slices.Sort(places)
	return slices.Compact(places)
}

// all are the table's files, and what is in none.
func (t *Table) all() []File {
	if len(t.Unflushed) == 0 {
		return t.Files
	}
	return append(t.Files[:len(t.Files):len(t.Files)], t.Unflushed...)
}

// Column of a table.
type Column struct {
	Name  string
	Field string // payload field, where it differs from Name
	Type  string // as DuckDB names it
}

// File is a data file, or the unflushed rows that one worker holds.
type File struct {
	Path             string // unique in its table
	At               int    // the caller's place of it; the planner does not look at it
	ID               string
	HasID            bool // every row's id is ID
	MinTime, MaxTime time.Time
	Rows, Bytes      int64
	Ranges           Ranges // of columns; nil where nothing is known
}

// Ranges tells what is known of the values in a file.
type Ranges interface {
	// Range returns that of the column at this place of Table.Columns, as the
	// query reads it: of the type that the table has now.
	Range(column int) Range
}

// Range bounds the values of a column in a file. The bounds are text: decimal
// numbers; for DATE days and for the timestamps microseconds (TIMESTAMP_NS:
// nanoseconds) since 1970; for BOOLEAN 0 or 1; for VARCHAR text itself.
type Range struct {
	Min, Max string // no value is less or greater; empty where not known
	NoNulls  bool   // no row is NULL
	AllNulls bool   // every row is
}

// Functions tells, by lower-case name, how DuckDB's functions behave.
type Functions map[string]Function

// Function is a class of function.
type Function int

// The classes; a function that is not listed is of none of them.
const (
	Unknown   Function = iota
	Scalar             // of its arguments alone
	Unsteady           // now(), random(): differs from call to call or query to query
	Aggregate          // of many rows
)
