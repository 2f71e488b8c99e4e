package fake

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nyaruka/phonenumbers"
)

const blacklist = "phone.blacklist"

// context is what a caller can say beside the arguments.
type context struct {
	ActiveTest *bool  `json:"active_test"`
	Mode       string `json:"mode"`
	NoUpdate   bool   `json:"noupdate"`
	TZ         string `json:"tz"`
	Lang       string `json:"lang"`
	NoNotify   bool   `json:"mail_auto_subscribe_no_notify"`
	NoFollow   bool   `json:"mail_create_nosubscribe"`
}

// zone is the one in which times are read: the user's, where nothing is said.
func (c context) zone() *time.Location {
	name := c.TZ
	if name == "" {
		name = "America/Chicago"
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return time.UTC
	}
	return zone
}

// The types of fields.
const (
	char     = "char"
	html     = "html"
	integer  = "integer"
	boolean  = "boolean"
	datetime = "datetime"
	choice   = "selection"
	many2one = "many2one"
	manyMany = "many2many"
)

type field struct {
	kind     string
	of       string   // the model that is linked
	choices  []string // of a selection
	readonly bool     // computed, or Odoo's own
}

// record holds values by field: string, int, bool or []int; none is missing.
type record map[string]any

func (r record) text(name string) string { s, _ := r[name].(string); return s }

func (r record) number(name string) int { n, _ := r[name].(int); return n }

type table struct {
	name    string
	fields  map[string]field
	records map[int]record
	// check is what Odoo's own code says of a new or changed record.
	check func(record) *exception
}

func (t *table) ids() []int { return slices.Sorted(maps.Keys(t.records)) }

// xid is an external id.
type xid struct {
	model    string
	id       int
	noupdate bool
	since    int // the transaction
}

// secondPhone is the field for another number: since 19 there is none, and
// people add one.
func (o *Odoo) secondPhone() string {
	if o.options.Version >= 19 {
		return "x_mobile"
	}
	return "mobile"
}

// onList tells whether phone_sanitized is on the list. Odoo works it out when it is
// read.
const onList = "phone_sanitized_blacklisted"

func (o *Odoo) models() map[string]*table {
	own := func(name string, fields map[string]field) *table {
		fields["id"] = field{kind: integer, readonly: true}
		fields["write_date"] = field{kind: datetime, readonly: true}
		return &table{name: name, fields: fields, records: map[int]record{}}
	}
	person := func(more map[string]field) map[string]field {
		more["name"], more["phone"], more[o.secondPhone()], more["city"] = field{kind: char}, field{kind: char}, field{kind: char}, field{kind: char}
		more["user_id"], more["active"] = field{kind: many2one, of: "res.users"}, field{kind: boolean}
		if !o.options.NoPhoneValidation {
			more["phone_sanitized"] = field{kind: char, readonly: true}
			more[onList] = field{kind: boolean, readonly: true}
		}
		return more
	}
	all := []*table{
		own("res.partner", person(map[string]field{"email": {kind: char}})),
		own("crm.lead", person(map[string]field{"email_from": {kind: char}, "contact_name": {kind: char}, "partner_id": {kind: many2one, of: "res.partner"}})),
		own("res.users", map[string]field{"login": {kind: char}, "email": {kind: char}, "partner_id": {kind: many2one, of: "res.partner"}, "active": {kind: boolean}}),
		own("mail.message.subtype", map[string]field{"name": {kind: char}}),
		own("mail.message", map[string]field{
			"message_id": {kind: char}, "model": {kind: char}, "res_id": {kind: integer}, "subject": {kind: char}, "body": {kind: html},
			"message_type": {kind: choice, choices: []string{"email", "comment", "notification", "sms"}}, "date": {kind: datetime},
			"subtype_id": {kind: many2one, of: "mail.message.subtype"}, "author_id": {kind: many2one, of: "res.partner"},
			"partner_ids": {kind: manyMany, of: "res.partner"}, "email_from": {kind: char},
		}),
	}
	if !o.options.NoPhoneValidation {
		all = append(all, own(blacklist, map[string]field{"number": {kind: char}, "active": {kind: boolean}}))
	}
	tables := map[string]*table{}
	for _, t := range all {
		tables[t.name] = t
	}
	tables["mail.message"].check = o.checkMessage
	tables["mail.message.subtype"].records[1] = record{"id": 1, "name": "Note"}
	o.xids["mail.mt_note"] = xid{model: "mail.message.subtype", id: 1}
	return tables
}

// checkMessage: a message stands on a record that is there.
func (o *Odoo) checkMessage(r record) *exception {
	t := o.tables[r.text("model")]
	if t == nil || t.records[r.number("res_id")] == nil {
		return raise(404, "odoo.exceptions.MissingError", "Record does not exist or has been deleted.\n(Record: %s(%d,), User: %d)", r.text("model"), r.number("res_id"), uid)
	}
	if o.poisoned[r.text("message_id")] {
		return raise(422, "odoo.exceptions.ValidationError", "The operation cannot be completed: the content is refused.")
	}
	return nil
}

// sanitized is the first number of a record that is one, in an American company.
func (o *Odoo) sanitized(r record) string {
	for _, name := range []string{"mobile", "phone"} {
		n, err := phonenumbers.Parse(r.text(name), "US")
		if err == nil && phonenumbers.IsPossibleNumberWithReason(n) == phonenumbers.IS_POSSIBLE {
			return phonenumbers.Format(n, phonenumbers.E164)
		}
	}
	return ""
}

func (t *table) fieldsGet(named map[string]json.RawMessage) (any, *exception) {
	var names, attributes []string
	if json.Unmarshal(named["allfields"], &names) != nil || json.Unmarshal(named["attributes"], &attributes) != nil {
		return nil, raise(422, "builtins.TypeError", "lists are needed")
	}
	out := map[string]any{}
	for _, name := range names {
		f, there := t.fields[name]
		if !there {
			continue // as Odoo does
		}
		about := map[string]any{"type": f.kind}
		for _, c := range f.choices {
			pairs, _ := about["selection"].([][2]string)
			about["selection"] = append(pairs, [2]string{c, strings.ToUpper(c)})
		}
		out[name] = about
	}
	return out, nil
}

func (o *Odoo) searchRead(t *table, ctx context, named map[string]json.RawMessage) (any, *exception) {
	var domain []any
	var fields []string
	if json.Unmarshal(named["domain"], &domain) != nil || json.Unmarshal(named["fields"], &fields) != nil {
		return nil, raise(422, "builtins.TypeError", "lists are needed")
	}
	for _, name := range fields {
		if _, there := t.fields[name]; !there {
			return nil, valueError("Invalid field '%s' on model '%s'", name, t.name)
		}
	}
	if _, e := t.fits(record{}, domain); e != nil {
		return nil, e
	}
	out := []map[string]any{}
	for _, id := range t.ids() {
		r := t.records[id]
		if r["active"] == false && (ctx.ActiveTest == nil || *ctx.ActiveTest) {
			continue
		}
		fits, e := t.fits(r, domain)
		if e != nil {
			return nil, e
		}
		if fits {
			out = append(out, o.read(t, r, fields))
		}
	}
	return out, nil
}

func (o *Odoo) read(t *table, r record, fields []string) map[string]any {
	out := map[string]any{"id": r["id"]}
	for _, name := range fields {
		if name == onList {
			out[name] = o.listed(r)
			continue
		}
		switch v := r[name].(type) {
		case nil:
			out[name] = false
		case int:
			out[name] = v
			if f := t.fields[name]; f.kind == many2one {
				out[name] = []any{v, o.tables[f.of].records[v].text("name")}
			}
		default:
			out[name] = v
		}
	}
	return out
}

// fits evaluates a domain in prefix notation; terms side by side mean and.
func (t *table) fits(r record, domain []any) (bool, *exception) {
	all := true
	for len(domain) > 0 {
		var one bool
		var e *exception
		if one, domain, e = t.next(r, domain); e != nil {
			return false, e
		}
		all = all && one
	}
	return all, nil
}

func (t *table) next(r record, domain []any) (bool, []any, *exception) {
	if len(domain) == 0 {
		return false, nil, valueError("Invalid domain")
	}
	if domain[0] == "|" {
		left, rest, e := t.next(r, domain[1:])
		if e != nil {
			return false, nil, e
		}
		right, rest, e := t.next(r, rest)
		return left || right, rest, e
	}
	term, ok := domain[0].([]any)
	if !ok || len(term) != 3 {
		return false, nil, valueError("Invalid domain")
	}
	name, _ := term[0].(string)
	if _, there := t.fields[name]; !there {
		return false, nil, valueError("Invalid field %s.%s in leaf", t.name, name)
	}
	one, e := compare(r[name], term[1], term[2])
	return one, domain[1:], e
}

func compare(have, operator, want any) (bool, *exception) {
	if n, ok := have.(int); ok {
		have = float64(n)
	}
	switch list, isList := want.([]any); {
	case operator == "=" && !isList:
		return have == want || have == nil && want == false, nil
	case operator == "in" && isList:
		return slices.Contains(list, have), nil
	case operator == "=ilike" && !isList:
		pattern, _ := want.(string)
		s, _ := have.(string)
		return have != nil && like(strings.ToLower(s), strings.ToLower(pattern)), nil
	}
	return false, valueError("Invalid operator %v", operator)
}

// like knows SQL's wildcards.
func like(s, pattern string) bool {
	if pattern == "" {
		return s == ""
	}
	if pattern[0] == '%' {
		return like(s, pattern[1:]) || s != "" && like(s[1:], pattern)
	}
	return s != "" && (pattern[0] == '_' || pattern[0] == s[0]) && like(s[1:], pattern[1:])
}
