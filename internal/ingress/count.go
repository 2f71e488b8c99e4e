package ingress

import (
	"maps"
	"sync"
)

// Counts counts what webhooks were answered, by result, and by reason where the
// result is ignored. It is safe for concurrent use.
type Counts struct {
	mu sync.Mutex
	n  map[string]int64
}

func (c *Counts) add(a Answer) {
	name := a.Result
	if a.Result == Ignored {
		name += ": " + a.Reason // one of a few words
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int64{}
	}
	c.n[name]++
}

// Snapshot answers the counts since the process began.
func (c *Counts) Snapshot() map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.n)
}
