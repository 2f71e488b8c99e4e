package hubspot_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/connectortest"
	"crmsync/connectors/hubspot/fake"
	"crmsync/sms"
)

func (a account) searches() int { return a.Requests()["POST /crm/objects/2026-03/{type}/search"] }

// The fake refuses a query of more than 3,000 characters.
func TestSearchesCarryManyNumbers(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]int{0: 0, 1: 1, 25: 1, 100: 4} {
		a := open(t, fake.Options{}, "")
		var numbers []sms.Phone
		for i := range n {
			numbers = append(numbers, sms.Phone(fmt.Sprintf("+1512555%04d", i)))
		}
		_, err := a.FindContacts(t.Context(), numbers)
		require.NoError(t, err)
		require.Equal(t, want, a.searches(), "%d numbers", n)
	}
}

func TestShortCodesAreNobodys(t *testing.T) {
	t.Parallel()
	a := open(t, fake.Options{}, "")
	a.AddContact(connectortest.Contact{Name: "Ann", Phones: []string{"72345"}})
	found, err := a.FindContacts(t.Context(), []sms.Phone{"72345", "ACME"})
	require.NoError(t, err)
	require.Equal(t, [][]connectors.Contact{nil, nil}, found)
	require.Zero(t, a.searches())
}

// The limit of a query is what integrators tell of: if there is another one, a
// search for fewer numbers may do.
func TestRefusedSearchIsSplit(t *testing.T) {
	t.Parallel()
	a := answering(t, http.StatusBadRequest, `{"status":"error","category":"VALIDATION_ERROR","message":"There was a problem with the request."}`)
	for _, numbers := range [][]sms.Phone{{"+15125550100", "+15125550101"}, {"+15125550100"}} {
		_, err := a.FindContacts(t.Context(), numbers)
		require.ErrorContains(t, err, "INVALID")
		require.Equal(t, len(numbers) > 1, connectors.AsError("", err).WholeBatch)
	}
}

func TestSearchReadsAllPages(t *testing.T) {
	t.Parallel()
	a := open(t, fake.Options{Page: 3}, "")
	var want []string
	for range 10 {
		want = append(want, a.AddContact(connectortest.Contact{Name: "Ann", Phones: []string{"512 555 0100"}}).ID)
	}
	found, err := a.FindContacts(t.Context(), []sms.Phone{"+15125550100"})
	require.NoError(t, err)
	var got []string
	for _, c := range found[0] {
		got = append(got, c.ID)
	}
	require.Equal(t, want, got, "the oldest first")
	require.Equal(t, 4, a.searches())
}

// A token without the scopes for sensitive data sees no number as it was typed.
func TestMaskedNumbersAreFound(t *testing.T) {
	t.Parallel()
	a := open(t, fake.Options{Masked: true}, "")
	ann := a.AddContact(connectortest.Contact{Name: "Ann Lee", Phones: []string{"(512) 555-0100", "+1 512 555 0101"}})
	found, err := a.FindContacts(t.Context(), []sms.Phone{"+15125550100", "+15125550101"})
	require.NoError(t, err)
	for _, contacts := range found {
		require.Len(t, contacts, 1)
		require.Equal(t, ann.ID, contacts[0].ID)
		require.Equal(t, []sms.Phone{"+15125550100", "+15125550101"}, contacts[0].Phones)
	}
	created, err := a.CreateContact(t.Context(), connectors.NewContact{Phone: "+15125550102"})
	require.NoError(t, err)
	require.Equal(t, []sms.Phone{"+15125550102"}, created.Phones)
}

// A property that HubSpot does not read itself is searched in the usual spellings.
func TestFurtherPhoneFields(t *testing.T) {
	t.Parallel()
	a := open(t, fake.Options{}, "phone_fields: [phone, mobilephone, hs_whatsapp_phone_number, company]\nportal: \"4711\"\n")
	id := a.AddContact(connectortest.Contact{Name: "Ann", Phones: []string{"", "", "(512) 555-0100"}}).ID
	found, err := a.FindContacts(t.Context(), []sms.Phone{"+15125550100", "+15125550199"})
	require.NoError(t, err)
	require.Len(t, found[0], 1)
	require.Equal(t, connectors.Ref{Type: "contact", ID: id, URL: "https://app.hubspot.com/contacts/4711/record/0-1/" + id}, found[0][0].Ref)
	require.Empty(t, found[1])
	require.Equal(t, 2, a.searches(), "five groups at most")
}

// Twice the longest list of spellings does not fit beside others.
func TestSearchInManySpellings(t *testing.T) {
	t.Parallel()
	a := open(t, fake.Options{}, "phone_fields: [hs_whatsapp_phone_number, company]\n")
	var numbers []sms.Phone
	var want []string
	for i := range 20 {
		numbers = append(numbers, sms.Phone(fmt.Sprintf("+4420794609%02d", i)))
		want = append(want, a.AddContact(connectortest.Contact{Name: "Ann", Phones: []string{"", "", fmt.Sprintf("020 7946 09%02d", i)}}).ID)
	}
	found, err := a.FindContacts(t.Context(), numbers)
	require.NoError(t, err)
	for i, contacts := range found {
		require.Len(t, contacts, 1)
		require.Equal(t, want[i], contacts[0].ID)
	}
	require.Greater(t, a.searches(), 1)
}

func TestContactAsItIs(t *testing.T) {
	t.Parallel()
	a := open(t, fake.Options{}, "")
	owner := a.AddOwner("sam@example.com")
	a.AddContact(connectortest.Contact{Name: "Ann Mary Lee", OwnerID: owner, Phones: []string{"512-555-0100 ext. 7", "020 7946 0958"}})
	found, err := a.FindContacts(t.Context(), []sms.Phone{"+15125550100"})
	require.NoError(t, err)
	ann := found[0][0]
	require.Equal(t, "Ann Mary Lee", ann.Name)
	require.Equal(t, owner, ann.OwnerID)
	require.WithinDuration(t, time.Now(), ann.Updated, time.Minute)
	require.True(t, slices.Contains(ann.Phones, "+15125550100"))
}

func TestNewContact(t *testing.T) {
	t.Parallel()
	a := open(t, fake.Options{}, "")
	owner := a.AddOwner("sam@example.com")
	_, err := a.CreateContact(t.Context(), connectors.NewContact{
		Phone: "+15125550100", Name: " Ann  Mary Lee", Email: "ann@example.com", OwnerID: owner,
		Type: "lead", Fields: map[string]string{"company": "ACME"},
	})
	require.NoError(t, err)
	_, err = a.CreateContact(t.Context(), connectors.NewContact{Phone: "+15125550101"})
	require.NoError(t, err)
	ann, nobody := a.Contacts()[0], a.Contacts()[1]
	require.Equal(t, "Ann Mary Lee", ann.Name)
	require.Equal(t, "ann@example.com", ann.Email)
	require.Equal(t, owner, ann.OwnerID)
	require.Equal(t, "ACME", ann.Fields["company"])
	require.Equal(t, "lead", a.Value(ann.ID, "lifecyclestage"))
	require.Equal(t, "+15125550101", nobody.Name, "HubSpot takes no contact without name and address")
}

// A property that the settings misspell parks new contacts, not the lane.
func TestNewContactWithAPropertyThatIsNone(t *testing.T) {
	t.Parallel()
	a := open(t, fake.Options{}, "")
	_, err := a.CreateContact(t.Context(), connectors.NewContact{Phone: "+15125550100", Fields: map[string]string{"no_such_field": "ACME"}})
	require.Equal(t, connectors.Invalid, connectors.AsError("", err).Kind)
	require.ErrorContains(t, err, "property no_such_field")
}

func TestContactWithThatAddressIsThere(t *testing.T) {
	t.Parallel()
	a := open(t, fake.Options{}, "")
	ann := a.AddContact(connectortest.Contact{Name: "Ann Lee", Email: "Ann@Example.com", Phones: []string{"512 555 0199"}})
	got, err := a.CreateContact(t.Context(), connectors.NewContact{Phone: "+15125550100", Name: "A. Lee", Email: "ann@example.com"})
	require.NoError(t, err)
	require.Equal(t, ann.ID, got.ID)
	require.Equal(t, "Ann Lee", got.Name)
	require.Equal(t, []sms.Phone{"+15125550199"}, got.Phones, "its own")
	require.Len(t, a.Contacts(), 1)

	a.DeleteContact(ann.ID)
	_, err = a.CreateContact(t.Context(), connectors.NewContact{Phone: "+15125550100", Email: "ann@example.com"})
	require.Equal(t, connectors.Conflict, connectors.AsError("", err).Kind, "in the recycle bin")
}

func TestConflictThatNamesNobody(t *testing.T) {
	t.Parallel()
	a := answering(t, http.StatusConflict, `{"status":"error","message":"Contact already exists.","category":"CONFLICT"}`)
	_, err := a.CreateContact(t.Context(), connectors.NewContact{Phone: "+15125550100"})
	require.Equal(t, connectors.Conflict, connectors.AsError("", err).Kind)
}

// Two numbers of one contact are one input, since HubSpot refuses two.
func TestConsentOfTwoNumbersOfAContact(t *testing.T) {
	t.Parallel()
	a := open(t, fake.Options{}, "")
	ann := a.AddContact(connectortest.Contact{Name: "Ann", Phones: []string{"+15125550100", "+15125550101"}})
	bob := a.AddContact(connectortest.Contact{Name: "Bob", Phones: []string{"+15125550102"}})
	at := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	change := func(ref connectors.Ref, out bool, at time.Time) connectors.ConsentChange {
		return connectors.ConsentChange{Contact: ref, Consent: sms.Consent{OptedOut: out, At: at}}
	}
	out := a.SetConsent(t.Context(), []connectors.ConsentChange{
		change(ann, true, at.Add(time.Hour)), change(bob, false, at), change(ann, false, at),
	})
	require.Equal(t, map[connectors.State]int{connectors.Written: 3}, states(out))
	require.True(t, a.Contacts()[0].OptedOut, "the last change stands")
	require.True(t, a.Contacts()[0].ConsentAt.Equal(at.Add(time.Hour)))
	require.False(t, a.Contacts()[1].OptedOut)
}

func TestConsentWithoutAProperty(t *testing.T) {
	t.Parallel()
	a := open(t, fake.Options{}, `fields: { opt_out: "", opt_out_at: "" }`)
	ann := a.AddContact(connectortest.Contact{Name: "Ann"})
	out := a.SetConsent(t.Context(), []connectors.ConsentChange{{Contact: ann}})
	require.Equal(t, connectors.NotApplicable, out[0].State)
	require.Empty(t, a.Requests())
}
