package payload

import (
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"skein/meta"
)

func schema(cols ...meta.Column) meta.Schema {
	own := []meta.Column{{Name: IDColumn, Type: meta.Type{Kind: "VARCHAR"}}, {Name: TimeColumn, Type: meta.Type{Kind: "TIMESTAMP WITH TIME ZONE"}}}
	return meta.Schema{Columns: append(own, cols...), Records: true, IDColumn: IDColumn, TimeColumn: TimeColumn}
}

func layout(t interface{ Fatal(...any) }, s meta.Schema) *Layout {
	l, err := NewLayout(s)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestInfer(t *testing.T) {
	for text, want := range map[string]meta.Type{
		`true`:                  {Kind: meta.KindBoolean},
		`0`:                     {Kind: meta.KindBigInt},
		`-9007199254740992`:     {Kind: meta.KindBigInt},
		`9007199254740993`:      {Kind: meta.KindBigInt, Wide: true},
		`9223372036854775808`:   {Kind: meta.KindBigDecimal},
		strings.Repeat("9", 38): {Kind: meta.KindBigDecimal},
		strings.Repeat("9", 39): {Kind: meta.KindJSON},
		`1.0`:                   {Kind: meta.KindDouble},
		`1e2`:                   {Kind: meta.KindDouble},
		`0e999`:                 {Kind: meta.KindDouble},
		`1e999`:                 {Kind: meta.KindJSON},
		`1e-999`:                {Kind: meta.KindJSON},
		`"x"`:                   {Kind: meta.KindVarchar},
		`{}`:                    {Kind: meta.KindJSON},
		`[]`:                    {Kind: meta.KindList, Elem: &meta.Type{Kind: meta.KindUnknown}},
		`[1,"x"]`:               {Kind: meta.KindList, Elem: &meta.Type{Kind: meta.KindJSON}},
		`{"a":null}`:            {Kind: meta.KindStruct, Fields: []meta.Column{{Name: "a", Type: meta.Type{Kind: meta.KindUnknown}}}},
	} {
		o, err := Parse([]byte(` { "x" : ` + text + ` , "n":null } `))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]meta.Column{{Name: "x", Type: want}}, o.Columns()); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

func TestHalfSurrogatePairs(t *testing.T) {
	for text, whole := range map[string]bool{
		`"\ud83d\ude00"`: true, `"\ufffd"`: true, `"\\ufffd"`: true, `"\\ud800"`: true, `"\\\ud83d\ude00x"`: true, `"\"\n"`: true,
		`"\ud800"`: false, `"\ude00"`: false, `"\ud83d\ud83d\ude00"`: false, `"\ud83dx\ude00"`: false, `"\ud83d\\ude00"`: false,
		`"\\ufffd\ud800"`: false, `"\uFFFD\uDC00"`: false, `"\\\ud800"`: false,
	} {
		_, err := Parse([]byte(`{"x":` + text + `}`))
		if (err == nil) != whole {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestColumnName(t *testing.T) {
	for field, want := range map[string]string{
		"name": "name", "ID": "payload.id", "timestamp": "payload.timestamp", "payload.id": "payload.payload.id",
		"Payload.TimeStamp": "payload.payload.timestamp", "payload.x": "payload.x", "idx": "idx",
	} {
		if got := ColumnName(field); got != want {
			t.Errorf("%s is kept in %s, want %s", field, got, want)
		}
	}
}

// value draws JSON text of some depth.
func genValue(depth int) *rapid.Generator[string] {
	leaves := rapid.SampledFrom([]string{`null`, `true`, `1`, `-0`, `9007199254740993`, `18446744073709551616`, `1.5`, `1e400`, `"s"`, `""`,
		strings.Repeat("7", 50), `"\u00e9"`, `[]`, `{}`})
	if depth == 0 {
		return leaves
	}
	return rapid.OneOf(leaves,
		rapid.Map(rapid.SliceOfN(genValue(depth-1), 0, 3), func(v []string) string { return "[" + strings.Join(v, ", ") + "]" }),
		rapid.Custom(func(t *rapid.T) string { return genObject(depth-1).Draw(t, "object") }))
}

func genObject(depth int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		var fields []string
		for _, name := range []string{"a", "b", "Id"} {
			if rapid.Bool().Draw(t, "has") {
				fields = append(fields, fmt.Sprintf("%q : %s", name, genValue(depth).Draw(t, name)))
			}
		}
		return "{" + strings.Join(fields, ",") + "}"
	})
}

// TestMergedSchemaTakesEverything grows a schema by objects, which must all fit
// it at the end, and builds a batch of them.
func TestMergedSchemaTakesEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := schema()
		var objects []Object
		for _, text := range rapid.SliceOfN(genObject(3), 1, 6).Draw(t, "objects") {
			o, err := Parse([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			objects = append(objects, o)
			if !layout(t, s).Fits(o) {
				s, _ = meta.MergeSchemas(s, o.Columns())
			}
		}
		l := layout(t, s)
		mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
		b, err := l.NewBuilder(mem)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range objects {
			if !l.Fits(o) {
				t.Fatalf("%+v does not fit %+v", o, s)
			}
			if err := b.Append("x", 1, o); err != nil {
				t.Fatal(err)
			}
		}
		batch := b.NewBatch()
		if batch.NumRows() != int64(len(objects)) || int(batch.NumCols()) != len(s.Columns) {
			t.Fatalf("batch of %d rows and %d columns", batch.NumRows(), batch.NumCols())
		}
		batch.Release()
		b.Release()
		if n := mem.CurrentAlloc(); n != 0 {
			t.Fatalf("%d bytes are not released", n)
		}
	})
}

func TestBuilderRefusesWhatDoesNotFit(t *testing.T) {
	l := layout(t, schema(meta.Column{Name: "x", Type: meta.Type{Kind: meta.KindBigInt}}))
	for _, text := range []string{`{"x":"s"}`, `{"x":9007199254740993}`, `{"y":1}`} {
		o, err := Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		b, err := l.NewBuilder(memory.DefaultAllocator)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Append("x", 0, o); err == nil {
			t.Errorf("%s was taken", text)
		}
		b.Release()
	}
	if _, err := NewLayout(schema(meta.Column{Name: "m", Type: meta.Type{Kind: "MAP(VARCHAR, INTEGER)"}})); err == nil {
		t.Error("a MAP column was taken")
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`{}`, ` {"a" : [ 1 , {"b":"\u0000\\"} ] , "c":null}`, `{"a":1`, `"`, `{"a":"\ud83d\ude00"}`, `{"":1}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		o, err := Parse(text)
		if err != nil {
			return
		}
		s, _ := meta.MergeSchemas(schema(), o.Columns())
		b, err := layout(t, s).NewBuilder(memory.DefaultAllocator)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Release()
		if err := b.Append("x", 0, o); err != nil {
			t.Fatal(err)
		}
		b.NewBatch().Release()
	})
}

func BenchmarkParse(b *testing.B) {
	text := []byte(`{"name":"user 12","age":25,"city":"Paris","score":1.5,"tags":["a","b"]}`)
	o, err := Parse(text)
	if err != nil {
		b.Fatal(err)
	}
	s, _ := meta.MergeSchemas(schema(), o.Columns())
	l := layout(b, s)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		o, err := Parse(text)
		if err != nil || !l.Fits(o) {
			b.Fatal(err)
		}
	}
}
