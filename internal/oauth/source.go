package oauth

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sync/singleflight"

	"crmsync/connectors"
)

// Options say what a Source works with.
type Options struct {
	// Connector is the instance's name.
	Connector string
	Settings  Settings
	// Store keeps a person's grant; other flows do not use it.
	Store Store
	// Transport leads to the token endpoint; nil: http.DefaultTransport.
	Transport http.RoundTripper
	// Log is told of renewals, without tokens; nil: nobody.
	Log hclog.Logger
	// AskTimeout and Lease shorten those of the package, for tests; 0: as they are.
	AskTimeout, Lease time.Duration
}

// Source is an instance's sign-in. It is safe for concurrent use.
type Source struct {
	Options
	client *http.Client
	holder string // of the store's locks
	flight singleflight.Group
	under  sync.WaitGroup // renewals that are under way

	mu      sync.Mutex
	held    Grant
	version int64     // of held, in the store
	unsaved bool      // held is newer than the store's, which could not be written
	notYet  time.Time // before when a token that still holds is not renewed
}

// NewSource does no I/O.
func NewSource(o Options) *Source {
	if !o.Settings.Shared() {
		o.Store = &memory{table: table{}}
	}
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	if o.Transport == nil {
		o.Transport = http.DefaultTransport
	}
	o.AskTimeout, o.Lease = cmp.Or(o.AskTimeout, askTimeout), cmp.Or(o.Lease, lease)
	return &Source{Options: o, client: tokenClient(o.Transport), holder: rand.Text()}
}

// Grant answers a grant whose token can be used now. Its error is a
// *connectors.Error: of kind AUTH where a person has to sign in, and it names the
// command.
func (s *Source) Grant(ctx context.Context) (connectors.Grant, error) {
	g, err := s.current(ctx)
	if err != nil {
		return connectors.Grant{}, err
	}
	return connectors.Grant{Token: g.AccessToken, InstanceURL: g.InstanceURL}, nil
}

// current answers what is held, renewed where that is due.
func (s *Source) current(ctx context.Context) (Grant, error) {
	now := time.Now()
	held, usable, notYet := s.holding()
	if usable && (held.fresh(now) || now.Before(notYet)) {
		return held, nil
	}
	if usable {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, hurry)
		defer cancel()
	}
	g, err := s.renew(ctx, "")
	if err == nil || !usable {
		return g, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notYet = time.Now().Add(pause)
	return held, nil
}

// holding answers what this process holds, and whether it can be used.
func (s *Source) holding() (held Grant, usable bool, notYet time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held, !s.unsaved && s.held.valid(time.Now()), s.notYet
}

// renew answers a grant that is fresh, and whose access token is not the one that
// was refused, where there is one. It goes on when ctx ends, since others may wait
// for it, and since an answer of the vendor must not be lost.
func (s *Source) renew(ctx context.Context, refused string) (Grant, error) {
	if held, usable, _ := s.holding(); refused != "" && usable && held.AccessToken != refused {
		return held, nil
	}
	s.under.Add(1)
	ended := make(chan singleflight.Result, 1)
	go func() {
		defer s.under.Done()
		ended <- s.join(refused)
	}()
	select {
	case r := <-ended:
		g, _ := r.Val.(Grant)
		return g, r.Err
	case <-ctx.Done():
		return Grant{}, s.unavailable(fmt.Errorf("the sign-in is being renewed: %w", ctx.Err()))
	}
}

// join waits for the renewal that is under way, or makes one. Who does not know of
// a refusal may just have read the refused token from the store: that is no answer
// to who does.
func (s *Source) join(refused string) singleflight.Result {
	for {
		// Neither the caller's end nor its traces are the renewal's.
		r := <-s.flight.DoChan("", func() (any, error) {
			g, err := s.renewal(context.Background(), refused)
			return renewed{g, refused}, err
		})
		done, _ := r.Val.(renewed)
		if r.Err != nil || refused == "" || done.refused == refused || done.AccessToken != refused {
			r.Val = done.Grant
			return r
		}
	}
}

// renewed is a renewal's answer to who was refused a token.
type renewed struct {
	Grant
	refused string
}

// Wait waits until no renewal is under way, or ctx ends, so that a process which
// stops takes no grant with it.
func (s *Source) Wait(ctx context.Context) {
	ended := make(chan struct{})
	go func() { s.under.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-ctx.Done():
	}
}
