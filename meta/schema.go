package meta

import (
	"slices"
	"strings"
)

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

// DuckDB types that Merge and the Write API know by name.
const (
	KindBigInt  = "BIGINT"
	KindDouble  = "DOUBLE"
	KindFloat   = "FLOAT"
	KindVarchar = "VARCHAR"
	KindBoolean = "BOOLEAN"
	// KindBigDecimal holds integers beyond BIGINT, up to 38 digits.
	KindBigDecimal = "DECIMAL(38,0)"
)

// SQL is the DuckDB type that a column of type t is stored as, such as
// BIGINT, VARCHAR[] or STRUCT("a" BIGINT).
func (t Type) SQL() string {
	switch t.Kind {
	case KindJSON, KindUnknown:
		return KindVarchar
	case KindList:
		return t.elem().SQL() + "[]"
	case KindStruct:
		parts := make([]string, len(t.Fields))
		for i, f := range t.Fields {
			parts[i] = QuoteIdent(f.Name) + " " + f.Type.SQL()
		}
		return "STRUCT(" + strings.Join(parts, ", ") + ")"
	}
	return t.Kind
}

// Equal tells whether t and u are the same type: fields in the same order and
// spelling, and Wide alike.
func (t Type) Equal(u Type) bool {
	return t.Wide == u.Wide && t.like(u, Type.Equal)
}

// sameStorage tells whether a column stored as t can be read as u untouched.
func (t Type) sameStorage(u Type) bool { return t.like(u, Type.sameStorage) }

// like compares the outermost level, and what is below it by same.
func (t Type) like(u Type, same func(a, b Type) bool) bool {
	switch {
	case t.Kind != u.Kind:
		return false
	case t.Kind == KindList:
		return same(t.elem(), u.elem())
	case t.Kind != KindStruct:
		return true
	}
	return slices.EqualFunc(t.Fields, u.Fields, func(a, b Column) bool {
		return a.Name == b.Name && a.Field == b.Field && same(a.Type, b.Type)
	})
}

// elem is the type of a LIST's elements.
func (t Type) elem() Type {
	if t.Elem == nil {
		return Type{Kind: KindUnknown}
	}
	return *t.Elem
}

// FoldName is the form in which names of columns and fields compare: A to Z
// in lower case and everything else as it is, as in DuckDB.
func FoldName(name string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, name)
}

// Column returns the place of the column of that name, or -1.
func (s *Schema) Column(name string) int {
	return columnIndex(s.Columns, name)
}

func columnIndex(cols []Column, name string) int {
	folded := FoldName(name)
	return slices.IndexFunc(cols, func(c Column) bool { return FoldName(c.Name) == folded })
}
