//go:build linux

package bench

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors/all"
	"crmsync/connectors/fakes"
	"crmsync/connectors/phones"
	"crmsync/sms"
)

const (
	vendorLatency = 300 * time.Millisecond
	// faulty is how often each fault happens.
	faulty = 0.01
	// strangers are numbers that no contact has yet, one in so many.
	strangers = 100
)

// BenchmarkVendors sends texts to each connector that has a fake of its vendor, over
// bad lines. Ten texts are of each contact; most contacts are there, in the spelling
// that people use, and none is remembered.
func BenchmarkVendors(b *testing.B) {
	for _, f := range all.Fakes() {
		b.Run(f.Connector.Name, func(b *testing.B) { overBadLines(b, f.Connector.Name, f.New()) })
	}
}

func overBadLines(b *testing.B, name string, fake fakes.Fake) {
	texts := size(500, 2000, 10_000)
	st := newStack(b, sqlite, nil)
	v := newVendor(b, name, fake, texts/10)
	st.vendors = []*vendor{v}
	st.start(1)
	events := ids("vendors", texts)
	begun := time.Now()
	pile(b, st.vendorSide(texts/10), events)
	st.settle()
	v.judge(b, texts, time.Since(begun))
}

func (st *stack) vendorSide(contacts int) *side {
	return &side{send: func(i int, id string) error {
		return st.daemons[0].post(st.tb.Context(), webhook(id, phone(i%contacts)))
	}}
}

// vendor is a fake of one, behind a bad line.
type vendor struct {
	fakes.Fake
	name, url string
	contacts  int

	mu    sync.Mutex
	calls int
	met   map[string]int // by fault
}

func newVendor(tb testing.TB, name string, fake fakes.Fake, contacts int) *vendor {
	tb.Helper()
	v := &vendor{Fake: fake, name: name, contacts: contacts, met: map[string]int{}}
	for i := range contacts {
		if i%strangers != 0 {
			spellings := phones.Spellings(sms.Phone(phone(i)))
			v.AddContact(fakes.Contact{Name: fmt.Sprint("Contact ", i), Phones: []string{spellings[i%4]}})
		}
	}
	server := httptest.NewServer(v)
	tb.Cleanup(server.Close)
	v.url = server.URL
	return v
}

// settings are the connector's in the configuration.
func (v *vendor) settings() string {
	var out strings.Builder
	fmt.Fprintf(&out, "  %s:\n    budget: { share: 100%% }\n", v.name)
	for line := range strings.Lines(v.Config(v.url)) {
		out.WriteString("    " + strings.TrimRight(line, "\n") + "\n")
	}
	return out.String()
}

// ServeHTTP implements http.Handler.
func (v *vendor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fault, happens := v.fate()
	<-time.After(vendorLatency)
	if !happens {
		v.Fake.ServeHTTP(w, r)
		return
	}
	faults[fault](w, r, v.Fake)
}

// fate counts the request and says what becomes of it.
func (v *vendor) fate() (fault string, happens bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.calls++
	dice := rand.Float64()
	for fault := range maps.Keys(faults) {
		if dice -= faulty; dice < 0 {
			v.met[fault]++
			return fault, true
		}
	}
	return "", false
}

// faults are what happens to a request.
var faults = map[string]func(http.ResponseWriter, *http.Request, http.Handler){
	"unavailable": func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		http.Error(w, "{}", http.StatusServiceUnavailable)
	},
	"limited": func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "{}", http.StatusTooManyRequests)
	},
	"broken before": func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) },
	"answer lost": func(_ http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	},
	"answer cut": func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r)
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes()[:answer.Body.Len()/2])
	},
	"page": func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(httptest.NewRecorder(), r)
		w.Header().Set("Content-Type", "text/html")
		http.Error(w, "<html>bad gateway</html>", http.StatusBadGateway)
	},
	"slow": func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		<-time.After(10 * vendorLatency)
		next.ServeHTTP(w, r)
	},
}

// judge compares what is in the CRM with what was sent.
func (v *vendor) judge(b *testing.B, texts int, took time.Duration) {
	b.Helper()
	times, people := map[string]int{}, map[string]int{}
	for _, m := range v.Messages() {
		times[m.Key]++
	}
	for _, c := range v.Contacts() {
		people[c.ID]++
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	b.Logf("%s: %d requests, of which %v", v.name, v.calls, v.met)
	f := figures{}
	for i := range f {
		f[i] = math.NaN()
	}
	f[delivered], f[calls] = float64(texts)/took.Seconds(), float64(v.calls)/float64(texts)
	scenario := fmt.Sprintf("%s, %d texts, 1 %% of each of %d faults", v.name, texts, len(faults))
	results.row(b, scenario, v.name, f)
	results.atMost(scenario, "texts missing", float64(texts-len(times)), 0)
	results.atMost(scenario, "texts doubled", float64(len(v.Messages())-len(times)), 0)
	results.atMost(scenario, "contacts too many", float64(len(people)-v.contacts), 0)
	if v.name != "pipedrive" { // which has no batches
		results.atMost(scenario, "requests per text", f[calls], 0.05)
	}
	require.Len(b, times, texts)
}
