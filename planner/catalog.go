package planner

import "time"

// Catalog is what the planner knows of the world.
type Catalog struct {
	Tables    map[string]*Table // by lower-case name
	Workers   []string          // live, in order
	Functions Functions
}

// Table is one table of a query with its files.
type Table struct {
	Name       string
	Records    bool // of the Write API: payload.x names the column of field x
	Columns    []Column
	IDColumn   string // column that every File.ID holds; empty for none
	TimeColumn string // column that MinTime and MaxTime bound; empty for none
	Files      []File
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
	ID               string
	HasID            bool // every row's id is ID
	MinTime, MaxTime time.Time
	Rows, Bytes      int64
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
