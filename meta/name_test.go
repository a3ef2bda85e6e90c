package meta

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"skein/internal/fault"
)

func TestValidateTableName(t *testing.T) {
	for name, want := range map[string]string{
		"users": "users", "Users_2024": "users_2024", "_x": "_x", "metadata2": "metadata2", "pgtable": "pgtable",
		strings.Repeat("a", TableNameMax): strings.Repeat("a", TableNameMax),
	} {
		if got, err := ValidateTableName(name); err != nil || got != want {
			t.Errorf("%q: got %q, %v", name, got, err)
		}
	}
	for _, name := range []string{
		"", "1a", "a-b", "a b", "a/b", "../a", "a.b", "a\x00", "täble", "\u212a", strings.Repeat("a", TableNameMax+1),
		"metadata", "METADATA", "duckdb_tables", "PG_class", "sqlite_master", "information_schema", "information_schema_x",
		strings.Repeat("x", 20<<20),
	} {
		got, err := ValidateTableName(name)
		if fault.CodeOf(err) != fault.InvalidArgument || got != "" {
			t.Errorf("%.80q: got %q, %v", name, got, err)
			continue
		}
		if len(err.Error()) > 500 {
			t.Errorf("message of %d bytes", len(err.Error()))
		}
	}
}

func TestValidateID(t *testing.T) {
	for _, id := range []string{"user-123", "_", ".", "..", "a/b", "日本 語", "%", strings.Repeat("x", IDMax)} {
		if err := ValidateID(id); err != nil {
			t.Errorf("%q: %v", id, err)
		}
	}
	for _, id := range []string{"", "../a", "a/../b", "a\x00b", "a\nb", "\u0085", "\x7f", "\xff", strings.Repeat("x", IDMax+1), strings.Repeat("x", 20<<20)} {
		if err := ValidateID(id); fault.CodeOf(err) != fault.InvalidArgument {
			t.Errorf("%.80q: got %v", id, err)
		}
	}
}

func TestEncodeID(t *testing.T) {
	long := strings.Repeat("x", IDSegmentMax-1-idHashDigits)
	for id, want := range map[string]string{
		"user-123": "user-123", "a@b.c": "a@b.c", "a~b=c+d": "a~b=c+d",
		"": NoID, "_": "%5F", "__": "__", ".": "%2E", "..": "%2E%2E", ".a": ".a",
		"a/b": "a%2Fb", "../a": "..%2Fa", "100%": "100%25", "a b:c": "a%20b%3Ac", "é": "%C3%A9",
		strings.Repeat("x", IDSegmentMax): strings.Repeat("x", IDSegmentMax),
	} {
		if got := EncodeID(id); got != want {
			t.Errorf("%q: got %q, want %q", id, got, want)
		}
	}
	cut := EncodeID(long + strings.Repeat("y", 100))
	if len(cut) != IDSegmentMax || !strings.HasPrefix(cut, long+"~") {
		t.Errorf("a long id became %q", cut)
	}
	if again := EncodeID(cut); again == cut {
		t.Errorf("the id %q has the segment of another id", cut)
	}
}

func TestEncodeIDProperties(t *testing.T) {
	segment := regexp.MustCompile(`^([A-Za-z0-9._~@=+-]|%[0-9A-F]{2})+$`)
	ids := rapid.OneOf(
		rapid.String(),
		rapid.StringMatching(`[._%~a/]{1,4}`),
		rapid.StringMatching(`[aé%]{160,220}~?[0-9a-f]{0,32}`),
	).Filter(func(s string) bool { return s != "" && utf8.ValidString(s) })
	seen := make(map[string]string)
	rapid.Check(t, func(rt *rapid.T) {
		id := ids.Draw(rt, "id")
		got := EncodeID(id)
		if !segment.MatchString(got) || len(got) > IDSegmentMax || got == NoID || strings.Trim(got, ".") == "" {
			rt.Fatalf("%q: segment %q", id, got)
		}
		if before, ok := seen[got]; ok && before != id {
			rt.Fatalf("%q and %q have the same segment %q", id, before, got)
		}
		seen[got] = id
	})
}

func TestObjectPath(t *testing.T) {
	got := ObjectPath("users", EncodeID("user-123"), "2024-01-15", 1705123456789000001)
	if want := "users/user-123/2024-01-15/1705123456789000001.parquet"; got != want {
		t.Errorf("got %s", got)
	}
}
