package fake

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/mail"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
)

// itemProblem is Salesforce's form of an error of one item.
type itemProblem struct {
	StatusCode string   `json:"statusCode"`
	Message    string   `json:"message"`
	Fields     []string `json:"fields"`
}

// result is the verdict on one item.
type result struct {
	ID      string        `json:"id,omitempty"`
	Success bool          `json:"success"`
	Errors  []itemProblem `json:"errors"`
}

func failed(code, message string, fields ...string) *itemProblem {
	return &itemProblem{code, message, append([]string{}, fields...)}
}

// maxItems is how many records one request of sObject Collections takes,
// maxChunks how often its object may change.
const (
	maxItems  = 200
	maxChunks = 10
)

// item is one record of a collection.
type item struct {
	object *object
	id     string
	values map[string]any
}

// items reads a collection, or answers why it is none.
func (o *Org) items(c call) ([]item, *answer) {
	var body struct {
		AllOrNone *bool            `json:"allOrNone"`
		Records   []map[string]any `json:"records"`
	}
	if a := parse(c.body, &body); a != nil {
		return nil, a
	}
	switch {
	case len(body.Records) == 0:
		return nil, at400("REQUIRED_FIELD_MISSING", "records is missing or empty")
	case len(body.Records) > maxItems:
		return nil, at400("LIMIT_EXCEEDED", "record limit reached. cannot submit more than 200 records into this call")
	case body.AllOrNone != nil && *body.AllOrNone:
		return nil, at400("NOT_IMPLEMENTED", "the fake knows no allOrNone")
	}
	out := make([]item, len(body.Records))
	chunks, last := 0, ""
	for i, fields := range body.Records {
		attributes, _ := fields["attributes"].(map[string]any)
		name, _ := attributes["type"].(string)
		of := o.objects[name]
		if of == nil {
			return nil, at400("INVALID_INPUT", "attributes: sObject type must be specified")
		}
		if name != last {
			chunks, last = chunks+1, name
		}
		id, _ := fields["id"].(string)
		delete(fields, "attributes")
		delete(fields, "id")
		values, a := of.typed(fields)
		if a != nil {
			return nil, a
		}
		out[i] = item{of, id, values}
	}
	if chunks > maxChunks {
		return nil, at400("LIMIT_EXCEEDED", "A single request can process up to 10 chunks")
	}
	return out, nil
}

func at400(code, message string) *answer {
	a := refuse(400, code, message)
	return &a
}

func parse(body []byte, into any) *answer {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return at400("JSON_PARSER_ERROR", "Unexpected character or property: "+err.Error())
	}
	return nil
}

// typed brings values into the fields' types; an unknown field or a value of
// another type refuses the whole request.
func (of *object) typed(fields map[string]any) (map[string]any, *answer) {
	out := map[string]any{}
	for name, value := range fields {
		f := of.fields[name]
		if f == nil || f.hidden {
			return nil, at400("INVALID_FIELD", fmt.Sprintf("No such column '%s' on sobject of type %s", name, of.name))
		}
		v, ok := f.value(value)
		if !ok {
			return nil, at400("JSON_PARSER_ERROR", fmt.Sprintf("Cannot deserialize instance of %s from the value of %s", f.kind, name))
		}
		out[name] = v
	}
	return out, nil
}

// value reads one value. Salesforce keeps an empty text as null.
func (f *field) value(v any) (any, bool) {
	if v == nil || v == "" {
		return nil, true
	}
	s, isText := v.(string)
	switch f.kind {
	case boolean:
		b, ok := v.(bool)
		return b || s == "true", ok || s == "true" || s == "false"
	case dateTime:
		t, err := time.Parse("2006-01-02T15:04:05.999Z07:00", s)
		return t.UTC(), err == nil
	case date:
		_, err := time.Parse(time.DateOnly, s)
		return s, err == nil
	}
	control := strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune("\t\r\n", r) })
	return s, isText && !control
}

// createMany serves sObject Collections, POST.
func (o *Org) createMany(c call, _ []string) answer {
	all, a := o.items(c)
	if a != nil {
		return *a
	}
	twice := doubles(all)
	results := make([]result, len(all))
	for i, it := range all {
		switch {
		case it.id != "":
			results[i] = result{Errors: []itemProblem{*failed("INVALID_FIELD_FOR_INSERT_UPDATE", "cannot specify Id in an insert call", "Id")}}
		case it.object.name == "Task" && o.options.TriggerLimit > 0 && len(all) > o.options.TriggerLimit:
			results[i] = result{Errors: []itemProblem{*failed("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "TaskTrigger: System.LimitException: Too many SOQL queries: 101")}}
		case twice[i]:
			results[i] = result{Errors: []itemProblem{*failed("DUPLICATE_VALUE", "duplicate value found: <unknown> duplicates value on record with id: <unknown>")}}
		default:
			results[i] = o.create(it)
		}
	}
	return answer{200, results}
}

// doubles finds items of one request with the same value in a unique field.
func doubles(all []item) map[int]bool {
	out, seen := map[int]bool{}, map[string]int{}
	for i, it := range all {
		for name, f := range it.object.fields {
			if !f.unique || it.values[name] == nil {
				continue
			}
			k := it.object.name + name + f.folded(it.values[name])
			if j, ok := seen[k]; ok {
				out[i], out[j] = true, true
			}
			seen[k] = i
		}
	}
	return out
}

func (f *field) folded(v any) string {
	s, ok := v.(string)
	if !ok {
		return fmt.Sprint(v)
	}
	if f.caseSensitive {
		return s
	}
	return strings.ToLower(s)
}

func (o *Org) create(it item) result {
	for name, f := range it.object.fields {
		if f.required && it.values[name] == nil {
			return result{Errors: []itemProblem{*failed("REQUIRED_FIELD_MISSING", "Required fields are missing: ["+name+"]", name)}}
		}
	}
	if p := o.check(it, ""); p != nil {
		return result{Errors: []itemProblem{*p}}
	}
	if it.object.fields["OwnerId"] != nil && it.values["OwnerId"] == nil {
		it.values["OwnerId"] = o.objects["User"].rows[0].id
	}
	r := o.insert(it.object, it.values)
	r.derive(it.object, nil)
	return result{ID: r.id, Success: true, Errors: []itemProblem{}}
}

// derive sets what Salesforce sets by itself.
func (r *row) derive(of *object, was any) {
	switch of.name {
	case "Task":
		closed := r.values["Status"] == "Completed"
		if r.values["IsClosed"] = closed; closed && was != "Completed" {
			r.values["CompletedDateTime"] = r.modified
		}
	case "Contact", "Lead":
		first, _ := r.values["FirstName"].(string)
		last, _ := r.values["LastName"].(string)
		r.values["Name"] = strings.TrimSpace(first + " " + last)
	}
}

// check looks at one item's values; own is the id of the record that is changed.
func (o *Org) check(it item, own string) *itemProblem {
	for _, name := range slices.Sorted(maps.Keys(it.values)) {
		if p := o.checkField(it.object, name, it.values[name], own); p != nil {
			return p
		}
	}
	if key, _ := it.values[keyField].(string); o.poisoned[decodeKey(key)] {
		return failed("FIELD_CUSTOM_VALIDATION_EXCEPTION", "This text is not wanted", "Description")
	}
	return nil
}

func (o *Org) checkField(of *object, name string, v any, own string) *itemProblem {
	f := of.fields[name]
	s, _ := v.(string)
	switch {
	case f.readOnly:
		return failed("INVALID_FIELD_FOR_INSERT_UPDATE", "Unable to create/update fields: "+name, name)
	case v == nil:
		return nil
	case f.length > 0 && len(utf16.Encode([]rune(s))) > f.length:
		return failed("STRING_TOO_LONG", fmt.Sprintf("%s: data value too large: (max length=%d)", name, f.length), name)
	case f.values != nil && !slices.Contains(f.values, s):
		return failed("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", name+": bad value for restricted picklist field: "+s, name)
	}
	if _, err := mail.ParseAddress(s); f.kind == email && err != nil {
		return failed("INVALID_EMAIL_ADDRESS", name+": invalid email address: "+s, name)
	}
	if f.kind == reference {
		return o.checkReference(f, name, s)
	}
	if f.unique {
		return o.checkUnique(of, name, v, own)
	}
	return nil
}

func (o *Org) checkUnique(of *object, name string, v any, own string) *itemProblem {
	r := of.holder(name, v)
	if r == nil || r.id == own {
		return nil
	}
	if o.options.Nameless {
		return failed("DUPLICATE_VALUE", "duplicate value found: <unknown> duplicates value on record with id: <unknown>")
	}
	return failed("DUPLICATE_VALUE", "duplicate value found: "+name+" duplicates value on record with id: "+r.id)
}

func (o *Org) checkReference(f *field, name, id string) *itemProblem {
	if len(id) != short && len(id) != long {
		return failed("MALFORMED_ID", name+": id value of incorrect type: "+id, name)
	}
	for _, to := range f.to {
		r := o.objects[to].find(id)
		switch {
		case r == nil:
		case r.deleted:
			return failed("ENTITY_IS_DELETED", "entity is deleted")
		case r.values["IsConverted"] == true:
			return failed("CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead", name)
		case to == "User" && r.values["IsActive"] != true:
			return failed("INACTIVE_OWNER_OR_USER", "operation performed with inactive user ["+id+"] as owner of task")
		default:
			return nil
		}
	}
	return failed("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", name)
}

// updateMany serves sObject Collections, PATCH.
func (o *Org) updateMany(c call, _ []string) answer {
	all, a := o.items(c)
	if a != nil {
		return *a
	}
	seen := map[string]int{}
	for _, it := range all {
		seen[it.id]++
	}
	results := make([]result, len(all))
	for i, it := range all {
		p := o.update(it, seen[it.id] > 1)
		if results[i] = (result{ID: it.id, Success: true, Errors: []itemProblem{}}); p != nil {
			results[i] = result{Errors: []itemProblem{*p}}
		}
	}
	return answer{200, results}
}

func (o *Org) update(it item, twice bool) *itemProblem {
	r := it.object.find(it.id)
	switch {
	case it.id == "":
		return failed("MISSING_ARGUMENT", "Id not specified in an update call", "Id")
	case twice:
		return failed("DUPLICATE_VALUE", "duplicate id in the list: "+it.id)
	case !strings.HasPrefix(it.id, it.object.prefix):
		return failed("MALFORMED_ID", it.object.name+" ID: id value of incorrect type: "+it.id, "Id")
	case r == nil:
		return failed("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
	case r.deleted:
		return failed("ENTITY_IS_DELETED", "entity is deleted")
	case r.values["IsConverted"] == true:
		return failed("CANNOT_UPDATE_CONVERTED_LEAD", "cannot update converted lead")
	}
	if p := o.check(it, r.id); p != nil {
		return p
	}
	was := r.values["Status"]
	maps.Copy(r.values, it.values)
	r.modified = time.Now().UTC().Truncate(time.Millisecond)
	r.derive(it.object, was)
	it.object.index(r)
	return nil
}

// createOne serves sObject Basic Information, POST.
func (o *Org) createOne(c call, m []string) answer {
	of := o.objects[m[0]]
	var fields map[string]any
	if a := parse(c.body, &fields); a != nil {
		return *a
	}
	values, a := of.typed(fields)
	if a != nil {
		return *a
	}
	it := item{of, "", values}
	if d := o.duplicate(it); d != nil {
		return *d
	}
	r := o.create(it)
	if !r.Success {
		p := r.Errors[0]
		return refuse(400, p.StatusCode, p.Message, p.Fields...)
	}
	o.reveal()
	return answer{201, r}
}

// duplicate is the customer's rule, which blocks.
func (o *Org) duplicate(it item) *answer {
	if !o.options.BlockDuplicates || it.object.name != "Contact" && it.object.name != "Lead" {
		return nil
	}
	for _, of := range []*object{o.objects["Contact"], o.objects["Lead"]} {
		for _, r := range of.rows {
			if r.deleted || !sharesReach(r.values, it.values) {
				continue
			}
			match := map[string]any{"record": map[string]any{"attributes": map[string]string{"type": of.name}, "Id": r.id}}
			return &answer{400, []map[string]any{{
				"errorCode": "DUPLICATES_DETECTED", "message": "Use one of these records?",
				"duplicateResult": map[string]any{"allowSave": false, "matchResults": []any{
					map[string]any{"entityType": of.name, "matchRecords": []any{match}, "size": 1, "success": true},
				}},
			}}}
		}
	}
	return nil
}

func sharesReach(a, b map[string]any) bool {
	return a["Email"] != nil && a["Email"] == b["Email"] || a["MobilePhone"] != nil && a["MobilePhone"] == b["MobilePhone"]
}
