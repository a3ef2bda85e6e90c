package backup

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"skein/internal/fault"
	"skein/meta"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParseMoment(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "0001-01-01T00:00:00Z",
		"2024-02-28":                "2024-02-28T23:59:59.999999999Z",
		"2024-01-15T10:00:00Z":      "2024-01-15T10:00:00Z",
		"2024-01-15T10:00:00+02:00": "2024-01-15T08:00:00Z",
	} {
		if at, err := ParseMoment(text); err != nil || at.Format(time.RFC3339Nano) != want {
			t.Errorf("%q is %s, %v; want %s", text, at.Format(time.RFC3339Nano), err, want)
		}
	}
	for _, text := range []string{"soon", "2024-02-30", "15.1.2024", "2024-01-15 10:00", strings.Repeat("9", 100)} {
		if _, err := ParseMoment(text); fault.CodeOf(err) != fault.InvalidArgument || !strings.Contains(err.Error(), "YYYY-MM-DD") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestCheck(t *testing.T) {
	for says, r := range map[string]Request{
		"table name":   {Table: "a-b"},
		"name it":      {ID: "x"},
		"name  it":     {Day: "2024-01-15"},
		"name   it":    {At: time.Now()},
		"YYYY-MM-DD":   {Table: "t", Day: "2024-1-5"},
		"control char": {Table: "t", ID: "a\x00"},
	} {
		says = strings.Join(strings.Fields(says), " ")
		if err := r.Check(); fault.CodeOf(err) != fault.InvalidArgument || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v", r, err)
		}
	}
	r := Request{Table: "Users", ID: "u", Day: "2024-01-15"}
	if err := r.Check(); err != nil || r.Table != "users" {
		t.Errorf("%+v: %v", r, err)
	}
}

func TestCopyKeys(t *testing.T) {
	at := time.Date(2024, 1, 15, 23, 59, 59, 7, time.UTC)
	key := copyKey("users", at)
	if key != "metadata/tables/users/2024-01-15/1705363199000000007.json.zst" {
		t.Error(key)
	}
	if table, made, ok := parseCopyKey(key); table != "users" || !made.Equal(at) || !ok {
		t.Error(table, made, ok)
	}
	if next := copyKey("users", at.Add(time.Nanosecond)); next <= key {
		t.Errorf("%s is not after %s", next, key)
	}
	for _, bad := range []string{"", Prefix, Prefix + "users/x", Prefix + "users/2024-01-15/x.json.zst", Prefix + "users/2024-01-15/1.parquet"} {
		if _, _, ok := parseCopyKey(bad); ok {
			t.Error(bad)
		}
	}
}

func TestWants(t *testing.T) {
	files := []meta.File{
		{Path: "t/a/1", HasID: true, ID: "a", Day: "2024-01-01"}, {Path: "t/a/2", HasID: true, ID: "a", Day: "2024-01-02"},
		{Path: "t/b/1", HasID: true, ID: "b", Day: "2024-01-01"}, {Path: "t/_/1", Day: "2024-01-01"},
	}
	for _, c := range []struct {
		r    Request
		want []string
	}{
		{Request{}, []string{"t/a/1", "t/a/2", "t/b/1", "t/_/1"}},
		{Request{ID: "a"}, []string{"t/a/1", "t/a/2", "t/_/1"}}, // a file of many ids may hold it
		{Request{ID: "a", Day: "2024-01-02"}, []string{"t/a/2"}},
		{Request{Day: "2024-01-01"}, []string{"t/a/1", "t/b/1", "t/_/1"}},
		{Request{Day: "2030-01-01"}, nil},
	} {
		var got []string
		for _, f := range files {
			if c.r.wants(f) {
				got = append(got, f.Path)
			}
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%+v: %s", c.r, d)
		}
	}
}
