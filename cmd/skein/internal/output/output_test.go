package output

import (
	"fmt"
	"strings"
	"testing"
)

func TestFormats(t *testing.T) {
	rows := [][]any{{"a", int64(1)}, {"", int64(-20)}, {"é\x1b[31m\nx", int64(300)}}
	cases := map[string]string{
		"table": `
┌──────────────┬────────┐
│     name     │    n   │
│    VARCHAR   │ BIGINT │
├──────────────┼────────┤
│ a            │      1 │
│ NULL         │    -20 │
│ é\x1b[31m\nx │    300 │
└──────────────┴────────┘
`,
		"line": `
name = a
   n = 1

name = NULL
   n = -20

name = é\x1b[31m\nx
   n = 300
`,
		"csv": "\nname,n\na,1\n,-20\n\"é\x1b[31m\nx\",300\n",
		"ndjson": `
{"name":"a","n":1}
{"name":null,"n":-20}
{"name":"é\u001B[31m\nx","n":300}
`,
	}
	for format, want := range cases {
		t.Run(format, func(t *testing.T) {
			r := Rows([]string{"name", "n"}, []any{"", int64(0)}, rows)
			defer r.Close()
			var out strings.Builder
			sum, err := Print(t.Context(), &out, r, Options{Format: format})
			if err != nil || sum.Rows != 3 || sum.More || sum.Cut {
				t.Errorf("got %+v, %v", sum, err)
			}
			if got := "\n" + out.String(); got != want {
				t.Errorf("got %s\nwant %s", got, want)
			}
		})
	}
}

func TestRowsMax(t *testing.T) {
	for _, c := range []struct {
		max, printed int64
		more         bool
	}{{0, 3, false}, {2, 2, true}, {3, 3, false}, {4, 3, false}} {
		r := Rows([]string{"n"}, []any{int64(0)}, [][]any{{int64(1)}, {int64(2)}, {int64(3)}})
		var out strings.Builder
		sum, err := Print(t.Context(), &out, r, Options{Format: "csv", RowsMax: c.max})
		if err != nil || sum.Rows != c.printed || sum.More != c.more {
			t.Errorf("RowsMax %d: got %+v, %v", c.max, sum, err)
		}
		if n := int64(strings.Count(out.String(), "\n")) - 1; n != c.printed {
			t.Errorf("RowsMax %d: %d rows printed", c.max, n)
		}
		r.Close()
	}
}

func TestWideTableIsCut(t *testing.T) {
	r := Rows([]string{"a"}, []any{""}, [][]any{{strings.Repeat("x", 100)}})
	defer r.Close()
	var out strings.Builder
	sum, err := Print(t.Context(), &out, r, Options{Format: "table", Width: 40})
	if err != nil || !sum.Cut {
		t.Errorf("got %+v, %v", sum, err)
	}
	for line := range strings.Lines(out.String()) {
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 40 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

// A long result is printed in blocks, so that memory stays bounded.
func TestBlocks(t *testing.T) {
	rows := make([][]any, 2*blockRows)
	for i := range rows {
		rows[i] = []any{int64(i)}
	}
	r := Rows([]string{"n"}, []any{int64(0)}, rows)
	defer r.Close()
	var out strings.Builder
	if _, err := Print(t.Context(), &out, r, Options{Format: "table"}); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "BIGINT"); n != 2 {
		t.Errorf("%d tables, want 2", n)
	}
	if !strings.Contains(out.String(), fmt.Sprintf("│  %d │", 2*blockRows-1)) {
		t.Error("the last row is missing")
	}
}

func TestUnknownFormat(t *testing.T) {
	r := Rows([]string{"n"}, []any{int64(0)}, nil)
	defer r.Close()
	if _, err := Print(t.Context(), &strings.Builder{}, r, Options{Format: "xml"}); err == nil || !strings.Contains(err.Error(), "ndjson") {
		t.Errorf("got %v", err)
	}
}
