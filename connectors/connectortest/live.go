package connectortest

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/sms"
)

// LiveHarness is what [Live] needs to know of a vendor.
type LiveHarness struct {
	Definition connectors.Definition
	// Prefix begins the names of the environment variables, such as
	// CRMSYNC_LIVE_ACME_.
	Prefix string
	// Config is the instance's settings, in YAML. ${NAME} is the variable Prefix
	// and NAME, and has to be set; ${NAME:-value} need not be.
	Config string
	// Grant is given to the connector as it is; nil for none.
	Grant func(context.Context) (connectors.Grant, error)
	// Stored answers every record in the CRM that holds one of the keys, in any
	// order, as many as there are. It asks the vendor past the connector, so that
	// a connector that is wrong about what it wrote is found out. What it leaves
	// empty but Key is not compared.
	Stored func(ctx context.Context, variable func(name string) string, keys []string) ([]Message, error)
	// Gone names a contact that is not in the CRM, in the vendor's form; the zero
	// Ref leaves that clause out.
	Gone connectors.Ref
}

// Live holds the connector to the part of the contract that shows in a real
// instance of the vendor. Without the variables that [LiveHarness].Config names
// it is skipped. TEXTS, behind the prefix, is how many texts are written, else
// 300; their contacts are ten new ones. Nothing is removed afterwards: use an
// instance for tests.
func Live(t *testing.T, h LiveHarness) {
	t.Helper()
	settings, missing := h.settings()
	if len(missing) > 0 {
		t.Skipf("no live instance: set %s (CONTRIBUTING.md, Tests against a live CRM)", strings.Join(missing, ", "))
	}
	requests := new(atomic.Int64)
	c, err := h.Definition.Open(Config("live", settings), connectors.Env{Client: &http.Client{Transport: counted{requests}}, Grant: h.Grant})
	require.NoError(t, err)
	caps, err := c.Check(t.Context())
	require.NoError(t, err, "Check")
	l := &live{h: h, c: c, caps: caps, d: h.Definition.For(c), requests: requests, run: strconv.FormatInt(time.Now().UnixMilli(), 36)}
	t.Logf("%s, run %s: %+v", h.Definition.Title, l.run, caps)
	for _, clause := range []struct {
		name  string
		needs bool
		run   func(*testing.T)
	}{
		{"contacts", caps.Find && caps.Create, l.makeContacts},
		{"texts", true, l.putTexts},
		{"texts again", caps.Class != connectors.ClassD, l.putAgain},
		{"texts at the same time", caps.Class != connectors.ClassD, l.putTogether},
		{"hostile texts", true, l.putHostile},
		{"text of a contact that is gone", !h.Gone.Zero(), l.putGone},
		{"statuses", caps.Status, l.updateStatuses},
		{"consent", caps.Consent && caps.Create, l.setConsent},
	} {
		if !clause.needs {
			continue
		}
		if !t.Run(clause.name, func(t *testing.T) { l.report(t, clause.run) }) {
			return // what follows builds on it
		}
	}
}

// settings fills in the variables and answers those that are not set.
func (h LiveHarness) settings() (settings string, missing []string) {
	settings = os.Expand(h.Config, func(name string) string {
		name, otherwise, optional := strings.Cut(name, ":-")
		value := h.variable(name)
		if value == "" && !optional {
			missing = append(missing, h.Prefix+name)
		}
		return cmp.Or(value, otherwise)
	})
	return settings, missing
}

func (h LiveHarness) variable(name string) string { return os.Getenv(h.Prefix + name) }

// counted counts requests.
type counted struct{ requests *atomic.Int64 }

// RoundTrip implements http.RoundTripper.
func (c counted) RoundTrip(r *http.Request) (*http.Response, error) {
	c.requests.Add(1)
	return http.DefaultTransport.RoundTrip(r)
}

// live is one run against one instance.
type live struct {
	h        LiveHarness
	c        connectors.Connector
	caps     connectors.Capabilities
	d        connectors.Definition
	requests *atomic.Int64
	run      string // tells it from others
	contacts []connectors.Contact
	texts    []connectors.Record
}

func (l *live) report(t *testing.T, clause func(*testing.T)) {
	t.Helper()
	before, start := l.requests.Load(), time.Now()
	clause(t)
	t.Logf("%d requests, %s", l.requests.Load()-before, time.Since(start).Round(time.Millisecond))
}

const liveContacts = 10

// makeContacts creates contacts with numbers that nobody has.
func (l *live) makeContacts(t *testing.T) {
	numbers := l.freeNumbers(t)
	for i, n := range numbers {
		contact := connectors.NewContact{Key: fmt.Sprintf("live/%s-%d", l.run, i), Phone: n, Name: fmt.Sprintf("crmsync live test %s %d", l.run, i)}
		created, err := l.c.(connectors.ContactCreator).CreateContact(t.Context(), contact)
		require.NoError(t, err)
		l.contacts = append(l.contacts, created)
	}
	require.Eventually(t, func() bool {
		found := l.find(t, numbers)
		for i, of := range found {
			if len(of) != 1 || of[0].ID != l.contacts[i].ID {
				return false
			}
		}
		return true
	}, l.d.SearchLag+promptly, time.Second, "each number finds its contact, and no other")
}

func (l *live) find(t *testing.T, numbers []sms.Phone) [][]connectors.Contact {
	var found [][]connectors.Contact
	for part := range slices.Chunk(numbers, max(l.d.MaxBatch, 1)) {
		of, err := l.c.(connectors.ContactFinder).FindContacts(t.Context(), part)
		require.NoError(t, err)
		found = append(found, of...)
	}
	return found
}

func (l *live) freeNumbers(t *testing.T) []sms.Phone {
	var free []sms.Phone
	for range 10 {
		tried := make([]sms.Phone, liveContacts)
		for i := range tried {
			tried[i] = sms.Phone(fmt.Sprintf("+1512555%04d", rand.IntN(10_000)))
		}
		for i, of := range l.find(t, tried) {
			if len(of) == 0 && !slices.Contains(free, tried[i]) && len(free) < liveContacts {
				free = append(free, tried[i])
			}
		}
	}
	require.Len(t, free, liveContacts, "numbers that nobody has")
	return free
}

// text is the n-th of a kind, of one of the contacts.
func (l *live) text(kind string, n int) connectors.Record {
	id := fmt.Sprintf("%s-%s-%d", l.run, kind, n)
	r := connectors.Record{Key: "live/" + id, Subject: "SMS received", Body: fmt.Sprintf("%s %d of the live test %s", kind, n, l.run)}
	r.Message = sms.Message{ID: id, Direction: sms.Inbound, Contact: "+15125550100", Line: "+15125550199", Body: r.Body, At: time.Now().UTC().Truncate(time.Second).Add(-time.Minute)}
	if n%2 == 1 {
		r.Subject, r.Message.Direction = "SMS sent", sms.Outbound
	}
	if len(l.contacts) > 0 {
		r.Contact = l.contacts[n%len(l.contacts)].Ref
		r.Message.Contact = l.contacts[n%len(l.contacts)].Phones[0]
	}
	return r
}

func (l *live) records(kind string, n int) []connectors.Record {
	records := make([]connectors.Record, n)
	for i := range records {
		records[i] = l.text(kind, i)
	}
	return records
}

// put writes in full batches and answers how they ended.
func (l *live) put(ctx context.Context, records []connectors.Record) []connectors.Outcome {
	var out []connectors.Outcome
	for part := range slices.Chunk(records, max(l.d.MaxBatch, 1)) {
		out = append(out, l.c.PutMessages(ctx, part)...)
	}
	return out
}

func (l *live) putTexts(t *testing.T) {
	n, err := strconv.Atoi(cmp.Or(l.h.variable("TEXTS"), "300"))
	require.NoError(t, err, "%sTEXTS", l.h.Prefix)
	l.texts = l.records("text", n)
	for i, o := range l.put(t.Context(), l.texts) {
		require.Equal(t, connectors.Written, o.State, "%v", o.Err)
		l.texts[i].Known = o.Ref
	}
	l.once(t, l.texts)
}

// once requires that each of the texts stands in the CRM exactly once.
func (l *live) once(t *testing.T, records []connectors.Record) map[string]Message {
	t.Helper()
	stored := map[string][]Message{}
	for part := range slices.Chunk(records, 100) {
		found, err := l.h.Stored(t.Context(), l.h.variable, keysOf(part))
		require.NoError(t, err)
		for _, m := range found {
			stored[m.Key] = append(stored[m.Key], m)
		}
	}
	out := map[string]Message{}
	for _, r := range records {
		require.Len(t, stored[r.Key], 1, "records of %s", r.Key)
		m := stored[r.Key][0]
		require.Equal(t, cmp.Or(m.Contact, r.Contact.ID), r.Contact.ID, "contact of %s", r.Key)
		require.Equal(t, cmp.Or(m.Direction, string(r.Message.Direction)), string(r.Message.Direction), "direction of %s", r.Key)
		require.True(t, m.At.IsZero() || m.At.Equal(r.Message.At), "%s stands at %s, and is of %s", r.Key, m.At, r.Message.At)
		out[r.Key] = m
	}
	t.Logf("%d texts are in the CRM, each once", len(records))
	return out
}

func keysOf(records []connectors.Record) []string {
	keys := make([]string, len(records))
	for i, r := range records {
		keys[i] = r.Key
	}
	return keys
}

func (l *live) putAgain(t *testing.T) {
	for _, o := range l.put(t.Context(), l.texts) {
		require.Equal(t, connectors.Existed, o.State, "%v", o.Err)
	}
	l.once(t, l.texts)
}

// putTogether writes the same texts from many goroutines. Those who lose are
// told to come again, as the daemon does.
func (l *live) putTogether(t *testing.T) {
	records := l.records("race", 20)
	var wg sync.WaitGroup
	var written, existed, failed atomic.Int64
	for range 8 {
		wg.Go(func() {
			for _, o := range l.put(t.Context(), records) {
				switch {
				case o.State == connectors.Written:
					written.Add(1)
				case o.State == connectors.Existed:
					existed.Add(1)
				case o.Err != nil && o.Err.Kind.Permanent():
					t.Errorf("of several at the same time: %v", o.Err)
				default:
					failed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("8 times 20 texts at the same time: %d written, %d there already, %d to come again", written.Load(), existed.Load(), failed.Load())
	for _, o := range l.put(t.Context(), records) {
		require.Contains(t, []connectors.State{connectors.Written, connectors.Existed}, o.State, "%v", o.Err)
	}
	l.once(t, records)
}

func (l *live) putHostile(t *testing.T) {
	var records []connectors.Record
	for _, text := range hostile {
		r := l.text("hostile", len(records))
		r.Body, r.Message.Body = text, text
		records = append(records, r)
	}
	for _, o := range l.put(t.Context(), records) {
		require.Equal(t, connectors.Written, o.State, "%v", o.Err)
	}
	l.once(t, records)
}

// putGone has a text whose contact is gone in the midst of others.
func (l *live) putGone(t *testing.T) {
	records := l.records("gone", min(3, max(l.d.MaxBatch, 1)))
	records[len(records)/2].Contact = l.h.Gone
	out := l.put(t.Context(), records)
	for i, o := range out {
		if o.State == connectors.Failed && o.Err.WholeBatch {
			out[i] = l.put(t.Context(), records[i:i+1])[0]
		}
	}
	for i, o := range out {
		if i == len(records)/2 {
			require.Equal(t, connectors.Failed, o.State)
			require.Equal(t, connectors.NotFound, o.Err.Kind, "%v", o.Err)
			continue
		}
		require.Equal(t, connectors.Written, o.State, "%v", o.Err)
	}
}

func (l *live) updateStatuses(t *testing.T) {
	updater := l.c.(connectors.StatusUpdater)
	for _, status := range []sms.Status{sms.StatusSent, sms.StatusDelivered, sms.StatusFailed} {
		for part := range slices.Chunk(l.texts, max(l.d.MaxBatch, 1)) {
			changes := make([]connectors.StatusChange, len(part))
			for i, r := range part {
				changes[i] = change(r, status)
			}
			for _, o := range updater.UpdateStatus(t.Context(), changes) {
				require.NotEqual(t, connectors.Failed, o.State, "%v", o.Err)
			}
		}
	}
	for key, m := range l.once(t, l.texts) {
		require.Equal(t, cmp.Or(m.Status, string(sms.StatusFailed)), string(sms.StatusFailed), "status of %s", key)
	}
	out := updater.UpdateStatus(t.Context(), []connectors.StatusChange{change(l.text("absent", 0), sms.StatusSent)})
	require.Equal(t, connectors.Failed, out[0].State, "status of a text that is not there")
	require.Equal(t, connectors.NotFound, out[0].Err.Kind, "%v", out[0].Err)
}

// setConsent opts contacts out, in and out again; the last stays, so that it can
// be looked at.
func (l *live) setConsent(t *testing.T) {
	for n, out := range []bool{true, true, false, true} {
		var changes []connectors.ConsentChange
		for _, c := range l.contacts[:min(3, max(l.d.MaxBatch, 1))] {
			changes = append(changes, connectors.ConsentChange{Contact: c.Ref, Consent: sms.Consent{Phone: c.Phones[0], OptedOut: out, At: time.Now().Add(time.Duration(n) * time.Second)}})
		}
		for _, o := range l.c.(connectors.ConsentSetter).SetConsent(t.Context(), changes) {
			require.Contains(t, []connectors.State{connectors.Written, connectors.Existed}, o.State, "%v", o.Err)
		}
	}
}
