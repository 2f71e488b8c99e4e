package hubspot_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/hubspot/fake"
)

func TestProvision(t *testing.T) {
	t.Parallel()
	a := open(t, fake.Options{Bare: true}, "fields: { reason: \"\" }\n")
	want := []connectors.Change{
		{What: "create property justcall_message_id on communications"},
		{What: "create property justcall_direction on communications"},
		{What: "create property justcall_status on communications"},
		{What: "create property justcall_sms_opt_out on contacts"},
		{What: "create property justcall_sms_opt_out_at on contacts"},
	}
	said, err := a.Provision(t.Context(), true)
	require.NoError(t, err)
	require.Equal(t, want, said)
	done, err := a.Provision(t.Context(), false)
	require.NoError(t, err)
	for i := range want {
		want[i].Done = true
	}
	require.Equal(t, want, done)
	caps, err := a.Check(t.Context())
	require.NoError(t, err)
	require.Equal(t, connectors.CapabilitiesOf(a.Connector, connectors.ClassC), caps)
	again, err := a.Provision(t.Context(), false)
	require.NoError(t, err)
	require.Empty(t, again)
}

// An account that refuses unique values says which setting does without, and
// with it works.
func TestProvisionWithoutUniqueValues(t *testing.T) {
	t.Parallel()
	a := open(t, fake.Options{Bare: true, NoUnique: true}, "")
	c := connect(t, a.without())
	_, err := c.Provision(t.Context(), false)
	require.ErrorContains(t, err, "set unique: false")
	require.Equal(t, connectors.Invalid, connectors.AsError("", err).Kind)

	_, err = a.Provision(t.Context(), false)
	require.NoError(t, err)
	caps, err := a.Check(t.Context())
	require.NoError(t, err)
	require.Equal(t, connectors.ClassD, caps.Class)
}

func TestProvisionLeavesOtherPropertiesAlone(t *testing.T) {
	t.Parallel()
	for _, settings := range []string{"fields: { key: hs_communication_body }", "fields: { opt_out: company }"} {
		a := open(t, fake.Options{}, settings)
		_, err := a.Provision(t.Context(), false)
		require.Equal(t, connectors.Conflict, connectors.AsError("", err).Kind)
		require.ErrorContains(t, err, "is there already")
	}
}
