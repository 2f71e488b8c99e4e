package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"crmsync/config"
	"crmsync/connectors/all"
	"crmsync/connectors/sandbox/crm"
	"crmsync/internal/devstack/devtest"
	"crmsync/internal/ledger"
	"crmsync/workflows"
)

func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	c, err := config.Parse("crmsync.yaml", []byte(text), config.System())
	require.NoError(t, err)
	return c
}

// lines are findings as check prints them.
func (f findings) lines() string {
	var b strings.Builder
	for _, one := range f {
		fmt.Fprintf(&b, "%s %s: %s\n", one.Level, one.About, one.Text)
	}
	return b.String()
}

const oneCRM = "\nconnectors: { crm: { type: sandbox, base_url: http://127.0.0.1:1, accounts: [main] } }\n"

func TestCheckSaysWhatToPaste(t *testing.T) {
	t.Parallel()
	const token, secret = "a-long-secret-token", "a-signing-secret"
	for hook, want := range map[string]string{
		`token: ` + token: "ok justcall.main: paste https://YOUR-HOST/webhooks/justcall/main/TOKEN into JustCall's settings under Webhooks, with webhook.token in the place of TOKEN",
		`token: ` + token + `, signing_secrets: [` + secret + `], public_url: "https://sms.example.com/webhooks/justcall/main"`:               "paste https://sms.example.com/webhooks/justcall/main/TOKEN into",
		`token: ` + token + `, signing_secrets: [` + secret + `], public_url: "https://sms.example.com/webhooks/justcall/main/` + token + `"`: "paste https://sms.example.com/webhooks/justcall/main/TOKEN into",
		`signing_secrets: [` + secret + `], public_url: "https://sms.example.com/webhooks/justcall/main"`:                                     "paste https://sms.example.com/webhooks/justcall/main into",
	} {
		var f findings
		f.justcall(parse(t, "justcall: { main: { region: US, webhook: { "+hook+" } } }"+oneCRM))
		require.Contains(t, f.lines(), want)
		require.Contains(t, f.lines(), "sms.status_updated")
		require.NotContains(t, f.lines(), token)
		require.NotContains(t, f.lines(), secret)
	}
}

func TestCheckSaysWhatGuards(t *testing.T) {
	t.Parallel()
	for want, hook := range map[string]config.Webhook{
		"ok justcall.main: the token guards it, and the signature":    {Token: "t", SigningSecrets: []config.Secret{"s"}},
		"ok justcall.main: the token guards it; with signing_secrets": {Token: "t"},
		"warning justcall.main: only the signature guards it":         {SigningSecrets: []config.Secret{"s"}},
		"": {},
	} {
		var f findings
		f.guard("justcall.main", hook)
		require.True(t, strings.HasPrefix(f.lines(), want), f.lines())
	}
}

func TestCheckNamesKindsThatReachNothing(t *testing.T) {
	t.Parallel()
	const accounts = `
justcall:
  main: { region: US, webhook: { token: a-token-that-is-long } }
  other: { region: US, webhook: { token: a-token-that-is-long } }
connectors:
  crm: { type: sandbox, base_url: http://127.0.0.1:1, accounts: [main] }
  second: { type: sandbox, base_url: http://127.0.0.1:1, accounts: [other] }
`
	const in, out, none = "sms.received reaches no", "sms.sent, sms.delivered and sms.failed reach no ", "reach none"
	for routes, want := range map[string]string{
		``:                                 "",
		`- { when: 'true', to: [crm] }`:    "",
		`- { when: 'false', to: [crm] }`:   none,
		`- { when: 'true', to: [second] }`: none,
		`- { when: 'direction == "inbound"', to: [crm] }`:                                                    out,
		`- { when: 'direction != "inbound"', to: [crm] }`:                                                    in,
		`- { when: 'line == "+15125550100"', to: [crm] }`:                                                    "",
		`- { when: 'account == "other"', to: [crm] }`:                                                        none,
		`- { when: 'agent in ["a@example.com"]', to: [crm] }`:                                                "",
		`- { when: 'direction == "outbound" && medium == "campaign" && line != "+15125550100"', to: [crm] }`: in,
		`- { when: 'line == "+1" and line == "+2"', to: [crm] }`:                                             none,
		`- { when: 'line startsWith "+44"', to: [crm] }`:                                                     "", // in doubt it may
		`- { when: 'len(line) > 100', to: [crm] }`:                                                           "",
	} {
		text := accounts
		if routes != "" {
			text += "routes:\n  " + routes + "\n"
		}
		var f findings
		f.reach(parse(t, text), "justcall.main", "main")
		if want == "" {
			require.Empty(t, f, routes)
			continue
		}
		require.Contains(t, f.lines(), want, routes)
	}
}

func TestCheckRedisSettings(t *testing.T) {
	t.Parallel()
	good := ledger.Settings{Version: "7.2.4", AppendOnly: "1", AppendSync: "everysec", MaxMemory: "0", Policy: "noeviction"}
	for want, change := range map[string]func(*ledger.Settings){
		"":                                   func(*ledger.Settings) {},
		"error redis: is version 6.0.16":     func(s *ledger.Settings) { s.Version = "6.0.16" },
		"warning redis: forgets everything":  func(s *ledger.Settings) { s.AppendOnly = "0" },
		"warning redis: leaves it to the sy": func(s *ledger.Settings) { s.AppendSync = "no" },
		"ok redis: does not say whether":     func(s *ledger.Settings) { *s = ledger.Settings{} },
		"warning redis: throws keys away when its memory is full (maxmemory-policy allkeys-lru)": func(s *ledger.Settings) {
			s.MaxMemory, s.Policy = "1000", "allkeys-lru"
		},
	} {
		settings := good
		change(&settings)
		var f findings
		f.redisSettings(settings)
		require.True(t, strings.HasPrefix(f.lines(), want), f.lines())
		require.Equal(t, want == "", len(f) == 0)
	}
}

// versioned is a Temporal that says only what version it is.
type versioned struct {
	client.Client
	service service
}

func (v versioned) WorkflowService() workflowservice.WorkflowServiceClient { return v.service }

type service struct {
	workflowservice.WorkflowServiceClient
	version string
}

func (s service) GetSystemInfo(context.Context, *workflowservice.GetSystemInfoRequest, ...grpc.CallOption) (*workflowservice.GetSystemInfoResponse, error) {
	if s.version == "" {
		return nil, errors.New("permission denied")
	}
	return &workflowservice.GetSystemInfoResponse{ServerVersion: s.version}, nil
}

func TestCheckTemporalVersion(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"1.28.0": "ok temporal: is version 1.28.0", "1.32.2-150.2": "ok temporal: is version 1.32.2", "2.0.0": "ok temporal: is version 2",
		"1.27.9": "error temporal: is version 1.27.9 and must be 1.28 or newer", "cloud": "ok temporal: says no version", "": "warning temporal: does not say",
	} {
		var f findings
		f.version(t.Context(), versioned{service: service{version: version}})
		require.True(t, strings.HasPrefix(f.lines(), want), f.lines())
	}
}

// TestCheckFindsStrangers: work that waits for a connector or an account that is
// no longer configured, and work that nobody does.
func TestCheckFindsStrangers(t *testing.T) {
	t.Parallel()
	c, temporal := realTemporal(t)
	startText(t, c, temporal, "main/msg_1/sms.received", "busy", "gone")
	startText(t, c, temporal, "main/msg_2/sms.received", "gone")
	s := survey{temporal: temporal, config: c}
	require.Eventually(t, func() bool {
		n, err := s.count(t.Context(), s.standing("gone", workflows.StateSyncing))
		return err == nil && n == 2
	}, time.Minute, 50*time.Millisecond)

	var f findings
	f.temporal(t.Context(), c)
	require.Contains(t, f.lines(), "warning connectors.gone: is not configured, and deliveries to it are open: 2 wait and 0 are parked")
	require.Contains(t, f.lines(), "warning queues.crmsync: 2 tasks wait and no worker takes them")
	require.NotContains(t, f.lines(), "connectors.busy")
	require.NotContains(t, f.lines(), "queues.crmsync-busy")
	require.Contains(t, f.lines(), "ok temporal: is version 1.")
	require.ErrorIs(t, f.verdict(), errWarnings)

	renamed := *c
	renamed.JustCall = map[string]config.Account{"principal": c.JustCall["main"]}
	f = nil
	f.strangers(t.Context(), survey{temporal: temporal, config: &renamed})
	require.Contains(t, f.lines(), "error justcall.main: is not configured, and workflows of this account are open")
	require.ErrorIs(t, f.verdict(), errFindings)
}

func TestCheckNamespace(t *testing.T) {
	t.Parallel()
	c, temporal := realTemporal(t)
	_, err := temporal.WorkflowService().RegisterNamespace(t.Context(), &workflowservice.RegisterNamespaceRequest{
		Namespace: c.Temporal.Namespace + "-short", WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
	})
	require.NoError(t, err)
	for suffix, want := range map[string]string{
		"":         "ok temporal: namespace ",
		"-short":   "warning temporal: the namespace keeps closed workflows for 24h0m0s only",
		"-nowhere": "error temporal: has no namespace ",
	} {
		other := *c
		other.Temporal.Namespace += suffix
		require.Eventually(t, func() bool { // servers remember for a second which namespaces there are
			var f findings
			f.namespace(t.Context(), temporal, &other)
			return strings.Contains(f.lines(), want) && (suffix != "" || f.verdict() == nil)
		}, 30*time.Second, 50*time.Millisecond, want)
	}
}

// TestCheckStatus: 0 all is well, 1 errors, 3 only warnings.
func TestCheckStatus(t *testing.T) {
	t.Parallel()
	c, _ := realTemporal(t)
	redis := devtest.Redis(t)
	sandbox, err := crm.Open(filepath.Join(t.TempDir(), "crm.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sandbox.Close()) })
	page := httptest.NewServer(sandbox.Handler())
	t.Cleanup(page.Close)

	const key = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	check := func(privacy, crm string) (int, string) {
		text := fmt.Sprintf(`
temporal: { address: %q, namespace: %q }
redis: { url: %q }
%s
justcall: { main: { region: US, webhook: { token: a-token-that-is-long } } }
connectors: { crm: { type: sandbox, base_url: %q } }
`, c.Temporal.Address, c.Temporal.Namespace, redis.URL, privacy, crm)
		file := filepath.Join(t.TempDir(), "crmsync.yaml")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		var out bytes.Buffer
		status := Run(t.Context(), []string{"check", "--config", file}, &out, &out, all.Connectors()...)
		return status, out.String()
	}
	status, out := check("", page.URL)
	require.Equal(t, 3, status, out)
	require.Contains(t, out, "warning  configuration: ")
	require.Contains(t, out, "ok       connectors.crm: credentials work")
	status, out = check("privacy: { keys: [ "+key+" ] }", "http://127.0.0.1:1")
	require.Equal(t, 1, status, out)
	require.Contains(t, out, "error    connectors.crm: ")

	var f findings
	f.ok("all", "is well")
	require.NoError(t, f.verdict())
}
