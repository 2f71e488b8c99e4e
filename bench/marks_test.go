//go:build linux

package bench

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// marks notes when something happened to each event for the first time.
type marks struct {
	mu sync.Mutex
	of map[string]*mark
}

type mark struct {
	at   time.Time
	done chan struct{}
}

func newMarks() *marks { return &marks{of: map[string]*mark{}} }

func (m *marks) get(id string) *mark {
	if m.of[id] == nil {
		m.of[id] = &mark{done: make(chan struct{})}
	}
	return m.of[id]
}

// note notes that it happens now.
func (m *marks) note(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k := m.get(id); k.at.IsZero() {
		k.at = time.Now()
		close(k.done)
	}
}

// wait waits until it has happened, and answers when.
func (m *marks) wait(ctx context.Context, id string) (time.Time, error) {
	m.mu.Lock()
	k := m.get(id)
	m.mu.Unlock()
	select {
	case <-k.done:
		return k.at, nil
	case <-ctx.Done():
		return time.Time{}, fmt.Errorf("event %s did not arrive: %w", id, ctx.Err())
	}
}

// firstAfter answers the first event's instant after t; zero: there is none.
func (m *marks) firstAfter(t time.Time) (first time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range m.of {
		if k.at.After(t) && (first.IsZero() || k.at.Before(first)) {
			first = k.at
		}
	}
	return first
}
