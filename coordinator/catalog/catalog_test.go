//go:build duckdb_arrow

package catalog

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"skein/internal/fault"
	"skein/meta"
	"skein/meta/snapshot"
)

func version(text string) meta.Semver {
	v, err := meta.ParseSemver(text)
	if err != nil {
		panic(err)
	}
	return v
}

// stateNamed reads a version and, behind a space, a birth.
func stateNamed(text string) state {
	v, birth, _ := strings.Cut(text, " ")
	return state{birth, version(v)}
}

func TestMissedAndLost(t *testing.T) {
	changes := func(kind string, versions ...string) (all []meta.Change) {
		for _, v := range versions {
			all = append(all, meta.Change{Kind: kind, Version: version(v)})
		}
		return all
	}
	fromTheBegin := func(all []meta.Change) []meta.Change {
		all[len(all)-1].Base = meta.FirstVersion
		return all
	}
	for _, c := range []struct {
		name      string
		seen, now string
		changes   []meta.Change
		missed    bool
		lost      bool
	}{
		{"one change", "1.2.0", "1.3.0", changes("create", "1.3.0", "1.2.0"), false, false},
		{"the first changes", "1.0.0", "1.1.0", changes("create", "1.1.0"), false, false},
		{"a restore", "1.2.0", "1.4.0", changes("restore", "1.4.0", "1.3.0", "1.2.0"), true, false},
		{"a history that does not reach back", "1.2.0", "1.9.0", changes("create", "1.9.0", "1.8.0"), true, false},
		{"another history", "1.2.0", "1.4.0", changes("create", "1.4.0", "1.1.0"), true, false},
		{"nothing is left", "1.2.0", "1.0.0", nil, true, true},
		{"something new after nothing was left", "1.2.0", "1.1.0", changes("create", "1.1.0"), true, true},
		{"as much that is new after nothing was left", "1.2.3", "1.4.0", fromTheBegin(changes("create", "1.4.0", "1.3.0", "1.2.0", "1.1.0")), true, true},
		{"all that ever was", "1.2.0", "1.3.0", fromTheBegin(changes("create", "1.3.0", "1.2.0", "1.1.0")), false, false},
		{"all that was since a restore", "1.2.3", "1.3.0", fromTheBegin(changes("restore", "1.3.0", "1.2.0", "1.1.0")), true, false},
		{"restored after nothing was left", "1.9.0", "1.3.0", changes("restore", "1.3.0", "1.2.0"), true, false},
		{"another catalog of that version", "1.2.0 a", "1.2.0 b", changes("create", "1.2.0", "1.1.0"), true, true},
		{"another catalog that has gone on", "1.2.0 a", "1.9.0 b", changes("create", "1.9.0", "1.2.0"), true, true},
		{"another catalog, restored", "1.2.0 a", "1.3.0 b", changes("restore", "1.3.0", "1.1.0"), true, false},
		{"another catalog, restored in part", "1.2.0 a", "1.3.0 b", []meta.Change{{Kind: meta.ChangeRestore, Table: "t", Version: version("1.3.0")}}, true, true},
		{"another catalog after an empty one", "1.0.0 a", "1.0.0 b", nil, true, false},
		{"a catalog whose name was not known", "1.2.0", "1.3.0 b", changes("create", "1.3.0", "1.2.0"), false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := missed(stateNamed(c.seen), stateNamed(c.now), c.changes); got != c.missed {
				t.Errorf("missed: %v", got)
			}
			if got := lost(stateNamed(c.seen), stateNamed(c.now), c.changes); (got != nil) != c.lost {
				t.Errorf("lost: %v", got)
			}
		})
	}
}

func TestShares(t *testing.T) {
	if got := Shares(meta.Ring{}); len(got) != 0 {
		t.Error(got)
	}
	sum, points := 0.0, 0
	for _, s := range Shares(meta.NewRing([]string{"a", "b", "c"})) {
		sum += s.Share
		points += s.Points
		if s.Share < 0.2 || s.Share > 0.5 {
			t.Errorf("%+v", s)
		}
	}
	if math.Abs(sum-1) > 1e-9 || points != 3*meta.VirtualNodes {
		t.Error(sum, points)
	}
}

func TestFind(t *testing.T) {
	h := newHouse(t)
	s := h.service(nil, Options{})
	if _, err := s.find(t.Context(), ""); fault.CodeOf(err) != fault.NotFound {
		t.Error(err)
	}
	first, err := s.Snapshot(t.Context(), nil)
	h.must(err)
	second, err := s.Snapshot(t.Context(), nil)
	h.must(err)
	_, name, _ := strings.Cut(first.Key, "/backup_")
	for text, want := range map[string]string{"": second.Key, first.Key: first.Key, "backup_" + name: first.Key,
		second.At.Format(time.RFC3339Nano): second.Key, first.At.Format(time.RFC3339Nano): first.Key} {
		if got, err := s.find(t.Context(), text); err != nil || got != want {
			t.Errorf("%q: %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"nosuch", "2001-01-01T00:00:00Z"} {
		if _, err := s.find(t.Context(), text); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestDeletions: what the index names again stays, and nothing is deleted for a
// table that a lost catalog does not know.
func TestDeletions(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	s := h.service(nil, Options{})
	h.create("alpha", meta.Config{})
	h.write("alpha", [2]string{"a", `{"n":1}`}, [2]string{"b", `{"n":1}`}, [2]string{"c", `{"n":1}`})
	files := h.listing("alpha")
	left := func() (n int) {
		for _, err := range h.objects.List(ctx, "alpha/") {
			h.must(err)
			n++
		}
		return n
	}
	h.must(h.store.Commit(ctx, meta.Commit{Table: "alpha", TableUID: "alpha-uid", Unit: "u", Remove: []string{files[0].Path}}))
	h.must(s.deletions.Add(ctx, 0, map[string]string{files[0].Path: "alpha", files[1].Path: "alpha"}))
	h.must(s.deletions.Add(ctx, time.Hour, map[string]string{files[2].Path: "alpha"}))
	h.must(s.tidy(ctx))
	if n := left(); n != 2 {
		t.Errorf("%d objects are left", n)
	}
	if _, err := h.objects.Stat(ctx, files[1].Path); err != nil {
		t.Error("what the index names is deleted")
	}
	queued, err := s.deletions.queued(ctx)
	if err != nil || len(queued) != 1 || !queued[files[2].Path] {
		t.Error(queued, err)
	}
	h.must(s.deletions.Add(ctx, 0, map[string]string{files[1].Path: "alpha"}))
	h.lose()
	s = h.service(nil, Options{})
	if err := s.tidy(ctx); err == nil || left() != 2 {
		t.Errorf("deleted for a catalog that was lost: %v", err)
	}
	h.must(h.objects.Put(ctx, DeletionsPrefix+"0000000000000000001_x.json", strings.NewReader("{"), 1))
	if err := s.tidy(ctx); fault.CodeOf(err) != fault.FailedPrecondition {
		t.Error(err)
	}
}

// TestClock: who deletes by the clock must have the right time.
func TestClock(t *testing.T) {
	h := newHouse(t)
	s := h.service(nil, Options{})
	_, err := s.now(t.Context()) // nobody tells
	h.must(err, h.store.Heartbeat(t.Context(), meta.Node{ID: "n1", Address: "127.0.0.1:1", Started: time.Now()}))
	for off, wrong := range map[time.Duration]bool{0: false, 50 * time.Minute: false, -50 * time.Minute: false, 25 * time.Hour: true, -25 * time.Hour: true} {
		err := s.clock(time.Now().Add(off), time.Now())
		if wrong && fault.CodeOf(err) != fault.FailedPrecondition || !wrong && err != nil {
			t.Errorf("%s: %v", off, err)
		}
	}
}

// TestExclusive: one restores at a time, and who lost the lock can do no harm.
func TestExclusive(t *testing.T) {
	h := newHouse(t)
	s := h.service(nil, Options{})
	h.must(s.exclusive(t.Context(), func(ctx context.Context) error {
		if _, err := s.Rebuild(t.Context(), RebuildRequest{}, nil); !errors.Is(err, meta.ErrLocked) {
			t.Errorf("a second one: %v", err)
		}
		_, err := h.store.Record(ctx, meta.NewChange(ctx, meta.ChangeRepair, "", "with the lock"))
		return err
	}))
	var late context.Context
	h.must(s.exclusive(t.Context(), func(ctx context.Context) error { late = context.WithoutCancel(ctx); return nil }))
	h.must(s.exclusive(t.Context(), func(context.Context) error { return nil }))
	if _, err := h.store.Record(late, meta.NewChange(late, meta.ChangeRepair, "", "late")); !errors.Is(err, meta.ErrFenced) {
		t.Errorf("without the lock: %v", err)
	}
}

// TestRun: the leader makes snapshots and prunes them, and a node hears that the
// catalog was restored.
func TestRun(t *testing.T) {
	h := newHouse(t)
	h.create("alpha", meta.Config{})
	h.write("alpha", [2]string{"a", `{"n":1}`})
	s := h.service(nil, Options{SnapshotEvery: 50 * time.Millisecond, SnapshotKeep: time.Millisecond, SnapshotLeast: 2, PollEvery: 10 * time.Millisecond})
	var mu sync.Mutex
	restored := 0
	s.Reload = func(_ context.Context, again bool) error {
		mu.Lock()
		defer mu.Unlock()
		if again {
			restored++
		}
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	defer running.Wait()
	defer cancel()
	seen := map[string]bool{}
	h.eventually("snapshots come and go", func() bool {
		all, err := s.Snapshots(t.Context())
		h.must(err)
		for _, one := range all {
			seen[one.Key] = true
		}
		return len(seen) >= 5 && len(all) <= 3
	})
	other := h.service(nil, Options{Node: "n2"})
	h.eventually("another node restores", func() bool {
		_, err := other.Restore(t.Context(), RestoreRequest{Request: snapshot.Request{Tables: []string{"alpha"}}}, nil)
		if err != nil && !errors.Is(err, meta.ErrLocked) && fault.CodeOf(err) != fault.NotFound {
			t.Fatal(err)
		}
		return err == nil
	})
	h.eventually("the node hears of it", func() bool { mu.Lock(); defer mu.Unlock(); return restored > 0 })
	if s.Lost() != nil {
		t.Error(s.Lost())
	}
}

// TestLeaderRefusesLostCatalog: a catalog that does not come from its newest
// snapshot gets none, also when somebody has made as many tables again.
func TestLeaderRefusesLostCatalog(t *testing.T) {
	h := newHouse(t)
	h.create("alpha", meta.Config{})
	s := h.service(nil, Options{})
	_, err := s.Snapshot(t.Context(), nil)
	h.must(err, s.usable(t.Context()))
	h.create("later", meta.Config{})
	h.must(s.usable(t.Context()))
	h.lose()
	s = h.service(nil, Options{})
	for _, name := range []string{"", "alpha", "beta", "gamma"} {
		if name != "" {
			h.create(name, meta.Config{})
		}
		if err := s.usable(t.Context()); fault.CodeOf(err) != fault.FailedPrecondition {
			t.Errorf("with table %q: %v", name, err)
		}
		if made, err := s.Snapshot(t.Context(), nil); fault.CodeOf(err) != fault.FailedPrecondition {
			t.Errorf("a snapshot with table %q: %+v %v", name, made, err)
		}
	}
	good, err := s.find(t.Context(), "")
	h.must(err)
	key, err := s.safety(t.Context(), nil)
	h.must(err)
	if latest, err := s.find(t.Context(), ""); err != nil || latest != good || key == good || key == "" {
		t.Errorf("%s takes the place of %s: %v", latest, good, err)
	}
	_, err = s.Restore(t.Context(), RestoreRequest{}, nil)
	h.must(err, s.usable(t.Context()))
	if got := h.table("alpha"); got.UID != "alpha-uid" {
		t.Errorf("%+v", got)
	}
}

// TestEqualVersionIsLost: a node that runs sees that another catalog is in the
// place of the one that it knew, also if that has come to the same version.
func TestEqualVersionIsLost(t *testing.T) {
	h := newHouse(t)
	h.create("alpha", meta.Config{})
	s := h.service(nil, Options{})
	reloads := 0
	s.Reload = func(_ context.Context, restored bool) error {
		if restored {
			reloads++
		}
		return nil
	}
	was, err := h.store.CatalogVersion(t.Context())
	h.must(err, s.Look(t.Context()))
	h.lose()
	h.create("alpha", meta.Config{})
	if now, err := h.store.CatalogVersion(t.Context()); err != nil || now != was {
		t.Fatal(now, was, err)
	}
	s.Catalog = h.store
	h.must(s.Look(t.Context()))
	if s.Lost() == nil || reloads != 1 {
		t.Errorf("lost: %v, read anew %d times", s.Lost(), reloads)
	}
	_, err = s.Rebuild(t.Context(), RebuildRequest{}, nil)
	h.must(err)
	if s.Lost() != nil {
		t.Errorf("after the rebuild: %v", s.Lost())
	}
}

// TestSnapshotOfTheFuture: one that was made by a wrong clock does not stop
// those that follow.
func TestSnapshotOfTheFuture(t *testing.T) {
	h := newHouse(t)
	h.create("alpha", meta.Config{})
	s := h.service(nil, Options{})
	made, err := s.Snapshot(t.Context(), nil)
	h.must(err)
	body, err := h.objects.Get(t.Context(), made.Key, 0, -1)
	h.must(err)
	defer body.Close()
	h.must(h.objects.Put(t.Context(), snapshot.Key(time.Now().Add(48*time.Hour), true), body, made.Size), h.objects.Delete(t.Context(), made.Key))
	h.must(s.keepSnapshots(t.Context()))
	if all, err := s.Snapshots(t.Context()); err != nil || len(all) != 2 {
		t.Errorf("%v %v", all, err)
	}
}

func (h *house) eventually(what string, cond func() bool) {
	h.t.Helper()
	for end := time.Now().Add(20 * time.Second); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			h.t.Fatal("never: " + what)
		}
	}
}
