package redismeta_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"skein/internal/realtest"
	"skein/meta/redismeta"
)

// both runs a check on miniredis and on Redis.
func both(t *testing.T, check func(*testing.T, *redismeta.Store)) {
	t.Run("miniredis", func(t *testing.T) { check(t, open(t, "redis://"+miniredis.RunT(t).Addr())) })
	t.Run("redis", func(t *testing.T) { check(t, open(t, realtest.Redis(t))) })
}

func TestRegister(t *testing.T) {
	both(t, func(t *testing.T, s *redismeta.Store) {
		ctx, r := t.Context(), s.Register("pool:minio:switch")
		if version, value, err := r.Load(ctx); version != 0 || value != "" || err != nil {
			t.Fatal(version, value, err)
		}
		for _, step := range []struct {
			version int64
			won     bool
		}{{0, true}, {0, false}, {1, true}, {3, false}, {2, true}} {
			if won, err := r.Swap(ctx, step.version, fmt.Sprint("after ", step.version)); won != step.won || err != nil {
				t.Fatal(step, won, err)
			}
		}
		if version, value, err := r.Load(ctx); version != 3 || value != "after 2" || err != nil {
			t.Fatal(version, value, err)
		}
	})
}

func TestVotes(t *testing.T) {
	both(t, func(t *testing.T, s *redismeta.Store) {
		ctx, v := t.Context(), s.Votes("pool:minio:votes")
		cast := func(node string, yes bool, window time.Duration, ayes, voters int) {
			t.Helper()
			if a, n, err := v.Cast(ctx, node, yes, window); a != ayes || n != voters || err != nil {
				t.Fatal(a, n, err)
			}
		}
		cast("n1", true, time.Minute, 1, 1)
		cast("n2", false, time.Minute, 1, 2)
		cast("n2", true, time.Minute, 2, 2)
		time.Sleep(2 * time.Millisecond)
		cast("n3", false, time.Millisecond, 0, 1)
	})
}

func TestLease(t *testing.T) {
	both(t, func(t *testing.T, s *redismeta.Store) {
		ctx, a, b := t.Context(), s.Lease("move"), s.Lease("move")
		tokens := map[int64]int64{0: 0} // by the number of the owner
		acquire := func(l *redismeta.Lease, ttl time.Duration, owner int64) {
			t.Helper()
			got, held, err := l.Acquire(ctx, ttl)
			if _, known := tokens[owner]; !known && got > tokens[owner-1] {
				tokens[owner] = got
			}
			if got != tokens[owner] || held != (owner > 0) || err != nil {
				t.Fatal(got, held, err)
			}
		}
		acquire(a, time.Minute, 1)
		acquire(b, time.Minute, 0)
		acquire(a, time.Minute, 1)
		must(t, b.Release(ctx)) // not its own
		acquire(b, time.Minute, 0)
		must(t, a.Release(ctx))
		acquire(b, time.Minute, 2)
		acquire(a, time.Minute, 0)
	})
}

func TestQueue(t *testing.T) {
	both(t, func(t *testing.T, s *redismeta.Store) {
		ctx, q := t.Context(), s.Queue("backup")
		take := func(want ...string) []redismeta.QueueRecord {
			t.Helper()
			got, err := q.Take(ctx, 10, time.Hour)
			must(t, err)
			var keys []string
			for _, r := range got {
				keys = append(keys, r.Key+"="+r.Value)
			}
			if fmt.Sprint(keys) != fmt.Sprint(want) {
				t.Fatalf("took %q, want %q", keys, want)
			}
			return got
		}
		length := func(waiting, parked int64) {
			t.Helper()
			if w, p, err := q.Len(ctx); w != waiting || p != parked || err != nil {
				t.Fatalf("%d wait, %d parked, %v", w, p, err)
			}
		}
		take()
		must(t, q.Add(ctx, 0, map[string]string{"a": "one  two"}), q.Add(ctx, time.Hour, map[string]string{"late": ""}))
		first := take("a=one  two")
		take() // hidden
		length(2, 0)
		must(t, q.Add(ctx, 0, map[string]string{"a": "again"}), q.Done(ctx, first...))
		length(2, 0) // the second is not done
		second := take("a=again")
		must(t, q.Retry(ctx, second[0], 0))
		second = take("a=again")
		if second[0].Tries != 2 {
			t.Errorf("%d tries", second[0].Tries)
		}
		must(t, q.Park(ctx, second[0], "no such object"))
		length(1, 1)
		parked, err := q.Parked(ctx, 10)
		must(t, err)
		if len(parked) != 1 || parked[0].Key != "a" || parked[0].Value != "again" || parked[0].Reason != "no such object" || parked[0].Tries != 2 {
			t.Errorf("parked %+v", parked)
		}
		for key, want := range map[string]string{"a": "again", "late": "", "none": ""} {
			if value, found, err := q.Find(ctx, key); value != want || found == (key == "none") || err != nil {
				t.Errorf("%s: %q %v %v", key, value, found, err)
			}
		}
		must(t, q.Unpark(ctx, "a", "none"))
		length(2, 0)
		must(t, q.Done(ctx, take("a=again")...))
		length(1, 0)

		many := map[string]string{}
		for i := range 1200 {
			many[fmt.Sprintf("k%04d", i)] = fmt.Sprint(i)
		}
		must(t, q.Add(ctx, 0, many))
		for len(many) > 0 {
			got, err := q.Take(ctx, 1000, time.Hour)
			must(t, err)
			if len(got) == 0 {
				t.Fatalf("%d are not given", len(many))
			}
			for _, r := range got {
				if many[r.Key] != r.Value {
					t.Fatalf("%+v", r)
				}
				delete(many, r.Key)
			}
			must(t, q.Done(ctx, got...))
		}
		length(1, 0)
	})
}
