package sandbox_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/connectortest"
	"crmsync/connectors/sandbox/crm"
	"crmsync/sms"
)

const token = "t0ken-s3cret"

// fake is the vendor: the real CRM, on a file of its own.
type fake struct {
	t   testing.TB
	crm *crm.CRM
	url string

	mu       sync.Mutex
	poisoned map[string]bool
}

func newFake(t testing.TB) *fake {
	c, err := crm.Open(filepath.Join(t.TempDir(), "sandbox.db"), crm.Token(token), crm.NoSync())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	f := &fake{t: t, crm: c, poisoned: map[string]bool{}}
	server := httptest.NewServer(f.poison(c.Handler()))
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

func start(t testing.TB) connectortest.Fake {
	f := newFake(t)
	return connectortest.Fake{
		Config:  "type: sandbox\nbase_url: " + f.url + "\ntoken: " + token + "\n",
		Secrets: []string{token},
		Store:   f,
		Poison: func(key string) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.poisoned[key] = true
		},
	}
}

// poison takes the key from texts that are to be refused, so that the CRM does.
func (f *fake) poison(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			var b crm.Batch[crm.Message]
			raw, _ := io.ReadAll(r.Body)
			if json.Unmarshal(raw, &b) == nil {
				f.mu.Lock()
				for i, m := range b.Items {
					if f.poisoned[m.Key] {
						b.Items[i].Key = ""
					}
				}
				f.mu.Unlock()
				raw, _ = json.Marshal(b)
			}
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(raw)), int64(len(raw))
		}
		next.ServeHTTP(w, r)
	})
}

func reads(r *http.Request) bool {
	return r.Method == http.MethodGet || strings.HasSuffix(r.URL.Path, "/search") || strings.HasSuffix(r.URL.Path, "/find")
}

// Messages implements connectortest.Store.
func (f *fake) Messages() []connectortest.Message {
	all, err := f.crm.Messages()
	require.NoError(f.t, err)
	out := make([]connectortest.Message, len(all))
	for i, m := range all {
		out[i] = connectortest.Message{
			ID: m.ID, Key: m.Key, Contact: m.Contact, Subject: m.Subject, Body: m.Body,
			Status: string(m.Status), Reason: m.Reason, Direction: string(m.Direction), At: m.At,
		}
	}
	return out
}

// Contacts implements connectortest.Store.
func (f *fake) Contacts() []connectortest.Contact {
	all, err := f.crm.Contacts("")
	require.NoError(f.t, err)
	out := make([]connectortest.Contact, len(all))
	for i, c := range all {
		out[i] = connectortest.Contact{
			Ref: connectors.Ref{Type: "contact", ID: c.ID}, Name: c.Name, Email: c.Email, OwnerID: c.OwnerID,
			OptedOut: c.OptedOut, ConsentAt: c.ConsentAt, Updated: c.Updated,
		}
		for _, p := range c.Phones {
			out[i].Phones = append(out[i].Phones, string(p))
		}
	}
	return out
}

// AddContact implements connectortest.Store.
func (f *fake) AddContact(c connectortest.Contact) connectors.Ref {
	n := crm.Contact{Name: c.Name, Email: c.Email}
	for _, p := range c.Phones {
		n.Phones = append(n.Phones, sms.Phone(p))
	}
	created, _, err := f.crm.CreateContact(n)
	require.NoError(f.t, err)
	return connectors.Ref{Type: "contact", ID: created.ID}
}

// DeleteContact implements connectortest.Store.
func (f *fake) DeleteContact(id string) { require.NoError(f.t, f.crm.Delete(id)) }

// EditMessage implements connectortest.Store.
func (f *fake) EditMessage(id, body, status string) {
	require.NoError(f.t, f.crm.EditMessage(id, body, sms.Status(status)))
}

// DeleteMessage implements fakes.Meddler.
func (f *fake) DeleteMessage(id string) { require.NoError(f.t, f.crm.DeleteMessage(id)) }

// MoveMessage implements fakes.Meddler.
func (f *fake) MoveMessage(id, contact string) { require.NoError(f.t, f.crm.MoveMessage(id, contact)) }

// CopyMessage implements fakes.Meddler: there is one text to a key.
func (*fake) CopyMessage(string) string { return "" }
