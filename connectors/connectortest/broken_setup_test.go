package connectortest

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/rest"
	"crmsync/sms"
)

// As TestSuiteFindsDefects, for what stands around a text: whose it is, when it
// was, and how the CRM is set up.
func TestSuiteFindsDefectsAround(t *testing.T) {
	t.Parallel()
	for _, d := range []struct {
		defect string
		alter  func(*altered)
		found  string
	}{
		{"takes the local time for UTC", onRecord(localAsUTC), "put/instant of another zone"},
		{"forgets the direction", onRecord(func(r *connectors.Record) { r.Message.Direction = sms.Inbound }), "put/directions"},
		{"writes the words alone", onRecord(func(r *connectors.Record) { r.Body = r.Message.Body }), "put/media links"},
		{"forgets the owner", onRecord(func(r *connectors.Record) { r.OwnerID = "" }), "put/owner"},

		{"searches one spelling", comparing(func(c Contact, p sms.Phone) bool { return slices.Contains(c.Phones, string(p)) }), "find contacts/number: national, parentheses"},
		{"searches the ending", comparing(func(Contact, sms.Phone) bool { return true }), "find contacts/number: the same ending"},
		{"searches one field", comparing(func(c Contact, p sms.Phone) bool { return parsed(c.Phones[0]) == p }), "find contacts/numbers of one contact"},
		{"stops at the first", onFound(func(found []connectors.Contact) []connectors.Contact { return found[:min(1, len(found))] }), "find contacts/spellings of one number"},
		{"names a contact twice", onFound(func(found []connectors.Contact) []connectors.Contact { return append(found, found...) }), "find contacts/number twice on one contact"},

		{"searches no leads", onFound(withoutLeads), "lead/found beside a contact"},
		{"writes to no leads", writesNoLeads, "lead/put"},
		{"opts no leads out", optsNoLeads, "lead/consent"},
		{"opts nobody out whom it created", optsNoNew, "consent/of a contact just created"},
		{"creates no leads", creating(func(n *connectors.NewContact) { n.Type = "" }), "lead/created"},
		{"creates a contact for whatever type", creating(func(n *connectors.NewContact) { n.Type = "" }), "create contact/of a type that there is not"},
		{"drops fields", creating(func(n *connectors.NewContact) { n.Fields = nil }), "create contact/with fields"},

		{"mixes owners up", owners(func(ids []string) []string { slices.Sort(ids); return ids }), "find owners/in order"},
		{"leaves unknown owners out", owners(func(ids []string) []string { return slices.DeleteFunc(ids, func(id string) bool { return id == "" }) }), "find owners/in order"},
		{"compares addresses by the letter", byTheLetter, "find owners/in any case"},
		{"asks for nobody", asksForNobody, "find owners/nothing"},
		{"knows nobody when the CRM is down", knowsNobody, "find owners/503 with a page"},

		{"changes in a dry run", provisions(func(a *altered, ctx context.Context, _ bool) { _, _ = a.testcrm.Provision(ctx, false) }), "provision/says first"},
		{"says everything each time", saysEverything, "provision/says first"},
		{"says done and does nothing", saysDone, "provision/then texts arrive"},
		{"hides that it failed", hidesFailure, "provision/403"},
	} {
		t.Run(d.defect, func(t *testing.T) {
			t.Parallel()
			mustNotice(t, "B", d.alter, d.found)
		})
	}
}

func TestSuiteFindsDefectsInAdoption(t *testing.T) {
	t.Parallel()
	const second = time.Second
	for _, d := range []struct {
		defect string
		alter  func(*altered)
		found  string
	}{
		{"takes what came too late", adoptsWith(func(r *connectors.Record) { r.Message.At = r.Message.At.Add(second) }), "adopt/61 s later"},
		{"takes what came too early", adoptsWith(func(r *connectors.Record) { r.Message.At = r.Message.At.Add(-second) }), "adopt/61 s earlier"},
		{"takes another's", adoptsWith(func(r *connectors.Record) { r.Contact.ID = "c2" }), "adopt/of another contact"},
		{"takes the beginning for the whole", adoptsWith(func(r *connectors.Record) { r.Message.Body += " and more" }), "adopt/of another text"},
		{"takes the answer for the question", adoptsWith(func(r *connectors.Record) { r.Message.Direction = sms.Outbound }), "adopt/the other direction"},
		{"takes what has a key", adopting(func(o *connectors.Outcome) { claims(o, connectors.Written) }), "adopt/one that has a key"},
		{"writes where there is none", writesInstead, "adopt/some of a batch"},
		{"gives one record to two", adopting(func(o *connectors.Outcome) { claims(o, connectors.Existed) }), "adopt/one for two texts"},
		{"parks where there is none", adopting(func(o *connectors.Outcome) { claims(o, connectors.NotAttempted) }), "adopt/some of a batch"},
		{"says written each time", adopting(func(o *connectors.Outcome) { o.State = connectors.Written }), "adopt/again"},
		{"says so and does nothing", saysAdopted, "adopt/takes over"},
		{"takes none at the edge", adoptsOnly(func(r *connectors.Record) { r.Message.At = r.Message.At.Add(second) }), "adopt/-1m0s away"},
		{"takes only the first of two", takesOne, "adopt/two for two texts"},
		{"swallows an outage", adopting(swallow), "adopt/503 with a page"},
	} {
		t.Run(d.defect, func(t *testing.T) {
			t.Parallel()
			mustNotice(t, "B", d.alter, d.found)
		})
	}
}

// A fake that lacks what the connector's verbs need proves nothing.
func TestSuiteAsksForTheFakesPart(t *testing.T) {
	t.Parallel()
	h := harness("B", 10)
	inner := h.Start
	h.Start = func(t testing.TB) Fake {
		fake := inner(t)
		fake.Store = struct{ Store }{fake.Store} // hides the rest
		return fake
	}
	for found, want := range map[string]string{
		"find owners/in order": "fakes.OwnerAdder", "provision/says first": "fakes.FieldRemover", "adopt/takes over": "fakes.MessageAdder",
	} {
		if failure := judgeCase(t, h, found); !strings.Contains(failure, want) {
			t.Errorf("%s: %q does not name %s", found, failure, want)
		}
	}
}

// onRecord spoils records before they are put.
func onRecord(spoil func(*connectors.Record)) func(*altered) {
	return func(a *altered) {
		a.put = func(ctx context.Context, records []connectors.Record) []connectors.Outcome {
			return a.testcrm.PutMessages(ctx, spoilt(records, spoil))
		}
	}
}

func spoilt(records []connectors.Record, spoil func(*connectors.Record)) []connectors.Record {
	out := slices.Clone(records)
	for i := range out {
		spoil(&out[i])
	}
	return out
}

func localAsUTC(r *connectors.Record) {
	at := r.Message.At
	r.Message.At = time.Date(at.Year(), at.Month(), at.Day(), at.Hour(), at.Minute(), at.Second(), 0, time.UTC)
}

// comparing keeps of what the CRM finds what the connector holds for a match.
func comparing(matches func(Contact, sms.Phone) bool) func(*altered) {
	return func(a *altered) {
		a.find = func(ctx context.Context, phones []sms.Phone) ([][]connectors.Contact, error) {
			var out apiContacts
			_, err := a.api.Do(ctx, rest.Request{Op: "find", Method: "POST", Path: "contacts/search", Body: apiBatch[sms.Phone]{phones}, Into: &out})
			found := make([][]connectors.Contact, len(phones))
			for i, contacts := range out.Contacts {
				for _, c := range contacts {
					if matches(c, phones[i]) {
						found[i] = append(found[i], ours(c, phones[i]))
					}
				}
			}
			return found, err
		}
	}
}

func onFound(spoil func([]connectors.Contact) []connectors.Contact) func(*altered) {
	return func(a *altered) {
		a.find = func(ctx context.Context, phones []sms.Phone) ([][]connectors.Contact, error) {
			found, err := a.testcrm.FindContacts(ctx, phones)
			for i := range found {
				found[i] = spoil(found[i])
			}
			return found, err
		}
	}
}

func withoutLeads(found []connectors.Contact) []connectors.Contact {
	return slices.DeleteFunc(found, func(c connectors.Contact) bool { return c.Type == leadType })
}

func writesNoLeads(a *altered) {
	a.put = func(ctx context.Context, records []connectors.Record) []connectors.Outcome {
		return a.testcrm.PutMessages(ctx, spoilt(records, func(r *connectors.Record) {
			if r.Contact.Type == leadType {
				r.Contact = connectors.Ref{}
			}
		}))
	}
}

func optsNoLeads(a *altered) {
	a.consent = func(ctx context.Context, changes []connectors.ConsentChange) []connectors.Outcome {
		if changes[0].Contact.Type == leadType {
			return []connectors.Outcome{{State: connectors.Written}}
		}
		return a.testcrm.SetConsent(ctx, changes)
	}
}

func optsNoNew(a *altered) {
	var created string
	a.create = func(ctx context.Context, n connectors.NewContact) (connectors.Contact, error) {
		c, err := a.testcrm.CreateContact(ctx, n)
		created = c.ID
		return c, err
	}
	a.consent = func(ctx context.Context, changes []connectors.ConsentChange) []connectors.Outcome {
		if changes[0].Contact.ID == created {
			return []connectors.Outcome{{State: connectors.Written}}
		}
		return a.testcrm.SetConsent(ctx, changes)
	}
}

func creating(spoil func(*connectors.NewContact)) func(*altered) {
	return func(a *altered) {
		a.create = func(ctx context.Context, n connectors.NewContact) (connectors.Contact, error) {
			spoil(&n)
			return a.testcrm.CreateContact(ctx, n)
		}
	}
}

func owners(spoil func([]string) []string) func(*altered) {
	return func(a *altered) {
		a.owners = func(ctx context.Context, emails []string) ([]string, error) {
			found, err := a.testcrm.FindOwners(ctx, emails)
			return spoil(found), err
		}
	}
}

func byTheLetter(a *altered) {
	a.owners = func(ctx context.Context, emails []string) ([]string, error) {
		found, err := a.testcrm.FindOwners(ctx, emails)
		for i, email := range emails {
			if email != strings.ToLower(email) {
				found[i] = ""
			}
		}
		return found, err
	}
}

func asksForNobody(a *altered) {
	a.owners = func(ctx context.Context, emails []string) ([]string, error) {
		if len(emails) > 0 {
			return a.testcrm.FindOwners(ctx, emails)
		}
		_, err := a.testcrm.FindOwners(ctx, []string{"nobody@example.com"})
		return nil, err
	}
}

func knowsNobody(a *altered) {
	a.owners = func(ctx context.Context, emails []string) ([]string, error) {
		found, err := a.testcrm.FindOwners(ctx, emails)
		if err != nil {
			return make([]string, len(emails)), nil //nolint:nilerr // the defect
		}
		return found, nil
	}
}

// provisions does something before what it should.
func provisions(before func(*altered, context.Context, bool)) func(*altered) {
	return func(a *altered) {
		a.provision = func(ctx context.Context, dryRun bool) ([]connectors.Change, error) {
			changes, err := a.testcrm.Provision(ctx, dryRun)
			before(a, ctx, dryRun)
			return changes, err
		}
	}
}

func saysEverything(a *altered) {
	a.provision = func(ctx context.Context, dryRun bool) ([]connectors.Change, error) {
		_, err := a.testcrm.Provision(ctx, dryRun)
		return []connectors.Change{{What: "create field message_key", Done: !dryRun}}, err
	}
}

func saysDone(a *altered) {
	a.provision = func(ctx context.Context, dryRun bool) ([]connectors.Change, error) {
		changes, err := a.testcrm.Provision(ctx, true)
		for i := range changes {
			changes[i].Done = !dryRun
		}
		return changes, err
	}
}

func hidesFailure(a *altered) {
	a.provision = func(ctx context.Context, dryRun bool) ([]connectors.Change, error) {
		changes, _ := a.testcrm.Provision(ctx, dryRun)
		return changes, nil
	}
}

// adopting changes what AdoptMessages answers.
func adopting(spoil func(*connectors.Outcome)) func(*altered) {
	return func(a *altered) {
		a.adopt = func(ctx context.Context, records []connectors.Record) []connectors.Outcome {
			out := a.testcrm.AdoptMessages(ctx, records)
			for i := range out {
				spoil(&out[i])
			}
			return out
		}
	}
}

// claims says something else where there is none to adopt.
func claims(o *connectors.Outcome, state connectors.State) {
	if o.State == connectors.NotApplicable {
		*o = connectors.Outcome{State: state, Ref: connectors.Ref{ID: "m1"}}
	}
}

// adoptsOnly looks for something else.
func adoptsOnly(spoil func(*connectors.Record)) func(*altered) {
	return func(a *altered) {
		a.adopt = func(ctx context.Context, records []connectors.Record) []connectors.Outcome {
			return a.testcrm.AdoptMessages(ctx, spoilt(records, spoil))
		}
	}
}

// adoptsWith looks for something else, too.
func adoptsWith(spoil func(*connectors.Record)) func(*altered) {
	return func(a *altered) {
		a.adopt = func(ctx context.Context, records []connectors.Record) []connectors.Outcome {
			out := a.testcrm.AdoptMessages(ctx, records)
			if out[0].State == connectors.NotApplicable {
				return a.testcrm.AdoptMessages(ctx, spoilt(records, spoil))
			}
			return out
		}
	}
}

func writesInstead(a *altered) {
	a.adopt = func(ctx context.Context, records []connectors.Record) []connectors.Outcome {
		out := a.testcrm.AdoptMessages(ctx, records)
		for i, o := range out {
			if o.State == connectors.NotApplicable {
				a.testcrm.PutMessages(ctx, records[i:i+1])
			}
		}
		return out
	}
}

func saysAdopted(a *altered) {
	a.adopt = func(_ context.Context, records []connectors.Record) []connectors.Outcome {
		out := make([]connectors.Outcome, len(records))
		for i := range out {
			out[i] = connectors.Outcome{State: connectors.Written, Ref: connectors.Ref{ID: "m1"}}
		}
		return out
	}
}

func takesOne(a *altered) {
	a.adopt = func(ctx context.Context, records []connectors.Record) []connectors.Outcome {
		out := a.testcrm.AdoptMessages(ctx, records[:1])
		for range records[1:] {
			out = append(out, connectors.Outcome{State: connectors.NotApplicable})
		}
		return out
	}
}
