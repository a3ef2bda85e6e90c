package lead_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"skein/meta"
	"skein/meta/boltmeta"
	"skein/meta/lead"
)

// locks is a Locker in memory, whose answers can be held back.
type locks struct {
	mu    sync.Mutex
	owner string
	until time.Time
	token int64
	cut   map[string]bool // owners that do not reach it
}

func (l *locks) Lock(ctx context.Context, _, owner string, ttl time.Duration) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case l.cut[owner]:
		return 0, errors.New("no answer")
	case l.owner != "" && l.owner != owner && time.Now().Before(l.until):
		return 0, meta.ErrLocked
	case l.owner != owner || !time.Now().Before(l.until):
		l.token++
	}
	l.owner, l.until = owner, time.Now().Add(ttl)
	return l.token, nil
}

func (l *locks) Unlock(_ context.Context, _, owner string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.owner == owner && !l.cut[owner] {
		l.owner = ""
	}
	return nil
}

func (l *locks) setCut(owner string, cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut[owner] = cut
}

// TestOneLeads: of three nodes one leads at any moment, another takes over
// when it is cut off or leaves, and tokens grow.
func TestOneLeads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &locks{cut: map[string]bool{}}
		var leads atomic.Int32
		var last atomic.Int64
		var leader atomic.Value
		ends := map[string]context.CancelFunc{}
		var wg sync.WaitGroup
		for _, name := range []string{"a", "b", "c"} {
			ctx, cancel := context.WithCancel(t.Context())
			ends[name] = cancel
			wg.Go(func() {
				lead.Run(ctx, l, name, lead.Options{TTL: 9 * time.Second}, func(ctx context.Context) {
					if n := leads.Add(1); n != 1 {
						t.Errorf("%d nodes lead", n)
					}
					if token := meta.WriterOf(ctx).Token; token <= last.Swap(token) {
						t.Errorf("token %d does not grow", token)
					}
					leader.Store(name)
					<-ctx.Done()
					leads.Add(-1)
				})
			})
		}
		time.Sleep(time.Minute)
		first := leader.Load().(string)
		if leads.Load() != 1 || last.Load() != 1 {
			t.Fatalf("%d lead, in term %d", leads.Load(), last.Load())
		}
		l.setCut(first, true)
		time.Sleep(20 * time.Second)
		second := leader.Load().(string)
		if leads.Load() != 1 || second == first {
			t.Fatalf("%d lead, %s after %s was cut off", leads.Load(), second, first)
		}
		l.setCut(first, false)
		ends[second]()
		time.Sleep(4 * time.Second) // it has given its lock back
		if third := leader.Load().(string); leads.Load() != 1 || third == second {
			t.Fatalf("%d lead, %s after %s has left", leads.Load(), third, second)
		}
		for _, end := range ends {
			end()
		}
		wg.Wait()
		if leads.Load() != 0 || l.owner != "" {
			t.Error("somebody still leads")
		}
	})
}

// TestWorkEnds: work that ends gives the lock back, and is done again.
func TestWorkEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 55*time.Second)
		defer cancel()
		terms := 0
		lead.Run(ctx, &locks{cut: map[string]bool{}}, "a", lead.Options{TTL: 30 * time.Second}, func(context.Context) { terms++ })
		if terms != 6 {
			t.Errorf("%d terms in 55 seconds", terms)
		}
	})
}

// TestPausedLeader: a leader that sleeps through its term writes nothing after
// it, even if it does not look at its context.
func TestPausedLeader(t *testing.T) {
	s, err := boltmeta.Open(filepath.Join(t.TempDir(), "catalog"), boltmeta.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var once sync.Once
	wrote := make(chan error, 1)
	lead.Run(ctx, s, "n1", lead.Options{}, func(working context.Context) {
		once.Do(func() {
			must(t, s.Unlock(ctx, lead.Operation, "n1")) // its term ends while it is paused
			_, err := s.Lock(ctx, lead.Operation, "n2", time.Minute)
			must(t, err)
			wrote <- s.SetRing(context.WithoutCancel(working), meta.NewRing([]string{"n1"}))
			cancel()
		})
	})
	if err := <-wrote; !errors.Is(err, meta.ErrFenced) {
		t.Errorf("a paused leader wrote: %v", err)
	}
	if r, err := s.Ring(t.Context()); err != nil || len(r.Points) != 0 {
		t.Error(r, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestAlone: one works at a time; who lost the lock hears of it, by the end of
// its context and from Still, and its writes are fenced.
func TestAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &locks{cut: map[string]bool{}}
		err := lead.Alone(t.Context(), l, "restore", "a", func(ctx context.Context, h *lead.Held) error {
			if err := lead.Alone(ctx, l, "restore", "b", nil); !errors.Is(err, meta.ErrLocked) {
				t.Errorf("a second one: %v", err)
			}
			time.Sleep(10 * time.Minute) // it is renewed
			if err := h.Still(ctx); err != nil || ctx.Err() != nil {
				t.Errorf("after a while: %v %v", err, ctx.Err())
			}
			if w := meta.WriterOf(ctx); w.Operation != "restore" || w.Token != 1 {
				t.Errorf("writes as %+v", w)
			}
			l.mu.Lock() // paused so long that another one took over
			l.owner, l.token, l.until = "b", l.token+1, time.Now().Add(time.Hour)
			l.mu.Unlock()
			time.Sleep(5 * time.Second)
			if err := h.Still(ctx); !errors.Is(err, meta.ErrFenced) {
				t.Errorf("without the lock: %v", err)
			}
			<-ctx.Done()
			return ctx.Err()
		})
		if !errors.Is(err, meta.ErrFenced) || l.owner != "b" {
			t.Errorf("%v, the lock is %s's", err, l.owner)
		}
		l.owner = ""
		err = lead.Alone(meta.Fenced(t.Context(), lead.Operation, 7), l, "restore", "a", func(ctx context.Context, h *lead.Held) error {
			if w := meta.WriterOf(ctx); w.Operation != lead.Operation || w.Token != 7 {
				t.Errorf("the leader writes as %+v", w)
			}
			l.setCut("a", true)
			time.Sleep(5 * time.Second)
			if err := h.Still(ctx); err == nil || errors.Is(err, meta.ErrFenced) {
				t.Errorf("no answer: %v", err)
			}
			start := time.Now()
			<-ctx.Done()
			if d := time.Since(start); d > time.Minute {
				t.Errorf("ended after %s, the lock lasts a minute", d)
			}
			return ctx.Err()
		})
		if !errors.Is(err, meta.ErrFenced) {
			t.Error(err)
		}
	})
}
