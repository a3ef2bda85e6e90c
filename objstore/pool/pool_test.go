package pool_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"go.uber.org/goleak"

	"skein/internal/fault"
	"skein/meta/redismeta"
	"skein/objstore"
	"skein/objstore/local"
	"skein/objstore/objstoretest"
	"skein/objstore/pool"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func openLocal(t testing.TB) objstore.Store {
	t.Helper()
	s, err := local.Open(t.TempDir(), local.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

func openPool(t testing.TB, o pool.Options) *pool.Pool {
	t.Helper()
	if testing.Verbose() {
		o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	p, err := pool.Open(t.Context(), o)
	must(t, err)
	t.Cleanup(func() { must(t, p.Close()) })
	return p
}

func openCatalog(t testing.TB, url string) *redismeta.Store {
	t.Helper()
	s, err := redismeta.Open(t.Context(), url, redismeta.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

func agreement(s *redismeta.Store, node string) *pool.Agreement {
	return &pool.Agreement{
		Node: node, Switch: s.Register("pool:minio:switch"), Votes: s.Votes("pool:minio:votes"),
		Lease: s.Lease("pool-return"), Journal: s.Queue("return"),
	}
}

func get(ctx context.Context, s objstore.Store, key string) (string, error) {
	r, err := s.Get(ctx, key, 0, -1)
	if err != nil {
		return "", err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	return string(b), err
}

func put(ctx context.Context, s objstore.Store, key, text string) error {
	return s.Put(ctx, key, strings.NewReader(text), int64(len(text)))
}

// A pool keeps every promise of a store, whichever set is in charge.
func TestContract(t *testing.T) {
	two := func(t testing.TB) []pool.Endpoint {
		s := openLocal(t)
		return []pool.Endpoint{{Name: "a", Store: s}, {Name: "b", Store: s}}
	}
	for name, open := range map[string]func(t testing.TB) objstore.Store{
		"one": func(t testing.TB) objstore.Store {
			return openPool(t, pool.Options{Primary: []pool.Endpoint{{Name: "a", Store: openLocal(t)}}})
		},
		"two": func(t testing.TB) objstore.Store { return openPool(t, pool.Options{Primary: two(t)}) },
		"primary": func(t testing.TB) objstore.Store {
			s := openCatalog(t, "redis://"+miniredis.RunT(t).Addr())
			return openPool(t, pool.Options{Primary: two(t), Backup: two(t), Agreement: agreement(s, "n1")})
		},
		"backup": func(t testing.TB) objstore.Store {
			s := openCatalog(t, "redis://"+miniredis.RunT(t).Addr())
			_, err := s.Register("pool:minio:switch").Swap(t.Context(), 0, `{"mode":"backup"}`)
			must(t, err)
			return openPool(t, pool.Options{Primary: two(t), Backup: two(t), Agreement: agreement(s, "n1"), ProbeEvery: time.Hour})
		},
	} {
		t.Run(name, func(t *testing.T) { objstoretest.Run(t, open) })
	}
}

var errDown = fault.New(fault.Unavailable, "down")

// Requests leave an endpoint that fails, and its circuit opens.
func TestCircuit(t *testing.T) {
	store := openLocal(t)
	bad := objstoretest.Faulty(store, objstoretest.Rule{Op: objstoretest.OpStat, Err: errDown})
	p := openPool(t, pool.Options{
		Primary:    []pool.Endpoint{{Name: "bad", Store: bad}, {Name: "good", Store: objstoretest.Faulty(store, objstoretest.Rule{Late: 3 * time.Millisecond})}},
		ProbeEvery: time.Hour, BreakFor: time.Hour, HedgeShare: -1,
	})
	must(t, put(t.Context(), store, "a", "text"))
	for range 50 {
		if _, err := p.Stat(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
	}
	if n := bad.Calls(objstoretest.OpStat); n != 3 {
		t.Errorf("%d requests to the endpoint that fails, want 3", n)
	}
}

// A put goes to the next endpoint, if its body can be read again.
func TestPutAgain(t *testing.T) {
	store := openLocal(t)
	bad := objstoretest.Faulty(store, objstoretest.Rule{Op: objstoretest.OpPut, Do: func(context.Context) error { return errDown }})
	eater := eating{bad}
	p := openPool(t, pool.Options{Primary: []pool.Endpoint{{Name: "bad", Store: eater}, {Name: "good", Store: store}}, ProbeEvery: time.Hour})
	must(t, put(t.Context(), p, "a", "text"))
	if text, err := get(t.Context(), store, "a"); text != "text" || err != nil {
		t.Error(text, err)
	}
	err := p.Put(t.Context(), "b", io.MultiReader(strings.NewReader("text")), 4)
	if fault.CodeOf(err) != fault.Unavailable {
		t.Error(err)
	}
}

// eating reads the body before it fails.
type eating struct{ objstore.Store }

func (e eating) Put(ctx context.Context, key string, r io.Reader, size int64) error {
	_, _ = io.ReadAll(r)
	return e.Store.Put(ctx, key, bytes.NewReader(nil), size)
}

// Slow first bytes are asked for twice, within the share.
func TestHedge(t *testing.T) {
	store := openLocal(t)
	must(t, put(t.Context(), store, "a", "text"))
	slow := objstoretest.Faulty(store, objstoretest.Rule{Op: objstoretest.OpGet, Late: 400 * time.Millisecond})
	p := openPool(t, pool.Options{Primary: []pool.Endpoint{{Name: "slow", Store: slow}, {Name: "good", Store: store}},
		ProbeEvery: time.Hour, HedgeShare: 1})
	start := time.Now()
	for range 20 {
		if text, err := get(t.Context(), p, "a"); text != "text" || err != nil {
			t.Fatal(text, err)
		}
	}
	if took := time.Since(start); took > 1500*time.Millisecond {
		t.Errorf("20 reads took %s", took)
	}
}

// A body that breaks or hangs in its middle is read on elsewhere, exactly.
func TestBodyGoesOn(t *testing.T) {
	store := openLocal(t)
	text := strings.Repeat("0123456789", 100_000)
	must(t, put(t.Context(), store, "a", text))
	for name, bad := range map[string]objstore.Store{
		"breaks": objstoretest.Faulty(store, objstoretest.Rule{Op: objstoretest.OpGet, Cut: true, CutAt: 333_333, Err: errDown}),
		"hangs":  hanging{store, 333_333},
		"drips":  dripping{store},
	} {
		t.Run(name, func(t *testing.T) {
			good := objstoretest.Faulty(store, objstoretest.Rule{Op: objstoretest.OpPing, Late: 20 * time.Millisecond}) // so the other is first
			p := openPool(t, pool.Options{Primary: []pool.Endpoint{{Name: "bad", Store: bad}, {Name: "good", Store: good}},
				ProbeEvery: time.Hour, StallTimeout: 200 * time.Millisecond, HedgeShare: -1})
			start := time.Now()
			got, err := get(t.Context(), p, "a")
			if err != nil || got != text {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("took %s", took)
			}
			r, err := p.Get(t.Context(), "a", 10, 500_000)
			must(t, err)
			part, err := io.ReadAll(r)
			if err != nil || string(part) != text[10:500_010] {
				t.Errorf("%d bytes, %v", len(part), err)
			}
			must(t, r.Close(), r.Close())
			if good.Calls(objstoretest.OpGet) == 0 {
				t.Error("nothing was read on elsewhere")
			}
		})
	}
}

// hanging gives so many bytes of an object, and then nothing until it is
// cancelled.
type hanging struct {
	objstore.Store
	after int64
}

func (h hanging) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	r, err := h.Store.Get(ctx, key, offset, length)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(io.LimitReader(r, h.after), readFunc(func([]byte) (int, error) {
		<-ctx.Done()
		return 0, ctx.Err()
	})), r}, nil
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(b []byte) (int, error) { return f(b) }

// dripping gives a few bytes at a time.
type dripping struct{ objstore.Store }

func (d dripping) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	r, err := d.Store.Get(ctx, key, offset, length)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{readFunc(func(b []byte) (int, error) {
		time.Sleep(10 * time.Millisecond)
		return r.Read(b[:min(len(b), 100)])
	}), r}, nil
}

func TestBadOptions(t *testing.T) {
	e := []pool.Endpoint{{Name: "a", Store: openLocal(t)}}
	for name, o := range map[string]pool.Options{
		"nothing": {}, "backup without a catalog": {Primary: e, Backup: e}, "too many": {Primary: make([]pool.Endpoint, 65)},
	} {
		if _, err := pool.Open(t.Context(), o); fault.CodeOf(err) != fault.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// switchable is a store that can be away.
type switchable struct {
	objstore.Store
	away atomic.Bool
}

func (s *switchable) fails() error {
	if s.away.Load() {
		return errDown
	}
	return nil
}

func (s *switchable) Put(ctx context.Context, key string, r io.Reader, size int64) error {
	if err := s.fails(); err != nil {
		return err
	}
	return s.Store.Put(ctx, key, r, size)
}

func (s *switchable) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if err := s.fails(); err != nil {
		return nil, err
	}
	return s.Store.Get(ctx, key, offset, length)
}

func (s *switchable) Stat(ctx context.Context, key string) (objstore.Info, error) {
	if err := s.fails(); err != nil {
		return objstore.Info{}, err
	}
	return s.Store.Stat(ctx, key)
}

func (s *switchable) Delete(ctx context.Context, key string) error {
	if err := s.fails(); err != nil {
		return err
	}
	return s.Store.Delete(ctx, key)
}

func (s *switchable) Ping(context.Context) error { return s.fails() }

// waitFor waits until a condition holds.
func waitFor(t testing.TB, what string, limit time.Duration, f func() bool) time.Duration {
	t.Helper()
	start := time.Now()
	for !f() {
		if time.Since(start) > limit {
			t.Fatalf("not within %s: %s", limit, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return time.Since(start)
}

// One of three nodes that cannot reach the primary set does not switch the
// others, and what it stores meanwhile is seen by all and returns.
func TestLonelyNode(t *testing.T) {
	catalog := openCatalog(t, "redis://"+miniredis.RunT(t).Addr())
	primary, backup := openLocal(t), openLocal(t)
	mine := &switchable{Store: primary}
	var nodes []*pool.Pool
	for i := range 3 {
		e := pool.Endpoint{Name: "p", Store: primary}
		if i == 0 {
			e.Store = mine
		}
		nodes = append(nodes, openPool(t, pool.Options{Primary: []pool.Endpoint{e}, Backup: []pool.Endpoint{{Name: "b", Store: backup}},
			Agreement: agreement(catalog, fmt.Sprint("n", i)), ProbeEvery: 30 * time.Millisecond}))
	}
	ctx := t.Context()
	must(t, put(ctx, nodes[1], "before", "1"))
	time.Sleep(100 * time.Millisecond) // all have voted
	mine.away.Store(true)
	must(t, put(ctx, nodes[0], "meanwhile", "2"))
	for i, n := range nodes {
		if text, err := get(ctx, n, "meanwhile"); text != "2" || err != nil {
			t.Errorf("node %d: %q %v", i, text, err)
		}
	}
	waitFor(t, "the object returns by another node", 5*time.Second, func() bool {
		_, err := primary.Stat(ctx, "meanwhile")
		return err == nil
	})
	if s := nodes[1].State(); s.Mode != pool.Primary || s.Epoch != 0 {
		t.Errorf("state %+v", s)
	}
	mine.away.Store(false)
	waitFor(t, "the node reads from the primary again", 5*time.Second, func() bool {
		_, err := get(ctx, nodes[0], "before")
		return err == nil
	})
}

// Three nodes switch once, write on the backup, and return once everything is
// back; deletions return too.
func TestFailoverAndReturn(t *testing.T) {
	catalog := openCatalog(t, "redis://"+miniredis.RunT(t).Addr())
	primary, backup := &switchable{Store: openLocal(t)}, openLocal(t)
	var nodes []*pool.Pool
	var failovers, returns atomic.Int32
	for i := range 3 {
		nodes = append(nodes, openPool(t, pool.Options{
			Primary: []pool.Endpoint{{Name: "p", Store: primary}}, Backup: []pool.Endpoint{{Name: "b", Store: backup}},
			Agreement: agreement(catalog, fmt.Sprint("n", i)), ProbeEvery: 30 * time.Millisecond,
			Alert: func(a pool.Alert) {
				switch a.Kind {
				case "failover":
					failovers.Add(1)
				case "returned":
					returns.Add(1)
				}
			},
		}))
	}
	ctx := t.Context()
	for _, key := range []string{"kept", "dropped"} {
		must(t, put(ctx, nodes[0], key, key), put(ctx, backup, key, key))
	}
	must(t, put(ctx, backup, "lost", "the primary has lost it"))
	primary.away.Store(true)
	all := func(mode pool.Mode) func() bool {
		return func() bool {
			for _, n := range nodes {
				if n.State().Mode != mode {
					return false
				}
			}
			return true
		}
	}
	waitFor(t, "all are on the backup", 5*time.Second, all(pool.Backup))
	for i, n := range nodes {
		must(t, put(ctx, n, fmt.Sprint("new", i), "new"))
		if text, err := get(ctx, n, "kept"); text != "kept" || err != nil {
			t.Errorf("%q %v", text, err)
		}
	}
	must(t, nodes[1].Delete(ctx, "dropped"))
	if _, err := nodes[2].Stat(ctx, "dropped"); fault.CodeOf(err) != fault.Unavailable && fault.CodeOf(err) != fault.NotFound {
		t.Error(err)
	}
	if s := nodes[0].Status(ctx); s.Pending != 4 || s.PrimaryUp || !s.BackupUp {
		t.Errorf("status %+v", s)
	}
	primary.away.Store(false)
	waitFor(t, "all are on the primary again", 10*time.Second, all(pool.Primary))
	var keys []string
	for info, err := range primary.List(ctx, "") {
		must(t, err)
		keys = append(keys, info.Key)
	}
	if got := strings.Join(keys, " "); got != "kept lost new0 new1 new2" {
		t.Errorf("the primary has %s", got)
	}
	if failovers.Load() != 1 || returns.Load() != 1 {
		t.Errorf("%d failovers, %d returns", failovers.Load(), returns.Load())
	}
	if s := nodes[0].State(); s.Epoch != 3 {
		t.Errorf("state %+v", s)
	}
	for i := range nodes {
		if text, err := get(ctx, nodes[2], fmt.Sprint("new", i)); text != "new" || err != nil {
			t.Errorf("%q %v", text, err)
		}
	}
}

// With both sets away every request ends soon, with an error that says so, and
// with only the backup away nothing is lost.
func TestBothAway(t *testing.T) {
	catalog := openCatalog(t, "redis://"+miniredis.RunT(t).Addr())
	primary, backup := &switchable{Store: openLocal(t)}, &switchable{Store: openLocal(t)}
	p := openPool(t, pool.Options{Primary: []pool.Endpoint{{Name: "p", Store: primary}}, Backup: []pool.Endpoint{{Name: "b", Store: backup}},
		Agreement: agreement(catalog, "n1"), ProbeEvery: 20 * time.Millisecond})
	ctx := t.Context()
	backup.away.Store(true)
	must(t, put(ctx, p, "a", "text"), p.Ping(ctx))
	if text, err := get(ctx, p, "a"); text != "text" || err != nil {
		t.Error(text, err)
	}
	primary.away.Store(true)
	waitFor(t, "both are seen to be away", 5*time.Second, func() bool { s := p.Status(ctx); return !s.PrimaryUp && !s.BackupUp })
	start := time.Now()
	_, getErr := get(ctx, p, "a")
	_, statErr := p.Stat(ctx, "none")
	for op, err := range map[string]error{"get": getErr, "stat": statErr, "put": put(ctx, p, "b", "x"), "delete": p.Delete(ctx, "a"), "ping": p.Ping(ctx)} {
		if fault.CodeOf(err) != fault.Unavailable {
			t.Errorf("%s: %v", op, err)
		}
	}
	if took := time.Since(start); took > 2*time.Second || p.State().Mode != pool.Primary {
		t.Errorf("after %s, state %+v", took, p.State())
	}
	primary.away.Store(false)
	waitFor(t, "the primary is used again", 5*time.Second, func() bool { return put(ctx, p, "c", "x") == nil })
	if text, err := get(ctx, p, "a"); err == nil && text != "text" {
		t.Error(text, err) // its deletion was noted, and was not acknowledged
	}
}

// Without the catalog reads go on at either set.
func TestCatalogAway(t *testing.T) {
	m := miniredis.RunT(t)
	catalog, err := redismeta.Open(t.Context(), "redis://"+m.Addr(), redismeta.Options{Timeout: 200 * time.Millisecond})
	must(t, err)
	t.Cleanup(func() { _ = catalog.Close() }) // after the pool's end
	primary, backup := &switchable{Store: openLocal(t)}, openLocal(t)
	p := openPool(t, pool.Options{Primary: []pool.Endpoint{{Name: "p", Store: primary}}, Backup: []pool.Endpoint{{Name: "b", Store: backup}},
		Agreement: agreement(catalog, "n1"), ProbeEvery: 20 * time.Millisecond})
	must(t, put(t.Context(), primary, "a", "text"), put(t.Context(), backup, "a", "text"))
	m.Close()
	primary.away.Store(true)
	if text, err := get(t.Context(), p, "a"); text != "text" || err != nil {
		t.Error(text, err)
	}
	if err := put(t.Context(), p, "b", "x"); fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "note") {
		t.Error(err)
	}
	primary.away.Store(false)
	waitFor(t, "writes go to the primary", 5*time.Second, func() bool { return put(t.Context(), p, "c", "x") == nil })
}
