package e2e

import (
	"bytes"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// tick is a second of the fake JustCall's clock.
const tick = time.Second / 30

// retries are JustCall's, of classic webhooks: after the last one the webhook is
// paused.
var retries = []time.Duration{0, 30 * tick, 300 * tick, 1800 * tick}

// sender posts webhooks as JustCall does.
type sender struct {
	url    string
	client *http.Client
	all    sync.WaitGroup

	mu       sync.Mutex
	answered map[int]bool // by place in the traffic: those that were answered 2xx
	again    int          // posts that were not
	slowest  time.Duration
	paused   bool
}

func newSender(url string) *sender {
	return &sender{
		url: url, answered: map[int]bool{},
		client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 100}},
	}
}

// send posts events from one to before another, one every so often, whatever
// becomes of those before.
func (s *sender) send(events []posted, from, to int, every time.Duration) {
	s.all.Go(func() {
		due := time.NewTicker(every)
		defer due.Stop()
		for i := from; i < to; i++ {
			s.all.Go(func() { s.post(i, events[i].body) })
			<-due.C
		}
	})
}

// fill posts events before any fault, a few at a time.
func (s *sender) fill(events []posted, to int) {
	var next atomic.Int64
	var posters sync.WaitGroup
	for range 4 {
		posters.Go(func() {
			for i := int(next.Add(1)) - 1; i < to; i = int(next.Add(1)) - 1 {
				for !s.try(i, events[i].body) {
					<-time.After(tick)
				}
			}
		})
	}
	posters.Wait()
	s.again = 0
}

func (s *sender) post(i int, body []byte) {
	for _, wait := range retries {
		<-time.After(wait)
		if s.try(i, body) {
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paused = true
}

func (s *sender) try(i int, body []byte) bool {
	begun := time.Now()
	response, err := s.client.Post(s.url, "application/json", bytes.NewReader(body))
	ok := err == nil && response.StatusCode/100 == 2
	if err == nil {
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !ok {
		s.again++
		return false
	}
	s.answered[i] = true
	s.slowest = max(s.slowest, time.Since(begun))
	return true
}

// reached waits until so many were answered 2xx.
func (s *sender) reached(t *testing.T, n int) {
	t.Helper()
	eventually(t, patience, "webhooks are answered", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.answered) >= n
	})
}
