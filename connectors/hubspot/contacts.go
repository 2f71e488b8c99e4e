package hubspot

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"crmsync/connectors"
	"crmsync/connectors/phones"
	"crmsync/connectors/rest"
	"crmsync/sms"
)

// Limits of a search.
// https://developers.hubspot.com/docs/api-reference/2026-03/crm/search-the-crm
const (
	maxGroups = 5
	maxQuery  = 3000 // characters of the body
	maxFound  = 200  // on a page
)

var errContactGone = errors.New("the contact is not there")

// calculated tells by which property HubSpot searches a number that it has read
// itself, in whatever spelling it was typed: the national digits, without leading
// zeros. The other one has it in E.164, even where a token without the scopes for
// sensitive data sees the number itself masked.
// https://developers.hubspot.com/docs/api-reference/2026-03/crm/search-the-crm
var calculated = map[string]struct{ search, e164 string }{
	"phone":       {"hs_searchable_calculated_phone_number", "hs_calculated_phone_number"},
	"mobilephone": {"hs_searchable_calculated_mobile_number", "hs_calculated_mobile_number"},
}

// clause is a property that is searched for values made of each number.
type clause struct {
	property string
	values   func(sms.Phone) []string
}

func (c Config) clauses() []clause {
	var all []clause
	for _, field := range c.PhoneFields {
		if own, known := calculated[field]; known {
			all = append(all, clause{own.search, searchable}, clause{field, e164})
		} else {
			all = append(all, clause{field, phones.Spellings})
		}
	}
	return all
}

// e164 finds what HubSpot could not read, if it was written by a program.
func e164(p sms.Phone) []string { return []string{string(p)} }

// searchable answers what HubSpot may have made of p: it reads the country off a
// number with a plus, and takes the account's for others.
func searchable(p sms.Phone) []string {
	national := p.National()
	return unique([]string{national, strings.TrimLeft(national, "0"), strings.TrimPrefix(string(p), "+")})
}

// FindContacts implements connectors.ContactFinder, with some 30 numbers in a
// request. Short codes and names are no contact's.
func (c *Connector) FindContacts(ctx context.Context, numbers []sms.Phone) ([][]connectors.Contact, error) {
	const op = "find contacts"
	out := make([][]connectors.Contact, len(numbers))
	found := map[string]object{}
	full := slices.DeleteFunc(slices.Clone(numbers), func(p sms.Phone) bool { return !p.E164() })
	for _, query := range c.queries(full) {
		page, err := c.api.search(ctx, op, contacts, query, len(numbers))
		if err != nil {
			return nil, err
		}
		for _, o := range page {
			found[o.ID] = o
		}
	}
	for _, o := range found {
		contact := c.contact(o, numbers)
		for i, p := range numbers {
			if slices.Contains(contact.Phones, p) {
				out[i] = append(out[i], contact)
			}
		}
	}
	for i := range out {
		slices.SortFunc(out[i], oldestFirst)
	}
	return out, nil
}

// oldestFirst goes by the ids, which HubSpot counts up.
func oldestFirst(a, b connectors.Contact) int {
	return cmp.Or(cmp.Compare(len(a.ID), len(b.ID)), cmp.Compare(a.ID, b.ID))
}

// queries are the fewest searches that ask for all numbers in all properties.
func (c *Connector) queries(numbers []sms.Phone) []searchRequest {
	var all []searchRequest
	for clauses := range slices.Chunk(c.cfg.clauses(), maxGroups) {
		for rest := numbers; len(rest) > 0; {
			n := len(rest)
			query := c.query(clauses, rest)
			for n > 1 && size(query) > maxQuery {
				n = max(1, min(n-1, n*maxQuery/size(query)))
				query = c.query(clauses, rest[:n])
			}
			all, rest = append(all, query), rest[n:]
		}
	}
	return all
}

func (c *Connector) query(clauses []clause, numbers []sms.Phone) searchRequest {
	q := searchRequest{Properties: c.shown(), Limit: maxFound}
	for _, clause := range clauses {
		var values []string
		for _, p := range numbers {
			values = append(values, clause.values(p)...)
		}
		q.Groups = append(q.Groups, filterGroup{[]filter{{clause.property, "IN", unique(values)}}})
	}
	return q
}

// size is that of the body, with room for the mark of a further page.
func size(q searchRequest) int {
	raw, _ := json.Marshal(q) // plain structs always marshal
	return len(raw) + len(`,"after":"10000"`)
}

// shown are the properties of a contact that are read.
func (c *Connector) shown() []string {
	all := []string{"firstname", "lastname", fieldOwner}
	for _, field := range c.cfg.PhoneFields {
		all = append(all, field)
		if own, known := calculated[field]; known {
			all = append(all, own.e164)
		}
	}
	if c.cfg.Fields.OptOut != "" {
		all = append(all, c.cfg.Fields.OptOut)
	}
	return all
}

// contact answers a contact in the words of the contract. Of its numbers those
// that are looked for decide how the others of the same spelling are read.
func (c *Connector) contact(o object, sought []sms.Phone) connectors.Contact {
	contact := connectors.Contact{
		Ref:     c.contactRef(o.ID),
		Name:    strings.TrimSpace(o.Properties["firstname"] + " " + o.Properties["lastname"]),
		OwnerID: o.Properties[fieldOwner],
		Updated: o.Updated,
	}
	if field := c.cfg.Fields.OptOut; field != "" {
		optedOut := o.Properties[field] == "true"
		contact.OptedOut = &optedOut
	}
	for _, field := range c.cfg.PhoneFields {
		for _, raw := range []string{o.Properties[field], o.Properties[calculated[field].e164]} {
			contact.Phones = append(contact.Phones, c.numbers(raw, sought)...)
		}
	}
	slices.Sort(contact.Phones)
	contact.Phones = slices.Compact(contact.Phones)
	return contact
}

// numbers are what a raw one means: those sought that it is, else the one that it
// is in the account's country.
func (c *Connector) numbers(raw string, sought []sms.Phone) []sms.Phone {
	if raw == "" {
		return nil
	}
	all := digitsOf(raw)
	same := slices.DeleteFunc(slices.Clone(sought), func(p sms.Phone) bool {
		return !strings.Contains(all, ending(p)) || !phones.Same(p, raw)
	})
	if p, err := sms.ParsePhone(raw, c.cfg.Region); err == nil && p.E164() && len(same) == 0 {
		return []sms.Phone{p}
	}
	return same
}

// ending is what every spelling of p has, so that few are read in full: reading a
// number takes long.
func ending(p sms.Phone) string { return string(p[max(0, len(p)-4):]) }

func digitsOf(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}

const opCreate = "create contact"

// The types of a contact; a lead is one in that stage of its life cycle.
const (
	contactType = "contact"
	leadType    = "lead"
)

// CreateContact implements connectors.ContactCreator. HubSpot knows people by
// e-mail alone: one whose address is there is answered as it is, and otherwise
// creating twice makes two. A contact needs a name or an address, so that the
// number stands in for a name that nobody knows.
// https://developers.hubspot.com/docs/api-reference/2026-03/crm/objects/contacts/guide
func (c *Connector) CreateContact(ctx context.Context, n connectors.NewContact) (connectors.Contact, error) {
	if n.Type != "" && n.Type != contactType && n.Type != leadType {
		err := fmt.Errorf("HubSpot has contacts of the types %s and %s", contactType, leadType)
		return connectors.Contact{}, &connectors.Error{Op: opCreate, Kind: connectors.Unsupported, Err: err}
	}
	var created object
	answer, err := c.api.Do(ctx, rest.Request{
		Op: opCreate, Method: http.MethodPost, Path: c.api.objects(contacts, ""),
		Body: input{Properties: person(n), Associations: []association{}}, Into: &created,
	})
	if answer != nil && answer.Status == http.StatusConflict {
		return c.existing(ctx, answer, n.Phone, err)
	}
	if err == nil && created.ID == "" {
		err = &connectors.Error{Op: opCreate, Kind: connectors.Unknown, Ambiguous: true, Err: errForm}
	}
	if err != nil {
		return connectors.Contact{}, err
	}
	contact := c.contact(created, []sms.Phone{n.Phone})
	if len(contact.Phones) == 0 {
		contact.Phones = []sms.Phone{n.Phone} // masked, or not repeated
	}
	return contact, nil
}

func person(n connectors.NewContact) map[string]string {
	p := map[string]string{}
	if n.Type == leadType {
		p["lifecyclestage"] = leadType
	}
	maps.Copy(p, n.Fields)
	first, last, _ := strings.Cut(strings.Join(strings.Fields(n.Name), " "), " ")
	if first == "" && n.Email == "" {
		first = string(n.Phone)
	}
	for field, value := range map[string]string{
		"firstname": first, "lastname": last, "email": n.Email, "phone": string(n.Phone), fieldOwner: n.OwnerID,
	} {
		if value != "" {
			p[field] = value
		}
	}
	return p
}

// existingID is where the message names the contact, which the context may not.
var existingID = regexp.MustCompile(`Existing ID: ([0-9]+)`)

// existing answers the contact that HubSpot says is there, or err.
func (c *Connector) existing(ctx context.Context, answer *rest.Answer, phone sms.Phone, err error) (connectors.Contact, error) {
	var p problem
	_ = json.Unmarshal(answer.Body, &p) // then it names none
	ids := texts(p.Context["existingId"])
	if m := existingID.FindStringSubmatch(p.Message); m != nil {
		ids = append(ids, m[1])
	}
	if len(ids) == 0 {
		return connectors.Contact{}, err
	}
	found, readErr := c.api.read(ctx, opCreate, contacts, "", ids[:1], c.shown())
	if readErr != nil {
		return connectors.Contact{}, readErr
	}
	o, there := found[ids[0]]
	if !there {
		return connectors.Contact{}, err
	}
	return c.contact(o, []sms.Phone{phone}), nil
}

// SetConsent implements connectors.ConsentSetter in one request. HubSpot's own
// subscriptions are for e-mail only. Of several changes of one contact, who has
// several numbers, the last one stands.
// https://developers.hubspot.com/docs/api-reference/2026-03/communication-preferences/guide
func (c *Connector) SetConsent(ctx context.Context, changes []connectors.ConsentChange) []connectors.Outcome {
	f := c.cfg.Fields
	out := make([]connectors.Outcome, len(changes))
	last := map[string]sms.Consent{}
	var people []string
	for i, s := range changes {
		if f.OptOut == "" {
			out[i].State = connectors.NotApplicable
			continue
		}
		before, there := last[s.Contact.ID]
		if !there {
			people = append(people, s.Contact.ID)
		}
		if !there || s.Supersedes(before) {
			last[s.Contact.ID] = s.Consent
		}
	}
	in := make([]input, len(people))
	for i, id := range people {
		in[i] = input{ID: id, Properties: map[string]string{f.OptOut: strconv.FormatBool(last[id].OptedOut)}}
		set(in[i].Properties, f.OptOutAt, instant(last[id].At))
	}
	results := c.api.write(ctx, "set consent", c.api.objects(contacts, "/batch/update"), in, connectors.Error{Kind: connectors.NotFound})
	for i, s := range changes {
		if n := slices.Index(people, s.Contact.ID); n >= 0 {
			out[i] = c.consented(results[n], s.Contact)
		}
	}
	return out
}

func (c *Connector) consented(w written, contact connectors.Ref) connectors.Outcome {
	if w.err != nil {
		return connectors.Outcome{State: connectors.Failed, Err: w.err}
	}
	return connectors.Outcome{State: connectors.Written, Ref: contact}
}

// contactRef names a contact; 0-1 is the type of contacts in HubSpot's pages.
func (c *Connector) contactRef(id string) connectors.Ref {
	ref := connectors.Ref{Type: contactType, ID: id}
	if c.cfg.Portal != "" {
		ref.URL = "https://app.hubspot.com/contacts/" + c.cfg.Portal + "/record/0-1/" + rest.Path(id)
	}
	return ref
}

// textRef names a text on its contact's timeline; the zero Ref without an id.
func (c *Connector) textRef(id string, contact connectors.Ref) connectors.Ref {
	ref := connectors.Ref{ID: id}
	if id != "" && c.cfg.Portal != "" && !contact.Zero() {
		ref.URL = c.contactRef(contact.ID).URL + "?engagement=" + rest.Path(id)
	}
	return ref
}
