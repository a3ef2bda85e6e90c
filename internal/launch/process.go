package launch

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"skein/internal/fault"
)

const (
	portTriesMax   = 5                // a free port may be taken before the server binds it
	readyWaitMax   = 60 * time.Second // from start to the first answer
	readyPollEvery = 20 * time.Millisecond
	outputTailMax  = 16 << 10 // bytes of Tail
)

// Spec describes a server.
type Spec struct {
	Name      string
	Argv      func(addr string) []string // the program and its arguments, to listen at addr
	Env       []string                   // beside those of this process
	OmitEnv   string                     // variables with this prefix are left out; none if empty
	Output    string                     // file that takes stdout and stderr at its end
	Namespace string                     // of the network, by the name that ip-netns knows; this process's if empty
	// Ready returns nil once the server answers.
	Ready func(ctx context.Context, p *Process) error
}

// Process is a server. One goroutine uses it.
type Process struct {
	Addr string // host:port that it listens at; stays the same over Kill and Start

	spec Spec
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has gone
	exit error         // of the process, once done
}

// New describes a process that listens at addr, which Start runs.
func New(s Spec, addr string) *Process { return &Process{spec: s, Addr: addr} }

// Launch runs a server on a free port of the host, an address of this process's
// own network, and returns when it is ready. The caller ends it.
func Launch(ctx context.Context, s Spec, host string) (*Process, error) {
	var err error
	for range portTriesMax {
		var addr string
		if addr, err = FreeAddr(ctx, host); err != nil {
			return nil, err
		}
		p := New(s, addr)
		if err = p.Start(ctx); err == nil {
			return p, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, err
}

// Start runs the server and waits until it is ready. The server outlives ctx.
func (p *Process) Start(ctx context.Context) error {
	log, err := os.OpenFile(p.spec.Output, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	argv := p.spec.Argv(p.Addr)
	if p.spec.Namespace != "" {
		argv = append([]string{"ip", "netns", "exec", p.spec.Namespace}, argv...)
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), argv[0], argv[1:]...)
	for _, v := range os.Environ() {
		if p.spec.OmitEnv == "" || !strings.HasPrefix(v, p.spec.OmitEnv) {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, p.spec.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	dieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		return fault.Newf(fault.FailedPrecondition, "%s: %w", p.spec.Name, err)
	}
	done := make(chan struct{})
	p.cmd, p.done = cmd, done
	go func() {
		p.exit = cmd.Wait()
		close(done)
	}()
	if err := p.waitReady(ctx); err != nil {
		p.Kill()
		return fmt.Errorf("%s: %w", p.spec.Name, err)
	}
	return nil
}

func (p *Process) waitReady(parent context.Context) error {
	ctx, cancel := context.WithTimeout(parent, readyWaitMax)
	defer cancel()
	tick := time.NewTicker(readyPollEvery)
	defer tick.Stop()
	for {
		err := p.spec.Ready(ctx, p)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fault.Newf(fault.FailedPrecondition, "it ended before it was ready (%v): %w; its last words:\n%s", p.exit, err, p.Tail())
		case <-parent.Done():
			return context.Cause(parent)
		case <-ctx.Done():
			return fault.Newf(fault.DeadlineExceeded, "not ready after %s: %w", readyWaitMax, err)
		case <-tick.C:
		}
	}
}

// PID is the process's id; zero if it does not run.
func (p *Process) PID() int {
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// Kill ends the process at once, as kill -9 does, and waits until it has gone.
// One that has ended already is as good.
func (p *Process) Kill() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	<-p.done
	p.cmd = nil
}

// Stop ends the process as SIGTERM does and waits; one that has not gone after
// the wait is killed.
func (p *Process) Stop(wait time.Duration) {
	if p.cmd == nil {
		return
	}
	if p.cmd.Process.Signal(syscall.SIGTERM) == nil {
		select {
		case <-p.done:
		case <-time.After(wait):
		}
	}
	p.Kill()
}

// Tail is the end of the output.
func (p *Process) Tail() string {
	out, _ := os.ReadFile(p.spec.Output)
	return string(out[max(0, len(out)-outputTailMax):])
}

// FreeAddr is an address of the host that nobody listened on a moment ago.
func FreeAddr(ctx context.Context, host string) (string, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "", fault.Newf(fault.Unavailable, "no port is free at %s: %w", host, err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// find looks for a program in PATH.
func find(name, hint string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fault.Newf(fault.FailedPrecondition, "%w; %s", err, hint)
	}
	return path, nil
}
