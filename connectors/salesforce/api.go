package salesforce

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"crmsync/connectors"
	"crmsync/connectors/rest"
)

// The objects that are used, and how the ids of their records begin.
// https://help.salesforce.com/s/articleView?id=000385203&type=1
const (
	task    = "Task"
	contact = "Contact"
	lead    = "Lead"
	user    = "User"

	leadPrefix = "00Q"
	userPrefix = "005"
)

// maxRecords is how many records one request of sObject Collections takes.
// https://developer.salesforce.com/docs/platform/api-rest/guide/resources-composite-sobjects-collections-create.html
const maxRecords = 200

// maxQuery is the longest value of the parameter q, in bytes as they are sent: a
// URL may have 16,384 with everything in it.
// https://developer.salesforce.com/docs/atlas.en-us.salesforce_app_limits_cheatsheet.meta/salesforce_app_limits_cheatsheet/salesforce_app_limits_platform_api.htm
const maxQuery = 12_000

// errForm: the answer does not hold what was asked for, such as a result for
// each item.
var errForm = errors.New("the answer does not fit the question")

// The schemas of the API, as far as they are used. The names of many fields are
// settings, so that a record is a map.
type (
	record map[string]any
	// records is the body of a request of sObject Collections.
	records struct {
		AllOrNone bool     `json:"allOrNone"`
		Records   []record `json:"records"`
	}
	// saved is the verdict on one record.
	saved struct {
		ID      string  `json:"id"`
		Success bool    `json:"success"`
		Errors  []fault `json:"errors"`
	}
	// page is a part of a query's answer.
	page struct {
		Done    bool     `json:"done"`
		Next    string   `json:"nextRecordsUrl"`
		Records []record `json:"records"`
	}
	part struct {
		Method      string `json:"method"`
		URL         string `json:"url"`
		ReferenceID string `json:"referenceId"`
	}
	parts struct {
		AllOrNone bool   `json:"allOrNone"`
		Requests  []part `json:"compositeRequest"`
	}
	// field is a field as these credentials may use it.
	field struct {
		Name       string `json:"name"`
		Unique     bool   `json:"unique"`
		Createable bool   `json:"createable"`
		Updateable bool   `json:"updateable"`
	}
	// description is an object's fields by name; nil where it cannot be used.
	description map[string]field
)

// writable reports whether all of the fields can be written; "" stands for one
// that is not used.
func (d description) writable(names ...string) bool {
	for _, name := range names {
		if f := d[name]; name != "" && !(f.Createable && f.Updateable) {
			return false
		}
	}
	return true
}

// str answers a field as text, "" for null.
func (r record) str(name string) string {
	s, _ := r[name].(string)
	return s
}

// typed makes a record of an object.
func typed(object string) record {
	return record{"attributes": map[string]string{"type": object}}
}

// api makes the calls.
type api struct {
	*rest.Client
	root  string // of the version, without a slash at either end
	base  string
	grant func(context.Context) (connectors.Grant, error)
}

func newAPI(cfg Config, env connectors.Env) api {
	base := strings.TrimRight(cfg.InstanceURL, "/")
	client := rest.New(env.Client, base, rest.Bearer(cfg.Token), rest.AtGrant(env.Grant), rest.WithJudge(judge))
	return api{client, "services/data/" + cfg.APIVersion, base, env.Grant}
}

// pages answers the address below which a record's page is by its id, "" where
// the sign-in does not tell.
func (a api) pages(ctx context.Context) string {
	if a.base != "" {
		return a.base
	}
	grant, err := a.grant(ctx)
	if err != nil {
		return ""
	}
	return strings.TrimRight(grant.InstanceURL, "/")
}

// ref names a record, none where there is no id. The page of every object is
// below the address by its id.
func ref(kind, pages, id string) connectors.Ref {
	if id == "" {
		return connectors.Ref{}
	}
	r := connectors.Ref{Type: kind, ID: id}
	if pages != "" {
		r.URL = pages + "/" + rest.Path(id)
	}
	return r
}

// save writes records in one request, each for itself, and answers the verdict on
// each in order.
func (a api) save(ctx context.Context, op, method string, of []record) ([]saved, error) {
	var out []saved
	_, err := a.Do(ctx, rest.Request{
		Op: op, Method: method, Path: a.root + "/composite/sobjects", Items: len(of),
		Body: records{Records: of}, Into: &out, Judge: missing,
	})
	if err == nil && len(out) != len(of) {
		err = &connectors.Error{Op: op, Kind: connectors.Unknown, Ambiguous: true, Err: errForm}
	}
	return out, err
}

// query answers all records of a SOQL query. Of an activity, those that are
// archived after a year count, too, which only queryAll finds.
// https://developer.salesforce.com/docs/platform/api-rest/guide/resources-queryall.html
func (a api) query(ctx context.Context, op, soql string) ([]record, error) {
	return a.pagesOf(ctx, op, a.root+"/queryAll", soql)
}

func (a api) pagesOf(ctx context.Context, op, path, soql string) ([]record, error) {
	var all []record
	q := url.Values{"q": {soql}}
	for {
		var p page
		_, err := a.Do(ctx, rest.Request{Op: op, Path: path, Query: q, Into: &p, Judge: missing})
		if err != nil {
			return nil, err
		}
		if p.Records == nil || !p.Done && !strings.HasPrefix(p.Next, "/"+a.root+"/") {
			return nil, &connectors.Error{Op: op, Kind: connectors.Unknown, Err: errForm}
		}
		if all = append(all, p.Records...); p.Done {
			return all, nil
		}
		path, q = strings.TrimPrefix(p.Next, "/"), nil
	}
}

// where asks a query for many values of one field, in as many requests as their
// length needs. The query ends where the list is to stand.
func (a api) where(ctx context.Context, op, soql string, values []string) ([]record, error) {
	var all []record
	for _, list := range lists(values, maxQuery-len(url.QueryEscape(soql))) {
		found, err := a.query(ctx, op, soql+" ("+list+")")
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// search answers the records that a SOSL search finds.
func (a api) search(ctx context.Context, op, sosl string) ([]record, error) {
	var out struct {
		Records []record `json:"searchRecords"`
	}
	_, err := a.Do(ctx, rest.Request{
		Op: op, Path: a.root + "/search/", Query: url.Values{"q": {sosl}}, Into: &out, Judge: missing,
	})
	if err == nil && out.Records == nil {
		err = &connectors.Error{Op: op, Kind: connectors.Unknown, Err: errForm}
	}
	return out.Records, err
}

// answered is the answer to one part of a composite request.
type answered struct {
	Body   json.RawMessage `json:"body"`
	Status int             `json:"httpStatusCode"`
}

// composite makes several reads in one request, which counts as one.
// https://developer.salesforce.com/docs/platform/api-rest/guide/resources-composite-composite-post.html
func (a api) composite(ctx context.Context, op string, paths ...string) ([]answered, error) {
	body := parts{Requests: make([]part, len(paths))}
	for i, path := range paths {
		body.Requests[i] = part{http.MethodGet, "/" + a.root + "/" + path, "part" + strconv.Itoa(i)}
	}
	var out struct {
		Parts []answered `json:"compositeResponse"`
	}
	_, err := a.Do(ctx, rest.Request{
		Op: op, Method: http.MethodPost, Path: a.root + "/composite", ReadOnly: true, Body: body, Into: &out,
	})
	if err == nil && len(out.Parts) != len(paths) {
		err = &connectors.Error{Op: op, Kind: connectors.Unknown, Err: errForm}
	}
	return out.Parts, err
}

// decode reads the part's answer, or says why it is none.
func (p answered) decode(op string, into any) error {
	if p.Status != http.StatusOK {
		e := &connectors.Error{Op: op, Kind: rest.KindOf(p.Status), Status: p.Status}
		return cmp.Or(missing(&rest.Answer{Body: p.Body}, e), e)
	}
	if json.Unmarshal(p.Body, into) != nil {
		return &connectors.Error{Op: op, Kind: connectors.Unknown, Err: errForm}
	}
	return nil
}

// describe answers the fields of each object, nil for one that these credentials
// cannot see.
// https://developer.salesforce.com/docs/platform/api-rest/guide/resources-sobject-describe.html
func (a api) describe(ctx context.Context, op string, objects []string) (map[string]description, error) {
	paths := make([]string, len(objects))
	for i, object := range objects {
		paths[i] = "sobjects/" + object + "/describe"
	}
	answers, err := a.composite(ctx, op, paths...)
	if err != nil {
		return nil, err
	}
	found := map[string]description{}
	for i, answer := range answers {
		var d struct{ Fields []field }
		err := answer.decode(op, &d)
		if e, ok := errors.AsType[*connectors.Error](err); ok && e.Kind != connectors.NotFound && e.Kind != connectors.Forbidden {
			return nil, err
		}
		for _, f := range d.Fields {
			if found[objects[i]] == nil {
				found[objects[i]] = description{}
			}
			found[objects[i]][f.Name] = f
		}
	}
	return found, nil
}
