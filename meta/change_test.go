package meta

import (
	"context"
	"errors"
	"strings"
	"testing"

	"skein/internal/fault"
)

func TestSemver(t *testing.T) {
	for text, want := range map[string]Semver{"1.0.0": FirstVersion, "1.2.30": {1, 2, 30}, "0.0.1": {Patch: 1}} {
		got, err := ParseSemver(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%s: %v %v", text, got, err)
		}
		data, _ := want.MarshalText()
		var back Semver
		if err := back.UnmarshalText(data); err != nil || back != want {
			t.Errorf("%s came back as %v: %v", text, back, err)
		}
	}
	for _, text := range []string{"", "1", "1.2", "1.2.3.4", "v1.2.3", "1.2.x", "1.-2.3", "01.2.3", "1.2.3 ", "1.2.99999999999999999999"} {
		if v, err := ParseSemver(text); fault.CodeOf(err) != fault.InvalidArgument {
			t.Errorf("%q is taken for %s: %v", text, v, err)
		}
	}
	order := []Semver{{}, {1, 0, 0}, {1, 0, 9}, {1, 0, 10}, {1, 2, 0}, {2, 0, 0}}
	for i, v := range order {
		for j, w := range order {
			if got := v.Compare(w); (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("%s against %s: %d", v, w, got)
			}
		}
	}
	if a, b := (Semver{1, 2, 3}).Next(true), (Semver{1, 2, 3}).Next(false); a != (Semver{1, 3, 0}) || b != (Semver{1, 2, 4}) {
		t.Error(a, b)
	}
	for v, good := range map[Semver]bool{{1, 9, 9}: true, {2, 0, 0}: false, {}: false} {
		if err := v.Compatible(); (err == nil) != good || !good && (fault.CodeOf(err) != fault.FailedPrecondition || !strings.Contains(err.Error(), v.String())) {
			t.Errorf("%s: %v", v, err)
		}
	}
}

func TestConflictSince(t *testing.T) {
	v := func(minor int64) Semver { return Semver{1, minor, 0} }
	history := []Change{{Version: v(5), Table: "b"}, {Version: v(4), Table: "a", Kind: ChangeSchema, Who: "ann"}, {Version: v(3)}, {Version: v(2), Table: "b"}}
	for _, c := range []struct {
		base  Semver
		table string
		text  string // of the conflict; none if empty
	}{
		{Semver{}, "a", ""}, {v(5), "a", ""}, {v(4), "a", ""}, {v(4), "b", "1.5.0"}, {v(3), "a", "1.4.0 (schema a by ann"}, {v(3), "c", ""}, {v(3), "", "1.5.0"},
		{v(2), "c", "1.3.0"}, {v(6), "c", "the catalog has 1.5.0"},
	} {
		err := ConflictSince(c.base, v(5), history, c.table)
		if (err == nil) != (c.text == "") || err != nil && (!errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), c.text)) {
			t.Errorf("table %q based on %s: %v, want %q", c.table, c.base, err, c.text)
		}
	}
	young := history[:1]
	if err := ConflictSince(v(1), v(5), young, "a"); err == nil || !strings.Contains(err.Error(), "older than the history") {
		t.Error(err)
	}
	if err := ConflictSince(FirstVersion, v(5), young, "a"); err != nil {
		t.Error(err)
	}
}

func TestWriter(t *testing.T) {
	ctx := Fenced(BasedOn(As(context.Background(), "ann\xff"+strings.Repeat("用", 200)), Semver{1, 2, 3}), "leader", 7)
	w := WriterOf(ctx)
	if !strings.HasPrefix(w.Who, "ann用") || len(w.Who) > changeWhoMax || w.Base != (Semver{1, 2, 3}) || w.Operation != "leader" || w.Token != 7 {
		t.Errorf("%+v", w)
	}
	if c := NewChange(ctx, ChangeDrop, "t", strings.Repeat("x", 10_000)); c.Validate() != nil || !c.Structural() {
		t.Errorf("%+v", c)
	}
}

func TestUpdateChange(t *testing.T) {
	old := Table{Name: "t", Schemas: []Schema{{}}, Config: Config{BufferSize: 1, Properties: map[string]string{"a": "1", "b": "2"}}}
	next := old
	next.Config = Config{BufferSize: 2, BackupEnabled: true, Properties: map[string]string{"b": "3", "c": "4"}}
	c := UpdateChange(context.Background(), old, next)
	want := `buffer_size: 1 -> 2; backup_enabled: false -> true; property a: "1" -> ""; property b: "2" -> "3"; property c: "" -> "4"`
	if c.Kind != ChangeSettings || c.What != want {
		t.Errorf("%s: %s", c.Kind, c.What)
	}
	next.Schemas = []Schema{{}, {Columns: []Column{{Name: "x"}}}}
	if c := UpdateChange(context.Background(), old, next); c.Kind != ChangeSchema || !strings.HasPrefix(c.What, "schema version 1 with 1 columns, was version 0 with 0; buffer_size") {
		t.Errorf("%s: %s", c.Kind, c.What)
	}
}
