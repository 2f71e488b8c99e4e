package devstack

import (
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"
)

// stopTimeout is how long a server may take to stop before it is killed.
const stopTimeout = 15 * time.Second

// child is a server process that does not outlive this one.
type child struct {
	cmd    *exec.Cmd
	stdin  io.Closer     // closing it asks the process to stop; nil: a signal does
	done   chan struct{} // closed when the process has ended
	output *tail
	err    error // how it ended, once done is closed
}

// startChild starts cmd. Its stderr, and its stdout when nothing else takes
// it, go to logs; the end of them is kept for error messages.
func startChild(cmd *exec.Cmd, logs io.Writer, byPipe bool) (*child, error) {
	c := &child{cmd: cmd, done: make(chan struct{}), output: &tail{}}
	w := io.Writer(c.output)
	if logs != nil {
		w = io.MultiWriter(c.output, logs)
	}
	cmd.Stderr = w
	if cmd.Stdout == nil {
		cmd.Stdout = w
	}
	// A grandchild that inherited the pipes must not hold up Wait.
	cmd.WaitDelay = time.Second
	if byPipe {
		stdin, err := cmd.StdinPipe()
		if err != nil {
			return nil, err
		}
		c.stdin = stdin
	}
	isolate(cmd, !byPipe)
	return c, c.run()
}

// run starts the process on a thread of its own and stays there: the kernel
// kills such a child when the thread that started it ends, and Go ends threads.
func (c *child) run() error {
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := c.cmd.Start()
		started <- err
		if err == nil {
			c.err = c.cmd.Wait()
			close(c.done)
		}
	}()
	return <-started
}

// alive tells whether the process still runs.
func (c *child) alive() bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

// stop asks the process to end and waits, and kills it when it does not.
func (c *child) stop() error {
	if !c.alive() {
		return nil
	}
	if c.stdin != nil {
		_ = c.stdin.Close()
	} else if terminate(c.cmd.Process) != nil {
		return c.kill()
	}
	select {
	case <-c.done:
		return c.err
	case <-time.After(stopTimeout):
		return errors.Join(fmt.Errorf("%s did not stop within %s and was killed", c.cmd.Path, stopTimeout), c.kill())
	}
}

// kill ends the process at once, without a chance to clean up.
func (c *child) kill() error {
	if !c.alive() {
		return nil
	}
	err := c.cmd.Process.Kill()
	<-c.done
	if !c.alive() {
		return nil
	}
	return err
}

// died describes an unexpected end, with the last words.
func (c *child) died() error {
	return fmt.Errorf("it ended early (%w): %s", c.err, c.output)
}

// tail is a writer that keeps the last few thousand bytes.
type tail struct {
	mu   sync.Mutex
	data []byte
}

const tailSize = 8 << 10

// Write never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, p...)
	if over := len(t.data) - tailSize; over > 0 {
		t.data = append([]byte(nil), t.data[over:]...)
	}
	return len(p), nil
}

// String is what was written last.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.data))
}
