package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"crmsync/connectors"
	"crmsync/internal/ledger"
)

// locked is what a renewal works on while it has the lock.
type locked struct {
	fence   int64 // the lock's number
	grant   Grant
	version int64
	note    note
	behind  bool // the store has lost the grant that this process holds
}

// renewal renews the grant under the store's lock, unless somebody else has.
func (s *Source) renewal(ctx context.Context, refused string) (Grant, error) {
	l, err := s.lock(ctx, s.AskTimeout)
	if err != nil {
		return Grant{}, err
	}
	defer s.unlock(ctx)
	now := time.Now()
	if l.grant.ClientID == s.Settings.ClientID && l.grant.fresh(now) &&
		(l.grant.AccessToken != refused || now.Sub(l.grant.Obtained) < settled) {
		return s.take(ctx, l)
	}
	if err := s.mayAsk(l); err != nil {
		return Grant{}, err
	}
	asked := l.note
	asked.Asked = now.UTC()
	s.note(ctx, l.version, asked)
	asking, cancel := context.WithTimeout(ctx, s.AskTimeout)
	defer cancel()
	fresh, err := s.Settings.ask(asking, s.client, l.grant)
	if err != nil {
		return s.failed(ctx, l, err)
	}
	return s.keep(ctx, l.fence, fresh)
}

// lock takes the lock within patience, and reads what is stored.
func (s *Source) lock(ctx context.Context, patience time.Duration) (locked, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		s.mu.Lock()
		known := s.version
		s.mu.Unlock()
		fence, err := s.Store.LockGrant(ctx, s.Connector, s.holder, known, s.Lease)
		if err == nil {
			return s.read(ctx, fence)
		}
		if wait(ctx, 20*time.Millisecond) != nil {
			return locked{}, s.unavailable(err)
		}
	}
}

func (s *Source) unlock(ctx context.Context) {
	if err := s.Store.UnlockGrant(ctx, s.Connector, s.holder); err != nil {
		s.Log.Debug("the lock of a sign-in was not given back: it ends by itself", "connector", s.Connector, "error", err)
	}
}

// read answers the newest grant: the stored one, or what this process holds
// where the store has lost it.
func (s *Source) read(ctx context.Context, fence int64) (locked, error) {
	l := locked{fence: fence}
	stored, err := s.Store.ReadGrant(ctx, s.Connector)
	if err != nil {
		return l, s.unavailable(err)
	}
	l.version = stored.Version
	if len(stored.Value) > 0 && json.Unmarshal(stored.Value, &l.grant) != nil {
		return l, s.unavailable(errors.New("the stored sign-in is damaged"))
	}
	_ = json.Unmarshal(stored.Note, &l.note) // one that cannot be read is none
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.version > l.version {
		l.grant, l.note, l.behind = s.held, note{}, true
	}
	return l, nil
}

// take holds what is stored.
func (s *Source) take(ctx context.Context, l locked) (Grant, error) {
	if l.behind {
		return s.keep(ctx, l.fence, l.grant)
	}
	s.hold(l.grant, l.version, false)
	return l.grant, nil
}

func (s *Source) hold(g Grant, version int64, unsaved bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held, s.version, s.unsaved, s.notYet = g, version, unsaved, time.Time{}
}

// keep stores a grant before it is used. What cannot be stored is held, and
// stored by the next renewal.
func (s *Source) keep(ctx context.Context, fence int64, g Grant) (Grant, error) {
	s.hold(g, fence, true)
	value, err := json.Marshal(g) //nolint:gosec // G117: for the store, which encrypts it
	if err != nil {
		return Grant{}, s.unavailable(err)
	}
	ctx, cancel := context.WithTimeout(ctx, s.AskTimeout)
	defer cancel()
	for {
		switch err := s.Store.WriteGrant(ctx, s.Connector, fence, value); {
		case err == nil:
			s.hold(g, fence, false)
			s.Log.Debug("signed in anew", "connector", s.Connector, "expires", g.Expiry)
			return g, nil
		case errors.Is(err, ledger.ErrFenced):
			s.hold(Grant{}, 0, false) // the younger one is read next
			return Grant{}, s.unavailable(err)
		case wait(ctx, 100*time.Millisecond) != nil:
			s.Log.Warn("a renewed sign-in could not be stored yet, and would be lost with this process",
				"connector", s.Connector, "error", err)
			return Grant{}, s.unavailable(err)
		}
	}
}

// mayAsk says why the vendor need not be asked at all.
func (s *Source) mayAsk(l locked) error {
	switch {
	case !s.Settings.Shared():
		return nil
	case l.grant.Zero():
		return s.ended(errors.New("nobody has signed in yet"))
	case l.grant.ClientID != s.Settings.ClientID:
		return s.ended(errors.New("the sign-in was for another oauth.client_id"))
	case l.grant.RefreshToken == "":
		return s.ended(errors.New("the CRM has ended the sign-in, and gave nothing to renew it with"))
	case time.Since(l.note.Refused) < retrial:
		return s.ended(l.note)
	}
	return nil
}

// failed draws the conclusion from an answer that is no token.
func (s *Source) failed(ctx context.Context, l locked, err error) (Grant, error) {
	e, answered := s.Settings.verdict(err)
	if !errors.Is(e, errRefused) || !s.Settings.Shared() {
		if answered {
			s.note(ctx, l.version, l.note)
		}
		return Grant{}, e
	}
	// Somebody whose lock had run out may have come first.
	if now, err := s.read(ctx, l.fence); err == nil && now.version != l.version && now.grant.fresh(time.Now()) {
		return s.take(ctx, now)
	}
	n := note{Refused: time.Now().UTC(), Why: e.Err.Error(), Lost: l.note.Lost}
	if !l.note.Asked.IsZero() {
		n.Lost = l.note.Asked
	}
	s.note(ctx, l.version, n)
	s.Log.Warn("the CRM has ended a sign-in", "connector", s.Connector, "reason", n.Error())
	return Grant{}, s.ended(n)
}

// Error says why a grant does not work any more.
func (n note) Error() string {
	if n.Lost.IsZero() {
		return n.Why
	}
	return fmt.Sprintf("%s: the answer to the renewal of %s was lost, and may have held the only valid token",
		n.Why, n.Lost.Format(time.RFC3339))
}

// note keeps a note where that can be: it only makes a message better.
func (s *Source) note(ctx context.Context, version int64, n note) {
	value, err := json.Marshal(n)
	if err == nil {
		err = s.Store.NoteGrant(ctx, s.Connector, version, value)
	}
	if err != nil {
		s.Log.Debug("no note of a sign-in's state was kept", "connector", s.Connector, "error", err)
	}
}

// ended pauses the lane until a person has run the command.
func (s *Source) ended(reason error) error {
	return &connectors.Error{
		Op: "sign in", Kind: connectors.Auth, Err: fmt.Errorf("%w: run 'crmsync auth %s'", reason, s.Connector),
	}
}

// unavailable says that nothing was sent, and that nothing is lost.
func (s *Source) unavailable(reason error) error {
	return &connectors.Error{Op: "sign in", Kind: connectors.Unavailable, Err: fmt.Errorf("not sent: %w", reason)}
}

// wait ends early with the context.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
