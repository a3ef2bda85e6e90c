package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// rows builds one batch from JSON rows.
func rows(t *testing.T, schema *arrow.Schema, text string) arrow.RecordBatch {
	t.Helper()
	b, _, err := array.RecordFromJSON(memory.DefaultAllocator, schema, bytes.NewReader([]byte(text)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Release)
	return b
}

func write(t *testing.T, w Writer, batches ...arrow.RecordBatch) {
	t.Helper()
	for _, b := range batches {
		if err := w.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

var people = arrow.NewSchema([]arrow.Field{
	{Name: "id", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
	{Name: "na,me", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "tags", Type: arrow.ListOf(arrow.BinaryTypes.String), Nullable: true},
}, nil)

const peopleRows = `[
	{"id": 9007199254740993, "na,me": "a \"b\"\n<&>é", "tags": ["x", null]},
	{"id": null, "na,me": "", "tags": []},
	{"id": -1, "na,me": null, "tags": null}]`

func TestWriters(t *testing.T) {
	cases := []struct {
		name   string
		writer func(*bytes.Buffer) Writer
		full   string
		empty  string
	}{
		{
			"json", func(b *bytes.Buffer) Writer { return NewJSON(b, people) },
			`[{"id":9007199254740993,"na,me":"a \"b\"\n<&>é","tags":["x",null]},
 {"id":null,"na,me":"","tags":[]},
 {"id":-1,"na,me":null,"tags":null}]
`,
			"[]\n",
		},
		{
			"ndjson", func(b *bytes.Buffer) Writer { return NewNDJSON(b, people) },
			`{"id":9007199254740993,"na,me":"a \"b\"\n<&>é","tags":["x",null]}
{"id":null,"na,me":"","tags":[]}
{"id":-1,"na,me":null,"tags":null}
`,
			"",
		},
		{
			"csv", func(b *bytes.Buffer) Writer { return NewCSV(b, people) },
			"id,\"na,me\",tags\n9007199254740993,\"a \"\"b\"\"\n<&>é\",\"[\"\"x\"\",null]\"\n,\"\",[]\n-1,,\n",
			"id,\"na,me\",tags\n",
		},
	}
	b := rows(t, people, peopleRows)
	first, rest := b.NewSlice(0, 1), b.NewSlice(1, 3)
	defer first.Release()
	defer rest.Release()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var whole, split, empty bytes.Buffer
			write(t, c.writer(&whole), b)
			write(t, c.writer(&split), first, rest)
			write(t, c.writer(&empty))
			if whole.String() != c.full {
				t.Errorf("got\n%s\nwant\n%s", whole.String(), c.full)
			}
			if split.String() != c.full {
				t.Errorf("in two batches: got\n%s\nwant\n%s", split.String(), c.full)
			}
			if empty.String() != c.empty {
				t.Errorf("no rows: got %q, want %q", empty.String(), c.empty)
			}
		})
	}
}

// A reader of CSV skips empty lines, so a lone NULL must not make one.
func TestCSVLoneNull(t *testing.T) {
	schema := arrow.NewSchema([]arrow.Field{{Name: "a", Type: arrow.PrimitiveTypes.Int32, Nullable: true}}, nil)
	var out bytes.Buffer
	write(t, NewCSV(&out, schema), rows(t, schema, `[{"a":null},{"a":1}]`))
	if want := "a\n\"\"\n1\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestNames(t *testing.T) {
	var fields []arrow.Field
	for _, n := range []string{"a", "a", "a_1", "b", "a"} {
		fields = append(fields, arrow.Field{Name: n, Type: arrow.PrimitiveTypes.Int32})
	}
	got := Names(arrow.NewSchema(fields, nil))
	want := []string{"a", "a_2", "a_1", "b", "a_3"}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}

func TestStringsAreValidJSON(t *testing.T) {
	for _, s := range []string{"", "a\x00b\x1f", "\\\"", "tab\t\r\n", "bad \xff utf8", "日本 \u2028"} {
		var back string
		text := appendString(nil, s)
		if err := json.Unmarshal(text, &back); err != nil {
			t.Errorf("%q: %s: %v", s, text, err)
		}
		if want := string([]rune(s)); back != want {
			t.Errorf("%q: read back as %q", s, back)
		}
	}
}

func TestLargeResultIsWrittenInParts(t *testing.T) {
	schema := arrow.NewSchema([]arrow.Field{{Name: "a", Type: arrow.PrimitiveTypes.Int64}}, nil)
	b := array.NewInt64Builder(memory.DefaultAllocator)
	defer b.Release()
	for i := range int64(50_000) {
		b.Append(i)
	}
	col := b.NewArray()
	defer col.Release()
	batch := array.NewRecordBatch(schema, []arrow.Array{col}, 50_000)
	defer batch.Release()
	w := &countingWriter{}
	write(t, NewNDJSON(w, schema), batch)
	if w.largest > 2*flushBytes || w.lines != 50_000 {
		t.Errorf("largest write %d bytes, %d lines", w.largest, w.lines)
	}
	broken := NewNDJSON(&countingWriter{err: errDisk}, schema)
	if err := broken.Write(batch); !errors.Is(err, errDisk) {
		t.Errorf("got %v, want the writer's own error", err)
	}
}

var errDisk = errors.New("disk full")

type countingWriter struct {
	largest, lines int
	err            error
}

func (c *countingWriter) Write(p []byte) (int, error) {
	c.largest = max(c.largest, len(p))
	c.lines += bytes.Count(p, []byte("\n"))
	return len(p), c.err
}
