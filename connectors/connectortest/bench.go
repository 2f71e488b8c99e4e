package connectortest

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/sms"
)

// bench is where one case runs. It records failures in place of reporting them,
// so that a waiver can be checked for being stale.
type bench struct {
	testing.TB
	h Harness

	mu       sync.Mutex
	failures []string
	cleanups []func()
	shown    []string // what errors said
	secrets  []string // what none may say
}

// examine runs a case and answers why it failed, "" if it did not.
func examine(t testing.TB, h Harness, run func(*bench)) string {
	b := &bench{TB: t, h: h, secrets: []string{confidential, numbers}}
	done := make(chan struct{})
	go func() { // FailNow ends its goroutine
		defer close(done)
		defer b.cleanup()
		defer b.recovered()
		run(b)
		b.searchSecrets()
	}()
	<-done
	return strings.Join(b.failures, "\n")
}

func (b *bench) recovered() {
	if r := recover(); r != nil {
		b.Errorf("panic: %v\n%s", r, debug.Stack())
	}
}

func (b *bench) cleanup() {
	for _, f := range slices.Backward(b.cleanups) {
		f()
	}
}

// Errorf implements testing.TB.
func (b *bench) Errorf(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures = append(b.failures, fmt.Sprintf(format, args...))
}

// Error implements testing.TB.
func (b *bench) Error(args ...any) { b.Errorf("%s", fmt.Sprint(args...)) }

// Fail implements testing.TB.
func (b *bench) Fail() { b.Errorf("failed") }

// FailNow implements testing.TB.
func (b *bench) FailNow() {
	if !b.Failed() {
		b.Fail()
	}
	runtime.Goexit()
}

// Fatal implements testing.TB.
func (b *bench) Fatal(args ...any) { b.Error(args...); b.FailNow() }

// Fatalf implements testing.TB.
func (b *bench) Fatalf(format string, args ...any) { b.Errorf(format, args...); b.FailNow() }

// Failed implements testing.TB.
func (b *bench) Failed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.failures) > 0
}

// Cleanup implements testing.TB: fakes are released when their case ends.
func (b *bench) Cleanup(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cleanups = append(b.cleanups, f)
}

// show keeps everything that printing an error may bring to light.
func (b *bench) show(err *connectors.Error) {
	if err == nil {
		return
	}
	said := fmt.Sprintf("%s %+v %#v %+v %#v", err.Error(), err, err, err.Err, err.Err)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shown = append(b.shown, said)
}

func (b *bench) searchSecrets() {
	for _, said := range b.shown {
		for _, secret := range b.secrets {
			if secret != "" && strings.Contains(said, secret) {
				b.Errorf("an error shows what it must not: %q in %q", secret, said)
				return
			}
		}
	}
}

// session is a connector that is open on a fresh fake.
type session struct {
	*bench
	fake      Fake
	store     Store
	wire      *wire
	connector connectors.Connector
	ctx       context.Context
}

func (b *bench) open() *session {
	b.Helper()
	fake := b.h.Start(b)
	require.NotNil(b, fake.Store, "Harness.Start: Store is missing")
	b.secrets = append(b.secrets, fake.Secrets...)
	w := newWire(fake.Transport, b.h.reads)
	b.Cleanup(w.close)
	connector, err := b.h.Definition.Open(Config("suite", fake.Config), connectors.Env{
		Client: &http.Client{Transport: w}, Grant: fake.Grant,
	})
	require.NoError(b, err, "Open")
	require.Zero(b, w.count(), "Open did I/O")
	return &session{bench: b, fake: fake, store: fake.Store, wire: w, connector: connector, ctx: b.Context()}
}

// outcomes checks what every answer of a batch must fulfil.
func (s *session) outcomes(asked int, out []connectors.Outcome) []connectors.Outcome {
	s.Helper()
	require.Len(s, out, asked, "one outcome for each item")
	for i, o := range out {
		s.show(o.Err)
		require.Equal(s, o.State == connectors.Failed, o.Err != nil, "item %d: Err is set if and only if it failed", i)
		require.Contains(s, []connectors.State{
			connectors.Written, connectors.Existed, connectors.NotApplicable,
			connectors.NotAttempted, connectors.Failed,
		}, o.State, "item %d", i)
		if o.Err != nil {
			s.wellFormed(o.Err)
		}
	}
	return out
}

// failure checks the form of an error and answers it.
func (s *session) failure(err error) *connectors.Error {
	s.Helper()
	if err == nil {
		return nil
	}
	e, ok := err.(*connectors.Error) //nolint:errorlint // a wrapped one breaks the contract
	require.True(s, ok, "the error is a %T, not a *connectors.Error", err)
	require.NotNil(s, e, "the error is a nil *connectors.Error")
	s.show(e)
	s.wellFormed(e)
	return e
}

func (s *session) wellFormed(e *connectors.Error) {
	s.Helper()
	require.Contains(s, []connectors.Kind{
		connectors.Unavailable, connectors.RateLimited, connectors.Unknown,
		connectors.Auth, connectors.Invalid, connectors.Forbidden, connectors.NotFound, connectors.Conflict,
		connectors.Unsupported,
	}, e.Kind)
	require.NotEmpty(s, e.Op, "the error does not say what failed")
}

func (s *session) put(records ...connectors.Record) []connectors.Outcome {
	s.Helper()
	return s.outcomes(len(records), s.connector.PutMessages(s.ctx, records))
}

// written puts records that must arrive, and remembers where they are.
func (s *session) written(records ...connectors.Record) []connectors.Record {
	s.Helper()
	for i, o := range s.put(records...) {
		require.Equal(s, connectors.Written, o.State, "put %s: %v", records[i].Key, o.Err)
		require.False(s, o.Ref.Zero(), "put %s: Ref is missing", records[i].Key)
		records[i].Known = o.Ref
	}
	return records
}

func (s *session) status(changes ...connectors.StatusChange) []connectors.Outcome {
	s.Helper()
	return s.outcomes(len(changes), s.connector.(connectors.StatusUpdater).UpdateStatus(s.ctx, changes))
}

func (s *session) consent(changes ...connectors.ConsentChange) []connectors.Outcome {
	s.Helper()
	return s.outcomes(len(changes), s.connector.(connectors.ConsentSetter).SetConsent(s.ctx, changes))
}

func (s *session) find(phones ...sms.Phone) ([][]connectors.Contact, error) {
	s.Helper()
	found, err := s.connector.(connectors.ContactFinder).FindContacts(s.ctx, phones)
	if s.failure(err) == nil {
		require.Len(s, found, len(phones), "one answer for each phone")
	}
	return found, err
}

func (s *session) findMessages(records ...connectors.Record) ([][]connectors.Found, error) {
	s.Helper()
	found, err := s.connector.(connectors.MessageFinder).FindMessages(s.ctx, records)
	if s.failure(err) == nil {
		require.Len(s, found, len(records), "one answer for each record")
	}
	return found, err
}

func (s *session) create(n connectors.NewContact) (connectors.Contact, error) {
	s.Helper()
	c, err := s.connector.(connectors.ContactCreator).CreateContact(s.ctx, n)
	if s.failure(err) == nil {
		require.False(s, c.Zero(), "a contact without an id")
	}
	return c, err
}

// class asks the connector for its class.
func (s *session) class() connectors.Class {
	s.Helper()
	caps, err := s.connector.Check(s.ctx)
	require.NoError(s, err, "Check")
	return caps.Class
}

// contact adds a contact with the n-th number.
func (s *session) contact(n int) connectors.Ref {
	return s.store.AddContact(Contact{Name: fmt.Sprintf("Contact %d", n), Phones: []string{string(phone(n))}})
}

// confidential stands in every text that the suite sends.
const confidential = "lorem-ipsum-4711"

// numbers is how every number of the suite starts that belongs to a contact.
const numbers = "+1512555"

// phone is the n-th number of the suite.
func phone(n int) sms.Phone { return sms.Phone(fmt.Sprintf("%s%04d", numbers, 1000+n)) }

// record is the n-th text of the suite.
func record(n int, contact connectors.Ref) connectors.Record {
	id := fmt.Sprintf("msg_%d", n)
	body := fmt.Sprintf("text %d %s", n, confidential)
	return connectors.Record{
		Key:     "main/" + id,
		Contact: contact,
		Subject: "SMS",
		Body:    body,
		Message: sms.Message{
			ID: id, Direction: sms.Inbound, Contact: phone(n), Line: "+15125550199", Body: body,
			At: time.Date(2026, 11, 1, 9, n%60, 0, 0, time.UTC),
		},
	}
}

// records are n texts, each of a contact of its own.
func (s *session) records(n int) []connectors.Record {
	out := make([]connectors.Record, n)
	for i := range out {
		out[i] = record(i+1, s.contact(i+1))
	}
	return out
}

// change moves the status of a text.
func change(r connectors.Record, status sms.Status) connectors.StatusChange {
	c := connectors.StatusChange{
		Key: r.Key, Record: r.Known, Contact: r.Contact, Message: r.Message, Status: status, At: r.Message.At.Add(time.Minute),
	}
	if status == sms.StatusFailed {
		c.Reason = "unreachable"
	}
	return c
}

// stored answers the records under a key.
func (s *session) stored(key string) []Message {
	var out []Message
	for _, m := range s.store.Messages() {
		if m.Key == key {
			out = append(out, m)
		}
	}
	return out
}

// once requires that a text stands on its timeline exactly once, and answers it.
func (s *session) once(r connectors.Record) Message {
	s.Helper()
	stored := s.stored(r.Key)
	require.Len(s, stored, 1, "texts in the CRM with key %s", r.Key)
	require.Equal(s, r.Contact.ID, stored[0].Contact, "contact of %s", r.Key)
	require.Contains(s, stored[0].Body, s.h.stored(r.Body), "text of %s", r.Key)
	return stored[0]
}
