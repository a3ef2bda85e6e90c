package metatest_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"skein/meta"
	"skein/meta/boltmeta"
	"skein/meta/metatest"
)

func openGood(t *testing.T) meta.Store {
	t.Helper()
	s, err := boltmeta.Open(filepath.Join(t.TempDir(), "catalog"), boltmeta.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// Each twin of a good store breaks one promise, and the suite notices.
func TestBrokenTwinsFail(t *testing.T) {
	for _, twin := range []struct {
		name string
		make func(meta.Store) meta.Store
		want []string // cases that fail
	}{
		{"commits twice", func(s meta.Store) meta.Store { return &commitsTwice{Store: s} },
			[]string{"commit/repeat is harmless", "concurrent/commits"}},
		{"keeps the oldest time for ever", func(s meta.Store) meta.Store { return &stuckStats{Store: s} },
			[]string{"commit/remove", "commit/remove to nothing"}},
		{"last update wins", func(s meta.Store) meta.Store { return lastUpdateWins{s} },
			[]string{"table/update conflict", "concurrent/updates"}},
		{"takes any incarnation", func(s meta.Store) meta.Store { return anyIncarnation{s} },
			[]string{"table/create again", "unit/open and commit"}},
		{"skips what it cannot remove", func(s meta.Store) meta.Store { return skipsConflicts{s} },
			[]string{"commit/conflict changes nothing"}},
		{"rounds times", func(s meta.Store) meta.Store { return roundsTimes{s} },
			[]string{"commit/times to the nanosecond"}},
		{"forgets to raise the version", func(s meta.Store) meta.Store { return stuckVersion{s} },
			[]string{"table/create again", "commit/version grows"}},
		{"creates over", func(s meta.Store) meta.Store { return createsOver{s} },
			[]string{"table/create twice"}},
		{"opens again what is committed", func(s meta.Store) meta.Store { return &reopens{Store: s} },
			[]string{"unit/open a committed one"}},
		{"forgets who committed", func(s meta.Store) meta.Store { return anyCommitter{s} },
			[]string{"unit/first of two committers wins"}},
		{"commits what is not open", func(s meta.Store) meta.Store { return commitsClosed{s} },
			[]string{"unit/only if it is open"}},
		{"never reaps", func(s meta.Store) meta.Store { return neverReaps{s} },
			[]string{"node/reap"}},
		{"ignores locks", func(s meta.Store) meta.Store { return ignoresLocks{s} },
			[]string{"lock/a stale token writes nothing"}},
		{"ignores what a change is based on", func(s meta.Store) meta.Store { return ignoresBase{s} },
			[]string{"version/a change based on an old version"}},
		{"starts tokens again", func(s meta.Store) meta.Store { return &sameToken{Store: s} },
			[]string{"lock/one owner", "lock/tokens grow"}},
		{"replaces what has changed", func(s meta.Store) meta.Store { return replacesAlways{s} },
			[]string{"replace/conflict"}},
		{"shows pages as they are now", func(s meta.Store) meta.Store { return movingImage{s} },
			[]string{"image/holds while writers go on"}},
		{"is born again and again", func(s meta.Store) meta.Store { return bornAgain{s} },
			[]string{"version/birth"}},
		{"ignores contexts", func(s meta.Store) meta.Store { return noContext{s} },
			[]string{"context/cancelled", "context/deadline"}},
	} {
		t.Run(twin.name, func(t *testing.T) {
			open := func(t *testing.T) meta.Store { return twin.make(openGood(t)) }
			got := metatest.Failures(t, open, twin.want...)
			slices.Sort(got)
			slices.Sort(twin.want)
			if !slices.Equal(got, twin.want) {
				t.Errorf("the suite failed it in %q, want %q", got, twin.want)
			}
			if good := metatest.Failures(t, openGood, twin.want...); len(good) > 0 {
				t.Errorf("the suite failed a good store in %q", good)
			}
		})
	}
}

type anyCommitter struct{ meta.Store }

func (s anyCommitter) Commit(ctx context.Context, c meta.Commit) error {
	c.By = ""
	return s.Store.Commit(ctx, c)
}

type commitsClosed struct{ meta.Store }

func (s commitsClosed) Commit(ctx context.Context, c meta.Commit) error {
	c.IfOpen = false
	return s.Store.Commit(ctx, c)
}

type bornAgain struct{ meta.Store }

func (bornAgain) Birth(context.Context) (string, error) { return rand.Text(), nil }

type commitsTwice struct {
	meta.Store
	n atomic.Int64
}

func (s *commitsTwice) Commit(ctx context.Context, c meta.Commit) error {
	c.Unit += fmt.Sprint("-", s.n.Add(1))
	return s.Store.Commit(ctx, c)
}

type stuckStats struct {
	meta.Store
	oldest time.Time
}

func (s *stuckStats) Table(ctx context.Context, name string) (meta.Table, error) {
	t, err := s.Store.Table(ctx, name)
	if s.oldest.IsZero() || !t.Stats.Oldest.IsZero() && t.Stats.Oldest.Before(s.oldest) {
		s.oldest = t.Stats.Oldest
	}
	t.Stats.Oldest = s.oldest
	return t, err
}

func (s *stuckStats) Commit(ctx context.Context, c meta.Commit) error {
	if err := s.Store.Commit(ctx, c); err != nil {
		return err
	}
	_, err := s.Table(ctx, c.Table)
	return err
}

type lastUpdateWins struct{ meta.Store }

func (s lastUpdateWins) UpdateTable(ctx context.Context, t meta.Table) (meta.Table, error) {
	for {
		now, err := s.Table(ctx, t.Name)
		if err != nil {
			return now, err
		}
		t.UID, t.Revision = now.UID, now.Revision
		if stored, err := s.Store.UpdateTable(ctx, t); err == nil {
			return stored, nil
		}
	}
}

type anyIncarnation struct{ meta.Store }

func (s anyIncarnation) OpenUnit(ctx context.Context, table, _ string, u meta.OpenUnit) error {
	t, err := s.Table(ctx, table)
	if err != nil {
		return err
	}
	return s.Store.OpenUnit(ctx, table, t.UID, u)
}

func (s anyIncarnation) Commit(ctx context.Context, c meta.Commit) error {
	t, err := s.Table(ctx, c.Table)
	if err != nil {
		return err
	}
	c.TableUID = t.UID
	return s.Store.Commit(ctx, c)
}

type skipsConflicts struct{ meta.Store }

func (s skipsConflicts) Commit(ctx context.Context, c meta.Commit) error {
	l, err := s.Listing(ctx, c.Table)
	if err != nil {
		return err
	}
	c.Remove = slices.DeleteFunc(slices.Clone(c.Remove), func(path string) bool {
		return !slices.ContainsFunc(l.Files, func(f meta.File) bool { return f.Path == path })
	})
	return s.Store.Commit(ctx, c)
}

type roundsTimes struct{ meta.Store }

func (s roundsTimes) Commit(ctx context.Context, c meta.Commit) error {
	c.Add = slices.Clone(c.Add)
	for i, f := range c.Add {
		c.Add[i].MinTime, c.Add[i].MaxTime = f.MinTime.Truncate(time.Microsecond), f.MaxTime.Truncate(time.Microsecond)
	}
	return s.Store.Commit(ctx, c)
}

type stuckVersion struct{ meta.Store }

func (s stuckVersion) Version(context.Context, string) (int64, error) { return 1, nil }

func (s stuckVersion) Listing(ctx context.Context, table string) (meta.Listing, error) {
	l, err := s.Store.Listing(ctx, table)
	l.Version = 1
	return l, err
}

type createsOver struct{ meta.Store }

func (s createsOver) CreateTable(ctx context.Context, t meta.Table) error {
	if old, err := s.Table(ctx, t.Name); err == nil {
		if _, err := s.DropTable(ctx, t.Name, old.UID); err != nil {
			return err
		}
	}
	return s.Store.CreateTable(ctx, t)
}

type reopens struct {
	meta.Store
	open []meta.OpenUnit
}

func (s *reopens) OpenUnit(ctx context.Context, table, uid string, u meta.OpenUnit) error {
	s.open = append(s.open, u)
	return s.Store.OpenUnit(ctx, table, uid, u)
}

func (s *reopens) Listing(ctx context.Context, table string) (meta.Listing, error) {
	l, err := s.Store.Listing(ctx, table)
	l.Open = s.open
	return l, err
}

type neverReaps struct{ meta.Store }

func (s neverReaps) Reap(context.Context, time.Duration) ([]string, error) { return nil, nil }

type noContext struct{ meta.Store }

func (s noContext) Commit(ctx context.Context, c meta.Commit) error {
	return s.Store.Commit(context.WithoutCancel(ctx), c)
}

type ignoresLocks struct{ meta.Store }

func (s ignoresLocks) Commit(ctx context.Context, c meta.Commit) error {
	return s.Store.Commit(meta.Fenced(ctx, "", 0), c)
}

type ignoresBase struct{ meta.Store }

func (s ignoresBase) UpdateTable(ctx context.Context, t meta.Table) (meta.Table, error) {
	return s.Store.UpdateTable(meta.BasedOn(ctx, meta.Semver{}), t)
}

type sameToken struct{ meta.Store }

func (s *sameToken) Lock(ctx context.Context, operation, owner string, ttl time.Duration) (int64, error) {
	_, err := s.Store.Lock(ctx, operation, owner, ttl)
	return 1, err
}

type replacesAlways struct{ meta.Store }

func (s replacesAlways) ReplaceTable(ctx context.Context, r meta.Replacement) (meta.Table, error) {
	if t, err := s.Table(ctx, r.Table.Name); err == nil {
		r.Revision = t.Revision
		if r.Version, err = s.Version(ctx, r.Table.Name); err != nil {
			return t, err
		}
	}
	return s.Store.ReplaceTable(ctx, r)
}

type movingImage struct{ meta.Store }

// ReadImage reads each page when it is asked for.
func (s movingImage) ReadImage(ctx context.Context, table string, f func(meta.Image) error) error {
	var img meta.Image
	if err := s.Store.ReadImage(ctx, table, func(i meta.Image) error { img = i; return nil }); err != nil {
		return err
	}
	img.Files = func(yield func([]meta.File, error) bool) {
		for at := 0; ; at += meta.PageMax {
			time.Sleep(20 * time.Millisecond)
			l, err := s.Listing(ctx, table)
			if err != nil || at >= len(l.Files) || !yield(l.Files[at:min(at+meta.PageMax, len(l.Files))], nil) {
				return
			}
		}
	}
	return f(img)
}
