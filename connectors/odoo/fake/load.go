package fake

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// convert reads a value as load does.
func (o *Odoo) convert(ctx context, name string, f field, by, value string) (any, *exception) {
	bad := func(what string) *exception {
		return valueError("'%s' does not seem to be %s for field '%s'", value, what, name)
	}
	if f.readonly {
		return nil, valueError("the field '%s' is read-only", name)
	}
	if value == "" && f.kind != boolean {
		return nil, nil
	}
	switch f.kind {
	case integer:
		n, err := strconv.Atoi(value)
		if err != nil {
			return nil, bad("an integer")
		}
		return n, nil
	case boolean:
		return value != "" && value != "0" && value != "false", nil
	case datetime:
		at, err := time.ParseInLocation(time.DateTime, value, ctx.zone())
		if err != nil {
			return nil, bad("a valid datetime")
		}
		return at.UTC().Format(time.DateTime), nil
	case choice:
		if !slices.Contains(f.choices, value) {
			return nil, valueError("Value '%s' not found in selection field '%s'", value, name)
		}
	case many2one, manyMany:
		return o.link(name, f, by, value)
	}
	return clean(value), nil
}

func (o *Odoo) link(name string, f field, by, value string) (any, *exception) {
	id, _ := strconv.Atoi(value)
	switch by {
	case "id":
		id = o.xids[value].id
	case ".id":
	default:
		return nil, valueError("names are not searched here")
	}
	if o.tables[f.of].records[id] == nil {
		return nil, valueError("No matching record found for database id '%s' in field '%s'", value, name)
	}
	if f.kind == manyMany {
		return []int{id}, nil
	}
	return id, nil
}

// clean drops what neither PostgreSQL nor the sanitizer takes.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && !strings.ContainsRune("\t\n\r", r) {
			return -1
		}
		return r
	}, s)
}

// problem is one of load's messages.
type problem struct {
	Type    string         `json:"type"`
	Message string         `json:"message"`
	Field   string         `json:"field,omitempty"`
	Record  int            `json:"record"`
	Rows    map[string]int `json:"rows"`
}

func newProblem(row int, message, field string) problem {
	return problem{"error", message, field, row, map[string]int{"from": row, "to": row}}
}

// load imports rows, all or none, as one transaction.
func (o *Odoo) load(t *table, ctx context, named map[string]json.RawMessage, seen int) (any, *exception) {
	var fields []string
	var data [][]string
	if json.Unmarshal(named["fields"], &fields) != nil || json.Unmarshal(named["data"], &data) != nil {
		return nil, raise(422, "builtins.TypeError", "lists of texts are needed")
	}
	for _, path := range fields {
		name, _, _ := strings.Cut(path, "/")
		if _, there := t.fields[name]; !there && name != ".id" {
			return nil, valueError("Invalid field name '%s'", name)
		}
	}
	tx := o.begin(t, ctx, seen)
	ids := []int{}
	for n, values := range data {
		if len(values) != len(fields) {
			return nil, raise(500, "builtins.IndexError", "list index out of range")
		}
		ids = append(ids, tx.row(n, fields, values))
	}
	if len(tx.problems) > 0 {
		return map[string]any{"ids": false, "messages": tx.told(), "nextrow": 0}, nil
	}
	tx.commit()
	return map[string]any{"ids": ids, "messages": []problem{}, "nextrow": 0}, nil
}

// transaction is what a load changes.
type transaction struct {
	*Odoo
	t        *table
	ctx      context
	seen     int // the last transaction that it sees
	records  map[int]record
	xids     map[string]xid
	problems []problem
	raised   bool // one by Odoo's own code, not by a value
}

func (o *Odoo) begin(t *table, ctx context, seen int) *transaction {
	return &transaction{Odoo: o, t: t, ctx: ctx, seen: seen, records: map[int]record{}, xids: map[string]xid{}}
}

func (tx *transaction) commit() {
	tx.seq++
	maps.Copy(tx.t.records, tx.records)
	for name, x := range tx.xids {
		x.since = tx.seq
		tx.Odoo.xids[name] = x
	}
}

func (tx *transaction) fail(row int, field, message string) int {
	tx.problems = append(tx.problems, newProblem(row, message, field))
	return 0
}

// row loads one and answers its id.
func (tx *transaction) row(n int, fields, values []string) int {
	changes := record{}
	var external, id string
	for i, path := range fields {
		name, by, _ := strings.Cut(path, "/")
		switch name {
		case "id":
			external = values[i]
			continue
		case ".id":
			id = values[i]
			continue
		}
		v, e := tx.convert(tx.ctx, name, tx.t.fields[name], by, values[i])
		if e != nil {
			return tx.fail(n, name, e.message)
		}
		changes[name] = v
	}
	return tx.apply(n, external, id, changes)
}

func (tx *transaction) apply(n int, external, id string, changes record) int {
	if id != "" {
		known, _ := strconv.Atoi(id)
		if tx.t.records[known] == nil {
			return tx.fail(n, ".id", fmt.Sprintf("Unknown database identifier '%s'", id))
		}
		return tx.write(n, known, changes)
	}
	if external == "" {
		if tx.ctx.Mode == "update" {
			return tx.fail(n, "", "Cannot update a record without specifying its id or xml_id")
		}
		return tx.create(n, changes)
	}
	x, there := tx.Odoo.xids[external]
	if mine, twice := tx.xids[external]; twice {
		x, there = mine, true
	}
	switch {
	case there && x.since > tx.seen:
		return tx.fail(n, "", "could not serialize access due to concurrent update\n")
	case !there || tx.t.records[x.id] == nil && tx.records[x.id] == nil:
		id := tx.create(n, changes)
		tx.xids[external] = xid{model: tx.t.name, id: id, noupdate: tx.ctx.NoUpdate}
		return id
	case tx.ctx.Mode == "update" && x.noupdate:
		return x.id
	}
	return tx.write(n, x.id, changes)
}

func (tx *transaction) create(n int, r record) int {
	if tx.t.name == blacklist {
		return tx.blacklisted(r)
	}
	if _, has := tx.t.fields["active"]; has && r["active"] == nil {
		r["active"] = true
	}
	tx.last++
	return tx.keep(n, tx.last, r)
}

// blacklisted takes up a number again that is on the list.
func (tx *transaction) blacklisted(r record) int {
	for _, id := range tx.t.ids() {
		if tx.t.records[id].text("number") == r.text("number") {
			return tx.write(0, id, record{"active": true})
		}
	}
	tx.last++
	r["active"] = true
	return tx.keep(0, tx.last, r)
}

func (tx *transaction) write(n, id int, changes record) int {
	r := maps.Clone(tx.t.records[id])
	maps.Copy(r, changes)
	return tx.keep(n, id, r)
}

func (tx *transaction) keep(n, id int, r record) int {
	if tx.t.check != nil {
		if e := tx.t.check(r); e != nil {
			tx.raised = true
			return tx.fail(n, "", e.message)
		}
	}
	r["id"], r["write_date"] = id, time.Now().UTC().Format(time.DateTime)
	tx.sanitize(r)
	tx.records[id] = r
	return id
}

func (o *Odoo) sanitize(r record) {
	if o.options.NoPhoneValidation {
		return
	}
	if n := o.sanitized(r); n != "" {
		r["phone_sanitized"] = n
	}
}

// told answers the messages. Since 18 the error of the attempt with all rows
// stands first, at the first row, unless that one says the same of itself.
func (tx *transaction) told() []problem {
	if tx.options.Version < 18 || !tx.raised {
		return tx.problems
	}
	var first problem
	for _, p := range tx.problems {
		if p.Field == "" {
			first = newProblem(0, p.Message, "")
			break
		}
	}
	for _, p := range tx.problems {
		if p.Record == 0 && p.Message == first.Message {
			return tx.problems
		}
	}
	return append([]problem{first}, tx.problems...)
}
