package hubspot

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/rest"
)

// recordType is a type of record, as paths name it.
type recordType string

const (
	communications recordType = "communications"
	contacts       recordType = "contacts"
)

// maxInputs is the largest batch of every endpoint that takes records.
// https://developers.hubspot.com/docs/api-reference/2026-03/crm/objects/contacts/guide
const maxInputs = 100

// The schemas of the API, as far as they are used. Their source is the vendor's
// OpenAPI files, which spec_test.go compares them with:
// https://github.com/HubSpot/HubSpot-public-api-spec-collection
type (
	// input is one record of a batch: without an ID it is to be created, with
	// Associations that may be empty, but not missing.
	input struct {
		ID         string `json:"id,omitempty"`
		IDProperty string `json:"idProperty,omitempty"`
		// Trace names the input in the answer, and asks for a verdict on each.
		// https://developers.hubspot.com/docs/api-reference/latest/error-handling
		Trace        string            `json:"objectWriteTraceId,omitempty"`
		Properties   map[string]string `json:"properties"`
		Associations []association     `json:"associations,omitzero"`
		// known is the property that tells a new record in an answer without traces.
		known string
	}
	association struct {
		To    reference         `json:"to"`
		Types []associationType `json:"types"`
	}
	associationType struct {
		Category string `json:"associationCategory"`
		ID       int    `json:"associationTypeId"`
	}
	reference struct {
		ID string `json:"id"`
	}
	inputs[T any] struct {
		Inputs []T `json:"inputs"`
	}
	readRequest struct {
		IDProperty string      `json:"idProperty,omitempty"`
		Inputs     []reference `json:"inputs"`
		Properties []string    `json:"properties"`
		History    []string    `json:"propertiesWithHistory"`
	}
	object struct {
		ID         string            `json:"id"`
		Trace      string            `json:"objectWriteTraceId"`
		Properties map[string]string `json:"properties"`
		Updated    time.Time         `json:"updatedAt"`
	}
	// batch is what came of several inputs.
	batch[T any] struct {
		Status  string    `json:"status"`
		Results []T       `json:"results"`
		Errors  []problem `json:"errors"`
	}
	searchRequest struct {
		Groups     []filterGroup `json:"filterGroups"`
		Properties []string      `json:"properties"`
		Limit      int           `json:"limit"`
		After      string        `json:"after,omitempty"`
	}
	filterGroup struct {
		Filters []filter `json:"filters"`
	}
	filter struct {
		Property string   `json:"propertyName"`
		Operator string   `json:"operator"`
		Values   []string `json:"values"`
	}
	page struct {
		Total   *int     `json:"total"`
		Results []object `json:"results"`
		Paging  paging   `json:"paging"`
	}
	paging struct {
		Next struct {
			After string `json:"after"`
		} `json:"next"`
	}
	// cursor asks for the records that one is associated with, from After on.
	cursor struct {
		ID    string `json:"id"`
		After string `json:"after,omitempty"`
	}
	associated struct {
		From   reference `json:"from"`
		To     []target  `json:"to"`
		Paging paging    `json:"paging"`
	}
	target struct {
		ID number `json:"toObjectId"`
	}
	owner struct {
		ID    string `json:"id"`
		Email string `json:"email"`
	}
	ownersPage struct {
		Results []owner `json:"results"`
		Paging  paging  `json:"paging"`
	}
	property struct {
		Name        string   `json:"name"`
		Label       string   `json:"label"`
		Description string   `json:"description,omitempty"`
		Group       string   `json:"groupName"`
		Type        string   `json:"type"`
		FieldType   string   `json:"fieldType"`
		Unique      bool     `json:"hasUniqueValue,omitempty"`
		Options     []option `json:"options,omitempty"`
	}
	option struct {
		Label  string `json:"label"`
		Value  string `json:"value"`
		Order  int    `json:"displayOrder"`
		Hidden bool   `json:"hidden"`
	}
	propertiesRequest struct {
		Archived    bool           `json:"archived"`
		Sensitivity string         `json:"dataSensitivity"`
		Inputs      []propertyName `json:"inputs"`
	}
	propertyName struct {
		Name string `json:"name"`
	}
)

// number is an id that is a string in one version of the API, and a number in
// another.
type number string

// UnmarshalJSON implements json.Unmarshaler.
func (n *number) UnmarshalJSON(raw []byte) error {
	*n = number(strings.Trim(string(raw), `"`))
	return nil
}

// complete is the status of a batch that was worked through. An answer that does
// not say so tells nothing of what it does not name.
const complete = "COMPLETE"

// errForm: the answer does not hold what was asked for.
var errForm = errors.New("the answer does not fit the question")

// api makes the calls.
type api struct {
	*rest.Client
	version string
}

func newAPI(cfg Config, client *http.Client) api {
	judge := rest.WithJudge(judge(cfg.zone()))
	return api{rest.New(client, cfg.BaseURL, rest.Bearer(cfg.Token), judge), cfg.Version}
}

func (a api) objects(of recordType, below string) string {
	return "crm/objects/" + a.version + "/" + string(of) + below
}

// written is what became of an input: the record, or why there is none.
type written struct {
	object object
	err    *connectors.Error
}

// write sends a batch and answers what became of each input, in order. absent is
// the error of one of which the answer says nothing.
func (a api) write(ctx context.Context, op, path string, in []input, absent connectors.Error) []written {
	out := make([]written, len(in))
	if len(in) == 0 {
		return out
	}
	for i := range in {
		in[i].Trace = strconv.Itoa(i)
	}
	var got batch[object]
	_, err := a.Do(ctx, rest.Request{Op: op, Method: http.MethodPost, Path: path, Items: len(in), Body: inputs[input]{in}, Into: &got})
	if err == nil && got.Status != complete {
		err = &connectors.Error{Op: op, Kind: connectors.Unknown, Ambiguous: true, Err: errForm}
	}
	for i := range in {
		if err != nil {
			out[i].err = connectors.AsError(op, err)
		} else if at := slices.IndexFunc(got.Results, in[i].became); at >= 0 {
			out[i].object = got.Results[at]
		} else {
			out[i].err = refusal(op, got.Errors, in, i, absent)
		}
	}
	return out
}

// became reports whether the record came of the input.
func (in input) became(o object) bool {
	switch {
	case o.ID == "":
		return false
	case o.Trace != "":
		return o.Trace == in.Trace
	case in.IDProperty != "":
		return o.Properties[in.IDProperty] == in.ID
	case in.known != "":
		return o.Properties[in.known] == in.Properties[in.known]
	}
	return o.ID == in.ID
}

// read answers those of the records that are there, by whatever ids they were
// asked for; idProperty is empty for HubSpot's own.
func (a api) read(ctx context.Context, op string, of recordType, idProperty string, ids, properties []string) (map[string]object, error) {
	found := map[string]object{}
	for part := range slices.Chunk(unique(ids), maxInputs) {
		ask := readRequest{IDProperty: idProperty, Properties: properties, History: []string{}}
		for _, id := range part {
			ask.Inputs = append(ask.Inputs, reference{id})
		}
		var got batch[object]
		if err := a.ask(ctx, op, a.objects(of, "/batch/read"), ask, &got); err != nil {
			return nil, err
		}
		if got.Status != complete {
			return nil, &connectors.Error{Op: op, Kind: connectors.Unknown, Err: errForm}
		}
		for _, o := range got.Results {
			id := o.ID
			if idProperty != "" {
				id = o.Properties[idProperty]
			}
			found[id] = o
		}
	}
	return found, nil
}

// ask makes a request that only reads.
func (a api) ask(ctx context.Context, op, path string, body, into any) error {
	_, err := a.Do(ctx, rest.Request{Op: op, Method: http.MethodPost, Path: path, ReadOnly: true, Body: body, Into: into})
	return err
}

// search answers all pages of what a search for so many items finds. If HubSpot
// refuses it, one for fewer may do.
func (a api) search(ctx context.Context, op string, of recordType, ask searchRequest, items int) ([]object, error) {
	var found []object
	for {
		var got page
		_, err := a.Do(ctx, rest.Request{
			Op: op, Method: http.MethodPost, Path: a.objects(of, "/search"), ReadOnly: true, Items: items, Body: ask, Into: &got,
		})
		if err != nil {
			return nil, err
		}
		if got.Total == nil || got.Results == nil {
			return nil, &connectors.Error{Op: op, Kind: connectors.Unknown, Err: errForm}
		}
		found = append(found, got.Results...)
		next := got.Paging.Next.After
		if next == "" || next == ask.After {
			return found, nil
		}
		ask.After = next
	}
}

// associations answers which records of one type each of another has. One that is
// gone has none.
func (a api) associations(ctx context.Context, op string, from, to recordType, ids []string) (map[string][]string, error) {
	found := map[string][]string{}
	var ask []cursor
	for _, id := range unique(ids) {
		ask = append(ask, cursor{ID: id})
	}
	path := "crm/associations/" + a.version + "/" + string(from) + "/" + string(to) + "/batch/read"
	for len(ask) > 0 {
		now := ask[:min(len(ask), maxInputs)]
		ask = ask[len(now):]
		var got batch[associated]
		if err := a.ask(ctx, op, path, inputs[cursor]{now}, &got); err != nil {
			return nil, err
		}
		if err := unread(op, got); err != nil {
			return nil, err
		}
		for _, r := range got.Results {
			for _, t := range r.To {
				found[r.From.ID] = append(found[r.From.ID], string(t.ID))
			}
			if after := r.Paging.Next.After; after != "" {
				ask = append(ask, cursor{r.From.ID, after})
			}
		}
	}
	return found, nil
}

// unread reports why an answer does not tell which associations there are.
func unread(op string, got batch[associated]) error {
	if got.Status != complete {
		return &connectors.Error{Op: op, Kind: connectors.Unknown, Err: errForm}
	}
	for _, p := range got.Errors {
		if e := p.verdict(op); e.Kind != connectors.NotFound { // which none at all is, too
			e.Ambiguous = false
			return e
		}
	}
	return nil
}

// properties answers those of the named properties that are there.
func (a api) properties(ctx context.Context, op string, of recordType, names []string) (map[string]property, error) {
	found := map[string]property{}
	if len(names) == 0 {
		return found, nil
	}
	ask := propertiesRequest{Sensitivity: "non_sensitive"}
	for _, n := range names {
		ask.Inputs = append(ask.Inputs, propertyName{n})
	}
	var got batch[property]
	if err := a.ask(ctx, op, a.schema(of, "/batch/read"), ask, &got); err != nil {
		return nil, err
	}
	if got.Status != complete {
		return nil, &connectors.Error{Op: op, Kind: connectors.Unknown, Err: errForm}
	}
	for _, p := range got.Results {
		found[p.Name] = p
	}
	return found, nil
}

func (a api) schema(of recordType, below string) string {
	return "crm/properties/" + a.version + "/" + string(of) + below
}

// owners answers a page of the account's users who can own records; email
// narrows it to one.
func (a api) owners(ctx context.Context, op, email, after string) (ownersPage, error) {
	query := url.Values{"limit": {strconv.Itoa(maxOwners)}}
	if email != "" {
		query.Set("email", email)
	}
	if after != "" {
		query.Set("after", after)
	}
	var out ownersPage
	_, err := a.Do(ctx, rest.Request{Op: op, Path: "crm/owners/" + a.version, Query: query, Into: &out})
	if err == nil && out.Results == nil {
		err = &connectors.Error{Op: op, Kind: connectors.Unknown, Err: errForm}
	}
	return out, err
}

// unique answers each value once, in order.
func unique(all []string) []string {
	var out []string
	seen := map[string]bool{}
	for _, s := range all {
		if !seen[s] {
			seen[s], out = true, append(out, s)
		}
	}
	return out
}
