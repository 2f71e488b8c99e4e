package connectortest

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
)

// unsent are the troubles that the daemon's own client makes before anything is
// sent: the sign-in has ended and a person is needed, or there is no budget in
// time. The connector must hand them on as they are.
func unsent() []trouble {
	ended := &connectors.Error{Op: "sign in", Kind: connectors.Auth, Err: errors.New("run 'crmsync auth suite'")}
	spent := &connectors.Error{Op: "wait", Kind: connectors.RateLimited, RetryAfter: 7 * time.Second, Err: errors.New("not sent")}
	return []trouble{
		{name: "sign-in ended", kinds: []connectors.Kind{ended.Kind}, doubt: undone, make: fixed(refuseToSend(ended))},
		{name: "no budget in time", kinds: []connectors.Kind{spent.Kind}, doubt: undone, retryAfter: spent.RetryAfter, make: fixed(refuseToSend(spent))},
	}
}

func refuseToSend(e *connectors.Error) trip {
	return func(http.RoundTripper, *http.Request) (*http.Response, error) { return nil, e }
}

// signInIsWhole looks at what the definition says of signing in.
func signInIsWhole(b *bench) {
	s := b.h.Definition.SignIn
	if s == nil {
		return
	}
	require.NotEmpty(b, s.Flows, "SignIn.Flows")
	addresses := map[string]string{"TokenURL": s.TokenURL}
	if s.RevokeURL != "" {
		addresses["RevokeURL"] = s.RevokeURL
	}
	for _, flow := range s.Flows {
		require.Contains(b, []connectors.Flow{connectors.FlowCode, connectors.FlowClient, connectors.FlowJWT}, flow)
		if flow == connectors.FlowCode {
			addresses["AuthorizeURL"] = s.AuthorizeURL
		}
	}
	for name, address := range addresses {
		u, err := url.Parse(strings.NewReplacer("{", "", "}", "").Replace(address))
		require.NoError(b, err, "SignIn.%s", name)
		require.Equal(b, "https", u.Scheme, "SignIn.%s: secrets are sent there", name)
		require.NotEmpty(b, u.Host, "SignIn.%s", name)
	}
}
