package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"skein/internal/realtest"
	olapv1 "skein/proto/olap/v1"
)

// TestOperationsGoOn interrupts backups on their way: they go on at the node,
// can be looked at and followed from another one, and canceled there.
func TestOperationsGoOn(t *testing.T) {
	t.Parallel()
	m := realtest.StartMinIO(t)
	x := realtest.StartProxy(t, m.Endpoint)
	p := pairOf(t, &realtest.MinIOServer{Server: m.Server, Endpoint: x.URL, AccessKey: m.AccessKey, SecretKey: m.SecretKey}, 2)
	p.createBacked("events", false)
	p.Nodes[0].write(t, numbered("events", 0, 400))
	p.trigger(object{"table": "events", "id": "id-1"}) // makes files of all rows
	files := len(objects(t, p.main, mainBucket))

	x.Speed.Store(3 << 10)
	id := p.interrupt()
	status := p.Nodes[1].tool(t, "", "backup", "status")
	if !regexp.MustCompile(id + `.*backup.*running.*n1`).MatchString(status.Stdout) {
		t.Errorf("status: %s%s", status.Stdout, status.Stderr)
	}
	x.Speed.Store(0)
	o := p.Nodes[1].tool(t, "", "backup", "watch", id)
	if o.Exit != 0 || !strings.Contains(o.Stdout, fmt.Sprintf("1 table backed up: %d files", files)) {
		t.Errorf("watch: exit %d: %s%s", o.Exit, o.Stdout, o.Stderr)
	}
	if got := objects(t, p.another, spareBucket); len(got) != files {
		t.Errorf("%d of %d files are in the backup", len(got), files)
	}

	empty(t, p.another, spareBucket, "events/")
	x.Speed.Store(3 << 10)
	id = p.interrupt()
	if o := p.Nodes[1].tool(t, "", "backup", "cancel", id); o.Exit != 0 || !strings.Contains(o.Stdout, "n1") {
		t.Errorf("cancel: exit %d: %s%s", o.Exit, o.Stdout, o.Stderr)
	}
	if o := p.Nodes[1].tool(t, "", "backup", "watch", id); o.Exit == 0 || !strings.Contains(o.Stderr, "canceled") {
		t.Errorf("watch: exit %d: %s%s", o.Exit, o.Stdout, o.Stderr)
	}
	x.Speed.Store(0)
	if o := p.Nodes[1].tool(t, "", "backup", "cancel", id); o.Exit == 0 || !strings.Contains(o.Stderr, "already") {
		t.Errorf("second cancel: exit %d: %s%s", o.Exit, o.Stdout, o.Stderr)
	}
	if o := p.Nodes[1].tool(t, "", "backup", "watch", "nosuch"); o.Exit == 0 || !strings.Contains(o.Stderr, "backup status") {
		t.Errorf("watch: exit %d: %s%s", o.Exit, o.Stdout, o.Stderr)
	}
	if o := p.Nodes[0].tool(t, "", "backup", "run", "--table", "events"); o.Exit != 0 || !strings.Contains(o.Stdout, fmt.Sprintf("%d files", files)) {
		t.Errorf("run: exit %d: %s%s", o.Exit, o.Stdout, o.Stderr)
	}
}

// interrupt begins a backup at the first node, presses Ctrl-C when it is
// listed, and returns its id as the command tells it.
func (p *pair) interrupt() (id string) {
	t := p.t
	t.Helper()
	c := exec.Command(binary(t), "backup", "run", "--table", "events")
	c.Env = append(cleanEnv(), "SKEIN_ADDR="+p.Nodes[0].GRPC)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, 20*time.Second, "the backup runs", func() (bool, string) {
		o := p.Nodes[0].tool(t, "", "backup", "status")
		return strings.Contains(o.Stdout, "running"), o.Stdout + o.Stderr
	})
	if err := c.Process.Signal(os.Signal(syscall.SIGINT)); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	found := regexp.MustCompile(`goes on at node n1.*skein backup watch (\S+); end it: skein backup cancel (\S+)`).FindStringSubmatch(out.String())
	if found == nil || found[1] != found[2] || c.ProcessState.ExitCode() == 0 {
		t.Fatalf("exit %d: %s", c.ProcessState.ExitCode(), out.String())
	}
	return found[1]
}

// TestPoolIsTunedForAll changes the pool on one node: the other one follows,
// and one that starts again still has it.
func TestPoolIsTunedForAll(t *testing.T) {
	t.Parallel()
	p := startPair(t, 2)
	tuning := func(n *node, change *olapv1.SetPoolRequest) string {
		now, err := olapv1.NewAdminServiceClient(n.dial(t)).SetPool(t.Context(), change)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(now.GetHedgeShare(), now.GetTryTimeoutMs(), now.GetBreakAfter())
	}
	wantSame(t, tuning(p.Nodes[1], &olapv1.SetPoolRequest{}), "0.05 1000 3")
	const want = "0.25 700 3"
	wantSame(t, tuning(p.Nodes[0], &olapv1.SetPoolRequest{HedgeShare: proto.Float64(0.25), TryTimeoutMs: proto.Int64(700)}), want)
	waitFor(t, 10*time.Second, "the other node follows", func() (bool, string) {
		got := tuning(p.Nodes[1], &olapv1.SetPoolRequest{})
		return got == want, got
	})
	p.Nodes[0].Stop()
	p.Nodes[0].Start()
	wantSame(t, tuning(p.Nodes[0], &olapv1.SetPoolRequest{}), want)
}
