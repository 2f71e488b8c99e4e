package hubspot

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/rest"
)

// kinds are what HubSpot's words mean; the first that an error says decides. The
// statuses are read as [rest.KindOf] does, and as below.
// https://developers.hubspot.com/docs/api-reference/latest/error-handling
var kinds = []struct {
	word string
	kind connectors.Kind
}{
	// Nothing that is written to that account can succeed before a person has
	// installed the app with these scopes: the lane waits.
	{"MISSING_SCOPES", connectors.Auth},
	{"INVALID_AUTHENTICATION", connectors.Auth},
	{"EXPIRED_AUTHENTICATION", connectors.Auth},
	// The same for a custom property that somebody deleted.
	{"PROPERTY_DOESNT_EXIST", connectors.Auth},
	{"RATE_LIMITS", connectors.RateLimited},
	{"OBJECT_NOT_FOUND", connectors.NotFound},
	{"NO_ASSOCIATIONS_FOUND", connectors.NotFound},
	{"OBJECT_ALREADY_EXISTS", connectors.Conflict},
	{"CONFLICTING_UNIQUE_VALUE", connectors.Conflict},
	{"CONFLICT", connectors.Conflict},
	// A validation rule of the account's own: enforced on writes from version
	// 2026-09 on, says the developer changelog.
	{"MISSING_CONDITIONAL_REQUIRED_PROPERTY", connectors.Invalid},
	{"VALIDATION_ERROR", connectors.Invalid},
}

// The statuses that mean more than they say.
const (
	statusMigrating = 477
	// A lock is held for this long.
	lockedFor = 2 * time.Second
)

// problem is an error as HubSpot words it, of a request or of one input. Every
// field may be missing.
type problem struct {
	Category    string         `json:"category"`
	SubCategory any            `json:"subCategory"`
	Message     string         `json:"message"`
	Policy      string         `json:"policyName"`
	Context     map[string]any `json:"context"`
	Errors      []struct {
		Code        string         `json:"code"`
		SubCategory any            `json:"subCategory"`
		Context     map[string]any `json:"context"`
	} `json:"errors"`
}

// judge reads HubSpot's error bodies; zone is the account's.
func judge(zone *time.Location) rest.Judge {
	return func(answer *rest.Answer, e *connectors.Error) *connectors.Error {
		var p problem
		_ = json.Unmarshal(answer.Body, &p) // what is none says nothing
		switch answer.Status {
		case http.StatusLocked:
			e.Kind, e.RetryAfter = connectors.Unavailable, lockedFor
		case statusMigrating:
			e.Kind = connectors.Unavailable
		case http.StatusTooManyRequests:
			if e.RetryAfter == 0 {
				e.RetryAfter = p.wait(time.Now().In(zone))
			}
		case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusConflict:
			p.decide(e)
		}
		e.Err = p.cause()
		return e
	}
}

// decide lets the words say what a refusal means.
func (p problem) decide(e *connectors.Error) {
	kind, said := p.kind()
	if !said {
		return
	}
	switch {
	case e.Op == opOwners && p.says("MISSING_SCOPES"):
		kind = connectors.Forbidden // texts can do without owners
	case e.Op == opCreate && p.says("PROPERTY_DOESNT_EXIST"):
		kind = connectors.Invalid // one that the settings name for new contacts
	}
	e.WholeBatch = e.WholeBatch && kind != connectors.Auth
	e.Kind = kind
}

// wait is how long a limit lasts that was exceeded: HubSpot sends no Retry-After.
// https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines
func (p problem) wait(now time.Time) time.Duration {
	switch p.Policy {
	case "DAILY":
		_, midnight := connectors.Day(now)
		return min(midnight.Sub(now), rest.MaxRetryAfter)
	case "TEN_SECONDLY_ROLLING":
		return window
	case "SECONDLY":
		return time.Second
	}
	return 0
}

// verdict is what an error of one input of a batch means. What is not understood
// may have happened.
func (p problem) verdict(op string) *connectors.Error {
	e := &connectors.Error{Op: op, Kind: connectors.Unknown, Err: p.cause()}
	p.decide(e)
	e.Ambiguous = e.Kind == connectors.Unknown
	return e
}

func (p problem) kind() (connectors.Kind, bool) {
	for _, k := range kinds {
		if p.says(k.word) {
			return k.kind, true
		}
	}
	return "", false
}

func (p problem) says(word string) bool { return slices.Contains(p.words(), word) }

var (
	word     = regexp.MustCompile(`^[A-Z][A-Z0-9_]{2,60}$`)
	scope    = regexp.MustCompile(`^[a-z][a-z0-9._-]{2,60}$`)
	embedded = regexp.MustCompile(`^Property values were not valid: (\[.*\])`)
)

// words are HubSpot's own error codes; never what somebody typed.
func (p problem) words() []string {
	all := []string{p.Category, lastPart(p.SubCategory), p.Policy}
	for _, e := range p.Errors {
		all = append(all, e.Code, lastPart(e.SubCategory))
	}
	for _, v := range p.invalid() {
		all = append(all, v.Error)
	}
	return slices.DeleteFunc(unique(all), func(w string) bool { return !word.MatchString(w) })
}

// lastPart of crm.associations.NO_ASSOCIATIONS_FOUND is its word.
func lastPart(subCategory any) string {
	s, _ := subCategory.(string)
	return s[strings.LastIndex(s, ".")+1:]
}

// invalid reads the list that the message of a validation error holds.
func (p problem) invalid() []struct{ Error, Name string } {
	var list []struct{ Error, Name string }
	if m := embedded.FindStringSubmatch(p.Message); m != nil {
		_ = json.Unmarshal([]byte(m[1]), &list) // what is none says nothing
	}
	return list
}

// cause tells a person what HubSpot said, without anything of the request but the
// names of properties and scopes.
func (p problem) cause() error {
	said := p.words()
	for _, v := range p.invalid() {
		if name.MatchString(v.Name) {
			said = append(said, "property "+v.Name)
		}
	}
	for _, s := range p.missingScopes() {
		said = append(said, "scope "+s)
	}
	if len(said) == 0 {
		return nil
	}
	return fmt.Errorf("HubSpot says %s", strings.Join(unique(said), ", "))
}

func (p problem) missingScopes() []string {
	all := texts(p.Context["missingScopes"])
	for _, e := range p.Errors {
		all = append(all, texts(e.Context["missingScopes"])...)
	}
	for _, e := range p.Errors {
		all = append(all, texts(e.Context["requiredGranularScopes"])...)
	}
	return slices.DeleteFunc(all, func(s string) bool { return !scope.MatchString(s) })
}

// texts reads a string or a list of them.
func texts(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, item := range v {
			all = append(all, texts(item)...)
		}
		return all
	}
	return nil
}

// about reports whether an error names the input.
func (p problem) about(in input) bool {
	if traces := texts(p.Context["objectWriteTraceId"]); len(traces) > 0 {
		return slices.Contains(traces, in.Trace)
	}
	ids := append(texts(p.Context["ids"]), texts(p.Context["id"])...)
	return in.ID != "" && slices.Contains(ids, in.ID)
}

// named reports whether an error names any of the inputs.
func (p problem) named(all []input) bool { return slices.ContainsFunc(all, p.about) }

// refusal says why nothing came of input i. An error that names no input may be
// about any that is missing: then a smaller batch will tell.
func refusal(op string, errs []problem, in []input, i int, absent connectors.Error) *connectors.Error {
	for _, p := range errs {
		if p.about(in[i]) {
			return p.verdict(op)
		}
	}
	for _, p := range errs {
		if !p.named(in) {
			e := p.verdict(op)
			e.WholeBatch = len(in) > 1 && e.Kind.Permanent()
			return e
		}
	}
	absent.Op, absent.Err = op, errors.New("the answer says nothing of it")
	return &absent
}
