package redismeta_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"skein/internal/fault"
	"skein/internal/realtest"
	"skein/meta"
	"skein/meta/redismeta"
)

// TestLockEnds: a lock ends by itself, and tokens grow even if Redis loses all
// that it has.
func TestLockEnds(t *testing.T) {
	ctx, url := t.Context(), realtest.Redis(t)
	s, raw := open(t, url), client(t, url)
	first, err := s.Lock(ctx, "leader", "n1", time.Millisecond)
	must(t, err)
	var second int64
	for deadline := time.Now().Add(10 * time.Second); second == 0; time.Sleep(time.Millisecond) {
		if second, err = s.Lock(ctx, "leader", "n2", time.Hour); err != nil && (!errors.Is(err, meta.ErrLocked) || time.Now().After(deadline)) {
			t.Fatal(err)
		}
	}
	must(t, raw.FlushAll(ctx).Err())
	third, err := s.Lock(ctx, "leader", "n3", time.Hour)
	must(t, err)
	if first >= second || second >= third {
		t.Error(first, second, third)
	}
	if err := s.SetRing(meta.Fenced(ctx, "leader", second), meta.NewRing([]string{"n1"})); !errors.Is(err, meta.ErrFenced) {
		t.Error(err)
	}
}

// TestOtherLayout: a catalog of another major version is refused.
func TestOtherLayout(t *testing.T) {
	ctx, url := t.Context(), realtest.Redis(t)
	for version, want := range map[string]string{"2.0.0": "the catalog has version 2.0.0, this skein reads versions 1.x", "one": "metadata:version is damaged"} {
		must(t, client(t, url).Set(ctx, "metadata:version", version, 0).Err())
		_, err := redismeta.Open(ctx, url, redismeta.Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Error(err)
		}
		if version != "one" && fault.CodeOf(err) != fault.FailedPrecondition {
			t.Error(fault.CodeOf(err))
		}
	}
}

func TestBackups(t *testing.T) {
	both(t, func(t *testing.T, s *redismeta.Store) {
		ctx := t.Context()
		old, young := redismeta.Backup{Key: "metadata/backups/a", At: day.Truncate(time.Millisecond)}, redismeta.Backup{Key: "b", At: day.Add(time.Hour).Truncate(time.Millisecond)}
		must(t, s.AddBackup(ctx, young), s.AddBackup(ctx, old), s.AddBackup(ctx, old))
		got, err := s.ListBackups(ctx)
		if want := []redismeta.Backup{young, old}; err != nil || !slices.Equal(got, want) {
			t.Errorf("%v %v", got, err)
		}
		must(t, s.RemoveBackups(ctx), s.RemoveBackups(ctx, "b", "c"))
		if got, err := s.ListBackups(ctx); err != nil || !slices.Equal(got, []redismeta.Backup{old}) {
			t.Errorf("%v %v", got, err)
		}
	})
}

// TestWatch: a watcher hears of the changes of others, not of data.
func TestWatch(t *testing.T) {
	both(t, func(t *testing.T, s *redismeta.Store) {
		ctx, cancel := context.WithCancel(t.Context())
		heard, done := make(chan struct{}, 100), make(chan struct{})
		go func() {
			defer close(done)
			s.Watch(ctx, func() { heard <- struct{}{} })
		}()
		for i := 0; len(heard) == 0; i++ { // until it has subscribed
			_, err := s.Record(ctx, meta.NewChange(ctx, meta.ChangeRepair, "", fmt.Sprint(i)))
			must(t, err)
			if i == 10_000 {
				t.Fatal("nothing is heard")
			}
		}
		cancel()
		<-done
	})
}

// TestBirth: all nodes see the name that the catalog was given first, and
// another once Redis has lost all.
func TestBirth(t *testing.T) {
	both(t, func(t *testing.T, s *redismeta.Store) {
		first, err := s.Birth(t.Context())
		must(t, err)
		again, err := s.Birth(t.Context())
		must(t, err)
		if first == "" || again != first {
			t.Errorf("birth %q, then %q", first, again)
		}
	})
	url := realtest.Redis(t)
	one, other := open(t, url), open(t, url)
	was, err := one.Birth(t.Context())
	must(t, err)
	must(t, client(t, url).FlushAll(t.Context()).Err())
	now, err := other.Birth(t.Context())
	must(t, err)
	same, err := one.Birth(t.Context())
	must(t, err)
	if now == was || now != same {
		t.Errorf("birth %q, after the loss %q and %q", was, now, same)
	}
}
