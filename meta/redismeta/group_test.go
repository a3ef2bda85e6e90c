package redismeta_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"skein/internal/fault"
	"skein/internal/realtest"
	"skein/meta"
	"skein/meta/metatest"
	"skein/meta/redismeta"
)

// clusterClient is a plain client of a cluster.
func clusterClient(t *testing.T, g *realtest.RedisGroup) *redis.ClusterClient {
	t.Helper()
	c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: strings.Split(strings.TrimPrefix(g.URL, "redis+cluster://"), ",")})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func flush(ctx context.Context, c *redis.Client) error { return c.FlushAll(ctx).Err() }

func TestCluster(t *testing.T) {
	g := realtest.StartRedisCluster(t, 3, 0)
	raw := clusterClient(t, g)
	metatest.Run(t, func(t *testing.T) meta.Store {
		must(t, raw.ForEachMaster(t.Context(), flush))
		return open(t, g.URL)
	})
	t.Run("agree", func(t *testing.T) { checkQueueAndLease(t, open(t, g.URL)) })
	t.Run("changes", func(t *testing.T) {
		must(t, raw.ForEachMaster(t.Context(), flush))
		checkChanges(t, open(t, g.URL), raw)
	})
	t.Run("specification-keys", func(t *testing.T) {
		must(t, raw.ForEachMaster(t.Context(), flush))
		checkMirrored(t, open(t, g.URL), raw)
	})
}

func checkQueueAndLease(t *testing.T, s *redismeta.Store) {
	ctx, q, l := t.Context(), s.Queue("backup"), s.Lease("move")
	must(t, q.Add(ctx, 0, map[string]string{"a": "1", "b": "2"}))
	got, err := q.Take(ctx, 10, time.Minute)
	must(t, err, q.Park(ctx, got[0], "why"), q.Done(ctx, got[1]), q.Unpark(ctx, got[0].Key))
	if waiting, parked, err := q.Len(ctx); waiting != 1 || parked != 0 || err != nil {
		t.Error(waiting, parked, err)
	}
	if token, held, err := l.Acquire(ctx, time.Minute); token <= 0 || !held || err != nil {
		t.Error(token, held, err)
	}
	must(t, l.Release(ctx), s.SetStatus(ctx, map[string]map[string]string{"pool:redis:status": {"status": "healthy"}}, day))
	if won, err := s.Register("r").Swap(ctx, 0, "x"); !won || err != nil {
		t.Error(won, err)
	}
	if _, voters, err := s.Votes("v").Cast(ctx, "n", true, time.Minute); voters != 1 || err != nil {
		t.Error(voters, err)
	}
}

// checkChanges finds a change in the history whose node died before it had
// recorded it, once, and refuses a stale token where its successor has written,
// even if the lock's own server has lost what it knew.
func checkChanges(t *testing.T, s *redismeta.Store, raw *redis.ClusterClient) {
	ctx := t.Context()
	must(t, s.CreateTable(ctx, sampleTable()))
	pending := ` {"id":"R1","kind":"schema","table":"users","what":"x","who":"n9","at":"2024-01-15T10:30:00Z"}`
	for range 2 { // the second time it had died between recording it and removing the note
		must(t, raw.RPush(ctx, "{table:users:config}:changes", pending).Err(), s.Repair(ctx))
	}
	history, err := s.History(ctx, 10)
	must(t, err)
	if len(history) != 2 || history[0].Who != "n9" || history[0].Version != (meta.Semver{Major: 1, Minor: 2}) || raw.Get(ctx, "metadata:version").Val() != "1.2.0" {
		t.Errorf("%+v", history)
	}
	first, err := s.Lock(ctx, "leader", "n1", time.Minute)
	must(t, err, s.Unlock(ctx, "leader", "n1"))
	second, err := s.Lock(ctx, "leader", "n2", time.Minute)
	must(t, err, s.Commit(meta.Fenced(ctx, "leader", second), sampleCommit()))
	must(t, raw.Del(ctx, "{metadata:lock:leader}:token").Err())
	late := sampleCommit()
	late.Unit = "late"
	if err := s.Commit(meta.Fenced(ctx, "leader", first), late); !errors.Is(err, meta.ErrFenced) {
		t.Error("a stale token:", err)
	}
}

// checkMirrored finds the specification's keys in a cluster as they are on one
// server, and gone after a drop; a node that dies before it has brought them
// up to date leaves that to Repair.
func checkMirrored(t *testing.T, s *redismeta.Store, raw *redis.ClusterClient) {
	ctx := t.Context()
	must(t, s.CreateTable(ctx, sampleTable()), s.Commit(ctx, sampleCommit()))
	must(t, s.Heartbeat(ctx, meta.Node{ID: "n1", Address: "10.0.0.1:8815"}))
	for what, pair := range map[string][2]any{
		"tables:list": {[]string{"users"}, raw.SMembers(ctx, "tables:list").Val()},
		"config":      {"500", raw.HGet(ctx, "table:users:config", "buffer_size").Val()},
		"stats": {map[string]string{"record_count": "16", "file_count": "3", "size_bytes": "160",
			"oldest_record": "2024-01-15T10:30:00.000000005Z", "newest_record": "2024-01-15T10:31:00.000000005Z"},
			raw.HGetAll(ctx, "table:users:stats").Val()},
		"created_at": {"2024-01-15T10:30:00.000000005Z", raw.Get(ctx, "table:users:created_at").Val()},
		"last_write": {"2024-01-15T11:30:00.000000005Z", raw.Get(ctx, "table:users:last_write").Val()},
		"paths":      {[]string{"users/a%3A%25/2024-01-15/2.parquet"}, raw.SMembers(ctx, "index:table:users:id:a:%:2024-01-15").Val()},
		"services":   {map[string]string{"n1": "10.0.0.1:8815"}, raw.HGetAll(ctx, "nodes:services").Val()},
	} {
		if diff := gocmp.Diff(pair[0], pair[1]); diff != "" {
			t.Errorf("%s: -want +got:\n%s", what, diff)
		}
	}
	// A node died before it had brought two of them up to date.
	const dirty = "{table:users:config}:dirty"
	path := sampleCommit().Add[0].Path
	must(t, raw.SRem(ctx, "index:table:users:id:user-123:2024-01-15", path).Err(), raw.Del(ctx, "table:users:stats").Err(),
		raw.HSet(ctx, dirty, path, "+99 user-123:2024-01-15", "", "100").Err(), s.Repair(ctx))
	if n := raw.SCard(ctx, "index:table:users:id:user-123:2024-01-15").Val() + raw.HLen(ctx, "table:users:stats").Val(); n != 6 {
		t.Errorf("%d fields after repair", n)
	}
	if files, err := s.DropTable(ctx, "users", "u1"); len(files) != 3 || err != nil {
		t.Error(files, err)
	}
	var mu sync.Mutex // masters are asked at once
	var left []string
	must(t, raw.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error {
		keys := c.Keys(ctx, "*users*").Val()
		mu.Lock()
		defer mu.Unlock()
		left = append(left, keys...)
		return nil
	}))
	if len(left) != 0 || raw.SCard(ctx, "tables:list").Val() != 0 {
		t.Errorf("keys %q are left", left)
	}
}

func TestSentinel(t *testing.T) {
	g := realtest.StartRedisSentinel(t)
	raw := client(t, "redis://"+g.Masters()[0].Addr)
	metatest.Run(t, func(t *testing.T) meta.Store {
		must(t, flush(t.Context(), raw))
		return open(t, g.URL)
	})
}

// A master is killed, or freezes, in the middle of writes: another takes over,
// and no acknowledged commit is lost or doubled.
func TestFailover(t *testing.T) {
	for name, c := range map[string]struct {
		start  func(*testing.T) *realtest.RedisGroup
		mishap mishap
	}{
		"sentinel-killed": {sentinels, killed},
		"sentinel-paused": {sentinels, paused},
		"sentinel-again":  {sentinels, replacedAgain},
		"cluster-killed":  {threeAndThree, killed},
		"cluster-paused":  {threeAndThree, paused},
	} {
		t.Run(name, func(t *testing.T) { failOver(t, c.start(t), c.mishap) })
	}
}

// mishap is what happens to a master.
type mishap int

const (
	killed mishap = iota
	paused
	// replacedAgain: killed, and each that took its place is replaced as soon
	// as the sentinels would, though it lives.
	replacedAgain
)

func sentinels(t *testing.T) *realtest.RedisGroup     { return realtest.StartRedisSentinel(t) }
func threeAndThree(t *testing.T) *realtest.RedisGroup { return realtest.StartRedisCluster(t, 3, 1) }

// replace has the sentinels appoint other masters until the time is over, and
// tells how often they did.
func replace(t *testing.T, g *realtest.RedisGroup, d time.Duration) (times int) {
	addr, _, _ := strings.Cut(strings.TrimPrefix(g.URL, "redis+sentinel://"), ",")
	c := redis.NewSentinelClient(&redis.Options{Addr: addr})
	defer c.Close()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if c.Failover(t.Context(), "skein").Err() == nil {
			times++
			time.Sleep(2 * time.Second) // writers need a moment between two
		}
	}
	return times
}

func failOver(t *testing.T, g *realtest.RedisGroup, what mishap) {
	s, err := redismeta.Open(t.Context(), g.URL, redismeta.Options{})
	must(t, err)
	defer s.Close()
	const tables = 12
	for i := range tables { // on several masters of a cluster
		must(t, s.CreateTable(t.Context(), meta.Table{Name: fmt.Sprint("t", i), UID: "u"}))
	}
	var mu sync.Mutex
	acknowledged := map[string]int{}
	failed, failures := map[fault.Code]int{}, map[string]int{}
	var slowest time.Duration
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var writers sync.WaitGroup
	for i := range tables {
		writers.Go(func() {
			table := fmt.Sprint("t", i)
			for n := 0; ctx.Err() == nil; n++ {
				start := time.Now()
				err := s.Commit(context.WithoutCancel(ctx), meta.Commit{Table: table, TableUID: "u", Unit: fmt.Sprint("unit", n),
					Add: []meta.File{{Path: fmt.Sprint(table, "/_/2024-01-15/", n), Day: "2024-01-15", Rows: 1}}})
				mu.Lock()
				slowest = max(slowest, time.Since(start))
				if err == nil {
					acknowledged[table]++
				} else {
					failed[fault.CodeOf(err)]++
					failures[table]++
					t.Log(err)
				}
				mu.Unlock()
				if err != nil {
					n-- // as a worker does: the same unit again
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	time.Sleep(time.Second)
	masters := g.Masters()
	victim := masters[len(masters)/2] // in a cluster the middle one has most of the tables
	start := time.Now()
	if what == paused {
		victim.Pause()
	} else {
		victim.Kill()
	}
	// Reads of every table go on.
	var outage time.Duration
	for i := range tables {
		_, err := s.Listing(t.Context(), fmt.Sprint("t", i))
		if err != nil {
			t.Errorf("listing: %v", err)
		}
		outage = max(outage, time.Since(start))
	}
	switch what {
	case killed:
		time.Sleep(3 * time.Second)
	case paused:
		time.Sleep(3 * time.Second)
		victim.Resume()
		time.Sleep(2 * time.Second)
	case replacedAgain:
		if n := replace(t, g, 5*time.Second); n < 2 {
			t.Errorf("replaced %d times", n)
		}
	}
	stop()
	writers.Wait()
	total := 0
	for table, n := range acknowledged {
		l, err := s.Listing(t.Context(), table)
		must(t, err)
		found, err := s.Table(t.Context(), table)
		must(t, err)
		files := int64(len(l.Files)) // one more than acknowledged if the last answer is lacking
		if files < int64(n) || files > int64(n+min(1, failures[table])) || found.Stats.Files != files || found.Stats.Rows != files {
			t.Errorf("table %s: %d acknowledged, %d files, stats %+v", table, n, len(l.Files), found.Stats)
		}
		total += n
	}
	t.Logf("%d commits acknowledged, errors %v, slowest %s, reads of all tables after %s", total, failed, slowest, outage)
	if total < 100 || outage > 10*time.Second {
		t.Errorf("%d commits, outage %s", total, outage)
	}
}

// A master without a live replica acknowledges at once, unless told otherwise.
func TestReplicasAskedFor(t *testing.T) {
	url := realtest.Redis(t)
	s, err := redismeta.Open(t.Context(), url, redismeta.Options{Replicas: 1})
	must(t, err)
	defer s.Close()
	start := time.Now()
	err = s.CreateTable(t.Context(), meta.Table{Name: "t"})
	if fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "replica") || time.Since(start) > 4*time.Second {
		t.Errorf("%v after %s", err, time.Since(start))
	}
	if errors.Is(err, meta.ErrTableExists) {
		t.Error(err)
	}
}
