package netlab

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"skein/internal/fault"
)

// stopWait is how long a program inside may take to end after SIGTERM.
const stopWait = 30 * time.Second

// Enter runs a program in a network of its own, with which it ends, and
// returns its exit code. When ctx ends it is told to stop, and is killed if it
// does not. It needs root.
func Enter(ctx context.Context, argv []string, out, err io.Writer) (int, error) {
	if e := check(); e != nil {
		return 0, e
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "NO_PROXY=*", "no_proxy=*") // none could be reached
	cmd.Stdout, cmd.Stderr = out, err
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopWait
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:   syscall.CLONE_NEWNET,
		Unshareflags: syscall.CLONE_NEWNS,
		Pdeathsig:    syscall.SIGKILL,
		Setpgid:      true, // a Ctrl-C reaches it once, by ctx
	}
	e := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(e, &exit) && exit.ExitCode() >= 0:
		return exit.ExitCode(), nil
	case ctx.Err() != nil:
		return 0, context.Cause(ctx)
	case errors.Is(e, syscall.EPERM):
		return 0, fault.Newf(fault.PermissionDenied, "networks cannot be made here: %w; a container needs the capability SYS_ADMIN", e)
	}
	return 0, e
}

// check says what is missing for networks.
func check() error {
	if os.Geteuid() != 0 {
		return fault.New(fault.PermissionDenied, "networks with slow links are made by root only: run it with sudo")
	}
	for _, name := range []string{"ip", "tc"} {
		if _, err := exec.LookPath(name); err != nil {
			return fault.Newf(fault.FailedPrecondition, "%w; install it, for example: apt-get install -y iproute2", err)
		}
	}
	return nil
}

// inside tells whether this process has another network than its parent.
func inside() bool {
	ours, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return false
	}
	parents, err := os.Readlink("/proc/" + strconv.Itoa(os.Getppid()) + "/ns/net")
	return err == nil && ours != parents
}

// hideNames gives ip-netns an empty directory of names, for this process and
// its children alone.
func hideNames() error {
	const dir = "/run/netns"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return syscall.Mount("tmpfs", dir, "tmpfs", 0, "")
}
