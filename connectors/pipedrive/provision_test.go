package pipedrive_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/pipedrive/fake"
)

func TestProvision(t *testing.T) {
	t.Parallel()
	f, c := open(t, fake.Options{})
	f.RemoveFields()
	changes, err := c.Provision(t.Context(), false)
	require.NoError(t, err)
	require.Equal(t, []connectors.Change{
		{What: "create activity type sms", Done: true},
		{What: `create field "SMS opt-out" on persons`, Done: true},
	}, changes)
	caps, err := c.Check(t.Context())
	require.NoError(t, err)
	require.True(t, caps.Consent)
	ann := person(f)
	put(t, c, text(ann))
	require.Equal(t, connectors.Written, c.SetConsent(t.Context(), optOut(ann))[0].State)
}

func TestProvisionNamesTheSettingThatDoesNotFit(t *testing.T) {
	t.Parallel()
	for setting, want := range map[string]string{
		"activity_type: Text message":                `provision: CONFLICT: Pipedrive gave the new activity type the key "text_message": set activity_type to it`,
		"opt_out_field: " + strings.Repeat("a", 40):  "provision: CONFLICT: no person field has the key in opt_out_field: put a name there, and it is created",
		"activity_type: lunch # that is deactivated": "provision: CONFLICT: the activity type lunch is not active: activate it in Pipedrive",
	} {
		_, c := open(t, fake.Options{}, setting)
		_, err := c.Provision(t.Context(), false)
		require.EqualError(t, err, want)
	}
}
