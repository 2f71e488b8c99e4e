//go:build !unix

package devstack

import (
	"os"
	"os/exec"
)

func isolate(*exec.Cmd, bool) {}

func terminate(p *os.Process) error { return p.Kill() }
