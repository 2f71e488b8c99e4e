package fake

import (
	"maps"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/fakes"
)

// The external ids that the connector gives.
const ours = "crmsync.sms_"

var status = regexp.MustCompile(`(?:^| )\[(sent|delivered|failed)(?:: ([^\[\]]*))?\]$`)

// Messages implements fakes.Store.
func (o *Odoo) Messages() []fakes.Message {
	o.mu.Lock()
	defer o.mu.Unlock()
	keys := map[int]string{}
	for name, x := range o.xids {
		if encoded, own := strings.CutPrefix(name, ours); own && x.model == "mail.message" {
			keys[x.id], _ = url.PathUnescape(encoded)
		}
	}
	t := o.tables["mail.message"]
	out := []fakes.Message{}
	for _, id := range t.ids() {
		key, ours := keys[id]
		if !ours { // a copy has no external id
			key = keyOf(t.records[id].text("message_id"))
		}
		out = append(out, o.message(t.records[id], key))
	}
	return out
}

// keyOf decodes a Message-ID, "" where it is not the connector's.
func keyOf(messageID string) string {
	encoded, ours := strings.CutSuffix(strings.TrimPrefix(messageID, "<"), "@crmsync>")
	if !ours {
		return ""
	}
	key, _ := url.PathUnescape(encoded)
	return key
}

func (o *Odoo) message(r record, key string) fakes.Message {
	m := fakes.Message{ID: strconv.Itoa(r.number("id")), Key: key, Contact: strconv.Itoa(r.number("res_id")), Subject: r.text("subject"), Body: r.text("body")}
	m.At, _ = time.Parse(time.DateTime, r.text("date"))
	if found := status.FindStringSubmatch(m.Subject); found != nil {
		m.Status, m.Reason = found[1], found[2]
	}
	recipients, _ := r["partner_ids"].([]int)
	author := r.number("author_id")
	m.Direction, m.OwnerID = "outbound", o.userOf(author)
	if author == r.number("res_id") {
		m.Direction, m.OwnerID = "inbound", ""
		if len(recipients) == 1 {
			m.OwnerID = o.userOf(recipients[0])
		}
	}
	return m
}

// userOf answers whose partner it is, "" for nobody's.
func (o *Odoo) userOf(partner int) string {
	t := o.tables["res.users"]
	for _, id := range t.ids() {
		if partner != 0 && t.records[id].number("partner_id") == partner {
			return strconv.Itoa(id)
		}
	}
	return ""
}

// Contacts implements fakes.Store. Users are people of the company, though Odoo
// keeps them among its contacts.
func (o *Odoo) Contacts() []fakes.Contact {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := []fakes.Contact{}
	for _, kind := range []struct{ name, model, email string }{{"contact", "res.partner", "email"}, {"lead", "crm.lead", "email_from"}} {
		t := o.tables[kind.model]
		for _, id := range t.ids() {
			if r := t.records[id]; kind.name == "lead" || o.userOf(id) == "" {
				out = append(out, o.contact(r, kind.name, kind.email))
			}
		}
	}
	return out
}

func (o *Odoo) contact(r record, kind, email string) fakes.Contact {
	c := fakes.Contact{
		Ref:  connectors.Ref{Type: kind, ID: strconv.Itoa(r.number("id"))},
		Name: r.text("name"), Email: r.text(email), OptedOut: o.listed(r),
	}
	c.Updated, _ = time.Parse(time.DateTime, r.text("write_date"))
	if id := r.number("user_id"); id != 0 {
		c.OwnerID = strconv.Itoa(id)
	}
	for _, name := range []string{"phone", o.secondPhone()} {
		if n := r.text(name); n != "" {
			c.Phones = append(c.Phones, n)
		}
	}
	if city := r.text("city"); city != "" {
		c.Fields = map[string]string{"city": city}
	}
	return c
}

// listed is the value of onList.
func (o *Odoo) listed(r record) bool {
	t := o.tables[blacklist]
	if t == nil {
		return false
	}
	for _, entry := range t.records {
		if entry["active"] == true && r.text("phone_sanitized") == entry.text("number") {
			return true
		}
	}
	return false
}

// AddContact implements fakes.Store. A contact has room for two numbers.
func (o *Odoo) AddContact(c fakes.Contact) connectors.Ref {
	o.mu.Lock()
	defer o.mu.Unlock()
	model, kind, email := "res.partner", "contact", "email"
	if c.Type == "lead" {
		model, kind, email = "crm.lead", "lead", "email_from"
	}
	r := record{"name": c.Name, "active": true, "write_date": time.Now().UTC().Format(time.DateTime)}
	if c.Email != "" {
		r[email] = c.Email
	}
	for i, name := range []string{"phone", o.secondPhone()} {
		if i < len(c.Phones) {
			r[name] = c.Phones[i]
		}
	}
	o.sanitize(r)
	return connectors.Ref{Type: kind, ID: strconv.Itoa(o.add(model, r))}
}

func (o *Odoo) add(model string, r record) int {
	o.last++
	r["id"] = o.last
	o.tables[model].records[o.last] = r
	return o.last
}

// DeleteContact implements fakes.Store. What stood on it goes with it.
func (o *Odoo) DeleteContact(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, _ := strconv.Atoi(id)
	delete(o.tables["res.partner"].records, n)
	delete(o.tables["crm.lead"].records, n)
	messages := o.tables["mail.message"].records
	for _, m := range o.tables["mail.message"].ids() {
		if messages[m].number("res_id") == n {
			delete(messages, m)
		}
	}
	for name, x := range o.xids {
		if o.tables[x.model].records[x.id] == nil {
			delete(o.xids, name)
		}
	}
}

// EditMessage implements fakes.Store.
func (o *Odoo) EditMessage(id, body, to string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, _ := strconv.Atoi(id)
	r := o.tables["mail.message"].records[n]
	r["body"], r["subject"] = body, status.ReplaceAllString(r.text("subject"), "")+" ["+to+"]"
}

// DeleteMessage implements fakes.Meddler. External ids go with their records.
func (o *Odoo) DeleteMessage(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, _ := strconv.Atoi(id)
	delete(o.tables["mail.message"].records, n)
	maps.DeleteFunc(o.xids, func(_ string, x xid) bool { return x.model == "mail.message" && x.id == n })
}

// MoveMessage implements fakes.Meddler.
func (o *Odoo) MoveMessage(id, contact string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, _ := strconv.Atoi(id)
	to, _ := strconv.Atoi(contact)
	r := o.tables["mail.message"].records[n]
	r["res_id"], r["model"] = to, "res.partner"
	if o.tables["crm.lead"].records[to] != nil {
		r["model"] = "crm.lead"
	}
}

// CopyMessage implements fakes.Meddler: nothing keeps a Message-ID to one record.
func (o *Odoo) CopyMessage(id string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, _ := strconv.Atoi(id)
	return strconv.Itoa(o.add("mail.message", maps.Clone(o.tables["mail.message"].records[n])))
}

// Poison implements fakes.Fake.
func (o *Odoo) Poison(key string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.poisoned["<"+strings.ReplaceAll(url.PathEscape(key), ".", "%2E")+"@crmsync>"] = true
}

// AddOwner implements fakes.OwnerAdder.
func (o *Odoo) AddOwner(email string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strconv.Itoa(o.add("res.users", o.newUser(email)))
}

func (o *Odoo) newUser(email string) record {
	partner := o.add("res.partner", record{"name": email, "email": email, "active": true})
	return record{"login": email, "email": email, "partner_id": partner, "active": true}
}

// TextField implements fakes.FieldNamer.
func (*Odoo) TextField() string { return "city" }
