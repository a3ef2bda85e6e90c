package realtest

import (
	"context"
	"syscall"
	"testing"

	"skein/internal/launch"
)

// Server is one real server process. Its methods belong to the test's
// goroutine.
type Server struct {
	Addr string // host:port on loopback; stays the same over Kill and Start

	t testing.TB
	p *launch.Process
}

// host is where all servers listen.
const host = "127.0.0.1"

// started takes over a process until the end of t.
func started(t testing.TB, p *launch.Process, err error) *Server {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Addr: p.Addr, t: t, p: p}
	t.Cleanup(s.stop)
	return s
}

// Kill ends the process at once, as kill -9 does, and waits until it has gone.
func (s *Server) Kill() { s.p.Kill() }

// Pause freezes the server: its connections stay open and nothing answers,
// until Resume.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Resume lets a paused server go on.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := syscall.Kill(s.p.PID(), sig); err != nil {
		s.t.Fatal(err)
	}
}

// Start runs the server again after Kill, on the same address and directory,
// and waits until it is ready.
func (s *Server) Start() {
	s.t.Helper()
	// Not the test's own context: it ends before cleanups that still need the server.
	if err := s.p.Start(context.WithoutCancel(s.t.Context())); err != nil {
		s.t.Fatalf("it does not start again: %v", err)
	}
}

func (s *Server) stop() {
	s.Kill()
	if s.t.Failed() {
		s.t.Logf("output of the server at %s, its end:\n%s", s.Addr, s.p.Tail())
	}
}
