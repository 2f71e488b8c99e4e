package salesforce_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"crmsync/connectors/salesforce/fake"
)

func TestProvisionSaysWhatAPersonWouldDo(t *testing.T) {
	t.Parallel()
	o := newOrg(t, fake.Options{}, "leads: false", "fields: { reason: '', opt_out: HasOptedOutOfEmail, opt_out_at: '' }")
	o.RemoveFields()
	_, err := o.Check(t.Context())
	require.ErrorContains(t, err, "crmsync check --provision")
	changes, err := o.Provision(t.Context(), false)
	require.NoError(t, err)
	var what []string
	for _, c := range changes {
		require.True(t, c.Done)
		what = append(what, c.What)
	}
	require.Equal(t, []string{
		"create the field Activity.JustCall_Message_Id__c",
		"create the field Activity.JustCall_Direction__c",
		"create the field Activity.JustCall_Time__c",
		"create the field Activity.JustCall_Status__c",
		"create the permission set crmsync",
		"let the permission set crmsync edit Task.JustCall_Message_Id__c",
		"let the permission set crmsync edit Task.JustCall_Direction__c",
		"let the permission set crmsync edit Task.JustCall_Time__c",
		"let the permission set crmsync edit Task.JustCall_Status__c",
		"assign the permission set crmsync to the user 0055f0000000001AAA",
	}, what)
	_, err = o.Check(t.Context())
	require.NoError(t, err)
}

// Whoever may write the fields by another permission set needs none of ours, and
// a user without rights to the setup can ask.
func TestNothingToProvisionCostsOneRequest(t *testing.T) {
	t.Parallel()
	o := newOrg(t, fake.Options{})
	require.Equal(t, 1, o.count(func() {
		changes, err := o.Provision(t.Context(), true)
		require.NoError(t, err)
		require.Empty(t, changes)
	}))
}

// A field that is there but hidden is not created again.
func TestProvisionOfHiddenFields(t *testing.T) {
	t.Parallel()
	o := newOrg(t, fake.Options{})
	o.Hide()
	changes, err := o.Provision(t.Context(), false)
	require.NoError(t, err)
	require.Equal(t, "assign the permission set crmsync to the user 0055f0000000001AAA", changes[0].What)
	require.Len(t, changes, 1)
	_, err = o.Check(t.Context())
	require.NoError(t, err)
}
