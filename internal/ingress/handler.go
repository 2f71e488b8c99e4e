// Package ingress takes JustCall's webhooks in.
//
// A webhook is answered 2xx only after its event is kept durably, and JustCall
// pauses a webhook that answers badly a few times: so what is authentic is never
// refused for its content (what cannot be decoded is quarantined), and 503 is
// the answer only while nothing can keep the event.
package ingress

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"crmsync/config"
	"crmsync/internal/justcall"
)

// MaxBody is the largest webhook that is read, in bytes.
const MaxBody = 1 << 20

// retryAfter is what a refused sender is told to wait, in seconds.
const retryAfter = "5"

// Answer is the JSON body of every answer.
type Answer struct {
	Result string `json:"result"`
	// Key is the event key, by which the Temporal UI finds the workflow.
	Key    string `json:"key,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// The results.
const (
	Accepted    = "accepted"           // 200: kept durably
	Duplicate   = "duplicate"          // 200: it was before
	Ping        = "ping"               // 200: a test of the URL
	Ignored     = "ignored"            // 200: authentic, and nothing to do
	Quarantined = "quarantined"        // 200: authentic, kept for a person
	Refused     = "unauthorized"       // 401: neither token nor signature
	NoAccount   = "unknown_account"    // 404
	WrongMethod = "method_not_allowed" // 405
	TooLarge    = "too_large"          // 413: more than MaxBody
	Unavailable = "unavailable"        // 503: come again
)

// handler serves /webhooks/justcall/{account}[/{token}].
type handler struct{ door *Door }

// NewHandler makes the webhooks' handler.
func NewHandler(door *Door) http.Handler {
	h := &handler{door}
	mux := http.NewServeMux()
	mux.HandleFunc("/webhooks/justcall/{account}", h.serve)
	mux.HandleFunc("/webhooks/justcall/{account}/{token}", h.serve)
	return mux
}

func (h *handler) serve(w http.ResponseWriter, r *http.Request) {
	status, answer := h.answer(w, r)
	if h.door.Metrics != nil {
		h.door.Metrics.Webhook(r.PathValue("account"), outcome(answer))
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", retryAfter)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
	h.door.Log.Debug("webhook", "account", r.PathValue("account"), "status", status, "result", answer.Result, "event", answer.Key, "reason", answer.Reason)
}

func (h *handler) answer(w http.ResponseWriter, r *http.Request) (int, Answer) {
	account, ok := h.door.Config.JustCall[r.PathValue("account")]
	if !ok {
		return http.StatusNotFound, Answer{Result: NoAccount, Reason: "no such account is configured under justcall"}
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return http.StatusOK, Answer{Result: Ping}
	case http.MethodPost:
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		return http.StatusMethodNotAllowed, Answer{Result: WrongMethod}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return http.StatusRequestEntityTooLarge, Answer{Result: TooLarge, Reason: "a webhook has at most 1 MiB"}
	}
	if err != nil {
		// Not a 4xx: JustCall gives an event up for good after one.
		return http.StatusServiceUnavailable, Answer{Result: Unavailable, Reason: "the body broke off"}
	}
	return h.receive(r, account, body)
}

// receive answers a body that was read whole.
func (h *handler) receive(r *http.Request, account config.Account, body []byte) (int, Answer) {
	envelope, undecodable := justcall.Parse(body)
	if undecodable == nil && envelope.Ping() {
		return http.StatusOK, Answer{Result: Ping}
	}
	name := r.PathValue("account")
	switch authenticate(account, r, envelope.Type(), time.Now()) {
	case forged:
		return http.StatusUnauthorized, Answer{Result: Refused, Reason: "neither the path's token nor the signature is right"}
	case doubtful:
		h.door.Log.Warn("a webhook came with the right token and a wrong signature: was the signing secret rotated?", "account", name)
		return h.keep(r, name, "the token is right and the signature is not: check signing_secrets and public_url, then retry", body)
	}
	if undecodable != nil {
		return h.keep(r, name, undecodable.Error(), body)
	}
	in := h.door.input(name)
	in.Received = time.Now().UTC()
	decoded, err := envelope.Decode(in)
	if err != nil {
		return h.keep(r, name, err.Error(), body)
	}
	return reply(h.door.take(r.Context(), decoded, true))
}

func (h *handler) keep(r *http.Request, account, reason string, body []byte) (int, Answer) {
	return reply(h.door.Quarantine(r.Context(), account, reason, body))
}

func reply(answer Answer, err error) (int, Answer) {
	if err != nil {
		return http.StatusServiceUnavailable, Answer{Result: Unavailable, Reason: ErrUnavailable.Error()}
	}
	return http.StatusOK, answer
}

// verdict is what is believed of a request's origin.
type verdict int

const (
	forged   verdict = iota // nothing proves that it is JustCall's
	doubtful                // the token is right, the signature is not
	genuine
)

// authenticate holds a request against the account's token and secrets. Either
// suffices: the classic dialect is never signed. A signature that is there and
// wrong makes even the right token doubtful.
func authenticate(account config.Account, r *http.Request, typ string, now time.Time) verdict {
	hook := account.Webhook
	if !hook.Authenticated() {
		if account.Insecure {
			return genuine
		}
		return forged
	}
	token := hook.Token != "" && subtle.ConstantTimeCompare([]byte(r.PathValue("token")), []byte(hook.Token.Reveal())) == 1
	if len(hook.SigningSecrets) == 0 {
		return oneOf(token, genuine, forged)
	}
	err := justcall.Verify(reveal(hook.SigningSecrets), publicURL(hook, r), typ, r.Header, now, hook.Skew)
	switch {
	case err == nil:
		return genuine
	case errors.Is(err, justcall.ErrUnsigned):
		return oneOf(token, genuine, forged)
	}
	return oneOf(token, doubtful, forged)
}

func oneOf(condition bool, yes, no verdict) verdict {
	if condition {
		return yes
	}
	return no
}

// publicURL is the URL that JustCall was given, and signs: the configured one,
// with the token where the request has one and the setting leaves it out.
func publicURL(hook config.Webhook, r *http.Request) string {
	url := strings.TrimSuffix(hook.PublicURL.Reveal(), "/")
	if token := r.PathValue("token"); token != "" && !strings.HasSuffix(url, "/"+token) {
		url += "/" + token
	}
	return url
}

func reveal(secrets []config.Secret) []string {
	out := make([]string, len(secrets))
	for i, s := range secrets {
		out[i] = s.Reveal()
	}
	return out
}
