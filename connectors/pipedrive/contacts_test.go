package pipedrive_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/connectortest"
	"crmsync/connectors/phones"
	"crmsync/connectors/pipedrive"
	"crmsync/connectors/pipedrive/fake"
	"crmsync/sms"
)

const search = "GET /api/v2/persons/search"

func find(t *testing.T, c *pipedrive.Connector, p sms.Phone) []connectors.Contact {
	t.Helper()
	found, err := c.FindContacts(t.Context(), []sms.Phone{p})
	require.NoError(t, err)
	return found[0]
}

// One search finds a number in whatever spelling, where searches compare digits.
func TestEverySpellingIsFoundAtOnce(t *testing.T) {
	t.Parallel()
	for _, p := range phones.Cases() {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			f, c := open(t, fake.Options{})
			f.AddContact(connectortest.Contact{Name: "Ann", Phones: []string{"+4930123456", p.Stored}})
			found := find(t, c, p.Phone)
			require.Equal(t, p.Same, len(found) == 1)
			if p.Same {
				require.Contains(t, found[0].Phones, p.Phone)
			}
			require.Equal(t, map[string]int{search: 1}, f.Requests())
		})
	}
}

// Where searches compare what was typed, most numbers are found by their ending at
// once. Where groups are short, as in France, there are several.
func TestEndingsAreTried(t *testing.T) {
	t.Parallel()
	cases := append(phones.Cases(),
		phones.Case{Name: "mixed", Phone: "+15125550127", Stored: "1 (512) 555.0127", Same: true},
		phones.Case{Name: "pairs", Phone: "+33123456789", Stored: "01 23 45 67 89", Same: true},
		phones.Case{Name: "pairs with dots", Phone: "+33123456789", Stored: "+33 1.23.45.67.89", Same: true},
	)
	for _, p := range cases {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			f, c := open(t, fake.Options{TypedPhones: true}, "phone_search: endings")
			f.AddContact(connectortest.Contact{Name: "Ann", Phones: []string{p.Stored}})
			require.Equal(t, p.Same, len(find(t, c, p.Phone)) == 1)
			want := 1
			if phones.Region(p.Phone) == "FR" {
				want = 4
			}
			require.Equal(t, want, f.Requests()[search])
		})
	}
}

func TestCustomFieldsMayHoldNumbers(t *testing.T) {
	t.Parallel()
	for setting, want := range map[string]int{"custom_phones: false": 0, "custom_phones: true": 1} {
		f, c := open(t, fake.Options{}, setting)
		ann := f.AddContact(connectortest.Contact{Name: "Ann"})
		f.SetCustomField(ann.ID, f.TextField(), "(512) 555-0100")
		require.Len(t, find(t, c, "+15125550100"), want, setting)
		require.Equal(t, 20, f.Spent())
	}
}

// Only of several is it worth another request to know who was updated last.
func TestSeveralPersonsTellWhenTheyWereUpdated(t *testing.T) {
	t.Parallel()
	f, c := open(t, fake.Options{})
	one := person(f)
	require.Zero(t, find(t, c, "+15125550100")[0].Updated)
	two := person(f)
	found := find(t, c, "+15125550100")
	require.Equal(t, []string{one.ID, two.ID}, []string{found[0].ID, found[1].ID})
	for _, contact := range found {
		require.False(t, contact.Updated.IsZero())
		require.Equal(t, "1", contact.OwnerID)
		require.Equal(t, "person", contact.Type)
	}
	require.Equal(t, 20+20+10, f.Spent())
}

func TestFindingReadsEveryPage(t *testing.T) {
	t.Parallel()
	f, c := open(t, fake.Options{})
	for range 501 {
		person(f)
	}
	require.Len(t, find(t, c, "+15125550100"), 501)
}

func TestSendersWithoutANumber(t *testing.T) {
	t.Parallel()
	f, c := open(t, fake.Options{})
	id := f.AddContact(connectortest.Contact{Name: "Bank", Phones: []string{"72345"}}).ID
	f.AddContact(connectortest.Contact{Name: "Other", Phones: []string{"1723456"}})
	require.Equal(t, id, find(t, c, "72345")[0].ID)
	require.Empty(t, find(t, c, "ACME"))
	require.Empty(t, find(t, c, "A"), "too short for the vendor, which would refuse it")
}

func TestNewPerson(t *testing.T) {
	t.Parallel()
	f, c := open(t, fake.Options{})
	key := f.TextField()
	made, err := c.CreateContact(t.Context(), connectors.NewContact{
		Key: "k", Phone: "+15125550100", Name: "Ann\nLee", Email: "ann@example.com", OwnerID: "2",
		Fields: map[string]string{"visible_to": "3", "label_ids": "[1, 2]", key: "by text", "name": "not this"},
	})
	require.NoError(t, err)
	require.Equal(t, "Ann Lee", made.Name)
	require.Equal(t, "2", made.OwnerID)
	require.False(t, made.Updated.IsZero())
	stored := f.Contacts()[0]
	require.Equal(t, "ann@example.com", stored.Email)
	require.Equal(t, []string{"+15125550100"}, stored.Phones)
	require.Equal(t, "by text", stored.Fields[key])

	nameless, err := c.CreateContact(t.Context(), connectors.NewContact{Key: "l", Phone: "+15125550101"})
	require.NoError(t, err)
	require.Equal(t, "+15125550101", nameless.Name)

	_, err = c.CreateContact(t.Context(), connectors.NewContact{Key: "m", Phone: "+15125550102", Fields: map[string]string{"labels": "1"}})
	require.ErrorContains(t, err, "create contact: INVALID (HTTP 400): ERR_BAD_REQUEST")
}

func optOut(contact connectors.Ref) []connectors.ConsentChange {
	return []connectors.ConsentChange{{Contact: contact, Consent: sms.Consent{Phone: "+15125550100", OptedOut: true, At: at}}}
}

func TestConsentByNameOrKeyOfItsField(t *testing.T) {
	t.Parallel()
	for setting, tokens := range map[string]int{
		"opt_out_field: sms OPT-OUT":                              15,
		"opt_out_field: 0000000000000000000000000000000000fade03": 5,
	} {
		f, c := open(t, fake.Options{}, setting)
		out := c.SetConsent(t.Context(), optOut(person(f)))
		require.Equal(t, connectors.Written, out[0].State, "%v", out[0].Err)
		require.True(t, f.Contacts()[0].OptedOut)
		require.Equal(t, at, f.Contacts()[0].ConsentAt)
		require.Equal(t, tokens, f.Spent(), setting)
	}
}

// A company without the field is told so, and nothing fails.
func TestConsentWithoutAField(t *testing.T) {
	t.Parallel()
	for _, setting := range []string{"opt_out_field: Nowhere", "opt_out_field: " + strings.Repeat("a", 40)} {
		_, c := open(t, fake.Options{}, setting)
		caps, err := c.Check(t.Context())
		require.NoError(t, err)
		require.False(t, caps.Consent)
		require.True(t, caps.Find && caps.Create && caps.Status && caps.ReadBack && caps.Adopt)
		require.Equal(t, connectors.ClassD, caps.Class)
	}
	f, c := open(t, fake.Options{}, "opt_out_field: Nowhere")
	require.Equal(t, connectors.NotApplicable, c.SetConsent(t.Context(), optOut(person(f)))[0].State)
}

func TestOwners(t *testing.T) {
	t.Parallel()
	f, c := open(t, fake.Options{})
	ids, err := c.FindOwners(t.Context(), []string{"SAM@example.com", "nobody@example.com", "ops@example.com", "gone@example.com", ""})
	require.NoError(t, err)
	require.Equal(t, []string{"2", "", "1", "", ""}, ids)
	require.Equal(t, map[string]int{"GET /v1/users": 1}, f.Requests())
	none, err := c.FindOwners(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, none)
}
