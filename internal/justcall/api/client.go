// Package api is the client of JustCall's REST API: texts, users, numbers,
// contacts, the do-not-message list and webhooks, in both versions.
//
//	client := api.New(api.Settings{Account: "main", Region: "US", BaseURL: "https://api.justcall.io", Version: api.V21, …}, httpClient)
//	page, err := client.Texts(ctx, api.Query{Since: since}, "")
//	for page.Next != "" { page, err = client.Texts(ctx, query, page.Next) }
//
// A call makes one attempt, and its errors are [*connectors.Error]s of the usual
// kinds that hold no number, text or secret. Limits are kept by the *http.Client,
// for which [Definition] says what they are.
//
// # The versions
//
// v2, the classic API, is known only by its three calls for texts: what they
// answer is not documented, so that rows are read in every form that was seen
// ([justcall.DecodeRow]); everything else is UNSUPPORTED there. v2.1 is
// documented at https://developer.justcall.io/reference; some calls that the
// documentation names were only seen in the vendor's own client,
// https://github.com/saaslabsco/justcall-mcp-server.
//
// # Lists
//
// The first page has number 0 in v2.1 and 1 in the classic contract. The client
// asks for the first page without a number, goes where the link to the next page
// points (of which it takes the page's number only: it never follows an address),
// and else counts on, until a page is empty or one is answered again and again.
//
// Rows move from page to page while a list is read. Newer ones come last, where
// the API can sort. Where the number of texts is not the one that came with the
// page before, or is not told, the page before is read once more, and what has
// moved there is added to the page. So nothing is missed unless more texts than a
// page holds are removed between two calls, or exactly as many as come in. Texts
// may come twice.
package api

import (
	"encoding/base64"
	"errors"
	"net/http"

	"crmsync/connectors"
	"crmsync/connectors/rest"
)

// The versions of the API.
const (
	V2  = "v2"
	V21 = "v2.1"
)

// The ways in which key and secret stand in the Authorization header. The
// classic contract says bearer, the vendor's pages of 2.1 say both others
// (https://justcall.io/developer-docs).
const (
	Bearer = "bearer" // Bearer key:secret
	Plain  = "plain"  // key:secret
	Basic  = "basic"  // HTTP Basic
)

// Settings say whose API it is.
type Settings struct {
	// Account is the configured account's name, the first part of every key.
	Account string
	// Region is used for numbers without a +.
	Region string
	// BaseURL is https://api.justcall.io but for tests.
	BaseURL string
	Version string
	Key     connectors.Secret
	Secret  connectors.Secret
	Auth    string
	// Plan is team, pro or business; another one is read as team.
	Plan string
}

// Client calls the API. It is safe for concurrent use.
type Client struct {
	settings Settings
	rest     *rest.Client
}

// New makes a client that sends its requests with the given one. It does no I/O.
func New(s Settings, client *http.Client) *Client {
	return &Client{settings: s, rest: rest.New(client, s.BaseURL, rest.Header("Authorization", s.authorization()), rest.WithJudge(judge))}
}

func (s Settings) authorization() string {
	credentials := s.Key.Reveal() + ":" + s.Secret.Reveal()
	switch s.Auth {
	case Plain:
		return credentials
	case Basic:
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(credentials))
	}
	return "Bearer " + credentials
}

// newer refuses what the classic API does not have.
func (c *Client) newer(op string) error {
	if c.settings.Version == V21 {
		return nil
	}
	return &connectors.Error{
		Op: op, Kind: connectors.Unsupported,
		Err: errors.New("JustCall's API v2 has no such call: set the account's api.version to v2.1"),
	}
}

func unknown(op, why string) error {
	return &connectors.Error{Op: op, Kind: connectors.Unknown, Err: errors.New(why)}
}
