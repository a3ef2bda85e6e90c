package retention

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"skein/meta"
	"skein/meta/boltmeta"
)

var now = time.Date(2024, 3, 10, 0, 0, 0, 0, time.UTC)

type later map[string]string

func (l later) Add(ctx context.Context, after time.Duration, objects map[string]string) error {
	if _, ends := ctx.Deadline(); !ends {
		return errors.New("without a deadline")
	}
	if after != time.Hour {
		return fmt.Errorf("after %s", after)
	}
	maps.Copy(l, objects)
	return nil
}

// racy loses a file to compaction before the first commit.
type racy struct {
	*boltmeta.Store
	first *meta.Commit
}

func (r *racy) Commit(ctx context.Context, c meta.Commit) error {
	if first := r.first; first != nil {
		r.first = nil
		if err := r.Store.Commit(ctx, *first); err != nil {
			return err
		}
	}
	return r.Store.Commit(ctx, c)
}

func file(day string, n int) meta.File {
	return meta.File{Path: meta.ObjectPath("t", "_", day, int64(n)), Day: day, Rows: 2, Bytes: 5}
}

func TestRun(t *testing.T) {
	ctx := t.Context()
	s, err := boltmeta.Open(filepath.Join(t.TempDir(), "catalog"), boltmeta.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	must := func(errs ...error) {
		t.Helper()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	}
	tb := meta.Table{Name: "t", UID: "u", Config: meta.Config{RetentionDays: 9}}
	old1, old2, kept, young := file("2024-02-28", 1), file("2024-02-29", 2), file("2024-03-01", 3), file("2024-03-10", 4)
	must(s.CreateTable(ctx, tb), s.Commit(ctx, meta.Commit{Table: "t", TableUID: "u", Unit: "a", Add: []meta.File{old1, old2, kept, young}}))
	merged := file("2024-02-28", 9)
	c := &racy{s, &meta.Commit{Table: "t", TableUID: "u", Unit: "merge", Remove: []string{old1.Path}, Add: []meta.File{merged}}}
	q := later{}
	o := Options{Now: now.Add(5 * time.Hour), Grace: time.Hour}
	got, err := Run(ctx, c, q, "t", o)
	must(err)
	want := Result{Table: "t", Days: []string{"2024-02-28", "2024-02-29"}, Files: 2, Rows: 4, Bytes: 10}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(later{merged.Path: "t", old2.Path: "t"}, q); diff != "" {
		t.Error(diff)
	}
	l, err := s.Listing(ctx, "t")
	must(err)
	if !maps.Equal(l.Units, map[string]bool{"a": true, "merge": true}) {
		t.Errorf("units %v", l.Units)
	}
	if len(l.Files) != 2 || l.Files[0].Path != kept.Path {
		t.Errorf("%+v", l.Files)
	}
	if stats, err := s.Table(ctx, "t"); err != nil || stats.Stats.Files != 2 || stats.Stats.Rows != 4 {
		t.Error(stats.Stats, err)
	}
	if got, err := Run(ctx, c, q, "t", o); err != nil || got.Files != 0 {
		t.Error(got, err)
	}
	if _, err := Run(ctx, c, q, "gone", o); !errors.Is(err, meta.ErrTableNotFound) {
		t.Error(err)
	}
	token, err := s.Lock(ctx, "leader", "n2", time.Hour)
	must(err)
	if _, err := Run(meta.Fenced(ctx, "leader", token-1), c, q, "t", Options{Now: now.AddDate(1, 0, 0)}); !errors.Is(err, meta.ErrFenced) {
		t.Error(err)
	}
}

func TestBefore(t *testing.T) {
	for days, want := range map[int32]string{0: "", -1: "", 1: "2024-03-09", 10: "2024-02-29"} {
		if got := Before(meta.Table{Config: meta.Config{RetentionDays: days}}, now); got != want {
			t.Errorf("%d days: %q, want %q", days, got, want)
		}
	}
}

// TestSteps: days stay whole as far as they fit in a commit.
func TestSteps(t *testing.T) {
	var ended []ending
	for day, n := range []int{6_000, 5_000, 25_000, 3} {
		for i := range n {
			ended = append(ended, ending{day: fmt.Sprint(day), path: fmt.Sprintf("%05d", i)})
		}
	}
	slices.Reverse(ended)
	var sizes []int
	for _, step := range steps(ended) {
		sizes = append(sizes, len(step))
	}
	if want := []int{6_000, 5_000, 10_000, 10_000, 5_003}; !slices.Equal(sizes, want) {
		t.Errorf("steps of %v, want %v", sizes, want)
	}
}
