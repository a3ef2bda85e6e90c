package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	readyWaitMax  = 60 * time.Second // from start to /readyz, with a replay
	stopWaitMax   = 40 * time.Second // a clean stop with a flush
	pollEvery     = 20 * time.Millisecond
	logTailMax    = 16 << 10 // bytes of a node's log that a failing test prints
	nodeThreads   = "2"
	nodeMemory    = "1GB"
	anyPort       = "127.0.0.1:0"
	startTriesMax = 3 // a port may be taken while its node is down
)

// node is one skein serve, a process of its own. Its methods belong to the
// test's goroutine; HTTP requests may come from any.
type node struct {
	t       testing.TB
	ID      string
	Dir     string // of data; stays over Kill and Start
	GRPC    string // host:port
	HTTP    string // host:port
	flags   []string
	env     []string
	prefix  []string // program and arguments that run the node; none if empty
	logPath string
	cmd     *exec.Cmd
	done    chan struct{} // closed when the process has gone
	exit    error         // of the process, once done
}

// startNode starts a node with further flags and waits until it is ready. It
// is killed at the end of t.
func startNode(t testing.TB, id string, flags ...string) *node {
	t.Helper()
	n := newNode(t, id, flags...)
	n.Start()
	return n
}

func newNode(t testing.TB, id string, flags ...string) *node {
	t.Helper()
	dir := t.TempDir()
	n := &node{t: t, ID: id, Dir: filepath.Join(dir, "data"), GRPC: anyPort, HTTP: anyPort, flags: flags, logPath: filepath.Join(dir, "log")}
	t.Cleanup(n.cleanup)
	return n
}

// Start runs the node, on the addresses that it had before if any, and waits
// until it takes queries.
func (n *node) Start() {
	n.t.Helper()
	var err error
	for range startTriesMax {
		if err = n.start(); err == nil {
			return
		}
	}
	n.t.Fatalf("node %s does not start: %v\n%s", n.ID, err, n.logTail())
}

func (n *node) start() error {
	log, err := os.OpenFile(n.logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	from, err := log.Seek(0, 2)
	if err != nil {
		return err
	}
	args := []string{"serve", "--data-dir", n.Dir, "--node-id", n.ID, "--grpc-addr", n.GRPC, "--http-addr", n.HTTP,
		"--threads", nodeThreads, "--memory-limit", nodeMemory, "--log-format", "json"}
	args = slices.Concat(n.prefix, []string{binary(n.t)}, args, n.flags)
	n.cmd = exec.Command(args[0], args[1:]...)
	n.cmd.Env = append(cleanEnv(), n.env...)
	n.cmd.Stdout, n.cmd.Stderr = log, log
	ownGroup(n.cmd)
	if err := n.cmd.Start(); err != nil {
		return err
	}
	n.done = make(chan struct{})
	go func() {
		defer close(n.done)
		n.exit = n.cmd.Wait()
	}()
	if err := n.waitReady(from); err != nil {
		n.Kill()
		return err
	}
	return nil
}

// cleanEnv is the environment without what would configure the program.
func cleanEnv() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "SKEIN_") })
}

// waitReady reads the bound addresses from the log, from the given offset, and
// waits for /readyz.
func (n *node) waitReady(from int64) error {
	deadline := time.Now().Add(readyWaitMax)
	for time.Now().Before(deadline) {
		if n.readAddresses(from) && n.isReady() {
			return nil
		}
		select {
		case <-n.done:
			return fmt.Errorf("it ended before it was ready: %w", n.exit)
		case <-time.After(pollEvery):
		}
	}
	return fmt.Errorf("not ready after %s", readyWaitMax)
}

func (n *node) readAddresses(from int64) bool {
	text, err := os.ReadFile(n.logPath)
	if err != nil || int64(len(text)) < from {
		return false
	}
	for line := range strings.Lines(string(text[from:])) {
		var entry struct{ Msg, GRPC, HTTP string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "serving" {
			n.GRPC, n.HTTP = entry.GRPC, entry.HTTP
			return true
		}
	}
	return false
}

func (n *node) isReady() bool {
	response, err := http.Get("http://" + n.HTTP + "/readyz")
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// Alive tells whether the process runs.
func (n *node) Alive() bool {
	if n.cmd == nil {
		return false
	}
	select {
	case <-n.done:
		return false
	default:
		return true
	}
}

// Kill ends the process as kill -9 does, and waits until it has gone.
func (n *node) Kill() {
	if n.cmd == nil || n.cmd.Process == nil {
		return
	}
	_ = n.cmd.Process.Kill() // gone already is as good
	<-n.done
	n.cmd = nil
}

// Stop ends the node as SIGTERM does, and wants it to end well.
func (n *node) Stop() {
	n.t.Helper()
	if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		n.t.Fatalf("node %s: %v", n.ID, err)
	}
	select {
	case <-n.done:
	case <-time.After(stopWaitMax):
		n.t.Fatalf("node %s has not stopped after %s\n%s", n.ID, stopWaitMax, n.logTail())
	}
	if n.exit != nil {
		n.t.Errorf("node %s stopped with %v\n%s", n.ID, n.exit, n.logTail())
	}
	n.cmd = nil
}

func (n *node) cleanup() {
	n.Kill()
	if n.t.Failed() {
		n.t.Logf("log of node %s, its end:\n%s", n.ID, n.logTail())
	}
}

func (n *node) logTail() string {
	text, _ := os.ReadFile(n.logPath)
	return string(text[max(0, len(text)-logTailMax):])
}

// waitFor polls until done returns true, and fails the test with what it
// returned last if it never does.
func waitFor(t testing.TB, wait time.Duration, what string, done func() (bool, string)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	for {
		ok, seen := done()
		if ok {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not after %s; last: %s", what, wait, seen)
		case <-time.After(5 * pollEvery):
		}
	}
}
