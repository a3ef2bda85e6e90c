package payload

import (
	"skein/internal/fault"
	"skein/meta"
)

// Layout is a schema made ready to take payloads. It never changes, so many
// goroutines may use it.
type Layout struct {
	schema meta.Schema
	root   node // a struct of all columns
	id, at int  // places of the record's own columns
	places map[string]int
}

// node is one column or one level of a nested one.
type node struct {
	t      meta.Type
	elem   *node
	fields []node
	places map[string]int // of fields, by folded name
}

// NewLayout returns InvalidArgument for a schema that the Write API cannot
// write.
func NewLayout(s meta.Schema) (*Layout, error) {
	l := &Layout{schema: s, places: make(map[string]int, len(s.Columns))}
	if !s.Records {
		return nil, fault.New(fault.InvalidArgument, "it is a relational table; load rows into it by bulk ingest (skein load, or ADBC ingest)")
	}
	l.id, l.at = s.Column(IDColumn), s.Column(TimeColumn)
	if l.id < 0 || l.at < 0 {
		return nil, fault.Newf(fault.Internal, "schema of a record table without the columns %s and %s", IDColumn, TimeColumn)
	}
	for i, c := range s.Columns {
		l.root.fields = append(l.root.fields, newNode(c.Type))
		if i == l.id || i == l.at {
			continue
		}
		if _, err := arrowType(c.Type); err != nil {
			return nil, fault.Newf(fault.InvalidArgument, "column %s: %w", c.Name, err)
		}
		l.places[meta.FoldName(c.Name)] = i
	}
	return l, nil
}

func newNode(t meta.Type) node {
	n := node{t: t}
	switch t.Kind {
	case meta.KindList:
		e := node{t: meta.Type{Kind: meta.KindUnknown}}
		if t.Elem != nil {
			e = newNode(*t.Elem)
		}
		n.elem = &e
	case meta.KindStruct:
		n.places = make(map[string]int, len(t.Fields))
		for i, f := range t.Fields {
			n.fields = append(n.fields, newNode(f.Type))
			n.places[meta.FoldName(f.Name)] = i
		}
	}
	return n
}

// Schema is what the layout was made of.
func (l *Layout) Schema() meta.Schema { return l.schema }

// column is the place of a top-level field's column.
func (l *Layout) column(field string) (int, bool) {
	i, ok := l.places[meta.FoldName(ColumnName(field))]
	return i, ok
}

// Fits tells whether the layout's columns hold every value of o without loss.
// It may say no where merging o's columns into the schema changes nothing.
func (l *Layout) Fits(o Object) bool {
	for i := range o.fields {
		f := &o.fields[i]
		if f.kind == kindNull {
			continue
		}
		c, ok := l.column(f.name)
		if !ok || !l.root.fields[c].fits(&f.value) {
			return false
		}
	}
	return true
}

func (n *node) fits(v *value) bool {
	if v.kind == kindNull || n.t.Kind == meta.KindJSON {
		return true
	}
	switch n.t.Kind {
	case meta.KindBoolean:
		return v.kind == kindBool
	case meta.KindVarchar:
		return v.kind == kindString
	case meta.KindBigInt, meta.KindDouble, meta.KindBigDecimal:
		return v.kind == kindNumber && n.fitsNumber(v.raw)
	case meta.KindList:
		if v.kind != kindArray {
			return false
		}
		for i := range v.elems {
			if !n.elem.fits(&v.elems[i]) {
				return false
			}
		}
		return true
	case meta.KindStruct:
		return v.kind == kindObject && n.fitsObject(v.fields)
	}
	return false
}

func (n *node) fitsNumber(text []byte) bool {
	if !isInteger(text) {
		_, ok := parseDouble(text)
		return ok && n.t.Kind == meta.KindDouble
	}
	i, ok := parseInt(text)
	wide := i > exactInDouble || i < -exactInDouble
	switch n.t.Kind {
	case meta.KindBigInt:
		return ok && (n.t.Wide || !wide)
	case meta.KindDouble:
		return ok && !wide
	}
	return digits(text) <= decimalDigits
}

func (n *node) fitsObject(fields []field) bool {
	for i := range fields {
		f := &fields[i]
		if f.kind == kindNull {
			continue
		}
		c, ok := n.places[meta.FoldName(f.name)]
		if !ok || !n.fields[c].fits(&f.value) {
			return false
		}
	}
	return true
}
