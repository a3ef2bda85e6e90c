package evolution

import (
	"fmt"
	"slices"

	"skein/meta"
)

// Version is one schema version, to be stored as JSON. One that keeps no
// column of the version before it is whole.
type Version struct {
	meta.Schema          // its Columns are those after the kept ones
	Kept        int      `json:",omitempty"` // columns that the version before has: all of them, or none
	Changed     []Change `json:",omitempty"` // of the kept
}

// Change is a kept column that became another.
type Change struct {
	At     int
	Column meta.Column
}

// Encode turns versions, oldest first, into their stored form.
func Encode(schemas []meta.Schema) []Version {
	versions := make([]Version, len(schemas))
	var before []meta.Column
	for i, s := range schemas {
		versions[i].Schema = s
		if n := len(before); n > 0 && n <= len(s.Columns) {
			versions[i].Kept = n
			versions[i].Changed = changes(before, s.Columns[:n])
			versions[i].Columns = s.Columns[n:]
		}
		before = s.Columns
	}
	return versions
}

// changes are where two lists of one length differ.
func changes(from, to []meta.Column) (changed []Change) {
	if &from[0] == &to[0] { // Decode made them
		return nil
	}
	for i, c := range to {
		if f := &from[i]; f.Name != c.Name || f.Field != c.Field || !f.Type.Equal(c.Type) {
			changed = append(changed, Change{i, c})
		}
	}
	return changed
}

// Decode turns the stored form back. Versions that only add columns share
// those that they have in common, which must not be changed.
func Decode(versions []Version) ([]meta.Schema, error) {
	schemas := make([]meta.Schema, len(versions))
	var columns []meta.Column
	for i, v := range versions {
		switch {
		case v.Kept == 0:
			columns = slices.Clip(v.Columns)
		case v.Kept != len(columns):
			return nil, fmt.Errorf("schema version %d keeps %d columns of %d", i, v.Kept, len(columns))
		default:
			if len(v.Changed) > 0 {
				columns = slices.Clone(columns)
			}
			for _, c := range v.Changed {
				if c.At < 0 || c.At >= len(columns) {
					return nil, fmt.Errorf("schema version %d changes column %d of %d", i, c.At, len(columns))
				}
				columns[c.At] = c.Column
			}
			columns = append(columns, v.Columns...)
		}
		schemas[i] = v.Schema
		schemas[i].Columns = columns[:len(columns):len(columns)]
	}
	return schemas, nil
}

// Shared is schemas with what versions have in common held once.
func Shared(schemas []meta.Schema) []meta.Schema {
	shared, err := Decode(Encode(schemas))
	if err != nil {
		panic("BUG: schemas do not survive their stored form: " + err.Error())
	}
	return shared
}
