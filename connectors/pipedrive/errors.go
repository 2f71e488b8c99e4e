package pipedrive

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"

	"crmsync/connectors"
	"crmsync/connectors/rest"
)

// refusal is what an answer means where its status alone does not say it.
type refusal struct {
	status  int
	matches func(body []byte) bool // nil: whatever the body says
	kind    connectors.Kind
	why     string
}

// refusals are tried in order. Sources:
//
//	402, 415  https://pipedrive.readme.io/docs/core-api-concepts-http-status-codes
//	403 scope https://pipedrive.readme.io/docs/marketplace-oauth-and-api-proxy-status-codes
//	403 page  https://pipedrive.readme.io/docs/core-api-concepts-rate-limiting: who
//	          goes on after 429 is kept out by Cloudflare, whose answer is a page
var refusals = []refusal{
	{http.StatusPaymentRequired, nil, connectors.Auth, "the company's account is not open"},
	{http.StatusForbidden, scopeMissing, connectors.Auth, "the sign-in lacks a scope"},
	{http.StatusForbidden, page, connectors.RateLimited, "kept out for a while for too many requests"},
	{http.StatusUnsupportedMediaType, nil, connectors.Unsupported, "the company's plan lacks this feature"},
}

func scopeMissing(body []byte) bool { return bytes.Contains(body, []byte(`"Scope and URL mismatch"`)) }

func page(body []byte) bool { return bytes.HasPrefix(bytes.TrimSpace(body), []byte("<")) }

// judge is the verdict on every answer that is no success. A 429 comes without
// Retry-After; its headers are those of the burst.
func judge(a *rest.Answer, e *connectors.Error) *connectors.Error {
	e.Err = codeOf(a.Body)
	for _, r := range refusals {
		if a.Status == r.status && (r.matches == nil || r.matches(a.Body)) {
			e.Kind, e.Err = r.kind, errors.New(r.why)
			return e
		}
	}
	if e.Kind == connectors.RateLimited && e.RetryAfter == 0 && a.Header.Get("X-Ratelimit-Remaining") == "0" {
		e.RetryAfter = reset(a.Header)
	}
	return e
}

var errorCode = regexp.MustCompile(`^[A-Za-z_]{1,64}$`)

// codeOf answers the API's own code, such as ERR_BAD_REQUEST or
// feature_capping_deals_limit; nil for none.
func codeOf(body []byte) error {
	var said struct{ Code string }
	_ = json.Unmarshal(body, &said) // what is no JSON has no code
	if !errorCode.MatchString(said.Code) {
		return nil
	}
	return errors.New(said.Code)
}
