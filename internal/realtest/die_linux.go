package realtest

import (
	"os/exec"
	"syscall"
)

// dieWithParent makes the kernel end the server if the test process dies
// without cleaning up, as it does on a test timeout.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
