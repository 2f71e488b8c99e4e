//go:build unix

package devstack

import (
	"os"
	"syscall"
)

// tryLock takes the file for this process until it is closed; false: another
// process has it.
func tryLock(f *os.File) (bool, error) {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == syscall.EWOULDBLOCK {
		return false, nil
	}
	return err == nil, err
}
