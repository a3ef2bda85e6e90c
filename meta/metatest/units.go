package metatest

import (
	"fmt"
	"strings"

	"skein/internal/fault"
	"skein/meta"
)

var unitCases = []check{
	{"unit/open and commit", openAndCommit},
	{"unit/open a committed one", openCommitted},
	{"unit/forget", forgetUnits},
	{"unit/bad units are refused", badUnits},
	{"unit/replica is kept", replicaOfUnit},
	{"unit/first of two committers wins", firstCommitter},
	{"unit/only if it is open", onlyIfOpen},
}

func openAndCommit(t T, s meta.Store) {
	ctx := t.Context()
	create(t, s, users("u1"))
	create(t, s, named("users2", "u2"))
	for _, u := range []meta.OpenUnit{{Node: "n2", Unit: "a"}, {Node: "n1", Unit: "c"}, {Node: "n1", Unit: "b"}, {Node: "n1", Unit: "b"}} {
		ok(t, s.OpenUnit(ctx, "users", "u1", u))
	}
	open := listing(t, s, "users").Open
	equal(t, "open", []meta.OpenUnit{{Node: "n1", Unit: "b"}, {Node: "n1", Unit: "c"}, {Node: "n2", Unit: "a"}}, open)
	commit(t, s, adds("b", file(1)))
	l := listing(t, s, "users")
	equal(t, "open after a commit", []meta.OpenUnit{{Node: "n1", Unit: "c"}, {Node: "n2", Unit: "a"}}, l.Open)
	equal(t, "units", map[string]bool{"b": true}, l.Units)
	empty := adds("c")
	commit(t, s, empty) // a unit may turn out to have no rows
	equal(t, "open after an empty commit", []meta.OpenUnit{{Node: "n2", Unit: "a"}}, listing(t, s, "users").Open)
	ok(t, s.OpenUnit(ctx, "users", "u1", meta.OpenUnit{Node: "n3", Unit: "a"}))
	equal(t, "open in the name of another", []meta.OpenUnit{{Node: "n3", Unit: "a"}}, listing(t, s, "users").Open)
	wantErr(t, "open in another incarnation", s.OpenUnit(ctx, "users", "u0", meta.OpenUnit{Node: "n", Unit: "z"}), meta.ErrTableNotFound)
	equal(t, "open in another table", []meta.OpenUnit{}, listing(t, s, "users2").Open)
}

func openCommitted(t T, s meta.Store) {
	create(t, s, users("u1"))
	unit := meta.OpenUnit{Node: "n1", Unit: "a"}
	ok(t, s.OpenUnit(t.Context(), "users", "u1", unit))
	commit(t, s, adds("a", file(1)))
	ok(t, s.OpenUnit(t.Context(), "users", "u1", unit))
	equal(t, "open", []meta.OpenUnit{}, listing(t, s, "users").Open)
}

func forgetUnits(t T, s meta.Store) {
	ctx := t.Context()
	create(t, s, users("u1"))
	for i, unit := range []string{"a", "b", "c"} {
		commit(t, s, adds(unit, file(i)))
	}
	ok(t, s.OpenUnit(ctx, "users", "u1", meta.OpenUnit{Node: "n1", Unit: "open"}))
	ok(t, s.ForgetUnits(ctx, "users", nil))
	ok(t, s.ForgetUnits(ctx, "users", []string{"a", "c", "open", "unheard of"}))
	ok(t, s.ForgetUnits(ctx, "users", []string{"a"}))
	l := listing(t, s, "users")
	equal(t, "units", map[string]bool{"b": true}, l.Units)
	equal(t, "open", []meta.OpenUnit{{Node: "n1", Unit: "open"}}, l.Open)
	wantFiles(t, s, file(0), file(1), file(2))
}

func replicaOfUnit(t T, s meta.Store) {
	ctx := t.Context()
	create(t, s, users("u1"))
	ok(t, s.OpenUnit(ctx, "users", "u1", meta.OpenUnit{Node: "n1", Unit: "a", Replica: "n2"}))
	ok(t, s.OpenUnit(ctx, "users", "u1", meta.OpenUnit{Node: "n1", Unit: "b"}))
	ok(t, s.OpenUnit(ctx, "users", "u1", meta.OpenUnit{Node: "n1", Unit: "b", Replica: "n3"}))
	commit(t, s, adds("c"))
	open := []meta.OpenUnit{{Node: "n1", Unit: "a", Replica: "n2"}, {Node: "n1", Unit: "b", Replica: "n3"}}
	equal(t, "open", open, listing(t, s, "users").Open)
	ok(t, s.ReadImage(ctx, "users", func(img meta.Image) error {
		equal(t, "open in an image", open, img.Open)
		return nil
	}))
	units, err := s.Units(ctx, "users")
	ok(t, err)
	equal(t, "units", meta.Units{Committed: map[string]bool{"c": true}, Open: open}, units)
	_, err = s.Units(ctx, "nobody")
	wantErr(t, "units of no table", err, meta.ErrTableNotFound)
}

// by is the commit of a unit, open or not, by one of several nodes.
func by(node, unit string, files ...meta.File) meta.Commit {
	c := adds(unit, files...)
	c.By = node
	return c
}

func firstCommitter(t T, s meta.Store) {
	ctx := t.Context()
	create(t, s, users("u1"))
	ok(t, s.OpenUnit(ctx, "users", "u1", meta.OpenUnit{Node: "n1", Unit: "a", Replica: "n 2"}))
	commit(t, s, by("n 2", "a", file(1)))
	commit(t, s, by("n 2", "a", file(1))) // its answer was lost
	commit(t, s, adds("a", file(0)))      // who does not ask is not told
	wantErr(t, "commit by another node", s.Commit(ctx, by("n1", "a", file(2))), meta.ErrUnitTaken)
	wantErr(t, "the same without files", s.Commit(ctx, by("n1", "a")), meta.ErrUnitTaken)
	wantFiles(t, s, file(1))
	equal(t, "open", []meta.OpenUnit{}, listing(t, s, "users").Open)
	commit(t, s, adds("b", file(3)))
	wantErr(t, "commit after one that does not tell by whom", s.Commit(ctx, by("n1", "b", file(4))), meta.ErrUnitDone)
	wantFiles(t, s, file(1), file(3))
	errs := together(8, func(i int) error { return s.Commit(ctx, by(fmt.Sprint("n", i), "c", file(10+i))) })
	wantFiles(t, s, file(1), file(3), file(10+onlyWinner(t, errs, meta.ErrUnitTaken)))
}

func onlyIfOpen(t T, s meta.Store) {
	ctx := t.Context()
	create(t, s, users("u1"))
	c := by("n2", "a", file(1))
	c.IfOpen = true
	wantErr(t, "commit of an unknown unit", s.Commit(ctx, c), meta.ErrUnitNotOpen)
	ok(t, s.OpenUnit(ctx, "users", "u1", meta.OpenUnit{Node: "n1", Unit: "a", Replica: "n2"}))
	commit(t, s, c)
	commit(t, s, c)
	wantFiles(t, s, file(1))
	ok(t, s.ForgetUnits(ctx, "users", []string{"a"}))
	wantErr(t, "commit of a forgotten unit", s.Commit(ctx, c), meta.ErrUnitNotOpen)
	wantFiles(t, s, file(1))
}

func badUnits(t T, s meta.Store) {
	create(t, s, users("u1"))
	for _, u := range []meta.OpenUnit{{Node: "n1"}, {Node: "n1", Unit: strings.Repeat("u", 100_000)}, {Node: strings.Repeat("n", 100_000), Unit: "u"},
		{Node: "n1\nn2", Unit: "u"}, {Node: "n1", Unit: "u", Replica: "n2\n"}, {Node: "n1", Unit: "u", Replica: strings.Repeat("n", 100_000)}} {
		if err := s.OpenUnit(t.Context(), "users", "u1", u); fault.CodeOf(err) != fault.InvalidArgument {
			t.Errorf("unit %.20q of %.20q: error %v, want InvalidArgument", u.Unit, u.Node, err)
		}
	}
	equal(t, "open", []meta.OpenUnit{}, listing(t, s, "users").Open)
}
