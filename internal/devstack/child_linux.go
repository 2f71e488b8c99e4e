package devstack

import (
	"os"
	"os/exec"
	"syscall"
)

// isolate gives the process a group of its own and, if asked, has the kernel
// kill it when the thread that started it ends.
func isolate(cmd *exec.Cmd, withParent bool) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if withParent {
		cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
}

func terminate(p *os.Process) error { return p.Signal(syscall.SIGTERM) }
