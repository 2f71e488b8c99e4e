package justcalltest

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"crmsync/internal/justcall"
	"crmsync/sms"
)

// When a webhook of 2.1 is called bad: after so many events in a row that were
// lost. The vendor documents the words, but not the numbers.
const (
	warnedAfter      = 3
	blacklistedAfter = 10
)

// Attempt is one call of a webhook.
type Attempt struct {
	At     time.Time
	Status int // 0: no answer came
	Took   time.Duration
}

// Delivery is what became of one event.
type Delivery struct {
	Kind     sms.Kind
	Text     Text
	Attempts []Attempt
	Answered bool // with 2xx
	Lost     bool // given up, or never posted since the webhook was paused
}

// Key is the event's key in an account.
func (d Delivery) Key(account string) string { return account + "/" + d.Text.ID + "/" + string(d.Kind) }

// Deliveries answers what became of every event so far.
func (s *Server) Deliveries() []Delivery {
	s.sender.mu.Lock()
	defer s.sender.mu.Unlock()
	all := make([]Delivery, len(s.sender.deliveries))
	for i, d := range s.sender.deliveries {
		all[i] = *d
		all[i].Attempts = slices.Clone(d.Attempts)
	}
	return all
}

// Lost answers the events that will not be posted any more, though nobody took them.
func (s *Server) Lost() []Delivery {
	return slices.DeleteFunc(s.Deliveries(), func(d Delivery) bool { return !d.Lost })
}

// Paused reports whether JustCall posts nothing any more: a classic webhook is
// paused, one of 2.1 blacklisted, until [Server.Reactivate].
func (s *Server) Paused() bool {
	s.sender.mu.Lock()
	defer s.sender.mu.Unlock()
	return s.sender.stopped()
}

// Pause pauses the webhook, as after failures.
func (s *Server) Pause() { s.sender.set(true, blacklistedAfter) }

// Reactivate is what a person does in JustCall's settings. What was lost before
// stays lost.
func (s *Server) Reactivate() { s.sender.set(false, 0) }

// Status is the webhook's, in the words of 2.1: Active, Warning or Blacklisted.
func (s *Server) Status() string { return s.sender.status() }

// sender posts webhooks.
type sender struct {
	options Options
	slots   chan struct{}
	context context.Context
	cancel  context.CancelFunc
	under   *sync.WaitGroup

	mu         *sync.Mutex
	deliveries []*Delivery
	pending    int
	quiet      chan struct{} // closed while nothing is pending
	paused     bool
	lost       int // in a row
}

func newSender(o Options) *sender {
	ctx, cancel := context.WithCancel(context.Background())
	quiet := make(chan struct{})
	close(quiet)
	return &sender{
		options: o, slots: make(chan struct{}, o.Parallel), context: ctx, cancel: cancel,
		under: &sync.WaitGroup{}, mu: &sync.Mutex{}, quiet: quiet,
	}
}

func (s *sender) close() {
	s.cancel()
	s.under.Wait()
	s.options.Client.CloseIdleConnections()
}

func (s *sender) idle(ctx context.Context) bool {
	s.mu.Lock()
	quiet := s.quiet
	s.mu.Unlock()
	select {
	case <-quiet:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *sender) set(paused bool, lost int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paused, s.lost = paused, lost
}

// stopped expects the lock.
func (s *sender) stopped() bool {
	if s.options.Dialect == justcall.Classic {
		return s.paused
	}
	return s.lost >= blacklistedAfter
}

func (s *sender) status() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stopped():
		return "Blacklisted"
	case s.lost >= warnedAfter:
		return "Warning"
	}
	return "Active"
}

// post begins to deliver an event.
func (s *sender) post(kind sms.Kind, t Text, at time.Time) {
	if s.options.URL == "" || s.context.Err() != nil {
		return
	}
	body, typ := s.options.webhook(kind, t, at)
	s.mu.Lock()
	defer s.mu.Unlock()
	d := &Delivery{Kind: kind, Text: t, Lost: s.stopped()}
	s.deliveries = append(s.deliveries, d)
	if d.Lost {
		return
	}
	if s.pending++; s.pending == 1 {
		s.quiet = make(chan struct{})
	}
	s.under.Go(func() {
		s.deliver(d, body, typ)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.pending--; s.pending == 0 {
			close(s.quiet)
		}
	})
}

// deliver tries until the event was taken, or JustCall would give it up.
func (s *sender) deliver(d *Delivery, body []byte, typ string) {
	for n := 0; ; n++ {
		attempt, posted := s.attempt(body, typ)
		if !posted {
			s.end(d, nil, false)
			return
		}
		wait, again := s.options.patience(n, attempt.Status)
		if taken := attempt.Status/100 == 2; taken || !again {
			s.end(d, &attempt, taken)
			return
		}
		s.mu.Lock()
		d.Attempts = append(d.Attempts, attempt)
		s.mu.Unlock()
		select {
		case <-time.After(time.Duration(float64(wait) * s.options.Scale)):
		case <-s.context.Done():
		}
	}
}

// end notes how a delivery ended.
func (s *sender) end(d *Delivery, last *Attempt, taken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.Answered, d.Lost = taken, !taken
	if last == nil {
		return
	}
	d.Attempts = append(d.Attempts, *last)
	if taken {
		s.lost = 0
		return
	}
	s.lost++
	s.paused = true
}

// patience is how long JustCall waits before it tries once more, after the n-th
// attempt from 0; false for never. Classic webhooks are tried again after any answer
// but 2xx, those of 2.1 only after some, to which we add none at all
// (https://developer.justcall.io/docs/auto-retry-on-delivery-failure).
func (o Options) patience(n, status int) (wait time.Duration, again bool) {
	if o.Dialect == justcall.Classic {
		waits := []time.Duration{30 * time.Second, 5 * time.Minute, 30 * time.Minute}
		if n >= len(waits) {
			return 0, false
		}
		return waits[n], true
	}
	return 30*time.Second + rand.N(60*time.Second), n < 4 && slices.Contains([]int{0, 429, 500, 502, 503, 504}, status)
}

// attempt posts once; posted is false where the webhook is paused meanwhile.
func (s *sender) attempt(body []byte, typ string) (a Attempt, posted bool) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-s.context.Done():
		return Attempt{}, false
	}
	s.mu.Lock()
	stopped := s.stopped()
	s.mu.Unlock()
	if stopped || s.context.Err() != nil {
		return Attempt{}, false
	}
	a.At = time.Now()
	a.Status = s.call(body, typ)
	a.Took = time.Since(a.At)
	return a, true
}

// call answers the status, 0 where no answer came.
func (s *sender) call(body []byte, typ string) int {
	ctx, cancel := context.WithTimeout(s.context, s.options.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.options.URL, bytes.NewReader(body))
	if err != nil {
		panic("justcalltest: the URL is none")
	}
	if s.options.Dialect == justcall.V21 && s.options.SigningSecret != "" {
		r.Header = Sign(s.options.SigningSecret, s.options.SignedURL, typ, time.Now())
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := s.options.Client.Do(r)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode
}
