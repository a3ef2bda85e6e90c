package metatest

import (
	"strings"

	"skein/internal/fault"
	"skein/meta"
)

var unitCases = []check{
	{"unit/open and commit", openAndCommit},
	{"unit/open a committed one", openCommitted},
	{"unit/forget", forgetUnits},
	{"unit/bad units are refused", badUnits},
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

func badUnits(t T, s meta.Store) {
	create(t, s, users("u1"))
	for _, u := range []meta.OpenUnit{{Node: "n1"}, {Node: "n1", Unit: strings.Repeat("u", 100_000)}, {Node: strings.Repeat("n", 100_000), Unit: "u"}} {
		if err := s.OpenUnit(t.Context(), "users", "u1", u); fault.CodeOf(err) != fault.InvalidArgument {
			t.Errorf("unit %.20q of %.20q: error %v, want InvalidArgument", u.Unit, u.Node, err)
		}
	}
	equal(t, "open", []meta.OpenUnit{}, listing(t, s, "users").Open)
}
