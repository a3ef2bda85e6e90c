package launch

import (
	"os/exec"
	"syscall"
)

// dieWithParent makes the kernel end the server if this process dies without
// cleaning up. A group of its own keeps a Ctrl-C from it, so that it ends when
// its owner says so.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
