package salesforce

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/mail"
	"net/url"
	"slices"
	"strings"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/phones"
	"crmsync/connectors/rest"
	"crmsync/sms"
)

// Ref.Type of a person's record.
const (
	refContact = "contact"
	refLead    = "lead"
)

// maxSearch is the longest text of a search, in characters: in a longer one
// Salesforce leaves out the ORs. maxFound is how many records one search answers
// at most.
// https://developer.salesforce.com/docs/platform/salesforce-soql-sosl/guide/sforce-api-calls-sosl-syntax.html
// https://developer.salesforce.com/docs/platform/salesforce-soql-sosl/guide/sforce-api-calls-sosl-limits.html
const (
	maxSearch = 4_000
	maxFound  = 2_000
)

// indexLag is for how long a new record may be missing in the search index.
// Salesforce promises nothing; minutes are usual.
const indexLag = time.Hour

// objectOf answers the object of a person's record. Ids tell it by themselves.
func objectOf(id string) string {
	if strings.HasPrefix(id, leadPrefix) {
		return lead
	}
	return contact
}

// typeOf answers Ref.Type of a person's record.
func typeOf(id string) string {
	if objectOf(id) == lead {
		return refLead
	}
	return refContact
}

func (c *Connector) objects() []string {
	if c.cfg.Leads {
		return []string{contact, lead}
	}
	return []string{contact}
}

// FindContacts implements connectors.ContactFinder: one search for each
// numbers_per_search numbers, in all fields of contacts and unconverted leads
// that hold a number, and one request for what the search index may not hold
// yet. Candidates are compared in E.164.
func (c *Connector) FindContacts(ctx context.Context, asked []sms.Phone) ([][]connectors.Contact, error) {
	const op = "find contacts"
	numbers := slices.DeleteFunc(slices.Clone(asked), func(p sms.Phone) bool { return !p.E164() })
	out := make([][]connectors.Contact, len(asked))
	if len(numbers) == 0 {
		return out, nil
	}
	candidates, err := c.recent(ctx, op, numbers)
	if err != nil {
		return nil, err
	}
	for _, terms := range terms(numbers, c.cfg.NumbersPerSearch) {
		found, err := c.indexed(ctx, op, terms)
		if err != nil {
			return nil, err
		}
		candidates = append(candidates, found...)
	}
	candidates, _ = distinct(candidates, func(r record) string { return r.str("Id") })
	c.match(asked, candidates, c.api.pages(ctx), out)
	return out, nil
}

// match adds to out, for each number, the candidates that carry it.
func (c *Connector) match(asked []sms.Phone, candidates []record, pages string, out [][]connectors.Contact) {
	digits := make([]string, len(candidates))
	for i, r := range candidates {
		for _, field := range c.cfg.phones(objectOf(r.str("Id"))) {
			digits[i] += digitsOf(r.str(field)) + " "
		}
	}
	for i, p := range asked {
		// Reading a number takes time; most pairs differ at a glance.
		end := p.National()
		end = end[max(0, len(end)-glance):]
		for j, r := range candidates {
			if p.E164() && strings.Contains(digits[j], end) && c.carries(r, p) {
				out[i] = append(out[i], c.contact(r, p, pages))
			}
		}
	}
}

// glance is how many digits at a number's end every spelling of it has together.
const glance = 7

// terms are what to search for, for several numbers at a time: their spellings,
// digits only, since the search disregards punctuation in numbers.
func terms(numbers []sms.Phone, most int) [][]string {
	var all [][]string
	var group []string
	size, n := 0, 0
	for _, p := range numbers {
		own := spellings(p)
		cost := len(strings.Join(own, " OR ")) + len(" OR ")
		if n == most || size+cost > maxSearch {
			all, group, size, n = append(all, group), nil, 0, 0
		}
		group, size, n = append(group, own...), size+cost, n+1
	}
	return append(all, group)
}

// spellings are the ways to write a number with digits alone.
func spellings(p sms.Phone) []string {
	var all []string
	for _, s := range phones.Spellings(p) {
		if digits := digitsOf(s); !slices.Contains(all, digits) {
			all = append(all, digits)
		}
	}
	return all
}

func digitsOf(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}

// indexed asks the search index. A search that finds as much as it may answer is
// made again in halves.
func (c *Connector) indexed(ctx context.Context, op string, terms []string) ([]record, error) {
	returning := make([]string, 0, 2)
	for _, object := range c.objects() {
		returning = append(returning, object+"("+strings.Join(c.fields(object), ", ")+unconverted(object, " WHERE ")+")")
	}
	found, err := c.api.search(ctx, op, fmt.Sprintf("FIND {%s} IN PHONE FIELDS RETURNING %s LIMIT %d",
		strings.Join(terms, " OR "), strings.Join(returning, ", "), maxFound))
	if err != nil || len(found) < maxFound || len(terms) == 1 {
		return found, err
	}
	half := len(terms) / 2
	first, err := c.indexed(ctx, op, terms[:half])
	if err != nil {
		return nil, err
	}
	second, err := c.indexed(ctx, op, terms[half:])
	return append(first, second...), err
}

// recent asks the database for new records that hold a number as CreateContact
// writes it, so that no contact is created a second time because the index is
// late.
func (c *Connector) recent(ctx context.Context, op string, numbers []sms.Phone) ([]record, error) {
	spelt := make([]string, len(numbers))
	for i, p := range numbers {
		spelt[i] = string(p)
	}
	since := time.Now().UTC().Add(-indexLag).Format(dateTime)
	objects := c.objects()
	paths := make([]string, len(objects))
	for i, object := range objects {
		soql := fmt.Sprintf("SELECT %s FROM %s WHERE CreatedDate >= %s AND %s IN (%s)%s",
			strings.Join(c.fields(object), ", "), object, since, c.cfg.phones(object)[0],
			strings.Join(lists(spelt, maxQuery*maxRecords), ","), unconverted(object, " AND "))
		paths[i] = "query?" + url.Values{"q": {soql}}.Encode()
	}
	answers, err := c.api.composite(ctx, op, paths...)
	if err != nil {
		return nil, err
	}
	var all []record
	for _, answer := range answers {
		var p page
		if err := answer.decode(op, &p); err != nil {
			return nil, err
		}
		if p.Records == nil {
			return nil, &connectors.Error{Op: op, Kind: connectors.Unknown, Err: errForm}
		}
		all = append(all, p.Records...) // 2,000 on the first page
	}
	return all, nil
}

// unconverted leaves out leads that have become contacts.
func unconverted(object, before string) string {
	if object == lead {
		return before + "IsConverted = false"
	}
	return ""
}

// fields are those of a person that are asked for.
func (c *Connector) fields(object string) []string {
	all := append([]string{"Id", "Name", "OwnerId", "Owner.IsActive", "LastModifiedDate"}, c.cfg.phones(object)...)
	if c.tells.Load() {
		all = append(all, c.cfg.Fields.OptOut)
	}
	return all
}

func (c *Connector) carries(r record, p sms.Phone) bool {
	return slices.ContainsFunc(c.cfg.phones(objectOf(r.str("Id"))), func(field string) bool {
		return phones.Same(p, r.str(field))
	})
}

// contact answers a person in the words of the contract; p is one of their
// numbers.
func (c *Connector) contact(r record, p sms.Phone, pages string) connectors.Contact {
	id := r.str("Id")
	out := connectors.Contact{Ref: ref(typeOf(id), pages, id), Name: r.str("Name"), Phones: []sms.Phone{p}}
	for _, field := range c.cfg.phones(objectOf(id)) {
		if other, err := sms.ParsePhone(r.str(field), phones.Region(p)); err == nil && !slices.Contains(out.Phones, other) {
			out.Phones = append(out.Phones, other)
		}
	}
	// A Task can belong neither to a queue of leads nor to somebody who has left.
	owner, _ := r["Owner"].(map[string]any)
	if active, _ := owner["IsActive"].(bool); active && strings.HasPrefix(r.str("OwnerId"), userPrefix) {
		out.OwnerID = r.str("OwnerId")
	}
	if optedOut, told := r[c.cfg.Fields.OptOut].(bool); told {
		out.OptedOut = &optedOut
	}
	out.Updated, _ = time.Parse(stamp, r.str("LastModifiedDate"))
	return out
}

// Limits of a person's fields, in characters.
// https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/object_reference/sforce_api_objects_contact.htm
const (
	maxFirstName = 40
	maxLastName  = 80
)

// CreateContact implements connectors.ContactCreator: a lead, unless leads are
// not used or a contact is asked for. It is not idempotent; FindContacts sees what
// it created at once. Where a duplicate rule of the customer's blocks it, the
// duplicate that carries the number is answered; one that only has the same name
// or address might be another person, and is left to the operator (CONFLICT).
func (c *Connector) CreateContact(ctx context.Context, n connectors.NewContact) (connectors.Contact, error) {
	const op = "create contact"
	object, err := c.kind(n.Type)
	if err != nil {
		return connectors.Contact{}, &connectors.Error{Op: op, Kind: connectors.Invalid, Err: err}
	}
	var out saved
	answer, err := c.api.Do(ctx, rest.Request{
		Op: op, Method: http.MethodPost, Path: c.api.root + "/sobjects/" + object + "/",
		Header: createHeader(n), Body: c.person(object, n), Into: &out,
	})
	if err == nil && (!out.Success || out.ID == "") {
		err = &connectors.Error{Op: op, Kind: connectors.Unknown, Ambiguous: true, Err: errForm}
	}
	if err != nil {
		return c.duplicate(ctx, op, n.Phone, answer, err)
	}
	created := record{"Id": out.ID, "Name": n.Name}
	found := c.contact(created, n.Phone, c.api.pages(ctx))
	found.OwnerID = n.OwnerID
	return found, nil
}

// kind answers the object of a new person.
func (c *Connector) kind(of string) (string, error) {
	switch {
	case of == refContact || of == "" && !c.cfg.Leads:
		return contact, nil
	case (of == refLead || of == "") && c.cfg.Leads:
		return lead, nil
	case of == refLead:
		return "", errors.New("a new contact cannot be a lead where leads is false")
	}
	return "", errors.New("a new contact is either a lead or a contact")
}

// createHeader lets a person be created whom a duplicate rule only warns of, and
// keeps assignment rules from giving a lead to somebody else than was asked for.
// https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/headers_duplicaterules.htm
// https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/headers_autoassign.htm
func createHeader(n connectors.NewContact) http.Header {
	h := http.Header{"Sforce-Duplicate-Rule-Header": {"allowSave=true"}}
	if n.OwnerID != "" {
		h.Set("Sforce-Auto-Assign", "FALSE")
	}
	return h
}

// person is the record of a new contact. Somebody whose name nobody knows is
// called by the number, since a last name is required.
func (c *Connector) person(object string, n connectors.NewContact) record {
	first, last := names(n)
	r := record{"LastName": clipped(last, maxLastName), c.cfg.phones(object)[0]: string(n.Phone)}
	if first != "" {
		r["FirstName"] = clipped(first, maxFirstName)
	}
	if object == lead {
		r["Company"] = c.cfg.Company
	}
	if a, err := mail.ParseAddress(n.Email); err == nil && a.Address == n.Email {
		r["Email"] = n.Email
	}
	if n.OwnerID != "" {
		r["OwnerId"] = n.OwnerID
	}
	for name, value := range n.Fields {
		r[name] = value
	}
	return r
}

// names splits a name before its last word.
func names(n connectors.NewContact) (first, last string) {
	words := strings.Fields(clean(n.Name))
	if len(words) == 0 {
		return "", string(n.Phone)
	}
	return strings.Join(words[:len(words)-1], " "), words[len(words)-1]
}

// duplicateResult is what a duplicate rule found.
// https://developer.salesforce.com/docs/platform/api/guide/sforce-api-objects-duplicateresult.html
type duplicateResult struct {
	MatchResults []struct {
		MatchRecords []struct {
			Record struct{ ID string }
		}
	}
}

// duplicate answers the person that a duplicate rule found, if it carries the
// number; else the failure that it is given.
func (c *Connector) duplicate(ctx context.Context, op string, p sms.Phone, answer *rest.Answer, failure error) (connectors.Contact, error) {
	ids := map[string][]string{}
	if answer != nil {
		for _, f := range faults(answer.Body) {
			for _, match := range f.DuplicateResult.MatchResults {
				for _, m := range match.MatchRecords {
					ids[objectOf(m.Record.ID)] = append(ids[objectOf(m.Record.ID)], m.Record.ID)
				}
			}
		}
	}
	for _, object := range c.objects() {
		soql := "SELECT " + strings.Join(c.fields(object), ", ") + " FROM " + object +
			" WHERE IsDeleted = false" + unconverted(object, " AND ") + " AND Id IN"
		found, err := c.api.where(ctx, op, soql, ids[object])
		if err != nil {
			return connectors.Contact{}, err
		}
		for _, r := range found {
			if c.carries(r, p) {
				return c.contact(r, p, c.api.pages(ctx)), nil
			}
		}
	}
	return connectors.Contact{}, failure
}

// SetConsent implements connectors.ConsentSetter in one request. Of two numbers
// of one person the later change counts for both.
func (c *Connector) SetConsent(ctx context.Context, changes []connectors.ConsentChange) []connectors.Outcome {
	const op = "set consent"
	if len(changes) == 0 {
		return nil
	}
	if c.cfg.Fields.OptOut == "" {
		return connectors.FailAll(len(changes), &connectors.Error{Op: op, Kind: connectors.Unsupported, Err: errors.New("fields.opt_out is not set")})
	}
	latest := map[string]sms.Consent{}
	for _, s := range changes {
		if old, seen := latest[s.Contact.ID]; !seen || s.Supersedes(old) {
			latest[s.Contact.ID] = s.Consent
		}
	}
	of := make([]update, len(changes))
	for i, s := range changes {
		consent := latest[s.Contact.ID]
		fields := record{c.cfg.Fields.OptOut: consent.OptedOut}
		if c.cfg.Fields.OptOutAt != "" {
			fields[c.cfg.Fields.OptOutAt] = consent.At.UTC().Format(dateTime)
		}
		of[i] = update{objectOf(s.Contact.ID), s.Contact.ID, fields}
	}
	return c.update(ctx, op, of)
}
