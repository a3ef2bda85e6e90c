package meta

// Schema is the columns of a table.
type Schema struct {
	Columns    []Column
	IDColumn   string // column that partitions the table; empty for none
	TimeColumn string // column that gives a row its day; empty for none
	Records    bool   // made by the Write API: id, timestamp and payload fields; new fields add columns
}

// Column is a named, typed column of a table or field of a STRUCT. Names
// compare without case, as in DuckDB.
type Column struct {
	Name string
	Type Type
	// Field is the payload field that the column holds, where that differs
	// from Name: the fields "id" and "timestamp" are kept in the columns
	// "payload.id" and "payload.timestamp".
	Field string `json:",omitempty"`
}

// Type is a column's type. Kinds that nest are told part by part, so that
// they can evolve; any other DuckDB type is a leaf named as DuckDB names it.
type Type struct {
	Kind   string   // STRUCT, LIST, JSON, UNKNOWN, or a DuckDB type such as BIGINT or DECIMAL(12,2)
	Elem   *Type    `json:",omitempty"` // of a LIST
	Fields []Column `json:",omitempty"` // of a STRUCT; at least one
	Wide   bool     `json:",omitempty"` // of a BIGINT: holds integers beyond 2^53, which DOUBLE would round
}

// Kinds with a meaning of their own.
const (
	KindStruct  = "STRUCT"
	KindList    = "LIST"
	KindJSON    = "JSON"    // VARCHAR holding JSON text: values of conflicting types, kept whole
	KindUnknown = "UNKNOWN" // VARCHAR holding only NULL: no value has told the type yet
)
