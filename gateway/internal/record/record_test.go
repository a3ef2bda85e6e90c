package record

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"

	"skein/internal/fault"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func TestParse(t *testing.T) {
	r, err := Parse([]byte(" { \"payload\" : {\"a\":[1,{\"b\":null}],\"\\u0061b\":\"}\\\"{\"} ,\n\"id\":\"x\", \"timestamp\":\"2024-02-29T12:00:00.123456789+02:00\", \"table\":\"T1\" } "), noon)
	if err != nil {
		t.Fatal(err)
	}
	if r.Table != "t1" || r.ID != "x" || r.Timestamp != time.Date(2024, 2, 29, 10, 0, 0, 123456789, time.UTC) {
		t.Errorf("%+v", r)
	}
	if string(r.Payload) != `{"a":[1,{"b":null}],"\u0061b":"}\"{"}` {
		t.Errorf("%s", r.Payload)
	}
	r, err = Parse([]byte(`{"table":"t","id":"x"}`), noon)
	if err != nil || r.Timestamp != noon || string(r.Payload) != "{}" {
		t.Errorf("%+v %v", r, err)
	}
}

// TestBrokenText: ids that are different in JSON do not become the same text.
func TestBrokenText(t *testing.T) {
	for _, id := range []string{`\ud800`, `a\udfff`, `\ufffd`, "\ufffd"} {
		_, err := Parse([]byte(`{"table":"t","id":"`+id+`"}`), noon)
		if fault.CodeOf(err) != fault.InvalidArgument || !strings.Contains(err.Error(), "surrogate") {
			t.Errorf("%s: %v", id, err)
		}
	}
	if r, err := Parse([]byte(`{"table":"t","id":"\ud83d\ude00"}`), noon); err != nil || r.ID != "😀" {
		t.Errorf("%+v %v", r, err)
	}
}

func TestManyKeys(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"table":"t","id":"x","payload":{"k0":0`)
	for i := 1; i < 100; i++ {
		b.WriteString(`,"k` + strings.Repeat("x", i) + `":1`)
	}
	if _, err := Parse([]byte(b.String()+"}}"), noon); err != nil {
		t.Error(err)
	}
	for _, twice := range []string{"k0", "kx", "k" + strings.Repeat("x", 99)} {
		if _, err := Parse([]byte(b.String()+`,"`+twice+`":2}}`), noon); fault.Details(err)["field"] != twice[:min(80, len(twice))] {
			t.Errorf("%s: %v", twice, err)
		}
	}
}

// TestParseAnything: no input makes Parse panic or return an unclassified
// error.
func TestParseAnything(t *testing.T) {
	pieces := []string{`{`, `}`, `[`, `]`, `"`, `:`, `,`, `"table"`, `"id"`, `"payload"`, `"timestamp"`, `"t"`, `{}`, `\`, `\u00`, " ", "\n", "1", "-", "1e5", "null", "true", "\xff", "é", `"a":1`}
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 30).Draw(t, "pieces"), "")
		if _, err := Parse([]byte(text), noon); err != nil && fault.CodeOf(err) != fault.InvalidArgument {
			t.Fatalf("%q: %v", text, err)
		}
	})
}

func all(s *Stream) (records []string, err error) {
	for {
		data, err := s.Next()
		if err != nil {
			return records, err
		}
		records = append(records, string(data))
	}
}

func TestStreamsInAnyPieces(t *testing.T) {
	const one, two = `{"a":"}]\\\"[{","b":[{}]}`, `{ "c" : 1 }`
	for name, read := range map[string]func(io.Reader) io.Reader{
		"whole": func(r io.Reader) io.Reader { return r }, "bytes": iotest.OneByteReader, "data with error": iotest.DataErrReader,
	} {
		for text, make := range map[string]func(io.Reader) *Stream{
			one + "\n\n  \r\n" + two + "\r\n": Lines, one + "\n" + two: Lines,
			" [ " + one + " ,\n" + two + " ] ": Array, "[" + one + "," + two + "]": Array,
		} {
			got, err := all(make(read(strings.NewReader(text))))
			if !errors.Is(err, io.EOF) || len(got) != 2 || got[0] != one || got[1] != two {
				t.Errorf("%s, %q: %q %v", name, text, got, err)
			}
		}
	}
}

func TestLineNumbers(t *testing.T) {
	s := Lines(strings.NewReader("\n{}\n\n\n{}"))
	var at []int
	for {
		if _, err := s.Next(); err != nil {
			break
		}
		_, n := s.Place()
		at = append(at, n)
	}
	if len(at) != 2 || at[0] != 2 || at[1] != 5 {
		t.Errorf("%v", at)
	}
}

func TestBrokenBody(t *testing.T) {
	for name, s := range map[string]*Stream{
		"line":  Lines(io.MultiReader(strings.NewReader("{}\n{}"), iotest.ErrReader(io.ErrUnexpectedEOF))),
		"array": Array(io.MultiReader(strings.NewReader("[{},{"), iotest.ErrReader(io.ErrUnexpectedEOF))),
	} {
		got, err := all(s)
		if len(got) != 1 || fault.CodeOf(err) != fault.InvalidArgument || !strings.Contains(err.Error(), "cut off") {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
}

func TestLongRecord(t *testing.T) {
	long := bytes.Repeat([]byte("x"), BytesMax)
	for name, s := range map[string]*Stream{
		"line":  Lines(io.MultiReader(strings.NewReader(`{"a":"`), bytes.NewReader(long))),
		"array": Array(io.MultiReader(strings.NewReader(`[{"a":"`), bytes.NewReader(long))),
	} {
		if _, err := s.Next(); fault.CodeOf(err) != fault.TooLarge {
			t.Errorf("%s: %v", name, err)
		}
	}
	exact := append(append([]byte(`{"a":"`), long[:BytesMax-8]...), `"}`...)
	if data, err := Lines(bytes.NewReader(exact)).Next(); err != nil || len(data) != BytesMax {
		t.Errorf("%d bytes: %v", len(data), err)
	}
}

func BenchmarkParse(b *testing.B) {
	data := []byte(`{"table":"users","id":"user-123","timestamp":"2023-10-27T10:00:00Z","payload":{"name":"张三","age":25,"city":"北京","tags":["a","b"],"score":1.5}}`)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(data, noon); err != nil {
			b.Fatal(err)
		}
	}
}
