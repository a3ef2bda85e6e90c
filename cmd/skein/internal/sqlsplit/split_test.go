package sqlsplit

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestSplit(t *testing.T) {
	cases := []struct {
		name, script string
		want         []Statement
	}{
		{"empty", " \n-- nothing\n;; /* ; */ ;", nil},
		{"one, no semicolon", "SELECT 1", []Statement{{"SELECT 1", 1, 1}}},
		{"positions", "SELECT 1;\n\n -- second\n  SELECT 'é';SELECT 3\n", []Statement{{"SELECT 1", 1, 1}, {"SELECT 'é'", 4, 3}, {"SELECT 3", 4, 14}}},
		{"quotes", `SELECT 'a;''b;', "c;""d;"; SELECT 2`, []Statement{{`SELECT 'a;''b;', "c;""d;"`, 1, 1}, {"SELECT 2", 1, 28}}},
		{"backslash is plain", `SELECT 'a\'; SELECT 2`, []Statement{{`SELECT 'a\'`, 1, 1}, {"SELECT 2", 1, 14}}},
		{"escape string", `SELECT E'a\';b'; SELECT 2`, []Statement{{`SELECT E'a\';b'`, 1, 1}, {"SELECT 2", 1, 18}}},
		{"word that ends in e", `SELECT date'a\'; SELECT 2`, []Statement{{`SELECT date'a\'`, 1, 1}, {"SELECT 2", 1, 18}}},
		{"dollar quotes", `SELECT $$a;'b$$, $x$;$$;$x$; SELECT $1; SELECT 3`, []Statement{{`SELECT $$a;'b$$, $x$;$$;$x$`, 1, 1}, {"SELECT $1", 1, 30}, {"SELECT 3", 1, 41}}},
		{"dollar in a name", `SELECT a$b$; SELECT c$b$`, []Statement{{`SELECT a$b$`, 1, 1}, {"SELECT c$b$", 1, 14}}},
		{"comments inside", "SELECT /* ; /* ; */ ; */ 1 -- ;\n + 2; SELECT 3", []Statement{{"SELECT /* ; /* ; */ ; */ 1 -- ;\n + 2", 1, 1}, {"SELECT 3", 2, 7}}},
		{"comment at the end", "SELECT 1 -- done", []Statement{{"SELECT 1", 1, 1}}},
		{"open quote", "SELECT 'a; SELECT 2", []Statement{{"SELECT 'a; SELECT 2", 1, 1}}},
		{"byte order mark", "\ufeffSELECT 1;", []Statement{{"SELECT 1", 1, 1}}},
		{"windows lines", "SELECT 1;\r\nSELECT 2;\r\n", []Statement{{"SELECT 1", 1, 1}, {"SELECT 2", 2, 1}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, Split(c.script)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestComplete(t *testing.T) {
	cases := map[string]bool{
		"":                             false,
		"SELECT 1":                     false,
		"SELECT 1;":                    true,
		"SELECT 1; -- and so on":       true,
		"SELECT 1; /* open":            false,
		"SELECT 1; SELECT":             false,
		"SELECT ';":                    false,
		"SELECT ';';":                  true,
		"SELECT $$;":                   false,
		"SELECT $$;$$;":                true,
		"SELECT 1 -- ;":                false,
		"SELECT 1 /* ; */":             false,
		"SELECT \"a;\nb\"\n;  ":        true,
		"SELECT E'\\';":                false,
		";":                            true,
		"SELECT 'it''s;' /* /* */ ; ":  false,
		"SELECT 'it''s' /* /* */ */ ;": true,
	}
	for text, want := range cases {
		if got := Complete(text); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

// Whatever the text, the lexer passes over all of it, and statements come in
// order, each one found at its place.
func TestSplitAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		script := rapid.StringOf(rapid.RuneFrom([]rune("aeE1 ;'\"$-/*\\\né"))).Draw(t, "script")
		lines := strings.Split(script, "\n")
		for _, s := range Split(script) {
			if s.Text == "" || s.Line > len(lines) {
				t.Fatalf("statement %+v", s)
			}
			line := []rune(lines[s.Line-1])
			first, _, _ := strings.Cut(s.Text, "\n")
			if s.Column > len(line) || !strings.HasPrefix(string(line[s.Column-1:]), first) {
				t.Fatalf("statement %+v is not at its place", s)
			}
		}
	})
}
