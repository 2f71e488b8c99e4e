package ledger

import (
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// pause is how long calls are skipped after a failure, before the next trial.
const pause = 500 * time.Millisecond

// access tells reads from writes: a Redis that is full or a replica answers
// reads and refuses writes, and must not go up and down with every call.
type access int

const (
	read access = iota
	write
)

// State is how Redis does, as far as calls have shown. It is taken to be up
// until one has failed.
type State struct {
	Up    bool      `json:"up"`
	Since time.Time `json:"since"` // of the last change, or of Open
	// LastError is why the last call failed, without secrets; it stays after
	// Redis has come up again.
	LastError string `json:"last_error,omitempty"`
}

// health decides which calls are tried.
type health struct {
	log     hclog.Logger
	secrets []string
	now     func() time.Time

	mu     sync.Mutex
	s      State
	broken access    // of the failed call: only its like proves that all is well
	trial  time.Time // when down: the next call at or after it is tried
}

func (h *health) init(log hclog.Logger, secrets []string) {
	if log == nil {
		log = hclog.NewNullLogger()
	}
	h.log, h.secrets, h.now = log, secrets, time.Now
	h.s = State{Up: true, Since: h.now()}
}

func (h *health) state() State {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.s
}

// allow reports whether a call may be tried: always when up, and once in a
// while when down.
func (h *health) allow() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.s.Up {
		return true
	}
	now := h.now()
	if now.Before(h.trial) {
		return false
	}
	h.trial = now.Add(pause)
	return true
}

func (h *health) succeeded(a access) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.s.Up || a < h.broken {
		return
	}
	now := h.now()
	h.log.Info("redis is up again: memories are read and kept", "after", now.Sub(h.s.Since).Round(time.Millisecond))
	h.s.Up, h.s.Since, h.broken = true, now, read
}

func (h *health) failed(a access, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	h.trial = now.Add(pause)
	h.s.LastError = err.Error()
	h.broken = max(h.broken, a)
	if !h.s.Up {
		return
	}
	h.s.Up, h.s.Since = false, now
	h.log.Warn("redis is down: nothing is lost, but repeated webhooks go to Temporal and contacts are searched for anew",
		"error", h.s.LastError)
}

func (h *health) mask(err error) error {
	if err == nil {
		return nil
	}
	if s := clean(err, h.secrets); s != err.Error() {
		return errors.New(s)
	}
	return err
}

// clean removes what an answer or a library might repeat: the password, and the
// arguments of a command, which hold keys.
func clean(err error, secrets []string) string {
	s, _, _ := strings.Cut(err.Error(), ", with args")
	return maskSecrets(s, secrets)
}

func maskSecrets(s string, secrets []string) string {
	for _, secret := range secrets {
		s = strings.ReplaceAll(s, secret, "***")
	}
	return s
}
