package e2e

import (
	"os/exec"
	"syscall"
)

// ownGroup puts a child into a process group of its own, and makes the kernel
// end it when the test process dies without cleaning up.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
