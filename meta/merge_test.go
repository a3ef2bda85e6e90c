package meta

import (
	"cmp"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func leaf(kind string) Type          { return Type{Kind: kind} }
func list(elem Type) Type            { return Type{Kind: KindList, Elem: &elem} }
func structOf(fields ...Column) Type { return Type{Kind: KindStruct, Fields: fields} }

var wide = Type{Kind: KindBigInt, Wide: true}

func TestMerge(t *testing.T) {
	a := func(t Type) Type { return structOf(Column{Name: "a", Type: t}) }
	for _, tc := range []struct {
		name       string
		a, b, want Type
	}{
		{"unknown gives way", leaf(KindUnknown), leaf("DATE"), leaf("DATE")},
		{"unknown to json", leaf(KindUnknown), leaf(KindJSON), leaf(KindJSON)},
		{"same", leaf("DECIMAL(12,2)"), leaf("DECIMAL(12,2)"), leaf("DECIMAL(12,2)")},
		{"integers", leaf("SMALLINT"), leaf("INTEGER"), leaf("INTEGER")},
		{"unsigned", leaf("UTINYINT"), leaf("USMALLINT"), leaf("USMALLINT")},
		{"unsigned and signed", leaf("UINTEGER"), leaf("TINYINT"), leaf("BIGINT")},
		{"unsigned within signed", leaf("UTINYINT"), leaf("SMALLINT"), leaf("SMALLINT")},
		{"wide stays", leaf(KindBigInt), wide, wide},
		{"wide with narrow", leaf("INTEGER"), wide, wide},
		{"bigint and double", leaf(KindBigInt), leaf(KindDouble), leaf(KindDouble)},
		{"wide and double", wide, leaf(KindDouble), leaf(KindJSON)},
		{"integer and float", leaf("INTEGER"), leaf(KindFloat), leaf(KindDouble)},
		{"float and double", leaf(KindFloat), leaf(KindDouble), leaf(KindDouble)},
		{"bigint and big decimal", leaf(KindBigInt), leaf(KindBigDecimal), leaf(KindBigDecimal)},
		{"wide and big decimal", wide, leaf(KindBigDecimal), leaf(KindBigDecimal)},
		{"big decimal and double", leaf(KindBigDecimal), leaf(KindDouble), leaf(KindJSON)},
		{"text and number", leaf(KindVarchar), leaf(KindBigInt), leaf(KindJSON)},
		{"text and date", leaf(KindVarchar), leaf("DATE"), leaf(KindJSON)},
		{"struct and list", a(leaf("DATE")), list(leaf("DATE")), leaf(KindJSON)},
		{"struct and leaf", a(leaf("DATE")), leaf(KindBigInt), leaf(KindJSON)},
		{"lists", list(leaf(KindUnknown)), list(leaf(KindBigInt)), list(leaf(KindBigInt))},
		{"list without element type", Type{Kind: KindList}, list(leaf("DATE")), list(leaf("DATE"))},
		{"struct conflict inside", a(leaf(KindBigInt)), a(leaf(KindVarchar)), a(leaf(KindJSON))},
		{"struct union",
			structOf(Column{Name: "x", Type: leaf("DATE")}, Column{Name: "Y", Type: leaf(KindBigInt)}),
			structOf(Column{Name: "z", Type: leaf("TIME")}, Column{Name: "y", Type: leaf(KindDouble)}),
			structOf(Column{Name: "x", Type: leaf("DATE")}, Column{Name: "Y", Type: leaf(KindDouble)}, Column{Name: "z", Type: leaf("TIME")})},
		{"names fold as in DuckDB, ASCII only",
			structOf(Column{Name: "É", Type: leaf("DATE")}), structOf(Column{Name: "é", Type: leaf("DATE")}),
			structOf(Column{Name: "É", Type: leaf("DATE")}, Column{Name: "é", Type: leaf("DATE")})},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := gocmp.Diff(tc.want, Merge(tc.a, tc.b)); diff != "" {
				t.Errorf("Merge(a, b) -want +got:\n%s", diff)
			}
			if diff := gocmp.Diff(sorted(tc.want), sorted(Merge(tc.b, tc.a))); diff != "" {
				t.Errorf("Merge(b, a) -want +got:\n%s", diff)
			}
		})
	}
}

func TestMergeLaws(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		a, b, c := drawType(rt, 3), drawType(rt, 3), drawType(rt, 3)
		if diff := gocmp.Diff(sorted(Merge(a, b)), sorted(Merge(b, a))); diff != "" {
			rt.Fatalf("not commutative:\n%s", diff)
		}
		if diff := gocmp.Diff(sorted(Merge(Merge(a, b), c)), sorted(Merge(a, Merge(b, c)))); diff != "" {
			rt.Fatalf("not associative:\n%s", diff)
		}
		ab := Merge(a, b)
		if !Merge(a, a).Equal(a) || !Merge(ab, a).Equal(ab) || !Merge(ab, ab).Equal(ab) {
			rt.Fatalf("not idempotent: %+v with %+v", a, b)
		}
	})
}

func TestEqual(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		a, b := drawType(rt, 3), drawType(rt, 3)
		if !a.Equal(a) {
			rt.Fatalf("%+v is not itself", a)
		}
		if a.Equal(b) != gocmp.Equal(a, b) {
			rt.Fatalf("Equal(%+v, %+v) = %v", a, b, a.Equal(b))
		}
	})
}

func TestMergeSchemas(t *testing.T) {
	s := Schema{IDColumn: "id", TimeColumn: "timestamp", Records: true, Columns: []Column{
		{Name: "id", Type: leaf(KindVarchar)}, {Name: "Age", Type: leaf(KindBigInt)},
	}}
	before := slices.Clone(s.Columns)
	for _, tc := range []struct {
		name    string
		cols    []Column
		want    []Column
		changed bool
	}{
		{"nothing", nil, before, false},
		{"known", []Column{{Name: "age", Type: leaf(KindBigInt)}, {Name: "ID", Type: leaf(KindUnknown)}}, before, false},
		{"widened", []Column{{Name: "AGE", Type: leaf(KindDouble)}}, []Column{before[0], {Name: "Age", Type: leaf(KindDouble)}}, true},
		{"wide", []Column{{Name: "age", Type: wide}}, []Column{before[0], {Name: "Age", Type: wide}}, true},
		{"new", []Column{{Name: "payload.id", Field: "id", Type: leaf("DATE")}},
			append(slices.Clone(before), Column{Name: "payload.id", Field: "id", Type: leaf("DATE")}), true},
		{"new twice", []Column{{Name: "x", Type: leaf(KindBigInt)}, {Name: "X", Type: leaf(KindVarchar)}},
			append(slices.Clone(before), Column{Name: "x", Type: leaf(KindJSON)}), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, changed := MergeSchemas(s, tc.cols)
			want := s
			want.Columns = tc.want
			if diff := gocmp.Diff(want, got); diff != "" || changed != tc.changed {
				t.Errorf("changed %v, -want +got:\n%s", changed, diff)
			}
			if diff := gocmp.Diff(before, s.Columns); diff != "" {
				t.Errorf("the old schema changed:\n%s", diff)
			}
		})
	}
}

func TestSQL(t *testing.T) {
	typ := structOf(Column{Name: `a "b"`, Type: leaf(KindBigInt)}, Column{Name: "c", Type: list(structOf(Column{Name: "d", Type: leaf(KindJSON)}))})
	const want = `STRUCT("a ""b""" BIGINT, "c" STRUCT("d" VARCHAR)[])`
	if got := typ.SQL(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// drawType draws a type that nests up to depth deep.
func drawType(t *rapid.T, depth int) Type {
	shapes := []string{"leaf", "leaf", "leaf"}
	if depth > 0 {
		shapes = append(shapes, KindStruct, KindStruct, KindList)
	}
	switch rapid.SampledFrom(shapes).Draw(t, "shape") {
	case KindList:
		return list(drawType(t, depth-1))
	case KindStruct:
		names := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "B", "b", "it's", `q"t`, "é"}), 1, 3, FoldName).Draw(t, "names")
		var fields []Column
		for _, name := range names {
			fields = append(fields, Column{Name: name, Type: drawType(t, depth-1)})
		}
		return structOf(fields...)
	}
	kinds := []string{
		KindUnknown, KindJSON, KindVarchar, KindBoolean, KindBigInt, KindBigInt, KindDouble, KindFloat, KindBigDecimal,
		"TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT", "UINTEGER",
	}
	kind := rapid.SampledFrom(kinds).Draw(t, "kind")
	return Type{Kind: kind, Wide: kind == KindBigInt && rapid.Bool().Draw(t, "wide")}
}

// sorted is t with its fields in one order and spelling.
func sorted(t Type) Type {
	if t.Elem != nil {
		elem := sorted(*t.Elem)
		t.Elem = &elem
	}
	t.Fields = slices.Clone(t.Fields)
	for i, f := range t.Fields {
		t.Fields[i] = Column{Name: FoldName(f.Name), Type: sorted(f.Type)}
	}
	slices.SortFunc(t.Fields, func(a, b Column) int { return cmp.Compare(a.Name, b.Name) })
	return t
}
