package flight

import (
	"strings"
	"testing"
)

func TestLike(t *testing.T) {
	for _, c := range []struct {
		pattern string
		yes, no string // names, blank separated
	}{
		{"users", "users USERS", "user userss _users"},
		{"%", "a ab abc", ""},
		{"a%", "a ab a%", "ba"},
		{"%a", "a ba aa", "ab"},
		{"%a%", "a bab aa", "b"},
		{"a_c", "abc a_c axc", "ac abbc"},
		{`a\_c`, "a_c", "abc"},
		{`a\%`, "a%", "ab a"},
		{`a\\b`, `a\b`, "ab"},
		{`a\`, `a\`, "a"},
		{"%ab%cd%", "abcd xabycdz ababcdcd", "abdc acbd"},
		{"*", "*", "a ab"},
		{"a?[", "a?[", "ab["},
		{"日_", "日本", "日 本日"},
		{"", "", "a"},
		{strings.Repeat("%a", 50), strings.Repeat("a", 50), strings.Repeat("a", 49)},
	} {
		l := newLike(&c.pattern)
		for _, name := range strings.Fields(c.yes) {
			if !l.match(name) {
				t.Errorf("%q does not match %q", c.pattern, name)
			}
		}
		for _, name := range strings.Fields(c.no) {
			if l.match(name) {
				t.Errorf("%q matches %q", c.pattern, name)
			}
		}
	}
	if !newLike(nil).match("anything") {
		t.Error("no pattern matches nothing")
	}
	for pattern, want := range map[string]string{"a%": "a*", "a_": "a?", `a\_`: "a_", "*": "?", `[\\`: "??", "": ""} {
		if got := newLike(&pattern).glob(); got != want {
			t.Errorf("glob of %q is %q, want %q", pattern, got, want)
		}
	}
}
