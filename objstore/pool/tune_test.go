package pool_test

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"skein/internal/fault"
	"skein/objstore/objstoretest"
	"skein/objstore/pool"
	"skein/objstore/transfer"
)

func TestTune(t *testing.T) {
	p := openPool(t, pool.Options{Primary: []pool.Endpoint{{Name: "a", Store: openLocal(t)}}, ProbeEvery: time.Hour})
	was := p.Tuning()
	if was.HedgeShare != 0.05 || was.TryTimeout != time.Second || was.BreakAfter != 3 {
		t.Errorf("defaults: %+v", was)
	}
	for name, change := range map[string]func(*pool.Tuning){
		"share":   func(u *pool.Tuning) { u.HedgeShare = 1.5 },
		"number":  func(u *pool.Tuning) { u.HedgeShare = math.NaN() },
		"try":     func(u *pool.Tuning) { u.TryTimeout = 0 },
		"pause":   func(u *pool.Tuning) { u.StallTimeout = -time.Second },
		"put":     func(u *pool.Tuning) { u.PutTimeout = 24 * time.Hour },
		"circuit": func(u *pool.Tuning) { u.BreakAfter = 0 },
	} {
		if _, err := p.Tune(t.Context(), change); fault.CodeOf(err) != fault.InvalidArgument || p.Tuning() != was {
			t.Errorf("%s: %v, %+v", name, err, p.Tuning())
		}
	}
	now, err := p.Tune(t.Context(), func(u *pool.Tuning) { u.TryTimeout, u.HedgeShare = 2*time.Second, 0 })
	want := was
	want.TryTimeout, want.HedgeShare = 2*time.Second, 0
	if err != nil || now != want || p.Tuning() != want {
		t.Errorf("%+v, %v", now, err)
	}
}

// What one node is told all nodes do, and those that start later; what is
// damaged there changes nothing.
func TestTuneIsShared(t *testing.T) {
	catalog := openCatalog(t, "redis://"+miniredis.RunT(t).Addr())
	shared := catalog.Register("pool:minio:tuning")
	open := func() *pool.Pool {
		return openPool(t, pool.Options{Primary: []pool.Endpoint{{Name: "a", Store: openLocal(t)}}, ProbeEvery: 20 * time.Millisecond, Tuning: shared})
	}
	a, b := open(), open()
	if _, err := a.Tune(t.Context(), func(u *pool.Tuning) { u.TryTimeout = 3 * time.Second }); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Tune(t.Context(), func(u *pool.Tuning) { u.BreakAfter = 7 }); err != nil {
		t.Fatal(err)
	}
	want := b.Tuning()
	if want.TryTimeout != 3*time.Second || want.BreakAfter != 7 {
		t.Errorf("the second change lost the first: %+v", want)
	}
	waitFor(t, "the other node follows", 5*time.Second, func() bool { return a.Tuning() == want })
	if c := open(); c.Tuning() != want {
		t.Errorf("a node that starts has %+v", c.Tuning())
	}
	if _, err := a.Tune(t.Context(), func(u *pool.Tuning) { u.BreakAfter = 0 }); fault.CodeOf(err) != fault.InvalidArgument || a.Tuning() != want {
		t.Errorf("%v %+v", err, a.Tuning())
	}
	version, _, err := shared.Load(t.Context())
	must(t, err)
	if won, err := shared.Swap(t.Context(), version, "{damaged"); !won || err != nil {
		t.Fatal(won, err)
	}
	if c := open(); c.Tuning().BreakAfter != 3 {
		t.Errorf("%+v", c.Tuning())
	}
}

// A circuit opens after as many failures as were asked for last.
func TestTunedCircuit(t *testing.T) {
	store := openLocal(t)
	bad := objstoretest.Faulty(store, objstoretest.Rule{Op: objstoretest.OpStat, Err: errDown})
	p := openPool(t, pool.Options{Primary: []pool.Endpoint{{Name: "bad", Store: bad}}, ProbeEvery: time.Hour, BreakFor: time.Hour})
	if _, err := p.Tune(t.Context(), func(u *pool.Tuning) { u.BreakAfter = 1 }); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Stat(t.Context(), "a"); fault.CodeOf(err) != fault.Unavailable {
		t.Fatal(err)
	}
	if e := p.Status(t.Context()).Endpoints[0]; e.Circuit != "open" {
		t.Errorf("circuit %s after one failure", e.Circuit)
	}
}

// Objects that are said to be in both sets are read from both, and one that
// the backup misses is found all the same.
func TestSpread(t *testing.T) {
	main, spare := openLocal(t), openLocal(t)
	slow := objstoretest.Faulty(main, objstoretest.Rule{Op: objstoretest.OpGet, Late: 20 * time.Millisecond})
	s := openCatalog(t, "redis://"+miniredis.RunT(t).Addr())
	p := openPool(t, pool.Options{
		Primary: []pool.Endpoint{{Name: "main", Store: slow}}, Backup: []pool.Endpoint{{Name: "spare", Store: spare}},
		Agreement: agreement(s, "n1"), ProbeEvery: time.Hour, HedgeShare: -1,
		Spread: func(_ context.Context, key string) bool { return strings.HasPrefix(key, "both/") },
	})
	for _, key := range []string{"both/a", "one/a", "both/new"} {
		must(t, put(t.Context(), main, key, "main"))
	}
	must(t, put(t.Context(), spare, "both/a", "spare"), put(t.Context(), spare, "one/a", "spare"))
	for key, want := range map[string]string{"both/a": "spare", "one/a": "main", "both/new": "main"} {
		for range 5 { // until the means are known
			if _, err := get(t.Context(), p, key); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := get(t.Context(), p, key); err != nil || got != want {
			t.Errorf("%s is read from %q, want %q; %v", key, got, want, err)
		}
	}
}

// What stays in the backup set does not return with the rest.
func TestStays(t *testing.T) {
	main, spare := openLocal(t), openLocal(t)
	must(t, put(t.Context(), spare, "metadata/x", "x"), put(t.Context(), spare, "t/a", "a"))
	s := openCatalog(t, "redis://"+miniredis.RunT(t).Addr())
	_, err := s.Register("pool:minio:switch").Swap(t.Context(), 0, `{"mode":"backup"}`)
	must(t, err)
	p := openPool(t, pool.Options{
		Primary: []pool.Endpoint{{Name: "main", Store: main}}, Backup: []pool.Endpoint{{Name: "spare", Store: spare}},
		Agreement: agreement(s, "n1"), ProbeEvery: 20 * time.Millisecond, ReturnCheck: transfer.BySum,
		Stays: func(key string) bool { return strings.HasPrefix(key, "metadata/") },
	})
	for deadline := time.Now().Add(20 * time.Second); p.State().Mode != pool.Primary; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%+v", p.State())
		}
	}
	if got, err := get(t.Context(), main, "t/a"); got != "a" || err != nil {
		t.Errorf("t/a: %q, %v", got, err)
	}
	if _, err := main.Stat(t.Context(), "metadata/x"); fault.CodeOf(err) != fault.NotFound {
		t.Errorf("metadata/x: %v", err)
	}
}
