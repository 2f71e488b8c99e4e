package connectortest

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
)

func liveHarness(crm *CRM) LiveHarness {
	return LiveHarness{
		Definition: Definition(Options{MaxBatch: 50}),
		Prefix:     "CRMSYNC_LIVE_TESTCRM_",
		Config:     "base_url: ${URL}\nclass: ${CLASS:-B}\n",
		Gone:       connectors.Ref{Type: "contact", ID: "no-such-contact"},
		Stored: func(_ context.Context, _ func(string) string, keys []string) (out []Message, _ error) {
			for _, m := range crm.Messages() {
				if slices.Contains(keys, m.Key) {
					out = append(out, m)
				}
			}
			return out, nil
		},
	}
}

func TestLiveRunsAgainstAnInstance(t *testing.T) {
	crm := NewCRM(CRMOptions{Class: connectors.ClassB, MaxBatch: 50})
	t.Setenv("CRMSYNC_LIVE_TESTCRM_URL", crm.Start(t))
	t.Setenv("CRMSYNC_LIVE_TESTCRM_TEXTS", "120")
	t.Run("live", func(t *testing.T) { Live(t, liveHarness(crm)) })
	require.GreaterOrEqual(t, len(crm.Messages()), 120+20+len(hostile)+2)
	require.Len(t, crm.Contacts(), liveContacts)
}

func TestLiveNamesWhatIsNotSet(t *testing.T) {
	t.Parallel()
	_, missing := liveHarness(nil).settings()
	require.Equal(t, []string{"CRMSYNC_LIVE_TESTCRM_URL"}, missing)
}
