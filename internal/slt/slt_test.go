package slt

import (
	"context"
	"errors"
	"strings"
	"testing"

	"skein/internal/fault"
)

// fake answers by a table; what it does not have is an error.
type fake map[string][][]any

func (f fake) Exec(_ context.Context, sql string) error {
	_, err := f.Query(context.TODO(), sql)
	return err
}

func (f fake) Query(_ context.Context, sql string) ([][]any, error) {
	if rows, ok := f[sql]; ok {
		return rows, nil
	}
	return nil, errors.New("no such table: " + sql)
}

var engine = fake{
	"one":   {{"1"}},
	"two":   {{"2"}},
	"pairs": {{"2", "b"}, {"1", nil}, {"1", ""}},
	"float": {{0.30000000000000004}},
	"none":  {},
}

func TestRun(t *testing.T) {
	for name, c := range map[string]struct{ file, fails string }{
		"right":               {"query I\none\n----\n1\n", ""},
		"comment, blank":      {"# a word\n\n\nquery I nosort\none\n----\n1\n\n", ""},
		"wrong value":         {"query I\none\n----\n2\n", "row 1: got 1, want 2"},
		"row missing":         {"query I\none\n----\n1\n1\n", "got 1 rows, want 2"},
		"no rows":             {"query I\nnone\n----\n", ""},
		"rows unexpected":     {"query I\none\n----\n", "got 1 rows, want 0"},
		"columns":             {"query II\none\n----\n1\t1\n", "got 1 columns, want 2"},
		"by row":              {"query IT\npairs\n----\n2\tb\n1\tNULL\n1\t(empty)\n", ""},
		"by value":            {"query IT\npairs\n----\n2\nb\n1\nNULL\n1\n(empty)\n", ""},
		"order":               {"query IT\npairs\n----\n1\tNULL\n2\tb\n1\t(empty)\n", "row 1"},
		"rowsort":             {"query IT rowsort\npairs\n----\n1\tNULL\n2\tb\n1\t(empty)\n", ""},
		"valuesort":           {"query IT valuesort\npairs\n----\n(empty)\n1\n1\n2\nNULL\nb\n", ""},
		"near":                {"query R\nfloat\n----\n0.3\n", ""},
		"not near as text":    {"query T\nfloat\n----\n0.3\n", "got 0.30000000000000004"},
		"not near":            {"query R\nfloat\n----\n0.3001\n", "want 0.3001"},
		"hash":                {"hash-threshold 3\n\nquery IT rowsort\npairs\n----\n6 values hashing to 6ef6e73a9d4d5ee0e7a3bc2c5ef4e0a4\n", "got 6 values hashing to"},
		"statement":           {"statement ok\none\n", ""},
		"statement fails":     {"statement ok\nmissing\n", "no such table"},
		"error":               {"statement error\nmissing\n----\nno such\n", ""},
		"any error":           {"statement error\nmissing\n", ""},
		"other error":         {"statement error\nmissing\n----\nsyntax\n", "want one with: syntax"},
		"no error":            {"statement error\none\n", "got no error"},
		"query fails":         {"query I\nmissing\n----\n1\n", "no such table"},
		"skipif":              {"skipif here\nquery I\none\n----\n7\n", ""},
		"skipif other":        {"skipif there\nquery I\none\n----\n7\n", "want 7"},
		"onlyif":              {"onlyif here\nquery I\none\n----\n7\n", "want 7"},
		"onlyif other":        {"onlyif there\nquery I\none\n----\n7\n\nquery I\none\n----\n1\n", ""},
		"foreach":             {"foreach q one two\n\nquery I\n${q}\n----\n1\n\nendloop\n", "row 1: got 2, want 1"},
		"loop":                {"loop i 1 3\nforeach q one two\n\nquery I\n${q}\n----\n${i}\n\nendloop\nendloop\n", "row 1: got 2, want 1"},
		"label":               {"query I nosort x\none\n----\n1\n\nquery I nosort x\none\n----\n1\n", ""},
		"label, other answer": {"query I nosort x\none\n----\n1\n\nquery I nosort x\ntwo\n----\n2\n", "another query of label x"},
		"halt":                {"halt\n\nquery I\none\n----\n7\n", ""},
		"mode":                {"mode skip\n\nquery I\none\n----\n7\n\nmode unskip\n\nquery I\none\n----\n1\n", ""},
		"windows lines":       {"query I\r\none\r\n----\r\n1\r\n", ""},
		"several lines":       {"statement error\nmissing\ntable\n----\nmissing\ntable\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := Parse("f", c.file)
			if err != nil {
				t.Fatal(err)
			}
			var texts []string
			for _, x := range Run(t.Context(), engine, "here", f) {
				texts = append(texts, x.String())
			}
			got := strings.Join(texts, "; ")
			if c.fails == "" && got != "" || !strings.Contains(got, c.fails) {
				t.Errorf("got %q, want %q", got, c.fails)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for file, says := range map[string]string{
		"nonsense\n":                      "f:1: unknown word nonsense",
		"\nquery\n":                       "f:2: query needs a word",
		"query X\none\n----\n":            "types are I, R and T",
		"query I anysort\none\n----\n":    "sort mode anysort",
		"query I\none\n":                  "query without ----",
		"query I\n----\n1\n":              "query without SQL",
		"statement maybe\none\n":          "must be ok or error",
		"loop i 1 3\nstatement ok\none\n": "no endloop",
		"endloop\n":                       "endloop without loop",
		"loop i 3 1\nendloop\n":           "not a range",
		"loop i 0 999999999\nendloop\n":   "not a range",
		"foreach\nendloop\n":              "foreach NAME",
		"hash-threshold few\n":            "not a number",
		"skipif\n":                        "needs a word",
		"loop i 0 99999\nloop j 0 9\nstatement ok\none\n\nendloop\nendloop\n": "more than 100000 records",
	} {
		_, err := Parse("f", file)
		if err == nil || !strings.Contains(err.Error(), says) || fault.CodeOf(err) != fault.InvalidArgument {
			t.Errorf("%q: got %v, want %s", file, err, says)
		}
	}
}

func TestRequire(t *testing.T) {
	f, err := Parse("f", "require parquet\nrequire vector_size 512\n")
	if err != nil || len(f.Require) != 2 || f.Require[1] != "vector_size 512" {
		t.Errorf("got %v, %v", f.Require, err)
	}
}

func TestRewrite(t *testing.T) {
	file := "# kept\nquery IT rowsort\npairs\n----\nold\n\nstatement error\nmissing\n----\nno such\n\nquery I\none\n----\n\nquery I\nnone\n----\n7\n"
	want := "# kept\nquery IT rowsort\npairs\n----\n1\t(empty)\n1\tNULL\n2\tb\n\nstatement error\nmissing\n----\nno such\n\nquery I\none\n----\n1\n\nquery I\nnone\n----\n"
	got, err := Rewrite(t.Context(), engine, "here", "f", file)
	if err != nil || got != want {
		t.Errorf("got %q, %v", got, err)
	}
	again, err := Rewrite(t.Context(), engine, "here", "f", got)
	if err != nil || again != got {
		t.Errorf("a second time: %q, %v", again, err)
	}
	if _, err := Rewrite(t.Context(), engine, "here", "f", "statement ok\nmissing\n"); err == nil {
		t.Error("a failing statement was not told")
	}
}

func TestRunStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f, _ := Parse("f", "statement ok\none\n\nstatement ok\none\n")
	if failures := Run(ctx, engine, "here", f); len(failures) != 1 {
		t.Errorf("got %v", failures)
	}
}
