package worker

import "testing"

func TestIsText(t *testing.T) {
	for name, c := range map[string]struct {
		values  string
		offsets []int32
		want    bool
	}{
		"ascii":                    {"abc", []int32{0, 1, 3}, true},
		"empty strings":            {"", []int32{0, 0, 0}, true},
		"letters":                  {"äöü", []int32{0, 2, 4, 6}, true},
		"a slice":                  {"öü", []int32{2, 4, 6}, true},
		"empty at the end":         {"ä", []int32{0, 2, 2}, true},
		"cut within a letter":      {"aä", []int32{0, 2, 3}, false},
		"no text":                  {"a\xff", []int32{0, 1, 2}, false},
		"half a letter at the end": {"a\xc3", []int32{0, 1, 2}, false},
	} {
		if got := isText([]byte(c.values), c.offsets); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
