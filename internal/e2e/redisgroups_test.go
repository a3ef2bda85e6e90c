package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"skein/internal/realtest"
)

// failoverMax bounds reads and writes after a failover of Redis. Reads go on
// within 5 s on a machine that is not busy; here it may be.
const failoverMax = 20 * time.Second

// TestSentinelPrimaryKilled kills the primary of Redis under traffic: a
// replica takes over. The old one comes back as a replica.
func TestSentinelPrimaryKilled(t *testing.T) {
	t.Parallel()
	g := realtest.StartRedisSentinel(t)
	addrs, master, _ := strings.Cut(strings.TrimPrefix(g.URL, "redis+sentinel://"), "/")
	client := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: master, SentinelAddrs: strings.Split(addrs, ",")})
	failOver(t, "Redis primary killed, sentinel of 3", g, client, g.Masters()[0])
}

// TestClusterMasterKilled kills the master of a Redis cluster that has the
// table: its replica takes over.
func TestClusterMasterKilled(t *testing.T) {
	t.Parallel()
	g := realtest.StartRedisCluster(t, 3, 1)
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: strings.Split(strings.TrimPrefix(g.URL, "redis+cluster://"), ",")})
	master, err := client.MasterForKey(t.Context(), "{table:events:config}")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range g.Servers {
		if s.Addr == master.Options().Addr {
			failOver(t, "Redis master killed, cluster of 3+3", g, client, s)
			return
		}
	}
	t.Fatalf("no server at %s", master.Options().Addr)
}

func failOver(t *testing.T, what string, g *realtest.RedisGroup, client redis.UniversalClient, victim *realtest.Server) {
	t.Helper()
	p := pairOn(t, client, g.URL, realtest.StartMinIO(t), 2)
	p.createFlushing("events")
	w := startTraffic(t, "events", p.Nodes...)
	w.moves(30 * time.Second)
	w.mark("kill")
	victim.Kill()
	w.moves(40 * time.Second)
	victim.Start()
	w.moves(40 * time.Second)
	w.check(what)
	w.readsWithin(failoverMax)
	if w.writeGap > failoverMax {
		t.Errorf("no write succeeded for %s after the %s", w.writeGap, w.since)
	}
	p.waitSame()
}
