package pipedrive

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/rest"
)

// refusal is what an answer means where its status alone does not say it.
type refusal struct {
	status  int
	matches func(*rest.Answer) bool // nil: whatever the answer says
	kind    connectors.Kind
	wait    time.Duration // where the answer names none
	why     string
}

// aWhile is how long to wait for what takes its time: asking all along is what
// makes it worse.
const aWhile = time.Minute

// refusals are tried in order. Sources:
//
//	402, 415  https://pipedrive.readme.io/docs/core-api-concepts-http-status-codes
//	403 scope https://pipedrive.readme.io/docs/marketplace-oauth-and-api-proxy-status-codes
//	403 page  https://pipedrive.readme.io/docs/core-api-concepts-rate-limiting: who
//	          goes on after 429 is kept out by Cloudflare, whose answer is a page
//	429       the same: there is no Retry-After, and the headers tell of the burst
//	          alone, so that it must be the day where some of that is left
var refusals = []refusal{
	{http.StatusPaymentRequired, nil, connectors.Auth, 0, "the company's account is not open"},
	{http.StatusForbidden, scopeMissing, connectors.Auth, 0, "the sign-in lacks a scope"},
	{http.StatusForbidden, page, connectors.RateLimited, aWhile, "kept out for too many requests"},
	{http.StatusUnsupportedMediaType, nil, connectors.Unsupported, 0, "the company's plan lacks this feature"},
	{http.StatusTooManyRequests, burstLeft, connectors.RateLimited, aWhile, "the day's tokens are spent"},
}

func scopeMissing(a *rest.Answer) bool {
	return bytes.Contains(a.Body, []byte(`"Scope and URL mismatch"`))
}

func page(a *rest.Answer) bool { return bytes.HasPrefix(bytes.TrimSpace(a.Body), []byte("<")) }

func burstLeft(a *rest.Answer) bool {
	left := usage(a.Header)
	return len(left) > 0 && left[0].Remaining > 0
}

// judge is the verdict on every answer that is no success.
func judge(a *rest.Answer, e *connectors.Error) *connectors.Error {
	e.Err = codeOf(a.Body)
	wait := time.Duration(0)
	if a.Status == http.StatusTooManyRequests {
		wait = reset(a.Header)
	}
	for _, r := range refusals {
		if a.Status == r.status && (r.matches == nil || r.matches(a)) {
			e.Kind, e.Err, wait = r.kind, errors.New(r.why), r.wait
			break
		}
	}
	e.RetryAfter = cmp.Or(e.RetryAfter, wait)
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
