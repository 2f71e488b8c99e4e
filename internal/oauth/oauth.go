// Package oauth signs connectors in to their vendors with OAuth 2.0, and keeps
// them signed in.
//
//	settings, err := oauth.Resolve(cfg, definition.SignIn)  // the configuration over the vendor's endpoints
//	source := oauth.NewSource(oauth.Options{Connector: "hubspot", Settings: settings, Store: store, …})
//	client.Transport = source.Transport(next)                // the token stands on each request
//	env := connectors.Env{Client: client, Grant: source.Grant}
//
// # Renewal
//
// A [Source] renews a token before it expires, and once where the vendor refuses
// it (401): then the request is repeated, which is safe, since one that was
// refused has done nothing. Everybody in the process who needs the new token
// waits for the same renewal.
//
// Many vendors take each refresh token once: a second use is refused, and may end
// the sign-in for good. So all processes share the grant through a [Store], and
// one of them renews it: it takes the store's lock, reads the grant again, notes
// that it is about to ask, asks, writes the answer, and only then uses it. It asks
// for at most [askTimeout], well below the lock's [lease]. Locks are numbered, and
// the store lets no grant be replaced by one of a lower number, so that whoever
// was asleep for longer than its lease can do no harm.
//
// # What can be lost
//
// Where a process dies between the vendor's answer and the store's, the new
// refresh token is lost, and with a vendor that takes each once so is the sign-in:
// its lane pauses, and says that and which command to run. The note tells this
// from a sign-in that was revoked. A failure of the vendor, the network or the
// store loses nothing: an answer that cannot be stored is kept in memory, and is
// not used before it is. A store that comes back with an older grant than this
// process has is given the newer one.
//
// A grant that was refused is kept, and tried again every [retrial].
//
// # Flows without a person
//
// Client credentials and signed assertions need no grant: each process asks for
// its own token, and stores none.
package oauth

import (
	"fmt"
	"time"
)

const (
	// askTimeout bounds each of the three parts of a renewal: the wait for the
	// lock, the vendor's answer, and the writing of it.
	askTimeout = 10 * time.Second
	// lease is how long a lock is held at most; a process that dies holds the
	// others up for that long.
	lease = 3 * askTimeout
	// early is how long before its end a token is renewed at most: long enough for
	// a vendor's token endpoint to be away for a while.
	early = 5 * time.Minute
	// pause is how long a renewal that failed is not tried again while the old
	// token still holds.
	pause = 20 * time.Second
	// hurry is how long a request waits for a renewal while the old token still
	// holds.
	hurry = 2 * time.Second
	// settled is how old a token is at least that is renewed for being refused: a
	// vendor that refuses a newer one has another reason.
	settled = time.Minute
	// retrial is how long a refused grant is left alone.
	retrial = 15 * time.Minute
)

// Grant is what a vendor gave on sign-in. However it is printed it shows no
// token.
type Grant struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token,omitempty"`
	// Expiry is when the access token ends; zero: nobody knows.
	Expiry time.Time `json:"expiry,omitzero"`
	// Obtained is when the access token came, SignedIn when a person signed in.
	Obtained time.Time `json:"obtained"`
	SignedIn time.Time `json:"signed_in,omitzero"`
	// Scopes are those that the vendor says it has granted; empty: as asked.
	Scopes      []string `json:"scopes,omitempty"`
	InstanceURL string   `json:"instance_url,omitempty"`
	// ClientID is the application that it was given to.
	ClientID string `json:"client_id"`
}

// Format implements fmt.Formatter for every verb.
func (g Grant) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "grant of %s, obtained %s", g.ClientID, g.Obtained.Format(time.RFC3339))
}

// Zero reports whether there is no grant.
func (g Grant) Zero() bool { return g.AccessToken == "" && g.RefreshToken == "" }

// valid reports whether the access token still holds, as far as is known.
func (g Grant) valid(now time.Time) bool {
	return g.AccessToken != "" && (g.Expiry.IsZero() || now.Before(g.Expiry))
}

// fresh reports whether the access token need not be renewed yet.
func (g Grant) fresh(now time.Time) bool {
	ahead := min(early, g.Expiry.Sub(g.Obtained)/5)
	return g.valid(now) && (g.Expiry.IsZero() || now.Before(g.Expiry.Add(-ahead)))
}

// over fills in what an answer to a renewal leaves out.
func (g Grant) over(old Grant) Grant {
	if g.RefreshToken == "" {
		g.RefreshToken = old.RefreshToken
	}
	if g.InstanceURL == "" {
		g.InstanceURL = old.InstanceURL
	}
	if len(g.Scopes) == 0 {
		g.Scopes = old.Scopes
	}
	g.SignedIn = old.SignedIn
	return g
}

// note is what is known of a stored grant beside itself.
type note struct {
	// Asked is when a renewal was sent whose end nobody has noted.
	Asked time.Time `json:"asked,omitzero"`
	// Refused is when the vendor last refused the grant, and Why in its words.
	Refused time.Time `json:"refused,omitzero"`
	Why     string    `json:"why,omitempty"`
	// Lost is when a renewal was sent that was cut off, before the refusal.
	Lost time.Time `json:"lost,omitzero"`
}
