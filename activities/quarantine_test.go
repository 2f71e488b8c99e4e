package activities_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"crmsync/activities"
	"crmsync/sms"
)

// door answers what a test wants.
type door struct {
	admitted activities.Admitted
	refused  *activities.Refusal
	err      error

	// For what JustCall's API told.
	texts      []sms.Event
	notFor     []string
	suppressed []sms.Consent
	standings  map[sms.Phone]activities.Standing
}

func (d *door) Admit(_ context.Context, account string, body []byte) (activities.Admitted, *activities.Refusal, error) {
	if account != "main" || string(body) != "{}" {
		return activities.Admitted{}, nil, nil
	}
	return d.admitted, d.refused, d.err
}

func (d *door) AdmitText(_ context.Context, text sms.Event) ([]string, error) {
	d.texts = append(d.texts, text)
	return d.notFor, d.err
}

func (d *door) Suppress(_ context.Context, account string, listed sms.Consent) (activities.Standing, error) {
	if account != "main" {
		return "", d.err
	}
	d.suppressed = append(d.suppressed, listed)
	return d.standings[listed.Phone], d.err
}

func (d *door) OptedOut(context.Context, string) (int, error) { return len(d.standings), d.err }

func (*door) Targets(sms.Event) []string { return nil }

func (*door) Offer(context.Context, string, activities.Offer) error { return nil }

func TestReadmit(t *testing.T) {
	t.Parallel()
	readmit := func(d *door) (activities.Admitted, error) {
		w := newWorld(t)
		w.acts.Door = d
		return run[activities.Admitted](w, w.acts.Readmit, activities.Quarantined{Account: "main", Body: []byte("{}"), Size: 2})
	}
	want := activities.Admitted{Result: "accepted", Key: "main/msg_1/sms.received"}
	admitted, err := readmit(&door{admitted: want})
	require.NoError(t, err)
	require.Equal(t, want, admitted)
	_, err = readmit(&door{refused: &activities.Refusal{Kind: "UNDECODABLE", Message: "still odd"}})
	parked(t, "UNDECODABLE", err)
	_, err = readmit(&door{err: errAway})
	hiccup(t, err)
}

// All of these are persisted by Temporal: to change one loses what is under way.
func TestNamesAreFrozen(t *testing.T) {
	t.Parallel()
	require.Equal(t, "crmsync", activities.Queue("crmsync"))
	require.Equal(t, "crmsync-hubspot", activities.ConnectorQueue("crmsync", "hubspot"))
	require.Equal(t, "crmsync-hubspot-consent", activities.ConsentQueue("crmsync", "hubspot"))
	require.Equal(t, "hubspot/contact/h", activities.ContactID("hubspot", "h"))
	require.Equal(t, "main/consent/h", activities.ConsentID("main", "h"))
	require.Equal(t, "main/quarantine/h", activities.QuarantineID("main", "h"))
	require.Equal(t, "crmsync-compare-consent-main", activities.CompareConsentID("crmsync", "main"))
	require.Equal(t, "crmsync-reconcile-main", activities.ReconcileID("crmsync", "main"))
	require.Equal(t, "main/backfill/h", activities.BackfillID("main", "h"))
}
