package oauth

import (
	"context"
	"errors"
	"time"

	"crmsync/connectors"
)

// Status is how a sign-in does. It holds no token.
type Status struct {
	Connector string          `json:"connector"`
	Flow      connectors.Flow `json:"flow"`
	// SignedIn is when a person did; zero: nobody has, or none need.
	SignedIn time.Time `json:"signed_in,omitzero"`
	// Renewed is when the access token came, Expires when it ends; zero: nobody
	// knows.
	Renewed time.Time `json:"renewed,omitzero"`
	Expires time.Time `json:"expires,omitzero"`
	// Ends is when the sign-in ends unless it is renewed before; zero: never.
	Ends   time.Time `json:"ends,omitzero"`
	Scopes []string  `json:"scopes,omitempty"`
	// InstanceURL is the address of the API, where the vendor says one.
	InstanceURL string `json:"instance_url,omitempty"`
	// Renewable: the vendor gave something to renew the token with.
	Renewable bool `json:"renewable"`
	// Problem is why a person has to sign in; empty: none need.
	Problem string `json:"problem,omitempty"`
}

// Status looks into the store, and asks the vendor nothing.
func (s *Source) Status(ctx context.Context) (Status, error) {
	status := Status{Connector: s.Connector, Flow: s.Settings.Flow}
	l, err := s.read(ctx, 0)
	if err != nil {
		return status, err
	}
	if !s.Settings.Shared() {
		return status, nil
	}
	g := l.grant
	status.SignedIn, status.Renewed, status.Expires = g.SignedIn, g.Obtained, g.Expiry
	status.Renewable = g.RefreshToken != ""
	status.Scopes, status.InstanceURL, status.Ends = g.Scopes, g.InstanceURL, s.ends(g)
	if g.ClientID == s.Settings.ClientID && g.valid(time.Now()) {
		return status, nil
	}
	if e, ok := errors.AsType[*connectors.Error](s.mayAsk(l)); ok {
		status.Problem = e.Err.Error()
	}
	return status, nil
}

// ends is when a grant ends that is not renewed.
func (s *Source) ends(g Grant) time.Time {
	if s.Settings.Unused == 0 || g.Zero() {
		return time.Time{}
	}
	return g.Obtained.Add(s.Settings.Unused)
}

// Tend renews a sign-in that would end for not being used, once a quarter of its
// time has passed. Where a person has to sign in it does nothing.
func (s *Source) Tend(ctx context.Context) error {
	if !s.Settings.Shared() || s.Settings.Unused == 0 {
		return nil
	}
	l, err := s.read(ctx, 0)
	if err != nil || s.mayAsk(l) != nil || time.Since(l.grant.Obtained) < s.Settings.Unused/4 {
		return err
	}
	_, err = s.renew(ctx, l.grant.AccessToken)
	return err
}
