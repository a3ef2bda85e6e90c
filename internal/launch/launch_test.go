package launch_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"skein/internal/fault"
	"skein/internal/launch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestProcess(t *testing.T) {
	p, err := launch.Redis(t.Context(), "127.0.0.1", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	if p.PID() == 0 {
		t.Error("it has no id")
	}
	p.Stop(10 * time.Second)
	if p.PID() != 0 {
		t.Error("it has an id after its end")
	}
	if conn, err := net.Dial("tcp", p.Addr); err == nil {
		conn.Close()
		t.Error("it answers after its end")
	}
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.Kill()
	p.Kill() // harmless
	if !strings.Contains(p.Tail(), "Ready to accept connections") {
		t.Errorf("output %q", p.Tail())
	}
}

func TestThatEndsEarly(t *testing.T) {
	spec := func(script string) launch.Spec {
		return launch.Spec{
			Name: "sh", Output: filepath.Join(t.TempDir(), "log"), Env: []string{"OURS=1"}, OmitEnv: "PATH",
			Argv:  func(string) []string { return []string{"/bin/sh", "-c", script} },
			Ready: func(context.Context, *launch.Process) error { return errors.New("no answer") },
		}
	}
	err := launch.New(spec(`echo "last words $OURS $PATHS"; exit 3`), "").Start(t.Context())
	if fault.CodeOf(err) != fault.FailedPrecondition || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "last words 1") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	p := launch.New(spec("exec sleep 60"), "")
	if err := p.Start(ctx); !errors.Is(err, context.Canceled) || p.PID() != 0 {
		t.Errorf("got %v, process %d", err, p.PID())
	}
}
