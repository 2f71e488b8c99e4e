//go:build unix && !linux

package devstack

import (
	"os"
	"os/exec"
	"syscall"
)

// isolate gives the process a group of its own. These systems cannot tie a
// process to its parent's life.
func isolate(cmd *exec.Cmd, _ bool) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}

func terminate(p *os.Process) error { return p.Signal(syscall.SIGTERM) }
