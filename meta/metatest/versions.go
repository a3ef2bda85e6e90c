package metatest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"skein/internal/fault"
	"skein/meta"
)

var versionCases = []check{
	{"version/of an empty catalog", emptyVersion},
	{"version/birth", births},
	{"version/each change is in the history", historyOfChanges},
	{"version/a change based on an old version", basedOnOld},
	{"version/record", recordChanges},
	{"version/concurrent changes", concurrentChanges},
	{"lock/one owner", oneOwner},
	{"lock/tokens grow", tokensGrow},
	{"lock/bad locks are refused", badLocks},
	{"lock/a stale token writes nothing", staleToken},
}

func version(t T, s meta.Store) meta.Semver {
	t.Helper()
	v, err := s.CatalogVersion(t.Context())
	ok(t, err)
	return v
}

func history(t T, s meta.Store, limit int) []meta.Change {
	t.Helper()
	changes, err := s.History(t.Context(), limit)
	ok(t, err)
	return changes
}

func emptyVersion(t T, s meta.Store) {
	equal(t, "version", meta.FirstVersion, version(t, s))
	equal(t, "history", []meta.Change{}, history(t, s, 10))
	equal(t, "no history asked for", []meta.Change{}, history(t, s, 0))
}

// births: a catalog keeps its name.
func births(t T, s meta.Store) {
	birth, err := s.Birth(t.Context())
	ok(t, err)
	if birth == "" || len(birth) > meta.BirthMax {
		t.Errorf("birth %q", birth)
	}
	create(t, s, users("u1"))
	_, err = s.DropTable(t.Context(), "users", "u1")
	ok(t, err)
	again, err := s.Birth(t.Context())
	ok(t, err)
	equal(t, "birth", birth, again)
}

func historyOfChanges(t T, s meta.Store) {
	ctx := meta.As(t.Context(), "alice \"<用户>\"")
	start := time.Now().Add(-time.Minute)
	ok(t, s.CreateTable(ctx, users("u1")))
	table := read(t, s, "users")
	table.Config.RetentionDays = 30
	table, err := s.UpdateTable(ctx, table)
	ok(t, err)
	commit(t, s, adds("a", file(1))) // changes no version
	table.Schemas = append(table.Schemas[:2:2], meta.Schema{Columns: table.Schemas[1].Columns[:1]})
	_, err = s.UpdateTable(t.Context(), table)
	ok(t, err)
	_, err = s.DropTable(ctx, "users", "u1")
	ok(t, err)
	equal(t, "version", meta.Semver{Major: meta.Layout, Minor: 3}, version(t, s))

	var got []string
	changes := history(t, s, 10)
	for _, c := range changes {
		if c.At.Before(start) || c.At.After(time.Now().Add(time.Minute)) {
			t.Errorf("change %s is of %s", c.Version, c.At)
		}
		got = append(got, fmt.Sprintf("%s after %s %v: %s %s by %s", c.Version, c.Base, c.Merged, c.Kind, c.Table, c.Who))
	}
	equal(t, "history", []string{
		`1.3.0 after 1.2.0 false: drop users by alice "<用户>"`,
		`1.2.0 after 1.1.1 false: schema users by `,
		`1.1.1 after 1.1.0 false: settings users by alice "<用户>"`,
		`1.1.0 after 1.0.0 false: create users by alice "<用户>"`,
	}, got)
	if what := changes[2].What; what != "retention_days: 365 -> 30" {
		t.Errorf("the change of a setting is told as %q", what)
	}
	if what := changes[0].What; !strings.Contains(what, "1 files, 11 rows") {
		t.Errorf("the drop is told as %q", what)
	}
	equal(t, "the last two", changes[:2], history(t, s, 2))
}

func basedOnOld(t T, s meta.Store) {
	ctx := t.Context()
	create(t, s, users("u1"))
	create(t, s, named("other", "o1"))
	base := version(t, s)
	old := meta.BasedOn(ctx, base)
	table := read(t, s, "users")
	table.Config.BufferSize = 1
	table, err := s.UpdateTable(ctx, table)
	ok(t, err)
	now := version(t, s)

	table.Config.BufferSize = 2 // of the newest revision, but based on an old version
	_, err = s.UpdateTable(old, table)
	wantErr(t, "an update based on an old version", err, meta.ErrConflict)
	_, err = s.DropTable(old, "users", "u1")
	wantErr(t, "a drop based on an old version", err, meta.ErrConflict)
	_, err = s.Record(old, meta.NewChange(ctx, meta.ChangeRepair, "users", ""))
	wantErr(t, "a record based on an old version", err, meta.ErrConflict)
	_, err = s.UpdateTable(meta.BasedOn(ctx, now.Next(true)), table)
	wantErr(t, "a version that does not exist yet", err, meta.ErrConflict)
	equal(t, "version after conflicts", now, version(t, s))

	other := read(t, s, "other")
	other.Config.BufferSize = 3
	_, err = s.UpdateTable(old, other)
	ok(t, err)
	_, err = s.UpdateTable(meta.BasedOn(ctx, now), table) // other changed since, users did not
	ok(t, err)
	for _, c := range history(t, s, 2) {
		if !c.Merged || c.Base != base && c.Base != now {
			t.Errorf("%s of %s: merged %v, based on %s", c.Version, c.Table, c.Merged, c.Base)
		}
	}
	_, err = s.DropTable(meta.BasedOn(ctx, version(t, s)), "users", "u1")
	ok(t, err)
}

func recordChanges(t T, s meta.Store) {
	ctx := meta.As(t.Context(), "leader")
	c, err := s.Record(ctx, meta.NewChange(ctx, meta.ChangeRepair, "", "3 files"))
	ok(t, err)
	equal(t, "a repair", meta.Semver{Major: meta.Layout, Patch: 1}, c.Version)
	restore := meta.NewChange(ctx, meta.ChangeRestore, "", "all")
	restore.Version = meta.Semver{Major: meta.Layout, Minor: 41, Patch: 7}
	c, err = s.Record(ctx, restore)
	ok(t, err)
	equal(t, "beyond the floor", meta.Semver{Major: meta.Layout, Minor: 42}, c.Version)
	equal(t, "version", c.Version, version(t, s))
	equal(t, "newest change", c, history(t, s, 1)[0])
	for _, bad := range []meta.Change{{}, {Kind: "x", What: strings.Repeat("x", 100_000)}, {Kind: "x", Table: strings.Repeat("x", 100_000)}} {
		if _, err := s.Record(ctx, bad); fault.CodeOf(err) != fault.InvalidArgument {
			t.Errorf("change %.40v: error %v, want InvalidArgument", bad, err)
		}
	}
}

func concurrentChanges(t T, s meta.Store) {
	errs := together(8, func(i int) error {
		ctx := meta.As(t.Context(), fmt.Sprint("n", i))
		name := fmt.Sprint("t", i)
		if err := s.CreateTable(ctx, named(name, "u")); err != nil {
			return err
		}
		_, err := s.Record(ctx, meta.NewChange(ctx, meta.ChangeRestore, name, ""))
		return err
	})
	ok(t, errors.Join(errs...))
	equal(t, "version", meta.Semver{Major: meta.Layout, Minor: 16}, version(t, s))
	changes := history(t, s, 100)
	equal(t, "changes", 16, len(changes))
	for i, c := range changes {
		equal(t, "version of a change", meta.Semver{Major: meta.Layout, Minor: int64(16 - i)}, c.Version)
	}
}

func oneOwner(t T, s meta.Store) {
	ctx := t.Context()
	token, err := s.Lock(ctx, "backup", "n1", time.Minute)
	ok(t, err)
	_, err = s.Lock(ctx, "backup", "n2", time.Minute)
	wantErr(t, "a second owner", err, meta.ErrLocked)
	_, err = s.Lock(ctx, "ring", "n2", time.Minute)
	ok(t, err)
	again, err := s.Lock(ctx, "backup", "n1", time.Minute)
	ok(t, err)
	equal(t, "token of a renewal", token, again)
	ok(t, s.Unlock(ctx, "backup", "n2")) // not its own
	_, err = s.Lock(ctx, "backup", "n2", time.Minute)
	wantErr(t, "a second owner", err, meta.ErrLocked)
	ok(t, s.Unlock(ctx, "backup", "n1"))
	ok(t, s.Unlock(ctx, "backup", "n1"))
	next, err := s.Lock(ctx, "backup", "n2", time.Minute)
	ok(t, err)
	if next <= token || token <= 0 {
		t.Errorf("token %d of the next owner, %d of the first", next, token)
	}
	var winners int
	for _, err := range together(8, func(i int) error { _, err := s.Lock(ctx, "race", fmt.Sprint(i), time.Minute); return err }) {
		if err == nil {
			winners++
		} else {
			wantErr(t, "a lost race", err, meta.ErrLocked)
		}
	}
	equal(t, "winners", 1, winners)
}

func tokensGrow(t T, s meta.Store) {
	last := int64(0)
	for i := range 20 {
		token, err := s.Lock(t.Context(), "job", fmt.Sprint("n", i), time.Minute)
		ok(t, err)
		if token <= last {
			t.Errorf("token %d after %d", token, last)
		}
		last = token
		ok(t, s.Unlock(t.Context(), "job", fmt.Sprint("n", i)))
	}
}

func badLocks(t T, s meta.Store) {
	long := strings.Repeat("x", 100_000)
	for _, c := range []struct {
		operation, owner string
		ttl              time.Duration
	}{{"", "n", time.Second}, {long, "n", time.Second}, {"a", "", time.Second}, {"a", long, time.Second}, {"a", "n", 0}, {"a", "n", -1}, {"a", "n", time.Hour * 1e5}} {
		if _, err := s.Lock(t.Context(), c.operation, c.owner, c.ttl); fault.CodeOf(err) != fault.InvalidArgument {
			t.Errorf("lock %.20q of %.20q for %s: error %v, want InvalidArgument", c.operation, c.owner, c.ttl, err)
		}
	}
}

// staleToken lets a leader pause until another leads: nothing that it writes
// then is taken.
func staleToken(t T, s meta.Store) {
	ctx := t.Context()
	create(t, s, users("u1"))
	commit(t, s, adds("a", file(0)))
	first, err := s.Lock(ctx, "leader", "n1", time.Minute)
	ok(t, err)
	paused := meta.Fenced(ctx, "leader", first)
	ok(t, s.SetRing(paused, meta.NewRing([]string{"n1"})))
	ok(t, s.Unlock(ctx, "leader", "n1")) // drivers try that it ends by itself
	second, err := s.Lock(ctx, "leader", "n2", time.Minute)
	ok(t, err)
	leads := meta.Fenced(ctx, "leader", second)
	ok(t, s.Commit(leads, adds("b", file(1))))

	before, ring, changes := read(t, s, "users"), meta.NewRing([]string{"n1"}), history(t, s, 100)
	for name, write := range writes(s, before) {
		wantErr(t, name+" of the paused leader", write(paused), meta.ErrFenced)
	}
	equal(t, "table", before, read(t, s, "users"))
	wantFiles(t, s, file(0), file(1))
	equal(t, "history", changes, history(t, s, 100))
	stored, err := s.Ring(ctx)
	ok(t, err)
	equal(t, "ring", ring, stored)
	ok(t, s.SetRing(meta.Fenced(ctx, "other", 1), meta.NewRing([]string{"n3"}))) // another lock, never taken
}

// writes are all methods that heed a lock, each of which would change the table.
func writes(s meta.Store, now meta.Table) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"CreateTable": func(ctx context.Context) error { return s.CreateTable(ctx, named("other", "o1")) },
		"UpdateTable": func(ctx context.Context) error { _, err := s.UpdateTable(ctx, now); return err },
		"DropTable":   func(ctx context.Context) error { _, err := s.DropTable(ctx, now.Name, now.UID); return err },
		"Commit":      func(ctx context.Context) error { return s.Commit(ctx, adds("c", file(2))) },
		"SetRing":     func(ctx context.Context) error { return s.SetRing(ctx, meta.NewRing([]string{"n2"})) },
		"Record": func(ctx context.Context) error {
			_, err := s.Record(ctx, meta.NewChange(ctx, meta.ChangeRepair, "", ""))
			return err
		},
		"ReplaceTable": func(ctx context.Context) error {
			version, err := s.Version(ctx, now.Name)
			if err != nil {
				return err
			}
			_, err = s.ReplaceTable(ctx, meta.Replacement{Table: now, Stage: "none", Version: version, Revision: now.Revision,
				Change: meta.NewChange(ctx, meta.ChangeRestore, now.Name, "")})
			return err
		},
	}
}
