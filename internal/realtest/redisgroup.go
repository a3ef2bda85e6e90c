package realtest

import (
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"skein/internal/launch"
)

// RedisGroup is several Redis servers that stand in for one another.
type RedisGroup struct {
	URL     string    // as --redis takes it
	Servers []*Server // that hold data

	t testing.TB
}

// groupWait is how long a new group may take to find itself.
const groupWait = 60 * time.Second

// StartRedisSentinel starts a master, two replicas and three sentinels.
func StartRedisSentinel(t testing.TB) *RedisGroup {
	t.Helper()
	g := &RedisGroup{t: t}
	var extra []string
	for range 3 {
		p, err := launch.Redis(t.Context(), host, t.TempDir(), append(extra, "--repl-diskless-sync-delay", "0")...)
		g.Servers = append(g.Servers, started(t, p, err))
		masterHost, masterPort, _ := net.SplitHostPort(g.Servers[0].Addr)
		extra = []string{"--replicaof", masterHost + " " + masterPort}
	}
	var addrs []string
	for range 3 {
		p, err := launch.RedisSentinel(t.Context(), host, t.TempDir(), "skein", g.Servers[0].Addr, 2)
		addrs = append(addrs, started(t, p, err).Addr)
	}
	g.URL = "redis+sentinel://" + strings.Join(addrs, ",") + "/skein"
	g.wait("all sentinels know each other and both replicas", func() bool {
		for _, addr := range addrs {
			s := redis.NewSentinelClient(&redis.Options{Addr: addr})
			sentinels, err := s.Sentinels(t.Context(), "skein").Result()
			replicas, err2 := s.Replicas(t.Context(), "skein").Result()
			_ = s.Close()
			if err != nil || err2 != nil || len(sentinels) != 2 || len(replicas) != 2 {
				return false
			}
		}
		return strings.Count(g.info(g.Servers[0]), "state=online") == 2
	})
	return g
}

// StartRedisCluster starts a cluster of masters with so many replicas each.
func StartRedisCluster(t testing.TB, masters, replicas int) *RedisGroup {
	t.Helper()
	g := &RedisGroup{t: t}
	args := []string{"--cluster", "create"}
	for range masters * (1 + replicas) {
		bus, err := launch.FreeAddr(t.Context(), host)
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(bus)
		p, err := launch.Redis(t.Context(), host, t.TempDir(), "--cluster-enabled", "yes", "--cluster-port", port,
			"--cluster-node-timeout", "1500", "--repl-diskless-sync-delay", "0")
		g.Servers = append(g.Servers, started(t, p, err))
		args = append(args, g.Servers[len(g.Servers)-1].Addr)
	}
	args = append(args, "--cluster-replicas", fmt.Sprint(replicas), "--cluster-yes")
	if out, err := exec.CommandContext(t.Context(), "redis-cli", args...).CombinedOutput(); err != nil {
		t.Fatalf("redis-cli: %v\n%s", err, out)
	}
	var addrs []string
	for _, s := range g.Servers {
		addrs = append(addrs, s.Addr)
	}
	g.URL = "redis+cluster://" + strings.Join(addrs, ",")
	g.wait("the cluster is whole", func() bool {
		online := 0
		for _, s := range g.Servers {
			c := redis.NewClient(&redis.Options{Addr: s.Addr})
			info, err := c.ClusterInfo(t.Context()).Result()
			_ = c.Close()
			if err != nil || !strings.Contains(info, "cluster_state:ok") {
				return false
			}
			online += strings.Count(g.info(s), "state=online")
		}
		return online == masters*replicas
	})
	return g
}

func (g *RedisGroup) wait(what string, f func() bool) {
	g.t.Helper()
	for deadline := time.Now().Add(groupWait); !f(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			g.t.Fatalf("redis: not within %s: %s", groupWait, what)
		}
	}
}

func (g *RedisGroup) info(s *Server) string {
	c := redis.NewClient(&redis.Options{Addr: s.Addr, MaxRetries: -1})
	defer c.Close()
	return c.Info(g.t.Context(), "replication").Val()
}

// Masters are the servers that are masters now and answer.
func (g *RedisGroup) Masters() []*Server {
	var masters []*Server
	for _, s := range g.Servers {
		if s.p.PID() != 0 && strings.Contains(g.info(s), "role:master") {
			masters = append(masters, s)
		}
	}
	return masters
}
