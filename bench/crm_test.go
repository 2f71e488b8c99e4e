//go:build linux

package bench

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/all"
	"crmsync/connectors/connectortest"
)

// The kinds of CRM. The daemon of the benchmarks has a connector for each.
const (
	plain   = "plain"   // no limits
	hubspot = "hublike" // the limits of HubSpot
	tight   = "tight"   // hardly any requests
	classD  = "classd"  // no limits, and nothing that makes a repeated write harmless
)

// batch is the size of all batches but those of the tight kind, whose quota would
// else allow more than a small machine's Temporal can do.
const (
	batch      = 100
	tightBatch = 50
)

func batchOf(kind string) int {
	if kind == tight {
		return tightBatch
	}
	return batch
}

// callTimeout is longer than answers are ever held back.
const callTimeout = 5 * time.Minute

// limits are what each kind of CRM enforces, and its connector is told.
var limits = map[string][]connectors.Limit{
	hubspot: {
		// https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines
		{Name: "burst", Amount: 190, Window: 10 * time.Second},
		{Name: "search", Amount: 5, Window: time.Second, Cost: searches},
	},
	tight: {{Name: "burst", Amount: tightAmount, Window: tightWindow}},
}

const (
	tightAmount = 5
	tightWindow = 10 * time.Second
)

func searches(r *http.Request) int {
	if strings.HasSuffix(r.URL.Path, "/contacts/search") {
		return 1
	}
	return 0
}

// definitions are the connectors of the benchmarks' daemon.
func definitions() (list []connectors.Definition) {
	for _, kind := range []string{plain, hubspot, tight, classD} {
		d := connectortest.Definition(connectortest.Options{MaxBatch: batchOf(kind), CallTimeout: callTimeout, Limits: limits[kind]})
		d.Name = kind
		list = append(list, d)
	}
	return append(list, all.Connectors()...)
}

// crm is a CRM in this process that notes when each text reached it.
type crm struct {
	*connectortest.CRM
	kind, url string
	arrived   *marks
	contacts  int      // there are so many
	ids       []string // of the contacts

	mu      sync.Mutex
	held    chan struct{} // answers wait for it; nil: they do not
	waiting int           // so many do
	poison  string        // a text for which every batch is refused as a whole
	whole   int           // so many were
	alone   int           // and so often the text by itself
}

// classOf is the idempotency class of a kind of CRM.
func classOf(kind string) connectors.Class {
	if kind == classD {
		return connectors.ClassD
	}
	return connectors.ClassB
}

// newCRM starts a CRM that has so many contacts, whose numbers are those of
// phone.
func newCRM(tb testing.TB, kind string, latency time.Duration, contacts int) *crm {
	tb.Helper()
	c := &crm{
		CRM:  connectortest.NewCRM(connectortest.CRMOptions{Class: classOf(kind), Limits: limits[kind], MaxBatch: batchOf(kind)}),
		kind: kind, arrived: newMarks(), contacts: contacts,
	}
	c.SetFaults(func(f *connectortest.Faults) { f.Latency = latency })
	for i := range contacts {
		ref := c.AddContact(connectortest.Contact{Name: fmt.Sprint("Contact ", i), Phones: []string{phone(i)}})
		c.ids = append(c.ids, ref.ID)
	}
	server := httptest.NewServer(c)
	tb.Cleanup(server.Close)
	c.url = server.URL
	return c
}

// phone is the number of a contact.
func phone(i int) string { return fmt.Sprintf("+1512556%04d", i) }

// written is what is read of a request that writes texts, and of its answer.
type written struct {
	Items []struct {
		Key, Body string
		Contact   string // whose consent it is
	}
	Results []struct{ Status int }
}

// ServeHTTP implements http.Handler. An answer is held back where that was asked
// for; the request has had its effect, and counts, when it comes.
func (c *crm) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var put written
	consent := r.URL.Path == "/contacts/consent"
	if r.Method == http.MethodPost && r.URL.Path == "/messages" || consent {
		_ = json.Unmarshal(body, &put)
	}
	if c.poisoned(put) {
		http.Error(w, `{"error":"one of them is wrong"}`, http.StatusBadRequest)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	answer := httptest.NewRecorder()
	c.CRM.ServeHTTP(answer, r)
	_ = json.Unmarshal(answer.Body.Bytes(), &put)
	c.wait()
	for i, item := range put.Items {
		switch {
		case i >= len(put.Results) || put.Results[i].Status/100 != 2:
		case consent:
			c.arrived.note(stopOf(item.Contact))
		default:
			_, id, _ := strings.Cut(cmp.Or(item.Key, marked(item.Body)), "/")
			c.arrived.note(id)
		}
	}
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// marked is the key in a text's marker, which stands for it in class D.
func marked(body string) string {
	_, key, _ := strings.Cut(body, "\n[ref:")
	return strings.TrimSuffix(key, "]")
}

func (c *crm) poisoned(put written) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, item := range put.Items {
		if c.poison != "" && strings.HasSuffix(item.Key, "/"+c.poison) {
			if len(put.Items) > 1 {
				c.whole++
			} else {
				c.alone++
			}
			return true
		}
	}
	return false
}

// hold keeps all answers back until release.
func (c *crm) hold() (release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	held := make(chan struct{})
	c.held = held
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.held = nil
		close(held)
	}
}

// holding reports whether a request waits.
func (c *crm) holding() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held != nil && c.waiting > 0
}

func (c *crm) wait() {
	c.mu.Lock()
	held := c.held
	c.waiting++
	c.mu.Unlock()
	if held != nil {
		<-held
	}
	c.mu.Lock()
	c.waiting--
	c.mu.Unlock()
}

// calls is the number of requests that have arrived.
func (c *crm) calls() (sum int) {
	for _, n := range c.Requests() {
		sum += n
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return sum + c.whole + c.alone
}

// extra is how many requests the poison has cost: each batch that was refused as a
// whole made two of it, in place of one.
func (c *crm) extra() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return 2*c.whole + max(c.alone-1, 0)
}

// refused is the number of requests that were answered 429.
func (c *crm) refused() (sum int) {
	for _, n := range c.Limited() {
		sum += n
	}
	return sum
}
