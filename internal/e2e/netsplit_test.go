package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"skein/internal/launch"
	"skein/internal/realtest"
)

// island is a network of its own, linked to this machine's by one cable.
type island struct {
	t          testing.TB
	name       string // of the network
	far        string // of the cable's end in it
	hub, store string // this machine's addresses on the cable
	self, gone string // the island's address; a hardware address that nobody has
	near       string
}

// newIsland makes the network. It needs root and iproute2.
func newIsland(t testing.TB) *island {
	t.Helper()
	id := os.Getpid()
	net := fmt.Sprintf("10.78.%d.", id%250)
	i := &island{t: t, name: fmt.Sprint("skein-e2e-", id), near: fmt.Sprint("skein", id), far: "cable",
		hub: net + "1", store: net + "3", self: net + "2", gone: "02:00:00:00:00:99"}
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", i.name).Run() })
	i.ip("netns add %s", i.name)
	i.ip("link add %s type veth peer name %s netns %s", i.near, i.far, i.name)
	i.ip("addr add %s/24 dev %s", i.hub, i.near)
	i.ip("addr add %s/24 dev %s", i.store, i.near)
	i.ip("link set %s up", i.near)
	i.ip("-n %s addr add %s/24 dev %s", i.name, i.self, i.far)
	i.ip("-n %s link set %s up", i.name, i.far)
	i.ip("-n %s link set lo up", i.name)
	return i
}

func (i *island) ip(format string, args ...any) {
	i.t.Helper()
	line := fmt.Sprintf(format, args...)
	if out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
		i.t.Fatalf("ip %s: %v: %s (this test makes a network: it needs root and iproute2)", line, err, out)
	}
}

// lose drops what the island sends to an address, without a word; find ends
// that.
func (i *island) lose(address string) {
	i.ip("-n %s neigh replace %s lladdr %s dev %s nud permanent", i.name, address, i.gone, i.far)
}

func (i *island) find(address string) { i.ip("-n %s neigh del %s dev %s", i.name, address, i.far) }

// TestNetworkSplit cuts one of two nodes off from the primary store, then from
// everything.
func TestNetworkSplit(t *testing.T) {
	t.Parallel()
	i := newIsland(t)
	catalog, err := launch.Redis(t.Context(), i.hub, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(catalog.Kill)
	stores := map[string]*realtest.MinIOServer{}
	for _, host := range []string{i.store, i.hub} {
		m, err := launch.MinIO(t.Context(), os.Getenv("SKEIN_TEST_MINIO"), "name it in SKEIN_TEST_MINIO", host, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(m.Kill)
		stores[host] = &realtest.MinIOServer{Server: &realtest.Server{Addr: m.Addr}, Endpoint: m.Endpoint, AccessKey: m.AccessKey, SecretKey: m.SecretKey}
	}
	p := &pair{Main: stores[i.store], Spare: stores[i.hub]}
	p.main, p.another = storeClient(t, p.Main), storeClient(t, p.Spare)
	p.cluster = &cluster{t: t, Redis: redis.NewClient(&redis.Options{Addr: catalog.Addr})}
	t.Cleanup(func() { p.Redis.Close() })
	for k, host := range []string{i.hub, i.self} {
		n := newNode(t, fmt.Sprint("n", k+1), "--insecure", "--redis", "redis://"+catalog.Addr+"/0", "--s3", p.Main.Endpoint, "--s3-access-key", p.Main.AccessKey,
			"--s3-backup", p.Spare.Endpoint, "--s3-backup-access-key", p.Spare.AccessKey)
		n.env = []string{"SKEIN_S3_SECRET_KEY=" + p.Main.SecretKey, "SKEIN_S3_BACKUP_SECRET_KEY=" + p.Spare.SecretKey}
		n.GRPC, n.HTTP = host+":0", host+":0"
		if host == i.self {
			n.prefix = []string{"ip", "netns", "exec", i.name}
		}
		n.Start()
		p.Nodes = append(p.Nodes, n)
	}
	p.waitNodes(2)
	p.createFlushing("events")
	w := startTraffic(t, "events", p.Nodes...)
	w.moves(10 * time.Second)

	i.lose(i.store)
	waitFor(t, 30*time.Second, "the node stores in the backup", func() (bool, string) { return p.returning() > 0, "nothing" })
	w.moves(30 * time.Second)
	i.find(i.store)
	waitFor(t, 60*time.Second, "the node's files return", func() (bool, string) { return p.returning() == 0, fmt.Sprint(p.returning()) })
	w.moves(20 * time.Second)
	p.waitMode("primary", time.Second) // one of two nodes is no majority

	i.ip("-n %s link set %s down", i.name, i.far)
	time.Sleep(8 * time.Second)
	i.ip("-n %s link set %s up", i.name, i.far)
	w.mark("end of the split")
	w.moves(60 * time.Second)
	w.check("network split between namespaces, of one node from the primary and then from all")
	waitFor(t, 60*time.Second, "nothing must return", func() (bool, string) { return p.returning() == 0, fmt.Sprint(p.returning()) })
	p.waitSame()
}

// returning counts the files that must return to the primary store.
func (p *pair) returning() int64 {
	p.t.Helper()
	n, err := p.Redis.HLen(p.t.Context(), "{queue:return}:items").Result()
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

// TestCatalogLost deletes everything in Redis and brings the tables back from
// the backup.
func TestCatalogLost(t *testing.T) {
	t.Parallel()
	p := startPair(t, 1)
	n := p.Nodes[0]
	want := map[string]string{}
	for _, table := range []string{"alpha", "beta"} {
		p.createBacked(table, true)
		n.write(t, numbered(table, 0, 60))
		want[table] = n.fingerprint(t, table)
	}
	if o := n.tool(t, "", "backup", "run", "--quiet"); o.Exit != 0 || o.Stdout != "" {
		t.Fatalf("run: exit %d: %s%s", o.Exit, o.Stdout, o.Stderr)
	}
	n.Stop()
	if err := p.Redis.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	n.Start()
	n.post(t, "/v1/query", object{"sql": "SELECT * FROM alpha"}).wantError(t, 404, "NOT_FOUND")
	o := n.tool(t, "", "backup", "status", "--format", "csv")
	if o.Exit != 0 || !strings.Contains(o.Stdout, "alpha,false,1,") {
		t.Errorf("status: exit %d: %s%s", o.Exit, o.Stdout, o.Stderr)
	}
	for range 2 { // the second time there is nothing left to do
		if o := n.tool(t, "", "backup", "restore", "--dropped"); o.Exit != 0 || !strings.Contains(o.Stdout, "2 tables restored: 120 files, 0 of them copied") {
			t.Fatalf("restore: exit %d: %s%s", o.Exit, o.Stdout, o.Stderr)
		}
		for table, print := range want {
			wantSame(t, n.fingerprint(t, table), print)
		}
	}
	p.verify("alpha", 0, "60 files and 60 rows")
}
