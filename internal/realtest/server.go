package realtest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

const (
	portTriesMax   = 5                // a free port may be taken before the server binds it
	readyWaitMax   = 30 * time.Second // from start to the first answer
	readyPollEvery = 20 * time.Millisecond
	outputTailMax  = 16 << 10 // bytes of output that a failing test prints
)

// Server is one real server process. Its methods belong to the test's
// goroutine.
type Server struct {
	Addr string // host:port on loopback; stays the same over Kill and Start

	t      testing.TB
	name   string
	output string // path of the file that takes stdout and stderr
	argv   func(addr string) []string
	env    []string
	ready  func(ctx context.Context, s *Server) error

	cmd  *exec.Cmd
	done chan struct{} // closed when the process has gone
}

// launch starts s on a free port, waits until it is ready and stops it at
// cleanup.
func launch(s *Server) *Server {
	s.t.Helper()
	s.output = filepath.Join(s.t.TempDir(), s.name+".log")
	s.t.Cleanup(s.stop)
	var err error
	for range portTriesMax {
		s.Addr = freeAddr(s.t)
		if err = s.start(); err == nil {
			return s
		}
	}
	s.t.Fatalf("%s does not start: %v", s.name, err)
	return nil
}

// Kill ends the process at once, as kill -9 does, and waits until it has gone.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill() // gone already is as good
	<-s.done
	s.cmd = nil
}

// Start runs the server again after Kill, on the same address and directory,
// and waits until it is ready.
func (s *Server) Start() {
	s.t.Helper()
	if err := s.start(); err != nil {
		s.t.Fatalf("%s does not start again: %v", s.name, err)
	}
}

func (s *Server) start() error {
	log, err := os.OpenFile(s.output, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	argv := s.argv(s.Addr)
	// Not the test's own context: it ends before cleanups that still need the server.
	cmd := exec.CommandContext(context.WithoutCancel(s.t.Context()), argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), s.env...)
	cmd.Stdout, cmd.Stderr = log, log
	dieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		return err
	}
	s.cmd, s.done = cmd, make(chan struct{})
	go func(done chan struct{}) {
		defer close(done)
		_ = cmd.Wait() // killed is how it ends
	}(s.done)
	if err := s.waitReady(); err != nil {
		s.Kill()
		return err
	}
	return nil
}

func (s *Server) waitReady() error {
	ctx, cancel := context.WithTimeout(context.Background(), readyWaitMax)
	defer cancel()
	tick := time.NewTicker(readyPollEvery)
	defer tick.Stop()
	for {
		err := s.ready(ctx, s)
		if err == nil {
			return nil
		}
		select {
		case <-s.done:
			return fmt.Errorf("it ended before it was ready: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("not ready after %s: %w", readyWaitMax, err)
		case <-tick.C:
		}
	}
}

func (s *Server) stop() {
	s.Kill()
	if !s.t.Failed() {
		return
	}
	out, err := os.ReadFile(s.output)
	if err != nil {
		s.t.Logf("output of %s: %v", s.name, err)
		return
	}
	s.t.Logf("output of %s, its end:\n%s", s.name, out[max(0, len(out)-outputTailMax):])
}

// binary finds a server's program by name in PATH.
func binary(t testing.TB, name, hint string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s: %v; %s", name, err, hint)
	}
	return path
}

// freeAddr is a loopback address that nobody listened on a moment ago.
func freeAddr(t testing.TB) string {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
