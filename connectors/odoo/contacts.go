package odoo

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/phones"
	"crmsync/sms"
)

// The models, and their names in [connectors.Ref].Type.
const (
	partner   = "res.partner"
	lead      = "crm.lead"
	blacklist = "phone.blacklist"

	typeContact = "contact"
	typeLead    = "lead"
)

// sanitized is one of a record's numbers in E.164, by the module
// phone_validation: the first of mobile and phone that is a number.
const sanitized = "phone_sanitized"

// listed tells whether that number stands on Odoo's list.
const listed = "phone_sanitized_blacklisted"

func modelOf(kind string) string {
	if kind == typeLead {
		return lead
	}
	return partner
}

// contactTable is a model whose records have a timeline.
type contactTable struct{ kind, model string }

func (c *Connector) contactTables() []contactTable {
	tables := []contactTable{{typeContact, partner}}
	if c.cfg.Leads {
		tables = append(tables, contactTable{typeLead, lead})
	}
	return tables
}

// phoneFields are all in which a number is searched.
func (c *Connector) phoneFields() []string {
	fields := slices.Clone(c.cfg.phones())
	if c.cfg.PhoneValidation {
		fields = append(fields, sanitized)
	}
	return fields
}

// person is a contact or lead, as far as it is read.
type person map[string]any

func (p person) text(field string) string { s, _ := p[field].(string); return s }

func (p person) id() int { n, _ := p["id"].(float64); return int(n) }

// FindContacts implements connectors.ContactFinder in one request, two with
// leads. Leads that belong to a contact are left to it.
func (c *Connector) FindContacts(ctx context.Context, numbers []sms.Phone) ([][]connectors.Contact, error) {
	out := make([][]connectors.Contact, len(numbers))
	wanted := spelt(numbers)
	if len(wanted) == 0 {
		return out, nil
	}
	spellings := slices.Sorted(maps.Keys(wanted))
	var terms []term
	for _, field := range c.phoneFields() {
		terms = append(terms, term{field, "in", spellings})
	}
	for _, t := range c.contactTables() {
		q := query{op: "find contacts", model: t.model, domain: anyOf(terms), fields: c.shown()}
		if t.model == lead {
			q.domain = append(q.domain, term{"partner_id", "=", false})
		}
		found, err := search[person](ctx, c.api, q)
		if err != nil {
			return nil, err
		}
		for _, p := range found {
			contact := c.contact(t, p, wanted)
			for i, number := range numbers {
				if slices.Contains(contact.Phones, number) {
					contact.OptedOut = p.optedOut(number)
					out[i] = append(out[i], contact)
				}
			}
		}
	}
	return out, nil
}

// shown are the fields of a record that are read.
func (c *Connector) shown() []string {
	all := append(c.phoneFields(), "name", "user_id", "write_date")
	if c.cfg.PhoneValidation {
		all = append(all, listed)
	}
	return all
}

// optedOut tells whether the record's number is on Odoo's list; nil where Odoo
// tells it of another number of the record.
func (p person) optedOut(number sms.Phone) *bool {
	on, told := p[listed].(bool)
	if !told || p.text(sanitized) != string(number) {
		return nil
	}
	return &on
}

// spelt answers which of the numbers each spelling may mean.
func spelt(numbers []sms.Phone) map[string][]sms.Phone {
	wanted := map[string][]sms.Phone{}
	for _, n := range numbers {
		if !n.E164() {
			continue
		}
		for _, s := range phones.Spellings(n) {
			if !slices.Contains(wanted[s], n) {
				wanted[s] = append(wanted[s], n)
			}
		}
	}
	return wanted
}

// contact answers a record in the words of the contract. Odoo compares whole
// strings, so a number that it found is spelt as one that was searched.
func (c *Connector) contact(t contactTable, p person, wanted map[string][]sms.Phone) connectors.Contact {
	out := connectors.Contact{Ref: c.contactRef(t, p.id()), Name: p.text("name"), OwnerID: ownerOf(p)}
	out.Updated, _ = time.Parse(datetime, p.text("write_date"))
	for _, field := range c.phoneFields() {
		for _, n := range wanted[p.text(field)] {
			if phones.Same(n, p.text(field)) && !slices.Contains(out.Phones, n) {
				out.Phones = append(out.Phones, n)
			}
		}
	}
	return out
}

func ownerOf(p person) string {
	if pair, ok := p["user_id"].([]any); ok && len(pair) > 0 {
		if id, ok := pair[0].(float64); ok {
			return strconv.Itoa(int(id))
		}
	}
	return ""
}

func (c *Connector) contactRef(t contactTable, id int) connectors.Ref {
	return connectors.Ref{Type: t.kind, ID: strconv.Itoa(id), URL: c.api.page(t.model, id)}
}

// CreateContact implements connectors.ContactCreator in one request. It is
// idempotent by key. The number goes into mobile where there is one, since it is
// one that texts.
func (c *Connector) CreateContact(ctx context.Context, n connectors.NewContact) (connectors.Contact, error) {
	const op = "create contact"
	t, err := c.tableOf(op, n.Type)
	if err != nil {
		return connectors.Contact{}, err
	}
	ids, problems, err := c.api.load(ctx, op, c.newRow(t, n), loadMode)
	if err == nil && len(problems) > 0 {
		err = problems[0].verdict(op)
	}
	if err != nil {
		return connectors.Contact{}, err
	}
	return connectors.Contact{Ref: c.contactRef(t, ids[0]), Name: n.Name, Phones: []sms.Phone{n.Phone}, OwnerID: n.OwnerID}, nil
}

func (c *Connector) tableOf(op, kind string) (contactTable, error) {
	for _, t := range c.contactTables() {
		if t.kind == cmp.Or(kind, typeContact) {
			return t, nil
		}
	}
	return contactTable{}, &connectors.Error{Op: op, Kind: connectors.Unsupported, Err: errors.New("there are contacts and, with the setting leads, leads")}
}

func (c *Connector) newRow(t contactTable, n connectors.NewContact) table {
	number := c.cfg.phones()[0]
	if slices.Contains(c.cfg.phones(), "mobile") {
		number = "mobile"
	}
	values := map[string]string{
		"id": externalID(t.kind, n.Key), "name": cmp.Or(oneLine(n.Name), string(n.Phone)),
		number: string(n.Phone), "user_id/.id": n.OwnerID,
	}
	if t.model == lead {
		values["contact_name"], values["email_from"] = oneLine(n.Name), n.Email
	} else {
		values["email"] = n.Email
	}
	maps.Copy(values, n.Fields)
	out := table{model: t.model, fields: slices.Sorted(maps.Keys(values)), rows: make([][]string, 1)}
	for _, name := range out.fields {
		out.rows[0] = append(out.rows[0], values[name])
	}
	return out
}

// numbered is an entry of Odoo's list of numbers that want no texts.
type numbered struct {
	ID     int    `json:"id"`
	Number string `json:"number"`
}

// SetConsent implements connectors.ConsentSetter for all records that carry the
// number, in up to four requests, one more with leads. Odoo keeps no instant of
// its own: the list's entry tells when it was changed.
func (c *Connector) SetConsent(ctx context.Context, changes []connectors.ConsentChange) []connectors.Outcome {
	const op = "set consent"
	out := make([]connectors.Outcome, len(changes))
	there, err := c.contactsThere(ctx, op, changes)
	if err != nil {
		return connectors.FailAll(len(changes), connectors.AsError(op, err))
	}
	var optOuts, optIns []int
	for i, change := range changes {
		switch {
		case !there[ref(change.Contact)]:
			out[i] = connectors.Outcome{State: connectors.Failed, Err: &connectors.Error{Op: op, Kind: connectors.NotFound}}
		case change.OptedOut:
			optOuts = append(optOuts, i)
		default:
			optIns = append(optIns, i)
		}
	}
	c.settleConsent(op, optOuts, out, c.add(ctx, op, numbersOf(changes, optOuts)))
	c.settleConsent(op, optIns, out, c.remove(ctx, op, numbersOf(changes, optIns)))
	return out
}

func (c *Connector) settleConsent(op string, items []int, out []connectors.Outcome, err error) {
	o := connectors.Outcome{State: connectors.Written}
	if err != nil {
		o = connectors.Outcome{State: connectors.Failed, Err: connectors.AsError(op, err)}
	}
	settle(items, out, o)
}

func numbersOf(changes []connectors.ConsentChange, items []int) []string {
	var numbers []string
	for _, i := range items {
		numbers = append(numbers, string(changes[i].Phone))
	}
	slices.Sort(numbers)
	return slices.Compact(numbers)
}

// ref is a Ref without what does not name the record.
func ref(r connectors.Ref) connectors.Ref {
	return connectors.Ref{Type: cmp.Or(r.Type, typeContact), ID: r.ID}
}

// contactsThere answers which of the contacts are not deleted.
func (c *Connector) contactsThere(ctx context.Context, op string, changes []connectors.ConsentChange) (map[connectors.Ref]bool, error) {
	there := map[connectors.Ref]bool{}
	for _, t := range c.contactTables() {
		var ids []int
		for _, change := range changes {
			if id, err := strconv.Atoi(change.Contact.ID); err == nil && ref(change.Contact).Type == t.kind {
				ids = append(ids, id)
			}
		}
		if len(ids) == 0 {
			continue
		}
		found, err := search[person](ctx, c.api, query{op: op, model: t.model, domain: allOf(term{"id", "in", ids}), fields: []string{"id"}, archived: true})
		if err != nil {
			return nil, err
		}
		for _, p := range found {
			there[connectors.Ref{Type: t.kind, ID: strconv.Itoa(p.id())}] = true
		}
	}
	return there, nil
}

// add puts numbers on the list. Odoo takes up again what was removed, and leaves
// alone what is there.
func (c *Connector) add(ctx context.Context, op string, numbers []string) error {
	if len(numbers) == 0 {
		return nil
	}
	t := table{model: blacklist, fields: []string{"number"}}
	for _, n := range numbers {
		t.rows = append(t.rows, []string{n})
	}
	return c.loadNumbers(ctx, op, t, nil)
}

// remove archives entries of the list, which keeps their history.
func (c *Connector) remove(ctx context.Context, op string, numbers []string) error {
	if len(numbers) == 0 {
		return nil
	}
	found, err := search[numbered](ctx, c.api, query{op: op, model: blacklist, domain: allOf(term{"number", "in", numbers}), fields: []string{"number"}})
	if err != nil || len(found) == 0 {
		return err
	}
	t := table{model: blacklist, fields: []string{".id", "active"}}
	for _, n := range found {
		t.rows = append(t.rows, []string{strconv.Itoa(n.ID), "false"})
	}
	return c.loadNumbers(ctx, op, t, loadMode)
}

func (c *Connector) loadNumbers(ctx context.Context, op string, t table, with map[string]any) error {
	_, problems, err := c.api.load(ctx, op, t, with)
	if err != nil || len(problems) == 0 {
		return err
	}
	e := problems[0].verdict(op)
	e.WholeBatch = len(t.rows) > 1 && e.Kind.Permanent()
	return e
}
