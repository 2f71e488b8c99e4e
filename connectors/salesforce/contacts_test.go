package salesforce_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/fakes"
	"crmsync/connectors/phones"
	"crmsync/connectors/salesforce/fake"
	"crmsync/sms"
)

// The search index is late; what this connector created is found all the same,
// so that nobody is created twice.
func TestFindsWhatTheIndexDoesNotHoldYet(t *testing.T) {
	t.Parallel()
	o := newOrg(t, fake.Options{SearchLag: time.Hour})
	for _, kind := range []string{"lead", "contact"} {
		p := sms.Phone("+1512555010" + fmt.Sprint(len(kind)))
		created, err := o.CreateContact(t.Context(), connectors.NewContact{Phone: p, Name: "Ann Lee", Type: kind})
		require.NoError(t, err)
		found, err := o.FindContacts(t.Context(), []sms.Phone{p})
		require.NoError(t, err)
		require.Len(t, found[0], 1)
		require.True(t, created.Same(found[0][0].Ref))
	}
}

// Every number of the shared table is found in every field, for many numbers in
// one search.
func TestManyNumbersInOneSearch(t *testing.T) {
	t.Parallel()
	o := newOrg(t, fake.Options{})
	var numbers []sms.Phone
	for _, c := range phones.Cases() {
		o.AddContact(fakes.Contact{Name: c.Name, Phones: []string{"+15125559999", c.Stored}})
		numbers = append(numbers, c.Phone)
	}
	var found [][]connectors.Contact
	require.Equal(t, 2, o.count(func() {
		var err error
		found, err = o.FindContacts(t.Context(), numbers)
		require.NoError(t, err)
	}))
	for i, c := range phones.Cases() {
		var names []string
		for _, each := range found[i] {
			names = append(names, each.Name)
			require.Contains(t, each.Phones, c.Phone)
		}
		if c.Same {
			require.Contains(t, names, c.Name)
		} else {
			require.NotContains(t, names, c.Name)
		}
	}
}

func TestNumbersPerSearch(t *testing.T) {
	t.Parallel()
	for setting, want := range map[int]int{1: 31, 10: 4, 1000: 2} {
		o := newOrg(t, fake.Options{}, fmt.Sprintf("numbers_per_search: %d", setting))
		numbers := make([]sms.Phone, 30)
		for i := range numbers {
			numbers[i] = sms.Phone(fmt.Sprintf("+1512555%04d", i))
		}
		require.Equal(t, want, o.count(func() {
			_, err := o.FindContacts(t.Context(), numbers)
			require.NoError(t, err)
		}), "requests for 30 numbers, %d in a search", setting)
	}
}

// A search that finds more than it may answer does not lose anybody.
func TestNumberOfThousands(t *testing.T) {
	t.Parallel()
	o := newOrg(t, fake.Options{})
	for range 2_000 {
		o.AddContact(fakes.Contact{Name: "Switchboard", Phones: []string{"(512) 555-0100"}})
	}
	want := o.AddContact(fakes.Contact{Name: "Ann", Phones: []string{"(512) 555-0101"}})
	found, err := o.FindContacts(t.Context(), []sms.Phone{"+15125550100", "+15125550101"})
	require.NoError(t, err)
	require.Len(t, found[0], 2_000)
	require.Len(t, found[1], 1)
	require.Equal(t, want.ID, found[1][0].ID)
}

// A number of Peru has the digits of one in Texas, without its country.
func TestDigitsOfAnotherCountry(t *testing.T) {
	t.Parallel()
	o := newOrg(t, fake.Options{})
	o.AddContact(fakes.Contact{Name: "Ana", Phones: []string{"+51 2555 0100"}})
	found, err := o.FindContacts(t.Context(), []sms.Phone{"+15125550100"})
	require.NoError(t, err)
	require.Empty(t, found[0])
}

func TestShortCodesMatchNobody(t *testing.T) {
	t.Parallel()
	o := newOrg(t, fake.Options{})
	o.AddContact(fakes.Contact{Name: "Bank", Phones: []string{"72345"}})
	require.Zero(t, o.count(func() {
		found, err := o.FindContacts(t.Context(), []sms.Phone{"72345", "ACME"})
		require.NoError(t, err)
		require.Equal(t, [][]connectors.Contact{nil, nil}, found)
	}))
}

func TestLeadsAreLeftOut(t *testing.T) {
	t.Parallel()
	o := newOrg(t, fake.Options{}, "leads: false")
	o.AddContact(fakes.Contact{Ref: connectors.Ref{Type: "lead"}, Name: "Ann", Phones: []string{"+15125550100"}})
	found, err := o.FindContacts(t.Context(), []sms.Phone{"+15125550100"})
	require.NoError(t, err)
	require.Empty(t, found[0])
	created, err := o.CreateContact(t.Context(), connectors.NewContact{Phone: "+15125550100"})
	require.NoError(t, err)
	require.Equal(t, "contact", created.Type)
	_, err = o.CreateContact(t.Context(), connectors.NewContact{Phone: "+15125550100", Type: "lead"})
	require.ErrorContains(t, err, "leads is false")
}

// A Task can belong neither to somebody who has left nor to a queue of leads.
func TestOwnersWhoCanHaveATask(t *testing.T) {
	t.Parallel()
	o := newOrg(t, fake.Options{})
	sam, kim := o.AddOwner("sam@example.com"), o.AddOwner("kim@example.com")
	o.Dismiss(kim)
	for owner, want := range map[string]string{sam: sam, kim: "", "00G5f0000009999EAA": ""} {
		p := sms.Phone("+1512555" + owner[11:15])
		o.AddContact(fakes.Contact{Name: "Ann", Phones: []string{string(p)}, OwnerID: owner})
		found, err := o.FindContacts(t.Context(), []sms.Phone{p})
		require.NoError(t, err)
		require.Equal(t, want, found[0][0].OwnerID)
	}
}

// A duplicate rule of the customer's blocks. Whoever carries the number is the
// contact; another person with the same address is left to the operator.
func TestDuplicateRule(t *testing.T) {
	t.Parallel()
	o := newOrg(t, fake.Options{BlockDuplicates: true})
	first, err := o.CreateContact(t.Context(), connectors.NewContact{Phone: "+15125550100", Name: "Ann Lee", Email: "ann@example.com"})
	require.NoError(t, err)
	again, err := o.CreateContact(t.Context(), connectors.NewContact{Phone: "+15125550100", Name: "Ann"})
	require.NoError(t, err)
	require.Equal(t, first.Ref, again.Ref)
	_, err = o.CreateContact(t.Context(), connectors.NewContact{Phone: "+15125550199", Name: "Ann", Email: "ann@example.com"})
	require.Equal(t, connectors.Conflict, connectors.AsError("", err).Kind)
	require.Len(t, o.Contacts(), 1)
}

func TestNewContacts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		n    connectors.NewContact
		want map[string]any
	}{
		"nameless":          {connectors.NewContact{}, map[string]any{"LastName": "+15125550100", "Company": "[not provided]"}},
		"one word":          {connectors.NewContact{Name: "Cher"}, map[string]any{"LastName": "Cher"}},
		"three words":       {connectors.NewContact{Name: " Ann  Mary Lee "}, map[string]any{"FirstName": "Ann Mary", "LastName": "Lee"}},
		"no e-mail address": {connectors.NewContact{Email: "ann at home"}, map[string]any{"Email": nil}},
		"fields":            {connectors.NewContact{Fields: map[string]string{"Company": "Acme", "LeadSource": "Other"}}, map[string]any{"Company": "Acme", "LeadSource": "Other"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOrg(t, fake.Options{})
			c.n.Phone = "+15125550100"
			created, err := o.CreateContact(t.Context(), c.n)
			require.NoError(t, err)
			stored := o.Fields(created.ID)
			for field, want := range c.want {
				require.Equal(t, want, stored[field], field)
			}
		})
	}
}

// Two numbers of one person in one request: the later word counts.
func TestConsentOfTwoNumbersOfOnePerson(t *testing.T) {
	t.Parallel()
	o := newOrg(t, fake.Options{})
	ann := o.AddContact(fakes.Contact{Name: "Ann", Phones: []string{"+15125550100", "+15125550101"}})
	bo := o.AddContact(fakes.Contact{Ref: connectors.Ref{Type: "lead"}, Name: "Bo", Phones: []string{"+15125550102"}})
	change := func(who connectors.Ref, out bool, after time.Duration) connectors.ConsentChange {
		return connectors.ConsentChange{Contact: who, Consent: sms.Consent{OptedOut: out, At: noon.Add(after)}}
	}
	require.Equal(t, 1, o.count(func() {
		requireAll(t, connectors.Written, o.SetConsent(t.Context(), []connectors.ConsentChange{
			change(ann, true, time.Minute), change(bo, true, 0), change(ann, false, 0),
		}))
	}))
	require.True(t, o.Contacts()[0].OptedOut)
	require.Equal(t, noon.Add(time.Minute), o.Contacts()[0].ConsentAt)
	require.True(t, o.Contacts()[1].OptedOut)
}

// What was written can be read back, once Check has seen that the field is there.
func TestConsentIsReadBack(t *testing.T) {
	t.Parallel()
	o := newOrg(t, fake.Options{})
	ann := o.AddContact(fakes.Contact{Name: "Ann", Phones: []string{"+15125550100"}})
	tells := func() *bool {
		found, err := o.FindContacts(t.Context(), []sms.Phone{"+15125550100"})
		require.NoError(t, err)
		require.Len(t, found[0], 1)
		return found[0][0].OptedOut
	}
	require.Nil(t, tells())
	_, err := o.Check(t.Context())
	require.NoError(t, err)
	require.False(t, *tells())
	o.SetConsent(t.Context(), []connectors.ConsentChange{{Contact: ann, Consent: sms.Consent{OptedOut: true, At: noon}}})
	require.True(t, *tells())
}
