package meta

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"skein/internal/fault"
)

func TestCommitValidate(t *testing.T) {
	good := func() Commit {
		return Commit{Table: "t", Unit: "u", Time: time.Unix(1, 0), Add: []File{{Path: "a", Day: "2024-01-15"}}, Remove: []string{"b"}}
	}
	if err := good().Validate(); err != nil {
		t.Fatal(err)
	}
	far := time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, spoil := range map[string]func(*Commit){
		"no unit":         func(c *Commit) { c.Unit = "" },
		"no path":         func(c *Commit) { c.Add[0].Path = "" },
		"id of bytes":     func(c *Commit) { c.Add[0].ID = "\xff" },
		"bad day":         func(c *Commit) { c.Add[0].Day = "2024-13-15" },
		"no day":          func(c *Commit) { c.Add[0].Day = "" },
		"negative rows":   func(c *Commit) { c.Add[0].Rows = -1 },
		"ranges of bytes": func(c *Commit) { c.Add[0].Ranges = "\xff" },
		"long ranges":     func(c *Commit) { c.Add[0].Ranges = NewRanges([]Range{{Max: strings.Repeat("x", rangesTextMax)}}) },
		"far time":        func(c *Commit) { c.Time = far },
		"far max time":    func(c *Commit) { c.Add[0].MaxTime = far },
		"added twice":     func(c *Commit) { c.Add = append(c.Add, c.Add[0]) },
		"both ways":       func(c *Commit) { c.Remove[0] = "a" },
		"too many":        func(c *Commit) { c.Remove = make([]string, CommitFilesMax) },
	} {
		c := good()
		spoil(&c)
		if err := c.Validate(); fault.CodeOf(err) != fault.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFormatTimeKeepsOrder(t *testing.T) {
	zone := time.FixedZone("x", 3*3600)
	draw := func(rt *rapid.T, name string) time.Time {
		// From year 1 to 9999.
		return time.Unix(rapid.Int64Range(-62135500000, 253402200000).Draw(rt, name), rapid.Int64Range(0, 999_999_999).Draw(rt, name)).In(zone)
	}
	rapid.Check(t, func(rt *rapid.T) {
		a, b := draw(rt, "a"), draw(rt, "b")
		if (FormatTime(a) < FormatTime(b)) != a.Before(b) {
			rt.Fatalf("%s and %s", FormatTime(a), FormatTime(b))
		}
		back, err := ParseTime(FormatTime(a))
		if err != nil || !back.Equal(a) || back.Location() != time.UTC {
			rt.Fatalf("%s became %s, %v", a, back, err)
		}
	})
	if back, err := ParseTime(FormatTime(time.Time{})); err != nil || !back.IsZero() {
		t.Errorf("the zero time became %v, %v", back, err)
	}
	if _, err := ParseTime("yesterday"); err == nil {
		t.Error("no error for a bad time")
	}
}
