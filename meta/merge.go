package meta

import "slices"

// Merge returns the type that holds the values of both a and b and loses
// none: numbers widen, structs gain fields, and what conflicts becomes JSON.
// Up to the order and spelling of fields it is commutative and associative.
func Merge(a, b Type) Type {
	switch {
	case a.Kind == KindUnknown:
		return b
	case b.Kind == KindUnknown:
		return a
	case a.Kind == KindStruct && b.Kind == KindStruct:
		fields, _ := mergeColumns(a.Fields, b.Fields)
		return Type{Kind: KindStruct, Fields: fields}
	case a.Kind == KindList && b.Kind == KindList:
		elem := Merge(a.elem(), b.elem())
		return Type{Kind: KindList, Elem: &elem}
	}
	kind := mergeKinds(a, b)
	return Type{Kind: kind, Wide: kind == KindBigInt && (a.Wide || b.Wide)}
}

// mergeKinds is Merge for leaves.
func mergeKinds(a, b Type) string {
	if a.Kind == b.Kind {
		return a.Kind
	}
	aInt, aIsInt := integers[a.Kind]
	bInt, bIsInt := integers[b.Kind]
	switch {
	case aIsInt && bIsInt:
		return aInt.join(bInt).name()
	case isFloat(a.Kind) && isFloat(b.Kind):
		return KindDouble
	case aIsInt && !isWide(a) && isFloat(b.Kind), bIsInt && !isWide(b) && isFloat(a.Kind):
		return KindDouble
	case aIsInt && b.Kind == KindBigDecimal, bIsInt && a.Kind == KindBigDecimal:
		return KindBigDecimal
	}
	return KindJSON
}

func isFloat(kind string) bool { return kind == KindDouble || kind == KindFloat }
func isWide(t Type) bool       { return t.Kind == KindBigInt && t.Wide }

// integer is an integer type that BIGINT holds.
type integer struct {
	bits   int
	signed bool
}

var integers = map[string]integer{
	"TINYINT":   {8, true},
	"SMALLINT":  {16, true},
	"INTEGER":   {32, true},
	KindBigInt:  {64, true},
	"UTINYINT":  {8, false},
	"USMALLINT": {16, false},
	"UINTEGER":  {32, false},
}

// join is the narrowest type that holds both.
func (i integer) join(j integer) integer {
	if i.signed == j.signed {
		return integer{max(i.bits, j.bits), i.signed}
	}
	if i.signed {
		i, j = j, i
	}
	return integer{max(2*i.bits, j.bits), true} // an unsigned needs one bit more
}

func (i integer) name() string {
	for name, j := range integers {
		if i == j {
			return name
		}
	}
	panic("BUG: no integer type has this width")
}

// MergeSchemas returns s with cols merged in by name: new ones are added at
// the end, others widen. It tells whether anything changed; s itself stays.
func MergeSchemas(s Schema, cols []Column) (Schema, bool) {
	merged, changed := mergeColumns(s.Columns, cols)
	if changed {
		s.Columns = merged
	}
	return s, changed
}

// mergeColumns returns a's columns, widened by those of b of the same name,
// and then b's new ones. a's spelling wins.
func mergeColumns(a, b []Column) (merged []Column, changed bool) {
	merged = slices.Clone(a)
	places := make(map[string]int, len(a)+len(b))
	for i, c := range a {
		places[FoldName(c.Name)] = i
	}
	for _, c := range b {
		name := FoldName(c.Name)
		i, known := places[name]
		if !known {
			places[name] = len(merged)
			merged = append(merged, c)
			changed = true
			continue
		}
		if t := Merge(merged[i].Type, c.Type); !t.Equal(merged[i].Type) {
			merged[i].Type = t
			changed = true
		}
	}
	return merged, changed
}
