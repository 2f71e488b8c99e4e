package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"crmsync/config"
	"crmsync/connectors"
	"crmsync/connectors/connectortest"
	"crmsync/connectors/fakes"
	"crmsync/internal/devstack/devtest"
	"crmsync/internal/lane"
	"crmsync/internal/oauth"
)

// aKey is 32 bytes in base64.
const aKey = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

// signedCRM is a test CRM that lets nobody in without signing in.
type signedCRM struct {
	*connectortest.CRM
	*fakes.OAuth
	definition connectors.Definition
	settings   string // of the instance crm
	redirect   string
}

func newSignedCRM(t *testing.T) *signedCRM {
	t.Helper()
	o := &fakes.OAuth{ClientID: "client", ClientSecret: "client-s3cret", SingleUse: true}
	crm := connectortest.NewCRM(connectortest.CRMOptions{})
	mux := http.NewServeMux()
	mux.Handle("/", o.Guard(crm))
	mux.Handle("/oauth/", o)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	definition := connectortest.Definition(connectortest.Options{MaxBatch: 2})
	signIn := o.SignIn(server.URL + "/oauth")
	signIn.Scopes, signIn.Unused = []string{"contacts.read", "offline_access"}, 60*24*time.Hour
	definition.SignIn = &signIn
	redirect := "http://" + freeAddress(t) + "/callback"
	return &signedCRM{CRM: crm, OAuth: o, definition: definition, redirect: redirect, settings: fmt.Sprintf(
		"crm: { type: testcrm, base_url: %s, oauth: { client_id: client, client_secret: client-s3cret, redirect: %q } }", server.URL, redirect)}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// text is a configuration with the CRM, and what else is given.
func (c *signedCRM) text(more string) string {
	return "justcall: { main: { webhook: { token: a-token-that-is-long } } }\n" + more + "\nconnectors:\n  " + c.settings + "\n"
}

func (c *signedCRM) open(t *testing.T, text string) (*signIns, *lane.Lane, connectors.Connector) {
	t.Helper()
	registry, err := connectors.NewRegistry(c.definition)
	require.NoError(t, err)
	parsed := parse(t, text)
	s := newSignIns(parsed, hclog.NewNullLogger())
	t.Cleanup(func() { _ = s.close() })
	instances, err := openInstances(parsed, registry, way{signIns: s})
	require.NoError(t, err)
	return s, instances["crm"].Lane(), instances["crm"].Connector
}

// output is what a command prints, while it runs.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// crmsync runs a command, and answers its exit status.
func (c *signedCRM) crmsync(t *testing.T, text string, arguments ...string) (status int, stdout string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "crmsync.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	out, said := &output{}, &output{}
	ended := make(chan int, 1)
	go func() {
		ended <- Run(t.Context(), append(arguments, "--config", file), out, said, c.definition)
	}()
	visited := false
	for {
		select {
		case status := <-ended:
			require.NotContains(t, out.String()+said.String(), "s3cret")
			require.NotRegexp(t, `access-|refresh-`, out.String()+said.String())
			return status, out.String() + said.String()
		case <-time.After(5 * time.Millisecond):
			if page := pagePattern.FindString(said.String()); page != "" && !visited {
				visited = true
				visit(t, page) // as a person's browser does
			}
		}
	}
}

var pagePattern = regexp.MustCompile(`http://\S+/authorize\?\S+`)

func visit(t *testing.T, page string) {
	t.Helper()
	response, err := http.Get(page)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
}

func TestAPersonSignsIn(t *testing.T) {
	t.Parallel()
	for name, where := range map[string]string{
		"redis": fmt.Sprintf("privacy: { keys: [ %s ] }\nredis: { url: %q }", aKey, devtest.Redis(t).URL),
		"file":  fmt.Sprintf("grants: { file: %q }", filepath.Join(t.TempDir(), "grants.json")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newSignedCRM(t)
			text := c.text(where)
			_, paused, connector := c.open(t, text)
			_, err := connector.Check(t.Context())
			require.ErrorContains(t, err, "run 'crmsync auth crm'")
			require.Equal(t, connectors.Auth, connectors.AsError("", err).Kind)
			_, err = paused.Capabilities(t.Context())
			require.Error(t, err)
			require.Contains(t, paused.State().Reason, "run 'crmsync auth crm'", "the lane says what to do")

			status, said := c.crmsync(t, text, "auth", "crm", "--no-browser")
			require.Zero(t, status, said)
			require.Contains(t, said, "crm is signed in, and it works")
			require.Contains(t, said, "contacts.read")
			require.Equal(t, 1, c.Count().SignIns)

			_, err = connector.Check(t.Context())
			require.NoError(t, err, "a running daemon takes it up by itself")

			status, said = c.crmsync(t, text, "auth", "--json")
			require.Zero(t, status, said)
			var listed []oauth.Status
			require.NoError(t, json.Unmarshal([]byte(said), &listed))
			require.Len(t, listed, 1)
			require.Empty(t, listed[0].Problem)
			require.WithinDuration(t, time.Now(), listed[0].SignedIn, time.Minute)
			require.WithinDuration(t, time.Now().Add(time.Hour), listed[0].Expires, time.Minute)
			require.WithinDuration(t, time.Now().Add(60*24*time.Hour), listed[0].Ends, time.Minute)

			status, said = c.crmsync(t, text, "auth", "crm", "--sign-out")
			require.Zero(t, status, said)
			require.Contains(t, said, "signed out")
			_, _, connector = c.open(t, text)
			_, err = connector.Check(t.Context())
			require.ErrorContains(t, err, "run 'crmsync auth crm'")
		})
	}
}

func TestAPersonPastesTheAddress(t *testing.T) {
	t.Parallel()
	c := newSignedCRM(t)
	file := filepath.Join(t.TempDir(), "crmsync.yaml")
	text := c.text(fmt.Sprintf("grants: { file: %q }", filepath.Join(t.TempDir(), "grants.json")))
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	registry, err := connectors.NewRegistry(c.definition)
	require.NoError(t, err)
	typed, keyboard := io.Pipe()
	said, out := &output{}, &output{}
	root := (&app{registry: registry, stdout: out, stderr: said}).command()
	root.SetArgs([]string{"auth", "crm", "--manual", "--json", "--config", file})
	root.SetIn(typed)
	ended := make(chan error, 1)
	go func() { ended <- root.ExecuteContext(t.Context()) }()
	require.Eventually(t, func() bool { return pagePattern.MatchString(said.String()) }, time.Minute, 5*time.Millisecond)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Get(pagePattern.FindString(said.String()))
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	_, err = fmt.Fprintln(keyboard, response.Header.Get("Location"))
	require.NoError(t, err)
	require.NoError(t, <-ended)
	var report authReport
	require.NoError(t, json.Unmarshal([]byte(out.String()), &report), "stdout is JSON alone")
	require.Equal(t, connectors.ClassB, report.Class)
	require.Contains(t, report.Kept, "grants.json")
}

func TestWhatIsNotGrantedIsNotKept(t *testing.T) {
	t.Parallel()
	c := newSignedCRM(t)
	c.Scopes = []string{"offline_access"}
	text := c.text(fmt.Sprintf("grants: { file: %q }", filepath.Join(t.TempDir(), "grants.json")))
	status, said := c.crmsync(t, text, "auth", "crm", "--no-browser")
	require.Equal(t, 1, status)
	require.Contains(t, said, "did not grant contacts.read")
	status, said = c.crmsync(t, text, "auth")
	require.Zero(t, status)
	require.Contains(t, said, "nobody has signed in yet")
}

func TestAuthSaysWhyItCannot(t *testing.T) {
	t.Parallel()
	c := newSignedCRM(t)
	plain := strings.Replace(c.text(""), "oauth: { client_id: client, client_secret: client-s3cret, redirect: \""+c.redirect+"\" }", "class: B", 1)
	for want, call := range map[string]struct {
		text      string
		arguments []string
		status    int
	}{
		"privacy.keys is not set":  {c.text(""), []string{"auth", "crm"}, 1},
		`has no connector "other"`: {c.text("grants: { file: /nowhere/grants.json }"), []string{"auth", "other"}, 1},
		"name the connector":       {c.text("grants: { file: /nowhere/grants.json }"), []string{"auth", "--sign-out"}, 2},
		"has no oauth":             {plain, []string{"auth", "crm"}, 1},
		"choose another port":      {strings.Replace(c.text("grants: { file: /nowhere/grants.json }"), c.redirect, "http://127.0.0.1:1", 1), []string{"auth", "crm", "--no-browser"}, 1},
	} {
		if want == "choose another port" && os.Geteuid() == 0 {
			continue // may listen anywhere
		}
		status, said := c.crmsync(t, call.text, call.arguments...)
		require.Equal(t, call.status, status, said)
		require.Contains(t, said, want)
	}
}

// A sign-in that is revoked pauses the lane; nothing is lost, and nothing doubles.
func TestARevokedSignInPausesTheLane(t *testing.T) {
	t.Parallel()
	c := newSignedCRM(t)
	text := c.text(fmt.Sprintf("grants: { file: %q }", filepath.Join(t.TempDir(), "grants.json")))
	status, said := c.crmsync(t, text, "auth", "crm", "--no-browser")
	require.Zero(t, status, said)
	s, l, _ := c.open(t, text)
	contact := c.AddContact(connectortest.Contact{Name: "Sarah"})
	record := func(n int) connectors.Record {
		return connectors.Record{Key: fmt.Sprintf("main/msg_%d", n), Contact: contact, Body: "text"}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	go l.Run(ctx)
	outcome, err := l.PutMessage(ctx, record(1))
	require.NoError(t, err)
	require.Equal(t, connectors.Written, outcome.State)

	c.Revoke()
	age(t, s) // so that the refusal is not taken for another reason
	outcome, err = l.PutMessage(ctx, record(2))
	require.NoError(t, err)
	require.Equal(t, connectors.Auth, outcome.Err.Kind)
	require.False(t, outcome.Err.Ambiguous)
	require.Equal(t, lane.Paused, l.State().Phase)
	require.Contains(t, l.State().Reason, "run 'crmsync auth crm'")
	require.Len(t, c.Messages(), 1)

	status, said = c.crmsync(t, text, "auth", "crm", "--no-browser")
	require.Zero(t, status, said)
	outcome, err = l.PutMessage(ctx, record(2)) // waits for the lane
	require.NoError(t, err)
	require.Equal(t, connectors.Written, outcome.State)
	require.Len(t, c.Messages(), 2)
}

// age makes the stored token an old one.
func age(t *testing.T, s *signIns) {
	t.Helper()
	grant, err := s.store.ReadGrant(t.Context(), "crm")
	require.NoError(t, err)
	old := regexp.MustCompile(`"obtained": ?"[^"]*"`).ReplaceAll(grant.Value, []byte(`"obtained":"2026-01-01T00:00:00Z"`))
	fence, err := s.store.LockGrant(t.Context(), "crm", "test", 0, time.Minute)
	require.NoError(t, err)
	require.NoError(t, s.store.WriteGrant(t.Context(), "crm", fence, old))
	require.NoError(t, s.store.UnlockGrant(t.Context(), "crm", "test"))
}

func TestCheckSaysHowSignInsDo(t *testing.T) {
	t.Parallel()
	unused := 60 * 24 * time.Hour
	for want, status := range map[string]oauth.Status{
		"": {Ends: time.Now().Add(unused - time.Hour)},
		"error x: nobody has signed in yet: run 'crmsync auth crm'\n": {Problem: "nobody has signed in yet: run 'crmsync auth crm'"},
		"warning x: is not renewed any more and ends on 20":           {Ends: time.Now().Add(unused / 3)},
	} {
		var f findings
		f.signIn("x", status, unused)
		require.True(t, strings.HasPrefix(f.lines(), want), f.lines())
	}
	c := newSignedCRM(t)
	s, _, _ := c.open(t, c.text(fmt.Sprintf("privacy: { keys: [ %s ] }\nredis: { url: %q }", aKey, devtest.Redis(t).URL)))
	var f findings
	f.grants(t.Context(), s)
	require.Contains(t, f.lines(), "warning redis: keeps the sign-ins of connectors, and forgets them when it restarts")
	require.Contains(t, f.lines(), "error connectors.crm.oauth: nobody has signed in yet")
}

func TestOAuthIsForConnectorsThatHaveIt(t *testing.T) {
	t.Parallel()
	registry, err := connectors.NewRegistry(connectortest.Definition(connectortest.Options{}))
	require.NoError(t, err)
	c, err := config.Parse("crmsync.yaml", []byte("justcall: { main: {} }\nconnectors:\n  crm: { type: testcrm, base_url: http://127.0.0.1:1, oauth: { client_id: a } }"), config.Lookup{})
	require.NoError(t, err)
	_, err = openInstances(c, registry, way{signIns: newSignIns(c, hclog.NewNullLogger())})
	require.ErrorContains(t, err, "connectors.crm.oauth: Test CRM is not signed in to with OAuth")
}
