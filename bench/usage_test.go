//go:build linux

package bench

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of CPU time in /proc: USER_HZ, which is 100 everywhere.
const clockTick = 10 * time.Millisecond

// cpuOf is the CPU time that processes and their children have used.
func cpuOf(pids ...int) (total time.Duration) {
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		stat, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		// The name, in parentheses, may hold anything; after it come the state, the
		// parent, and as 12th and 13th the times (proc(5)).
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if !slices.Contains(pids, pid) && !slices.Contains(pids, atoi(fields[1])) {
			continue
		}
		total += time.Duration(atoi(fields[11])+atoi(fields[12])) * clockTick
	}
	return total
}

func atoi(text string) int {
	n, _ := strconv.Atoi(text)
	return n
}

// memoryOf is the most memory that a process has held, in MiB.
func memoryOf(pid int) float64 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			return float64(atoi(strings.Fields(value)[0])) / 1024
		}
	}
	return 0
}

// memoryOfAll is the sum of what the processes have held at most.
func memoryOfAll(pids []int) (sum float64) {
	for _, pid := range pids {
		sum += memoryOf(pid)
	}
	return sum
}
