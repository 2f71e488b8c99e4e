package oauth

import (
	"io"
	"net/http"
)

// maxDrained is how much of a refusal is read, so that its connection can be
// used again.
const maxDrained = 64 << 10

// transport puts the token on requests.
type transport struct {
	source *Source
	next   http.RoundTripper
}

// Transport carries requests to next with the access token on them. Where the
// vendor refuses a token, it is renewed, and the request sent once more if its
// body can be. A request that was not sent fails with a *connectors.Error.
func (s *Source) Transport(next http.RoundTripper) http.RoundTripper { return &transport{s, next} }

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	g, err := t.source.current(r.Context())
	if err != nil {
		closeBody(r)
		return nil, err
	}
	response, err := t.send(r, r.Body, g)
	if err != nil || response.StatusCode != http.StatusUnauthorized {
		return response, err
	}
	return t.again(r, response, g)
}

// again sends a refused request once more, with a newer token. Where there is
// none, the refusal is the answer.
func (t *transport) again(r *http.Request, refusal *http.Response, old Grant) (*http.Response, error) {
	g, err := t.source.renew(r.Context(), old.AccessToken)
	if err != nil {
		drain(refusal)
		return nil, err
	}
	if g.AccessToken == old.AccessToken {
		return refusal, nil
	}
	body, replayable := rewind(r)
	if !replayable {
		return refusal, nil // the next request has the new token
	}
	drain(refusal)
	return t.send(r, body, g)
}

func (t *transport) send(r *http.Request, body io.ReadCloser, g Grant) (*http.Response, error) {
	signed := r.Clone(r.Context())
	signed.Body = body
	signed.Header.Set("Authorization", t.source.Settings.authorization(g.AccessToken))
	return t.next.RoundTrip(signed)
}

// rewind answers a request's body as it was before it was sent.
func rewind(r *http.Request) (body io.ReadCloser, ok bool) {
	if r.Body == nil || r.Body == http.NoBody {
		return r.Body, true
	}
	if r.GetBody == nil {
		return nil, false
	}
	body, err := r.GetBody()
	return body, err == nil
}

func closeBody(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
}

func drain(response *http.Response) {
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxDrained))
	_ = response.Body.Close()
}

// CloseIdleConnections lets http.Client close the connections behind it.
func (t *transport) CloseIdleConnections() {
	if closer, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}
