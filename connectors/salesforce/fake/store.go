package fake

import (
	"maps"
	"slices"
	"strings"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/fakes"
)

// Messages implements fakes.Store.
func (o *Org) Messages() []fakes.Message {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []fakes.Message
	for _, r := range o.objects["Task"].rows {
		if r.deleted {
			continue
		}
		m := fakes.Message{
			ID: r.id, Key: decodeKey(r.str(keyField)), Contact: r.str("WhoId"), Subject: r.str("Subject"), Body: r.str("Description"),
			Status: r.str(statusField), Reason: r.str(reasonField), Direction: r.str(directionField), OwnerID: r.str("OwnerId"),
		}
		m.At, _ = r.values[timeField].(time.Time)
		out = append(out, m)
	}
	return out
}

// Contacts implements fakes.Store: contacts and unconverted leads.
func (o *Org) Contacts() []fakes.Contact {
	o.mu.Lock()
	defer o.mu.Unlock()
	var rows []*row
	for _, name := range []string{"Contact", "Lead"} {
		for _, r := range o.objects[name].rows {
			if !r.deleted && r.values["IsConverted"] != true {
				rows = append(rows, r)
			}
		}
	}
	slices.SortStableFunc(rows, func(a, b *row) int { return strings.Compare(a.id[5:15], b.id[5:15]) })
	out := make([]fakes.Contact, len(rows))
	for i, r := range rows {
		out[i] = r.contact()
	}
	return out
}

// phoneFields are where a person's numbers stand.
var phoneFields = []string{"MobilePhone", "Phone", "HomePhone", "OtherPhone"}

func (r *row) contact() fakes.Contact {
	c := fakes.Contact{
		Ref: connectors.Ref{Type: "contact", ID: r.id}, Name: r.str("Name"), Email: r.str("Email"), OwnerID: r.str("OwnerId"),
		OptedOut: r.values[optOutField] == true, Updated: r.modified,
	}
	if strings.HasPrefix(r.id, "00Q") {
		c.Type = "lead"
	}
	c.ConsentAt, _ = r.values[optOutTime].(time.Time)
	for _, name := range phoneFields {
		if r.str(name) != "" {
			c.Phones = append(c.Phones, r.str(name))
		}
	}
	if title := r.str("Title"); title != "" {
		c.Fields = map[string]string{"Title": title}
	}
	return c
}

func (r *row) str(name string) string {
	s, _ := r.values[name].(string)
	return s
}

// AddContact implements fakes.Store: a lead where its type says so.
func (o *Org) AddContact(c fakes.Contact) connectors.Ref {
	o.mu.Lock()
	defer o.mu.Unlock()
	of, values := o.objects["Contact"], map[string]any{}
	if c.Type == "lead" {
		of, values = o.objects["Lead"], map[string]any{"Company": "Acme"}
	}
	values["LastName"] = c.Name
	if i := strings.LastIndex(c.Name, " "); i >= 0 {
		values["FirstName"], values["LastName"] = c.Name[:i], c.Name[i+1:]
	}
	if c.Email != "" {
		values["Email"] = c.Email
	}
	values["OwnerId"] = o.objects["User"].rows[0].id
	if c.OwnerID != "" {
		values["OwnerId"] = c.OwnerID
	}
	for i, p := range c.Phones {
		values[phoneFields[i]] = p
	}
	r := o.insert(of, values)
	r.indexed = true
	r.derive(of, nil)
	return r.contact().Ref
}

// AddOwner implements fakes.OwnerAdder.
func (o *Org) AddOwner(email string) (id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.insert(o.objects["User"], map[string]any{"Email": email, "IsActive": true, "UserType": "Standard"}).id
}

// Dismiss makes a user inactive.
func (o *Org) Dismiss(user string) {
	o.change(user, func(r *row) { r.values["IsActive"] = false })
}

// AddMessage implements fakes.MessageAdder: a completed Task whose subject tells
// the direction and whose description is the text.
func (o *Org) AddMessage(m fakes.Message) connectors.Ref {
	o.mu.Lock()
	defer o.mu.Unlock()
	subject := m.Subject
	if subject == "" {
		subject = "JustCall: " + m.Direction + " SMS"
	}
	r := o.insert(o.objects["Task"], map[string]any{
		"WhoId": m.Contact, "Subject": subject, "Description": m.Body, "Status": "Completed", "IsClosed": true,
	})
	r.created = m.At.UTC()
	return connectors.Ref{Type: "task", ID: r.id}
}

// TextField implements fakes.FieldNamer.
func (o *Org) TextField() string { return "Title" }

// DeleteContact implements fakes.Store: it is in the recycle bin then.
func (o *Org) DeleteContact(id string) {
	o.change(id, func(r *row) { r.deleted = true })
}

// DeleteMessage implements fakes.Meddler.
func (o *Org) DeleteMessage(id string) { o.DeleteContact(id) }

// MoveMessage implements fakes.Meddler.
func (o *Org) MoveMessage(id, contact string) {
	o.change(id, func(r *row) { r.values["WhoId"] = contact })
}

// CopyMessage implements fakes.Meddler. A unique key is on one Task only.
func (o *Org) CopyMessage(id string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	tasks := o.objects["Task"]
	r := tasks.find(id)
	if r == nil || tasks.fields[keyField].unique {
		return ""
	}
	return o.insert(tasks, maps.Clone(r.values)).id
}

// Convert makes a lead one that was converted: it is there, and takes nothing.
func (o *Org) Convert(lead string) {
	o.change(lead, func(r *row) { r.values["IsConverted"] = true })
}

// EditMessage implements fakes.Store.
func (o *Org) EditMessage(id, body, status string) {
	o.change(id, func(r *row) { r.values["Description"], r.values[statusField] = body, status })
}

func (o *Org) change(id string, do func(*row)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, of := range o.objects {
		if r := of.find(id); r != nil {
			do(r)
			of.index(r)
			r.modified = time.Now().UTC().Truncate(time.Millisecond)
		}
	}
}

// decodeKey undoes what the connector makes of a key: ^ stands before what was a
// capital, or a ^.
func decodeKey(stored string) string {
	var b strings.Builder
	after := false
	for _, r := range stored {
		switch {
		case after && r == '^':
			b.WriteByte('^')
		case after:
			b.WriteString(strings.ToUpper(string(r)))
		case r != '^':
			b.WriteRune(r)
		}
		after = r == '^' && !after
	}
	return b.String()
}

// Fields answers a record's fields as they are stored, without those that change
// from run to run.
func (o *Org) Fields(id string) map[string]any {
	out := map[string]any{}
	o.change(id, func(r *row) {
		for name, v := range r.values {
			if name != "CompletedDateTime" {
				out[name] = v
			}
		}
	})
	return out
}
