package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"crmsync/connectors"
	"crmsync/connectors/rest"
)

// ask gets a new access token: for the grant, or without one as the flow allows.
func (s Settings) ask(ctx context.Context, client *http.Client, g Grant) (Grant, error) {
	ctx = context.WithValue(ctx, oauth2.HTTPClient, client)
	var source oauth2.TokenSource
	switch s.Flow {
	case connectors.FlowClient:
		source = s.client().TokenSource(ctx)
	case connectors.FlowJWT:
		source = s.assertion().TokenSource(ctx)
	default:
		source = s.code().TokenSource(ctx, &oauth2.Token{RefreshToken: g.RefreshToken})
	}
	token, err := source.Token()
	if err != nil {
		return Grant{}, err
	}
	if token.AccessToken == "" {
		return Grant{}, errors.New("the answer holds no token")
	}
	return s.grant(token).over(g), nil
}

// exchange gets a grant for the code that a person's sign-in gave.
func (s Settings) exchange(ctx context.Context, client *http.Client, code, verifier string) (Grant, error) {
	ctx = context.WithValue(ctx, oauth2.HTTPClient, client)
	token, err := s.code().Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if err != nil {
		return Grant{}, err
	}
	g := s.grant(token)
	g.SignedIn = g.Obtained
	return g, nil
}

func (s Settings) grant(t *oauth2.Token) Grant {
	g := Grant{
		AccessToken: t.AccessToken, RefreshToken: t.RefreshToken, Expiry: t.Expiry.UTC(), Obtained: time.Now().UTC(),
		ClientID: s.ClientID, Scopes: scopesOf(t),
	}
	if s.NoExpiry || t.Expiry.IsZero() {
		g.Expiry = time.Time{}
	}
	if s.InstanceField != "" {
		g.InstanceURL, _ = t.Extra(s.InstanceField).(string)
	}
	return g
}

// scopesOf reads what was granted. RFC 6749 §5.1 has a field scope, separated by
// spaces; vendors also use commas, or a list called scopes.
func scopesOf(t *oauth2.Token) []string {
	if text, ok := t.Extra("scope").(string); ok {
		return strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == ',' })
	}
	listed, _ := t.Extra("scopes").([]any)
	var scopes []string
	for _, one := range listed {
		if name, ok := one.(string); ok {
			scopes = append(scopes, name)
		}
	}
	return scopes
}

// errRefused marks that the vendor refuses the grant itself.
var errRefused = errors.New("the CRM has ended the sign-in")

// verdict says why there is no token, in words that hold nothing of the answer
// but the vendor's code. answered: the vendor has not used up the grant.
func (s Settings) verdict(err error) (e *connectors.Error, answered bool) {
	e = &connectors.Error{Op: "sign in", Kind: connectors.Unavailable, Err: errors.New("the CRM's token endpoint does not answer")}
	if own, ok := errors.AsType[*connectors.Error](err); ok {
		return own, false
	}
	refusal, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok || refusal.Response == nil {
		return e, false
	}
	codes := codesOf(refusal.Body)
	e.Status = refusal.Response.StatusCode
	e.RetryAfter = rest.RetryAfter(refusal.Response.Header, time.Now())
	e.Err = fmt.Errorf("the CRM's token endpoint answers %s", strings.Join(append([]string{fmt.Sprint("HTTP ", e.Status)}, codes...), ", "))
	said := func(words ...string) bool {
		return slices.ContainsFunc(codes, func(code string) bool { return slices.Contains(words, code) })
	}
	switch {
	case e.Status == http.StatusTooManyRequests:
		e.Kind = connectors.RateLimited
	case e.Status >= 500 || len(codes) == 0 || said("temporarily_unavailable", "server_error"):
		return e, false
	case said("invalid_grant") || said(s.Refused...):
		e.Kind, e.Err = connectors.Auth, fmt.Errorf("%w (%s)", errRefused, strings.Join(codes, ", "))
	default:
		e.Kind = connectors.Auth
		e.Err = fmt.Errorf("the CRM refuses oauth.client_id, its secret or what was asked for (%s): correct the configuration",
			strings.Join(codes, ", "))
	}
	return e, true
}

var codePattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,60}$`)

// codesOf finds the error's codes. RFC 6749 §5.2 calls the field error, HubSpot
// status, and Pipedrive has its code, spelt with a space, before the colon of a
// message (https://pipedrive.readme.io/docs/marketplace-oauth-and-api-proxy-status-codes).
// What does not look like a code is left out, and so is all beside an error that
// does not: Zoho calls its limit "Access Denied".
func codesOf(body []byte) (codes []string) {
	var fields struct{ Error, Code, Status, Message any }
	if json.Unmarshal(body, &fields) != nil {
		return nil
	}
	if text, ok := fields.Error.(string); ok && !codePattern.MatchString(text) {
		return nil
	}
	if text, ok := fields.Message.(string); ok {
		code, _, _ := strings.Cut(text, ":")
		fields.Message = strings.ReplaceAll(strings.ToLower(code), " ", "_")
		if !strings.HasPrefix(code, "Invalid ") {
			fields.Message = nil
		}
	}
	for _, field := range []any{fields.Error, fields.Code, fields.Status, fields.Message} {
		code, _ := field.(string)
		if codePattern.MatchString(code) && code != "error" && code != "failure" && !slices.Contains(codes, code) {
			codes = append(codes, code)
		}
	}
	return codes
}
