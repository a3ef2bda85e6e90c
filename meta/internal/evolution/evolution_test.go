package evolution

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"skein/meta"
)

func column(name, kind string) meta.Column {
	return meta.Column{Name: name, Type: meta.Type{Kind: kind}}
}

// stored sends schemas through JSON, as a driver does.
func stored(t interface{ Fatal(...any) }, schemas []meta.Schema) (back []meta.Schema, bytes int) {
	text, err := json.Marshal(Encode(schemas))
	if err != nil {
		t.Fatal(err)
	}
	var versions []Version
	if err := json.Unmarshal(text, &versions); err != nil {
		t.Fatal(err)
	}
	if back, err = Decode(versions); err != nil {
		t.Fatal(err)
	}
	return back, len(text)
}

func TestAnyHistory(t *testing.T) {
	columns := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) meta.Column {
		c := column(rapid.SampledFrom([]string{"a", "b", "A"}).Draw(t, "name"), rapid.SampledFrom([]string{"BIGINT", "JSON"}).Draw(t, "kind"))
		c.Type.Wide = rapid.Bool().Draw(t, "wide")
		c.Field = rapid.SampledFrom([]string{"", "id"}).Draw(t, "field")
		return c
	}), 0, 4)
	schema := rapid.Custom(func(t *rapid.T) meta.Schema {
		return meta.Schema{Columns: columns.Draw(t, "columns"), IDColumn: rapid.SampledFrom([]string{"", "a"}).Draw(t, "id"), Records: rapid.Bool().Draw(t, "records")}
	})
	rapid.Check(t, func(t *rapid.T) {
		schemas := rapid.SliceOfN(schema, 0, 6).Draw(t, "schemas")
		for _, way := range []func() []meta.Schema{
			func() []meta.Schema { back, _ := stored(t, schemas); return back },
			func() []meta.Schema { return Shared(Shared(schemas)) },
		} {
			if diff := cmp.Diff(schemas, way(), cmpopts.EquateEmpty()); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

// TestColumnsOneByOne: the stored form grows with the columns, not with their
// square, and versions stay apart.
func TestColumnsOneByOne(t *testing.T) {
	const n = 2000
	var schemas []meta.Schema
	s := meta.Schema{Records: true}
	for i := range n {
		s, _ = meta.MergeSchemas(s, []meta.Column{column(fmt.Sprintf("c%d", i), "BIGINT")})
		schemas = Shared(append(schemas, s))
	}
	back, bytes := stored(t, schemas)
	if bytes > 150*n {
		t.Errorf("%d bytes for %d columns", bytes, n)
	}
	for i, s := range back {
		if len(s.Columns) != i+1 || s.Columns[i].Name != fmt.Sprintf("c%d", i) {
			t.Fatalf("version %d has %d columns", i, len(s.Columns))
		}
	}
	_ = append(back[0].Columns, column("other", "JSON"))
	if got := back[n-1].Columns[1].Name; got != "c1" {
		t.Errorf("the newest version has %s for c1", got)
	}
}

// TestWholeVersions: versions that were stored whole are read.
func TestWholeVersions(t *testing.T) {
	schemas := []meta.Schema{{Columns: []meta.Column{column("a", "BIGINT")}}, {Columns: []meta.Column{column("a", "DOUBLE"), column("b", "DATE")}}}
	text, err := json.Marshal(schemas)
	if err != nil {
		t.Fatal(err)
	}
	var versions []Version
	if err := json.Unmarshal(text, &versions); err != nil {
		t.Fatal(err)
	}
	if got, err := Decode(versions); err != nil || !cmp.Equal(got, schemas) {
		t.Errorf("%+v %v", got, err)
	}
}

func TestDamaged(t *testing.T) {
	one := Version{Schema: meta.Schema{Columns: []meta.Column{column("a", "BIGINT")}}}
	for name, next := range map[string]Version{
		"keeps more": {Kept: 2}, "keeps less": {Kept: -1}, "changes what is not there": {Kept: 1, Changed: []Change{{At: 1}}},
	} {
		if _, err := Decode([]Version{one, next}); err == nil {
			t.Error(name + ": no error")
		}
	}
}
