package odoo_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/connectortest"
	"crmsync/connectors/fakes"
	"crmsync/connectors/odoo"
	"crmsync/connectors/odoo/fake"
	"crmsync/sms"
)

func number(i int) sms.Phone { return sms.Phone(fmt.Sprintf("+1512555%04d", 1000+i)) }

func contactOf(i int) fakes.Contact {
	return fakes.Contact{Name: fmt.Sprintf("Contact %d", i), Phones: []string{string(number(i))}}
}

func TestCreatingAContactIsIdempotent(t *testing.T) {
	t.Parallel()
	f, c, _ := open(t, fake.Options{})
	for _, kind := range []string{"", "lead"} {
		n := connectors.NewContact{Key: "key of " + kind, Phone: "+15125550100", Name: "Ann Lee", Type: kind, Email: "ann@example.com", OwnerID: f.AddOwner("sam@example.com")}
		first, err := c.CreateContact(t.Context(), n)
		require.NoError(t, err)
		n.Name = "Someone else"
		second, err := c.CreateContact(t.Context(), n)
		require.NoError(t, err)
		require.Equal(t, first.ID, second.ID)
	}
	all := f.Contacts()
	require.Len(t, all, 2)
	for _, c := range all {
		require.Equal(t, "Ann Lee", c.Name)
		require.Equal(t, "ann@example.com", c.Email)
		require.NotEmpty(t, c.OwnerID)
	}
}

func TestConsentIsOneListForAll(t *testing.T) {
	t.Parallel()
	f, c, _ := open(t, fake.Options{})
	var changes []connectors.ConsentChange
	for range 2 { // two contacts of one number
		changes = append(changes, connectors.ConsentChange{Contact: f.AddContact(contactOf(1)), Consent: sms.Consent{Phone: number(1), OptedOut: true}})
	}
	for _, o := range c.SetConsent(t.Context(), changes) {
		require.Equal(t, connectors.Written, o.State, "%v", o.Err)
	}
	for _, contact := range f.Contacts() {
		require.True(t, contact.OptedOut)
	}
	require.Equal(t, map[string]int{"res.partner.search_read": 1, "phone.blacklist.load": 1}, f.Requests())
}

// Odoo tells of one number of a record whether it is on the list, of the mobile
// before the other; of that one nothing is known.
func TestConsentIsReadBack(t *testing.T) {
	t.Parallel()
	f, c, _ := open(t, fake.Options{})
	two := contactOf(1)
	two.Phones = append(two.Phones, string(number(2)))
	ann := f.AddContact(two)
	for _, optedOut := range []bool{true, false} {
		for _, n := range []sms.Phone{number(1), number(2)} {
			c.SetConsent(t.Context(), []connectors.ConsentChange{{Contact: ann, Consent: sms.Consent{Phone: n, OptedOut: optedOut}}})
		}
		found, err := c.FindContacts(t.Context(), []sms.Phone{number(1), number(2)})
		require.NoError(t, err)
		require.Nil(t, found[0][0].OptedOut)
		require.Equal(t, optedOut, *found[1][0].OptedOut)
	}
}

func TestCheckComparesSettingsWithWhatThereIs(t *testing.T) {
	t.Parallel()
	_, c, _ := open(t, fake.Options{})
	caps, err := c.Check(t.Context())
	require.NoError(t, err)
	require.True(t, caps.Consent)

	_, c, _ = open(t, fake.Options{Employee: true})
	caps, err = c.Check(t.Context())
	require.NoError(t, err)
	require.False(t, caps.Consent, "only administrators may write the list")

	for settings, want := range map[string]string{
		"phone_fields: [phone, x_none]": "res.partner has no field x_none: see the settings phone_fields",
		"message_type: comment":         "",
	} {
		f, _, url := open(t, fake.Options{})
		opened, err := odoo.Definition().Open(connectortest.Config("odoo", f.Config(url)+settings+"\n"), connectors.Env{})
		require.NoError(t, err)
		_, err = opened.Check(t.Context())
		if want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, want)
	}
}

func TestLoginIsLookedUpOnce(t *testing.T) {
	t.Parallel()
	f, c, _ := open(t, fake.Options{LookUp: true})
	for range 3 {
		_, err := c.FindContacts(t.Context(), []sms.Phone{number(1)})
		require.NoError(t, err)
	}
	require.Equal(t, 1, f.Requests()["common.login"])
	f.ExpireKey()
	for range 2 {
		_, err := c.FindContacts(t.Context(), []sms.Phone{number(1)})
		require.Equal(t, connectors.Auth, connectors.AsError("", err).Kind)
	}
	require.Equal(t, 2, f.Requests()["common.login"], "credentials that were refused are looked up anew")
}

func TestFewUsersHaveAnAddress(t *testing.T) {
	t.Parallel()
	f, c, _ := open(t, fake.Options{})
	sam := f.AddOwner("sam_lee@example.com")
	f.AddOwner("samXlee@example.com")
	found, err := c.FindOwners(t.Context(), []string{"SAM_lee@example.com", ""})
	require.NoError(t, err)
	require.Equal(t, []string{sam, ""}, found, "an underscore is any character to Odoo")
	require.Equal(t, 1, f.Requests()["res.users.search_read"])
}

func TestBadConfigIsRefused(t *testing.T) {
	t.Parallel()
	const good = "base_url: http://a\ndatabase: d\nlogin: l\napi_key: k\n"
	connectortest.Refuses(t, odoo.Definition(), map[string]string{
		"":                                "base_url is missing",
		"base_url: http://a":              "database is missing",
		"base_url: http://a\ndatabase: d": "api_key is missing",
		good + "protocol: soap":           "protocol must be jsonrpc or json2",
		"base_url: http://a\ndatabase: d\napi_key: k": "login is missing",
		good + "message_type: fax":                    "message_type must be sms or comment",
		good + "uid: -1":                              "must not be below 0",
		good + "phone_fields: ['']":                   "phone_fields has an empty name",
	})
	c, err := odoo.Definition().Open(connectortest.Config("x", good+"requests_per_minute: 60"), connectors.Env{})
	require.NoError(t, err)
	require.Equal(t, 60, odoo.Definition().For(c).Limits[0].Amount)
}
