package fake

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

type (
	input struct {
		ID           string            `json:"id"`
		IDProperty   string            `json:"idProperty"`
		Trace        string            `json:"objectWriteTraceId"`
		Properties   map[string]string `json:"properties"`
		Associations *[]association    `json:"associations"`
	}
	association struct {
		To struct {
			ID string `json:"id"`
		} `json:"to"`
		Types []struct {
			Category string `json:"associationCategory"`
			ID       int    `json:"associationTypeId"`
		} `json:"types"`
	}
	inputs struct {
		Inputs []input `json:"inputs"`
	}
	object struct {
		ID         string             `json:"id"`
		Properties map[string]*string `json:"properties"`
		Created    time.Time          `json:"createdAt"`
		Updated    time.Time          `json:"updatedAt"`
		Archived   bool               `json:"archived"`
		Trace      string             `json:"objectWriteTraceId,omitempty"`
	}
)

const maxInputs = 100

// show answers a record with the named properties, with all of them for nil.
func (f *Fake) show(r *record, names []string) object {
	o := object{ID: r.id, Properties: map[string]*string{"hs_object_id": &r.id}, Created: r.created, Updated: r.updated}
	if names == nil {
		for name := range r.values {
			names = append(names, name)
		}
	}
	for _, name := range names {
		if f.schema[r.kind][name] == nil {
			continue // as HubSpot does
		}
		o.Properties[name] = nil
		if value, set := r.values[name]; set {
			if at, ok := instant(value); ok && f.schema[r.kind][name].Type == "datetime" {
				value = at.Format(time.RFC3339Nano)
			}
			if f.options.Masked && slices.Contains(phoneFields, name) {
				value = "***-***-" + value[max(0, len(value)-2):]
			}
			o.Properties[name] = &value
		}
	}
	return o
}

// several reads a batch of inputs.
func several(w http.ResponseWriter, r *http.Request, what string) ([]input, bool) {
	var b inputs
	if !decode(w, r, &b) {
		return nil, false
	}
	if len(b.Inputs) == 0 || len(b.Inputs) > maxInputs {
		refuse(w, http.StatusBadRequest, problem{Category: "VALIDATION_ERROR", Message: "The number of inputs to " + what + " must be from 1 to 100"})
		return nil, false
	}
	return b.Inputs, true
}

// apply makes each input's change, or none if the batch is refused as a whole. A
// change answers the record and why there is none; neither for one that is passed
// over.
func (f *Fake) apply(w http.ResponseWriter, all []input, status int, change func(input, bool) (*record, *problem)) {
	if f.options.WholeBatches || !traced(all) {
		for _, in := range all {
			if _, p := change(in, true); p != nil {
				refuse(w, statusOf(*p), *p)
				return
			}
		}
	}
	out := batch{Status: "COMPLETE", Results: []any{}}
	for _, in := range all {
		r, p := change(in, false)
		switch {
		case p != nil:
			p.Context = merged(p.Context, in)
			out.fail(*p)
		case r != nil:
			o := f.show(r, nil)
			if !f.options.NoTraces {
				o.Trace = in.Trace
			}
			out.Results = append(out.Results, o)
		}
	}
	if f.options.Quiet && len(out.Results) < len(all) && out.NumErrors == 0 {
		status = http.StatusMultiStatus
	}
	out.answer(w, status)
}

func merged(c context, in input) context {
	all := context{"objectWriteTraceId": {in.Trace}}
	maps.Copy(all, c)
	return all
}

// traced: every input has a trace of its own, which asks for a verdict on each.
func traced(all []input) bool {
	seen := map[string]bool{}
	for _, in := range all {
		if in.Trace == "" || seen[in.Trace] {
			return false
		}
		seen[in.Trace] = true
	}
	return true
}

func statusOf(p problem) int {
	switch p.Category {
	case "OBJECT_NOT_FOUND":
		return http.StatusNotFound
	case "CONFLICT":
		return http.StatusConflict
	}
	return http.StatusBadRequest
}

func (f *Fake) batchCreate(w http.ResponseWriter, r *http.Request) {
	all, ok := several(w, r, "create")
	if !ok {
		return
	}
	for _, in := range all {
		if in.Associations == nil || in.Properties == nil || in.ID != "" || in.IDProperty != "" {
			refuse(w, http.StatusBadRequest, problem{Category: "VALIDATION_ERROR", Message: "Some required fields were not set: [associations, properties]"})
			return
		}
	}
	f.apply(w, all, http.StatusCreated, func(in input, dry bool) (*record, *problem) {
		people, p := f.associated(*in.Associations)
		if p == nil {
			p = f.createable(in.Properties)
		}
		if p != nil || dry {
			return nil, p
		}
		made := f.store(communications, in.Properties)
		made.contacts = people
		return made, nil
	})
}

// createable says why a communication cannot be created.
func (f *Fake) createable(values map[string]string) *problem {
	for _, name := range []string{"hs_communication_channel_type", "hs_communication_logged_from", "hs_timestamp"} {
		if values[name] == "" {
			p := invalid(violation{Message: name + " is required", Error: "REQUIRED_FIELD", Name: name})
			return &p
		}
	}
	if p := f.valid(communications, nil, values); p != nil {
		return p
	}
	if f.poisoned[keyOf(values)] {
		p := invalid(violation{Message: "a rule of the account", Error: "MISSING_CONDITIONAL_REQUIRED_PROPERTY", Name: "campaign"})
		return &p
	}
	return nil
}

// valid says why values cannot be set on a record, nil for a new one.
func (f *Fake) valid(kind string, r *record, values map[string]string) *problem {
	var wrong []violation
	for name, value := range values {
		if v := f.check(kind, name, value); v != nil {
			wrong = append(wrong, *v)
			continue
		}
		other := f.unique[uniqueKey(kind, name, value)]
		if value == "" || !f.schema[kind][name].Unique || other == nil || other == r {
			continue
		}
		if name == "email" {
			return &problem{
				Category: "CONFLICT", Message: "Contact already exists. Existing ID: " + other.id, Context: context{"existingId": {other.id}},
			}
		}
		wrong = append(wrong, violation{Message: value + " already has that value.", Error: "CONFLICTING_UNIQUE_VALUE", Name: name})
	}
	if len(wrong) == 0 {
		return nil
	}
	p := invalid(wrong...)
	return &p
}

// toContact is the type of the association of a communication to a contact.
const toContact = 81

func (f *Fake) associated(all []association) ([]string, *problem) {
	var people []string
	for _, a := range all {
		r := f.byID[a.To.ID]
		switch {
		case len(a.Types) != 1 || a.Types[0].Category != "HUBSPOT_DEFINED" || a.Types[0].ID != toContact:
			return nil, &problem{Category: "VALIDATION_ERROR", SubCategory: "crm.associations.INVALID_ASSOCIATION_TYPE", Message: "The association type is not valid"}
		case r == nil || r.archived || r.kind != contacts:
			return nil, &problem{Category: "VALIDATION_ERROR", SubCategory: "crm.associations.INVALID_OBJECT_IDS", Message: "One or more associations are not valid"}
		}
		people = append(people, r.id)
	}
	return people, nil
}

func (f *Fake) batchUpdate(w http.ResponseWriter, r *http.Request) {
	kind, ok := f.kind(w, r)
	if !ok {
		return
	}
	all, ok := several(w, r, "update")
	if !ok || !f.different(w, kind, all) {
		return
	}
	f.apply(w, all, http.StatusOK, func(in input, dry bool) (*record, *problem) {
		found := f.find(kind, in)
		switch {
		case found == nil && f.options.Quiet:
			return nil, nil
		case found == nil:
			return nil, &problem{Category: "OBJECT_NOT_FOUND", Message: "Could not get some " + kind + " objects, they may be deleted or not exist.", Context: context{"ids": {in.ID}}}
		}
		if p := f.valid(kind, found, in.Properties); p != nil || dry {
			return nil, p
		}
		f.change(found, in.Properties)
		return found, nil
	})
}

// different refuses inputs that name a record twice, or by what is not unique.
func (f *Fake) different(w http.ResponseWriter, kind string, all []input) bool {
	seen := map[string]bool{}
	for _, in := range all {
		if p := f.schema[kind][in.IDProperty]; in.IDProperty != "" && (p == nil || !p.Unique) {
			refuse(w, http.StatusBadRequest, problem{
				Category: "VALIDATION_ERROR", Message: "Unable to perform update/upsert by non-unique property " + in.IDProperty,
			})
			return false
		}
		if in.ID == "" || seen[in.ID] {
			refuse(w, http.StatusBadRequest, problem{Category: "VALIDATION_ERROR", Message: "Duplicate IDs found in batch input: [" + in.ID + "]. IDs must be unique"})
			return false
		}
		seen[in.ID] = true
	}
	return true
}

func (f *Fake) find(kind string, in input) *record {
	r := f.byID[in.ID]
	if in.IDProperty != "" {
		r = f.unique[uniqueKey(kind, in.IDProperty, in.ID)]
	}
	if r == nil || r.archived || r.kind != kind {
		return nil
	}
	return r
}

func (f *Fake) batchRead(w http.ResponseWriter, r *http.Request) {
	kind, ok := f.kind(w, r)
	var ask struct {
		IDProperty string    `json:"idProperty"`
		Inputs     []input   `json:"inputs"`
		Properties []string  `json:"properties"`
		History    *[]string `json:"propertiesWithHistory"`
	}
	if !ok || !decode(w, r, &ask) {
		return
	}
	for i := range ask.Inputs {
		ask.Inputs[i].IDProperty = ask.IDProperty
	}
	if ask.Properties == nil || ask.History == nil || len(ask.Inputs) == 0 || len(ask.Inputs) > maxInputs {
		refuse(w, http.StatusBadRequest, problem{Category: "VALIDATION_ERROR", Message: "Some required fields were not set, or there are too many inputs"})
		return
	}
	if !f.different(w, kind, ask.Inputs) {
		return
	}
	out := batch{Status: "COMPLETE", Results: []any{}}
	var missing []string
	for _, in := range ask.Inputs {
		if found := f.find(kind, in); found != nil {
			out.Results = append(out.Results, f.show(found, ask.Properties))
		} else {
			missing = append(missing, in.ID)
		}
	}
	if len(missing) > 0 {
		out.fail(problem{Category: "OBJECT_NOT_FOUND", Message: "Could not get some " + kind + " objects, they may be deleted or not exist.", Context: context{"ids": missing}})
	}
	out.answer(w, http.StatusOK)
}

func (f *Fake) createContact(w http.ResponseWriter, r *http.Request) {
	var in input
	if !decode(w, r, &in) {
		return
	}
	v := in.Properties
	switch p := f.valid(contacts, nil, v); {
	case in.Associations == nil || in.Trace != "" || in.ID != "":
		refuse(w, http.StatusBadRequest, problem{Category: "VALIDATION_ERROR", Message: "Some required fields were not set: [associations]"})
	case v["email"] == "" && v["firstname"] == "" && v["lastname"] == "":
		refuse(w, http.StatusBadRequest, problem{Category: "VALIDATION_ERROR", Message: "One of email, firstname and lastname is needed"})
	case p != nil:
		refuse(w, statusOf(*p), *p)
	default:
		reply(w, http.StatusCreated, f.show(f.store(contacts, v), nil))
	}
}

func (f *Fake) associations(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		Inputs []struct {
			ID    string `json:"id"`
			After string `json:"after"`
		} `json:"inputs"`
	}
	if !decode(w, r, &ask) {
		return
	}
	from, to := r.PathValue("from"), r.PathValue("to")
	if f.schema[from] == nil || f.schema[to] == nil || from == to {
		refuse(w, http.StatusBadRequest, problem{Category: "VALIDATION_ERROR", Message: "Unable to infer object type from: " + from + ", " + to})
		return
	}
	out := batch{Status: "COMPLETE", Results: []any{}}
	for _, in := range ask.Inputs {
		ids := f.associatedWith(from, in.ID)
		if len(ids) == 0 {
			out.fail(problem{
				Category: "OBJECT_NOT_FOUND", SubCategory: "crm.associations.NO_ASSOCIATIONS_FOUND",
				Message: "No " + to + " is associated with " + from + " " + in.ID + ".", Context: context{"fromObjectId": {in.ID}},
			})
			continue
		}
		start, end, next := f.page(in.After, 500, len(ids))
		row := listed(nil, next)
		delete(row, "results")
		row["from"], row["to"] = map[string]string{"id": in.ID}, ids[start:end]
		out.Results = append(out.Results, row)
	}
	out.answer(w, http.StatusOK)
}

// associatedWith answers the records of the other type.
func (f *Fake) associatedWith(kind, id string) []any {
	all := []any{}
	add := func(id string) { all = append(all, map[string]any{"toObjectId": id, "associationTypes": []any{}}) }
	if r := f.byID[id]; kind == communications && r != nil {
		for _, contact := range r.contacts {
			add(contact)
		}
		return all
	}
	for _, text := range f.records[communications] {
		if !text.archived && slices.Contains(text.contacts, id) {
			add(text.id)
		}
	}
	return all
}

// Limits of a search.
const (
	maxQuery  = 3000
	maxGroups = 5
	maxFound  = 200
)

type query struct {
	Groups []struct {
		Filters []struct {
			Property string   `json:"propertyName"`
			Operator string   `json:"operator"`
			Values   []string `json:"values"`
		} `json:"filters"`
	} `json:"filterGroups"`
	Properties []string          `json:"properties"`
	Limit      int               `json:"limit"`
	After      string            `json:"after"`
	Sorts      []json.RawMessage `json:"sorts"`
}

func (f *Fake) search(w http.ResponseWriter, r *http.Request) {
	kind, ok := f.kind(w, r)
	if !ok {
		return
	}
	raw, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(strings.NewReader(string(raw)))
	var ask query
	if !decode(w, r, &ask) {
		return
	}
	bad := func(message string) {
		refuse(w, http.StatusBadRequest, problem{Category: "VALIDATION_ERROR", Message: message})
	}
	if utf8.RuneCount(raw) > maxQuery || len(ask.Groups) == 0 || len(ask.Groups) > maxGroups || ask.Limit < 1 || ask.Limit > maxFound {
		bad("There is a limit to queries: 3000 characters, 5 groups, 200 results")
		return
	}
	all, ok := f.matching(kind, ask)
	if !ok {
		bad("There was a problem with the request: the fake knows groups of one filter IN")
		return
	}
	start, end, next := f.page(ask.After, ask.Limit, len(all))
	results := []object{}
	for _, c := range all[start:end] {
		results = append(results, f.show(c, ask.Properties))
	}
	out := listed(results, next)
	out["total"] = len(all)
	reply(w, http.StatusOK, out)
}

// matching answers the records that a search finds, if it is of the known form.
func (f *Fake) matching(kind string, ask query) ([]*record, bool) {
	found := map[*record]bool{}
	for _, g := range ask.Groups {
		if len(g.Filters) != 1 || g.Filters[0].Operator != "IN" || len(g.Filters[0].Values) == 0 || f.schema[kind][g.Filters[0].Property] == nil {
			return nil, false
		}
		field := g.Filters[0].Property
		for _, value := range g.Filters[0].Values {
			for _, r := range f.index[uniqueKey(kind, field, value)] {
				if !r.archived && strings.EqualFold(r.values[field], value) && !time.Now().Before(r.visible) {
					found[r] = true
				}
			}
		}
	}
	return slices.SortedFunc(maps.Keys(found), func(a, b *record) int { return strings.Compare(a.id, b.id) }), true
}
