package fake

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// stamp is how the API answers an instant.
const stamp = "2006-01-02T15:04:05.000-0700"

// statement is a SOQL query of the form that is understood: fields of one
// object, and conditions that all hold.
type statement struct {
	fields []string
	from   string
	where  []condition
}

type condition struct {
	field, op string
	values    []any
	texts     map[string]bool // of an IN, once prepared
}

var tokens = regexp.MustCompile(`'(?:\\.|[^'\\])*'|\d{4}-\d\d-\d\dT[0-9:.]+Z|[A-Za-z_][\w.]*|>=|<=|[=,()]|\S`)

// parser reads tokens one by one.
type parser struct {
	rest []string
	err  bool
}

func (p *parser) next() string {
	if len(p.rest) == 0 {
		p.err = true
		return ""
	}
	t := p.rest[0]
	p.rest = p.rest[1:]
	return t
}

func (p *parser) is(word string) bool {
	if len(p.rest) > 0 && strings.EqualFold(p.rest[0], word) {
		p.rest = p.rest[1:]
		return true
	}
	return false
}

func (p *parser) want(word string) { p.err = !p.is(word) || p.err }

func parseSOQL(q string) (statement, bool) {
	p := &parser{rest: tokens.FindAllString(q, -1)}
	var s statement
	p.want("SELECT")
	s.fields = append(s.fields, p.next())
	for p.is(",") {
		s.fields = append(s.fields, p.next())
	}
	p.want("FROM")
	s.from = p.next()
	if p.is("WHERE") {
		s.where = append(s.where, p.condition())
		for p.is("AND") {
			s.where = append(s.where, p.condition())
		}
	}
	return s, !p.err && len(p.rest) == 0
}

func (p *parser) condition() condition {
	c := condition{field: p.next(), op: strings.ToUpper(p.next())}
	if c.op != "IN" {
		c.values = []any{p.value()}
		return c
	}
	p.want("(")
	c.values = append(c.values, p.value())
	for p.is(",") {
		c.values = append(c.values, p.value())
	}
	p.want(")")
	return c
}

var unescape = strings.NewReplacer(`\\`, `\`, `\'`, `'`, `\"`, `"`, `\n`, "\n", `\r`, "\r", `\t`, "\t")

func (p *parser) value() any {
	t := p.next()
	switch strings.ToLower(t) {
	case "true", "false":
		return strings.EqualFold(t, "true")
	case "null":
		return nil
	}
	if at, err := time.Parse(time.RFC3339, t); err == nil {
		return at.UTC()
	}
	if len(t) < 2 || t[0] != '\'' {
		p.err = true
		return nil
	}
	return unescape.Replace(t[1 : len(t)-1])
}

// soql serves query, queryAll and tooling/query.
func (o *Org) soql(c call, m []string) answer {
	s, ok := parseSOQL(c.query("q"))
	if !ok {
		return refuse(400, "MALFORMED_QUERY", "unexpected token in the query")
	}
	of := o.objects[s.from]
	if of == nil || (s.from == "CustomField") != strings.HasPrefix(c.path, "tooling/") {
		return refuse(400, "INVALID_TYPE", "sObject type '"+s.from+"' is not supported.")
	}
	if a := of.refuses(s); a != nil {
		return *a
	}
	found := []any{}
	for _, r := range of.rows {
		if (m[0] == "queryAll" || !r.deleted) && of.matches(r, s.where) {
			found = append(found, o.shown(of, r, s.fields, c.version))
		}
	}
	return o.paged(c, found, len(found))
}

// refuses answers what a statement names that the object does not have.
func (of *object) refuses(s statement) *answer {
	for _, f := range s.fields {
		if !of.readable(f) {
			return at400("INVALID_FIELD", fmt.Sprintf("No such column '%s' on entity '%s'.", f, of.name))
		}
	}
	for _, c := range s.where {
		if a := of.filterable(c); a != nil {
			return a
		}
	}
	return nil
}

// readable reports whether a field can be selected: its own, or one of its
// owner's.
func (of *object) readable(name string) bool {
	if name == "Owner.IsActive" {
		return of.fields["OwnerId"] != nil
	}
	f := of.fields[name]
	return f != nil && !f.hidden
}

func (of *object) filterable(c condition) *answer {
	f := of.fields[c.field]
	if f == nil || f.hidden {
		return at400("INVALID_FIELD", fmt.Sprintf("No such column '%s' on entity '%s'.", c.field, of.name))
	}
	if f.kind == textArea || f.kind == compound {
		return at400("INVALID_FIELD", fmt.Sprintf("field '%s' can not be filtered in a query call", c.field))
	}
	for _, v := range c.values {
		_, instant := v.(time.Time)
		_, truth := v.(bool)
		if v != nil && (instant != (f.kind == dateTime) || truth != (f.kind == boolean)) {
			return at400("INVALID_FIELD", fmt.Sprintf("value of filter criterion for field '%s' must be of type %s", c.field, f.kind))
		}
		if s, _ := v.(string); (f.kind == reference || f.kind == "id") && v != nil && len(s) != short && len(s) != long {
			return at400("INVALID_QUERY_FILTER_OPERATOR", "invalid ID field: "+s)
		}
	}
	return nil
}

func (of *object) matches(r *row, where []condition) bool {
	for i, c := range where {
		f, held := of.fields[c.field], r.get(c.field)
		if s, ok := held.(string); ok && c.op == "IN" {
			if where[i].texts == nil {
				where[i].texts = f.set(c.values)
			}
			if !where[i].texts[f.folded(s)] {
				return false
			}
			continue
		}
		if !slices.ContainsFunc(c.values, func(v any) bool { return compare(f, held, c.op, v) }) {
			return false
		}
	}
	return true
}

func (f *field) set(values []any) map[string]bool {
	out := map[string]bool{}
	for _, v := range values {
		out[f.folded(v)] = true
	}
	return out
}

// get answers a field with the system's own.
func (r *row) get(name string) any {
	switch name {
	case "Id":
		return r.id
	case "IsDeleted":
		return r.deleted
	case "CreatedDate":
		return r.created
	case "LastModifiedDate":
		return r.modified
	}
	return r.values[name]
}

func compare(f *field, held any, op string, v any) bool {
	at, instant := held.(time.Time)
	than, _ := v.(time.Time)
	switch {
	case op == ">=":
		return instant && !at.Before(than)
	case op == "<=":
		return instant && !at.After(than)
	case held == nil || v == nil:
		return f.kind != boolean && held == v || f.kind == boolean && v == false
	case instant:
		return at.Equal(than)
	}
	return f.folded(held) == f.folded(v)
}

// shown answers a row as JSON.
func (o *Org) shown(of *object, r *row, fields []string, version string) map[string]any {
	out := map[string]any{"attributes": map[string]string{
		"type": of.name, "url": "/services/data/" + version + "/sobjects/" + of.name + "/" + r.id,
	}}
	for _, name := range fields {
		if name == "Owner.IsActive" {
			id, _ := r.values["OwnerId"].(string)
			if owner := o.objects["User"].find(id); owner != nil {
				out["Owner"] = map[string]any{"attributes": map[string]string{"type": "User"}, "IsActive": owner.values["IsActive"]}
			}
			continue
		}
		v := r.get(name)
		if at, ok := v.(time.Time); ok {
			v = at.Format(stamp)
		}
		if v == nil && of.fields[name].kind == boolean {
			v = false
		}
		out[name] = v
	}
	return out
}

// paged answers the first page, and keeps the others.
func (o *Org) paged(c call, found []any, total int) answer {
	size := o.options.PageSize
	body := map[string]any{"totalSize": total, "done": len(found) <= size, "records": found[:min(size, len(found))]}
	if len(found) > size {
		o.serial++
		cursor := "01g5f" + strconv.Itoa(o.serial) + "-" + strconv.Itoa(size)
		o.cursors[cursor] = found[size:]
		body["nextRecordsUrl"] = "/services/data/" + c.version + "/query/" + cursor
	}
	return answer{200, body}
}

// more serves the next page.
func (o *Org) more(c call, m []string) answer {
	left, ok := o.cursors[m[1]]
	if !ok {
		return refuse(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
	}
	return o.paged(c, left, len(left))
}

// composite serves Composite, of reads only.
func (o *Org) composite(c call, _ []string) answer {
	var body struct {
		AllOrNone bool `json:"allOrNone"`
		Requests  []struct {
			Method      string `json:"method"`
			URL         string `json:"url"`
			ReferenceID string `json:"referenceId"`
		} `json:"compositeRequest"`
	}
	if a := parse(c.body, &body); a != nil {
		return *a
	}
	if n := len(body.Requests); n == 0 || n > 25 {
		return refuse(400, "PROCESSING_HALTED", "a composite request has 1 to 25 parts")
	}
	parts, seen, queries := make([]any, len(body.Requests)), map[string]bool{}, 0
	for i, r := range body.Requests {
		u, err := url.Parse(r.URL)
		if err != nil {
			u = &url.URL{}
		}
		m := whole.FindStringSubmatch(u.Path)
		if m == nil || m[1] != c.version || seen[r.ReferenceID] || !regexp.MustCompile(`^[A-Za-z]\w*$`).MatchString(r.ReferenceID) {
			return refuse(400, "JSON_PARSER_ERROR", "a part's url or referenceId is not valid")
		}
		if seen[r.ReferenceID] = true; strings.HasPrefix(m[2], "query") {
			queries++
		}
		a := o.route(call{m[1], m[2], c.r, u.Query().Get, nil}, r.Method, true)
		parts[i] = map[string]any{"body": a.body, "httpHeaders": map[string]string{}, "httpStatusCode": a.status, "referenceId": r.ReferenceID}
	}
	if queries > 5 {
		return refuse(400, "LIMIT_EXCEEDED", "a composite request has 5 queries at most")
	}
	return answer{200, map[string]any{"compositeResponse": parts}}
}

// describe serves sObject Describe, as far as it is used.
func (o *Org) describe(_ call, m []string) answer {
	of := o.objects[m[0]]
	if of == nil {
		return refuse(404, "NOT_FOUND", "The requested resource does not exist")
	}
	fields := []map[string]any{}
	for name, f := range of.fields {
		if f.hidden {
			continue
		}
		fields = append(fields, map[string]any{
			"name": name, "type": f.kind, "length": f.length, "unique": f.unique, "externalId": f.unique, "caseSensitive": f.caseSensitive,
			"createable": !f.readOnly, "updateable": !f.readOnly, "nillable": !f.required,
		})
	}
	return answer{200, map[string]any{"name": of.name, "keyPrefix": of.prefix, "fields": fields}}
}
