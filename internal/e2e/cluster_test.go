package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"skein/internal/realtest"
)

// cluster is nodes that share a Redis and a MinIO.
type cluster struct {
	t     testing.TB
	Redis redis.UniversalClient
	Store *realtest.MinIOServer
	Nodes []*node
	flags []string
	env   []string
}

// startCluster starts Redis, MinIO and so many nodes, n1, n2 and so on, with
// further flags.
func startCluster(t testing.TB, nodes int, flags ...string) *cluster {
	t.Helper()
	server := realtest.StartRedis(t)
	store := realtest.StartMinIO(t)
	c := &cluster{t: t, Redis: redis.NewClient(&redis.Options{Addr: server.Addr}), Store: store,
		flags: append(flags, "--redis", "redis://"+server.Addr+"/0", "--s3", store.Endpoint, "--s3-access-key", store.AccessKey),
		env:   []string{"SKEIN_S3_SECRET_KEY=" + store.SecretKey}}
	t.Cleanup(func() { c.Redis.Close() })
	for range nodes {
		c.add()
	}
	c.waitNodes(nodes)
	return c
}

// add starts one more node.
func (c *cluster) add() *node {
	c.t.Helper()
	n := newNode(c.t, fmt.Sprintf("n%d", len(c.Nodes)+1), c.flags...)
	n.env = c.env
	n.Start()
	c.Nodes = append(c.Nodes, n)
	return n
}

// waitNodes waits until so many nodes are in service and in the ring, and
// every node knows it.
func (c *cluster) waitNodes(healthy int) {
	c.t.Helper()
	waitFor(c.t, 10*time.Second, "all nodes beat", func() (bool, string) {
		now, err := c.Redis.HGetAll(c.t.Context(), "nodes:services").Result()
		return err == nil && len(now) == healthy && len(c.ring()) == healthy, fmt.Sprint(now, c.ring(), err)
	})
	// Plans use what a node knew up to a second ago.
	time.Sleep(viewAge)
}

// viewAge is how old the nodes' view of each other may be.
const viewAge = 1100 * time.Millisecond

// ring is the nodes of the hash ring.
func (c *cluster) ring() map[string]bool {
	c.t.Helper()
	members, err := c.Redis.ZRange(c.t.Context(), "cluster:hash_ring", 0, -1).Result()
	if err != nil {
		c.t.Fatal(err)
	}
	nodes := map[string]bool{}
	for _, m := range members {
		id, _, _ := strings.Cut(m, "#")
		nodes[id] = true
	}
	return nodes
}

// openUnits is the nodes that may hold unflushed rows of a table.
func (c *cluster) openUnits(table string) map[string]bool {
	c.t.Helper()
	units, err := c.Redis.HGetAll(c.t.Context(), "index:table:"+table+":open").Result()
	if err != nil {
		c.t.Fatal(err)
	}
	nodes := map[string]bool{}
	for _, node := range units {
		nodes[node] = true
	}
	return nodes
}

// waitFlushed waits until all rows of a table are in files.
func (c *cluster) waitFlushed(table string) {
	c.t.Helper()
	waitFor(c.t, 30*time.Second, "table "+table+" is flushed", func() (bool, string) {
		open := c.openUnits(table)
		return len(open) == 0, fmt.Sprint(open)
	})
}
