package sqlgen

import "slices"

// column is what an expression can refer to.
type column struct {
	ref    string // as it is written
	typ    typ
	level  level
	source string // the alias of its table; empty if the row has no unique id
}

// expr is an expression and what is known of it.
type expr struct {
	sql   string
	typ   typ
	level level
}

// scope is what FROM offers.
type scope struct {
	columns []column
	key     []string          // expressions that order the rows totally, but for equal ones; may be none
	unique  bool              // no two rows have the same key
	placed  bool              // some window function tells equal rows apart
	ids     map[string]string // alias of a table -> its unique column
	rows    int
}

// of lists the columns of a type whose values do not depend on row order.
func (s *scope) of(t typ) []column {
	var found []column
	for _, c := range s.columns {
		if c.typ == t && c.level < noisy {
			found = append(found, c)
		}
	}
	return found
}

// has tells whether some column has the type.
func (s *scope) has(t typ) bool { return len(s.of(t)) > 0 }

// orders tells whether the key may number the rows. Rows that are equal may
// change places, but then only one function may show it.
func (s *scope) orders() bool {
	return len(s.key) > 0 && (s.unique || !s.placed)
}

// steady are the columns that may decide something.
func (s *scope) steady() []column {
	return slices.DeleteFunc(slices.Clone(s.columns), func(c column) bool { return c.level == noisy })
}

// column draws one of the type; ok is false if there is none.
func (b *builder) column(s *scope, t typ) (column, bool) {
	found := s.of(t)
	if len(found) == 0 {
		return column{}, false
	}
	return found[b.IntN(len(found))], true
}

// any draws a steady column.
func (b *builder) any(s *scope) column {
	steady := s.steady()
	if len(steady) == 0 {
		return column{ref: "1", typ: tInt}
	}
	return steady[b.IntN(len(steady))]
}

// simpleType draws a type of which the scope has a column.
func (b *builder) simpleType(s *scope) typ {
	for range 10 {
		if t := simple[b.IntN(len(simple))]; s.has(t) {
			return t
		}
	}
	return tInt
}

func exprOf(c column) expr { return expr{c.ref, c.typ, c.level} }
