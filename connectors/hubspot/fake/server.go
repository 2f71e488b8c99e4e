package fake

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"crmsync/connectors"
)

// endpoint is one of HubSpot's.
type endpoint struct {
	serve http.HandlerFunc
	scope string // that a token needs, empty for any
}

// routes are all endpoints that there are.
func (f *Fake) routes() *http.ServeMux {
	const read, write, schema = "crm.objects.contacts.read", "crm.objects.contacts.write", "crm.schemas.contacts.write"
	mux := http.NewServeMux()
	for pattern, e := range map[string]endpoint{
		"POST /crm/objects/2026-03/communications/batch/create": {f.batchCreate, write},
		"POST /crm/objects/2026-03/{type}/batch/read":           {f.batchRead, read},
		"POST /crm/objects/2026-03/{type}/batch/update":         {f.batchUpdate, write},
		"POST /crm/objects/2026-03/{type}/search":               {f.search, read},
		"POST /crm/objects/2026-03/contacts":                    {f.createContact, write},
		"POST /crm/associations/2026-03/{from}/{to}/batch/read": {f.associations, read},
		"GET /crm/owners/2026-03":                               {f.owners, "crm.objects.owners.read"},
		"POST /crm/properties/2026-03/{type}/batch/read":        {f.readProperties, ""},
		"POST /crm/properties/2026-03/{type}":                   {f.createProperty, schema},
		"POST /crm/properties/2026-03/{type}/groups":            {f.createGroup, schema},
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if f.options.Scopes != nil && e.scope != "" && !slices.Contains(f.options.Scopes, e.scope) {
				refuse(w, http.StatusForbidden, problem{
					Category: "MISSING_SCOPES", Message: "This app hasn't been granted all required scopes to make this call.",
					Errors: []detail{{Message: "One or more of the following scopes are required.", Context: context{"requiredGranularScopes": {e.scope}}}},
				})
				return
			}
			e.serve(w, r)
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusNotFound, problem{Category: "OBJECT_NOT_FOUND", Message: "resource not found"})
	})
	return mux
}

// ServeHTTP implements fakes.Fake.
func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !sleep(r, f.options.Latency) {
		return
	}
	_, pattern := f.mux.Handler(r)
	// The whole request has to be here before the lock is taken.
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, "", http.StatusRequestEntityTooLarge)
		return
	}
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests[pattern]++
	if f.admit(w, r) && f.authorized(w, r) {
		f.mux.ServeHTTP(w, r)
	}
}

const maxBody = 16 << 20

func sleep(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

func (f *Fake) authorized(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case r.Header.Get("Authorization") != "Bearer "+f.options.Token:
		refuse(w, http.StatusUnauthorized, problem{Category: "INVALID_AUTHENTICATION", Message: "Authentication credentials not found."})
	case f.options.TokenLife > 0 && time.Since(f.born) > f.options.TokenLife:
		refuse(w, http.StatusUnauthorized, problem{Category: "EXPIRED_AUTHENTICATION", Message: "The OAuth token used to make this call expired."})
	default:
		return true
	}
	return false
}

// admit takes the request from its limits, or refuses it.
func (f *Fake) admit(w http.ResponseWriter, r *http.Request) bool {
	now := time.Now()
	midnight, _ := connectors.Day(now.UTC())
	if strings.HasSuffix(r.URL.Path, "/search") {
		return f.take(w, "SECONDLY", f.options.Search, now.Add(-time.Second)) && f.take(w, "DAILY", f.options.Daily, midnight)
	}
	h := w.Header()
	ok := f.take(w, "TEN_SECONDLY_ROLLING", f.options.Burst, now.Add(-10*time.Second)) && f.take(w, "DAILY", f.options.Daily, midnight)
	if f.options.Burst > 0 {
		h.Set("X-HubSpot-RateLimit-Max", strconv.Itoa(f.options.Burst))
		h.Set("X-HubSpot-RateLimit-Interval-Milliseconds", "10000")
		h.Set("X-HubSpot-RateLimit-Remaining", strconv.Itoa(f.options.Burst-len(f.spent["TEN_SECONDLY_ROLLING"])))
	}
	if f.options.Daily > 0 {
		h.Set("X-HubSpot-RateLimit-Daily", strconv.Itoa(f.options.Daily))
		h.Set("X-HubSpot-RateLimit-Daily-Remaining", strconv.Itoa(f.options.Daily-len(f.spent["DAILY"])))
	}
	return ok
}

func (f *Fake) take(w http.ResponseWriter, policy string, amount int, since time.Time) bool {
	if amount <= 0 {
		return true
	}
	spent := slices.DeleteFunc(f.spent[policy], func(t time.Time) bool { return t.Before(since) })
	if len(spent) < amount {
		f.spent[policy] = append(spent, time.Now())
		return true
	}
	f.spent[policy] = spent
	f.limited++
	reply(w, http.StatusTooManyRequests, map[string]string{
		"status": "error", "message": "You have reached your " + strings.ToLower(policy) + " limit.",
		"errorType": "RATE_LIMIT", "policyName": policy, "correlationId": correlation,
	})
	return false
}

// correlation names a request to HubSpot's support.
const correlation = "aeb5f871-7f07-4993-9211-075dc63e7cbf"

type context map[string][]string

// problem is an error, of a request or of an input.
type problem struct {
	Status        string   `json:"status"`
	Category      string   `json:"category"`
	SubCategory   string   `json:"subCategory,omitempty"`
	Message       string   `json:"message"`
	CorrelationID string   `json:"correlationId,omitempty"`
	Context       context  `json:"context,omitempty"`
	Errors        []detail `json:"errors,omitempty"`
}

type detail struct {
	Message string  `json:"message"`
	Code    string  `json:"code,omitempty"`
	Context context `json:"context,omitempty"`
}

func refuse(w http.ResponseWriter, status int, p problem) {
	p.Status, p.CorrelationID = "error", correlation
	reply(w, status, p)
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may have gone
}

// batch is the answer to several inputs.
type batch struct {
	Status    string    `json:"status"`
	Results   []any     `json:"results"`
	NumErrors int       `json:"numErrors,omitempty"`
	Errors    []problem `json:"errors,omitempty"`
	Started   time.Time `json:"startedAt"`
	Completed time.Time `json:"completedAt"`
}

func (b *batch) fail(p problem) {
	p.Status = "error"
	b.Errors = append(b.Errors, p)
	b.NumErrors++
}

func (b *batch) answer(w http.ResponseWriter, status int) {
	b.Started = time.Now().UTC()
	b.Completed = b.Started
	if b.NumErrors > 0 {
		status = http.StatusMultiStatus
	}
	reply(w, status, b)
}

// decode reads a body as strictly as HubSpot does.
func decode(w http.ResponseWriter, r *http.Request, into any) bool {
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	if err == nil && decoder.More() {
		err = errors.New("something follows")
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, problem{Category: "VALIDATION_ERROR", Message: "Invalid input JSON: " + err.Error()})
	}
	return err == nil
}

// kind is the record type in the path.
func (f *Fake) kind(w http.ResponseWriter, r *http.Request) (string, bool) {
	kind := r.PathValue("type")
	if f.schema[kind] == nil {
		refuse(w, http.StatusBadRequest, problem{Category: "VALIDATION_ERROR", Message: "Unable to infer object type from: " + kind})
	}
	return kind, f.schema[kind] != nil
}

// firstOwner is the number before that of the first owner.
const firstOwner = 500

func (f *Fake) owners(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	limit, err := strconv.Atoi(q.Get("limit"))
	if err != nil || limit < 1 || limit > 500 {
		refuse(w, http.StatusBadRequest, problem{Category: "VALIDATION_ERROR", Message: "limit must be from 1 to 500"})
		return
	}
	all := []map[string]any{}
	for i, email := range f.users {
		if e := q.Get("email"); e == "" || strings.EqualFold(e, email) {
			all = append(all, map[string]any{"id": strconv.Itoa(firstOwner + 1 + i), "email": email, "type": "PERSON", "archived": false})
		}
	}
	start, end, next := f.page(q.Get("after"), limit, len(all))
	reply(w, http.StatusOK, listed(all[start:end], next))
}

// page answers which of n items a page holds, and the mark of the next one.
func (f *Fake) page(after string, limit, n int) (start, end int, next string) {
	if f.options.Page > 0 {
		limit = min(limit, f.options.Page)
	}
	start, _ = strconv.Atoi(after)
	start = min(max(start, 0), n)
	end = min(start+limit, n)
	if end < n {
		next = strconv.Itoa(end)
	}
	return start, end, next
}

func listed(results any, next string) map[string]any {
	out := map[string]any{"results": results}
	if next != "" {
		out["paging"] = map[string]any{"next": map[string]string{"after": next}}
	}
	return out
}
