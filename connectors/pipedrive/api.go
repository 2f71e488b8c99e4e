package pipedrive

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/rest"
)

// The schemas of the API, as far as they are used
// (https://developers.pipedrive.com/docs/api/v1/openapi-v2.yaml; those of users
// and activity types, which have no version 2: openapi-v1.yaml beside it).
type (
	// id is a whole number in the API. The zero id is none.
	id = json.Number

	activity struct {
		ID                id            `json:"id,omitempty"`
		Subject           string        `json:"subject,omitempty"`
		Type              string        `json:"type,omitempty"`
		OwnerID           id            `json:"owner_id,omitempty"`
		Participants      []participant `json:"participants,omitempty"`
		DueDate           string        `json:"due_date,omitempty"`
		DueTime           string        `json:"due_time,omitempty"`
		Done              *bool         `json:"done,omitempty"`
		Busy              *bool         `json:"busy,omitempty"`
		Note              string        `json:"note,omitempty"`
		PublicDescription string        `json:"public_description,omitempty"`
		PersonID          id            `json:"person_id,omitempty"` // the primary participant; read only
		IsDeleted         bool          `json:"is_deleted,omitempty"`
	}
	participant struct {
		PersonID id   `json:"person_id"`
		Primary  bool `json:"primary"`
	}
	person struct {
		ID         id      `json:"id"`
		Name       string  `json:"name"`
		OwnerID    id      `json:"owner_id"`
		Phones     []phone `json:"phones"`
		UpdateTime string  `json:"update_time"`
		IsDeleted  bool    `json:"is_deleted"`
	}
	phone struct {
		Value   string `json:"value"`
		Primary bool   `json:"primary"`
		Label   string `json:"label,omitempty"`
	}
	// hit is a person as searches know it.
	hit struct {
		ID           id       `json:"id"`
		Name         string   `json:"name"`
		Phones       []string `json:"phones"`
		CustomFields []string `json:"custom_fields"`
		Owner        struct {
			ID id `json:"id"`
		} `json:"owner"`
	}
	hits struct {
		Items []struct {
			Item hit `json:"item"`
		} `json:"items"`
	}
	field struct {
		Name   string `json:"field_name"`
		Code   string `json:"field_code,omitempty"`
		Type   string `json:"field_type"`
		Custom bool   `json:"is_custom_field,omitempty"`
	}
	activityType struct {
		Name   string `json:"name"`
		Key    string `json:"key_string,omitempty"`
		Icon   string `json:"icon_key"`
		Active bool   `json:"active_flag,omitempty"`
	}
	user struct {
		ID        id     `json:"id"`
		Email     string `json:"email"`
		Active    bool   `json:"active_flag"`
		IsDeleted bool   `json:"is_deleted"`
	}
	answer[T any] struct {
		Success bool `json:"success"`
		Data    T    `json:"data"`
		More    struct {
			NextCursor string `json:"next_cursor"`
		} `json:"additional_data"`
	}
)

// pageSize is the largest page of a list.
const pageSize = "500"

// errForm: the answer does not hold what was asked for.
var errForm = errors.New("the answer does not fit the question")

// api makes the calls.
type api struct {
	*rest.Client
	base  string
	grant func(context.Context) (connectors.Grant, error)
}

func newAPI(cfg Config, env connectors.Env) api {
	options := []rest.Option{rest.WithJudge(judge), rest.AtGrant(env.Grant)}
	if cfg.Token != "" {
		options = append(options, rest.Header("x-api-token", cfg.Token.Reveal()))
	}
	base := strings.TrimRight(cfg.BaseURL, "/")
	return api{rest.New(env.Client, base, options...), base, env.Grant}
}

// personURL is where a person's timeline stands; "" where nobody knows the
// company's address.
func (a api) personURL(ctx context.Context, person string) string {
	base := a.base
	if base == "" && a.grant != nil {
		grant, _ := a.grant(ctx) // the call itself has shown that there is one
		base = strings.TrimRight(grant.InstanceURL, "/")
	}
	if base == "" || person == "" {
		return ""
	}
	return base + "/person/" + rest.Path(person)
}

// call makes one call and answers its data, and the cursor of the next page.
func call[T any](ctx context.Context, a api, r rest.Request) (data T, next string, err error) {
	var out answer[T]
	r.Into = &out
	if _, err := a.Do(ctx, r); err != nil {
		return data, "", err
	}
	if !out.Success {
		return data, "", unfit(r)
	}
	return out.Data, out.More.NextCursor, nil
}

func unfit(r rest.Request) error {
	return &connectors.Error{Op: r.Op, Kind: connectors.Unknown, Ambiguous: r.Method != "", Err: errForm}
}

// pages reads a list page by page until take has enough.
func pages[T any](ctx context.Context, a api, r rest.Request, take func(page T) (enough bool)) error {
	r.Query = maps.Clone(r.Query)
	for {
		page, next, err := call[T](ctx, a, r)
		if err != nil || take(page) || next == "" || next == r.Query.Get("cursor") {
			return err
		}
		r.Query.Set("cursor", next)
	}
}

func (a api) addActivity(ctx context.Context, op string, body activity) (activity, error) {
	r := rest.Request{Op: op, Method: http.MethodPost, Path: "api/v2/activities", Body: body}
	added, _, err := call[activity](ctx, a, r)
	if err == nil && added.ID == "" {
		err = unfit(r)
	}
	return added, err
}

// describe writes an activity's description and leaves the rest of it alone.
func (a api) describe(ctx context.Context, op, activityID, description string) error {
	r := rest.Request{
		Op: op, Method: http.MethodPatch, Path: "api/v2/activities/" + rest.Path(activityID),
		Body: activity{PublicDescription: description},
	}
	changed, _, err := call[activity](ctx, a, r)
	switch {
	case err == nil && changed.ID == "":
		return unfit(r)
	case err == nil && changed.IsDeleted:
		return gone(op)
	}
	return err
}

func gone(op string) error { return &connectors.Error{Op: op, Kind: connectors.NotFound} }

// activity answers one that is there, or NOT_FOUND.
func (a api) activity(ctx context.Context, op, activityID string) (activity, error) {
	r := rest.Request{Op: op, Path: "api/v2/activities/" + rest.Path(activityID)}
	found, _, err := call[activity](ctx, a, r)
	switch {
	case err == nil && found.ID == "":
		err = unfit(r)
	case err == nil && found.IsDeleted:
		err = gone(op)
	}
	return found, err
}

// activities reads those of a person, or of everybody where person is empty, that
// changed since an instant and are not deleted, the newest first.
func (a api) activities(ctx context.Context, op, person string, since time.Time, take func([]activity) bool) error {
	query := url.Values{"limit": {pageSize}, "sort_by": {"id"}, "sort_direction": {"desc"}}
	if person != "" {
		query.Set("person_id", person)
	}
	if !since.IsZero() {
		query.Set("updated_since", since.UTC().Format(time.RFC3339))
	}
	return pages(ctx, a, rest.Request{Op: op, Path: "api/v2/activities", Query: query}, func(page []activity) bool {
		return take(slices.DeleteFunc(page, func(a activity) bool { return a.IsDeleted }))
	})
}

func (a api) searchPersons(ctx context.Context, op, term, fields string, take func(hit)) error {
	query := url.Values{"term": {term}, "fields": {fields}, "limit": {pageSize}}
	return pages(ctx, a, rest.Request{Op: op, Path: "api/v2/persons/search", Query: query}, func(page hits) bool {
		for _, item := range page.Items {
			take(item.Item)
		}
		return false
	})
}

// persons answers those of up to 100 ids that are there.
func (a api) persons(ctx context.Context, op string, ids []string) ([]person, error) {
	query := url.Values{"ids": {strings.Join(ids, ",")}, "limit": {strconv.Itoa(len(ids))}}
	found, _, err := call[[]person](ctx, a, rest.Request{Op: op, Path: "api/v2/persons", Query: query})
	return found, err
}

// person answers one that is there, or NOT_FOUND.
func (a api) person(ctx context.Context, op, personID string) (person, error) {
	r := rest.Request{Op: op, Path: "api/v2/persons/" + rest.Path(personID)}
	found, _, err := call[person](ctx, a, r)
	return living(r, found, err)
}

// living turns an answer that is no person into an error.
func living(r rest.Request, p person, err error) (person, error) {
	switch {
	case err == nil && p.ID == "":
		err = unfit(r)
	case err == nil && p.IsDeleted:
		err = gone(r.Op)
	}
	return p, err
}

func (a api) addPerson(ctx context.Context, op string, body map[string]any) (person, error) {
	r := rest.Request{Op: op, Method: http.MethodPost, Path: "api/v2/persons", Body: body}
	added, _, err := call[person](ctx, a, r)
	return living(r, added, err)
}

func (a api) setField(ctx context.Context, op, personID, key, value string) error {
	r := rest.Request{
		Op: op, Method: http.MethodPatch, Path: "api/v2/persons/" + rest.Path(personID),
		Body: map[string]any{"custom_fields": map[string]string{key: value}},
	}
	changed, _, err := call[person](ctx, a, r)
	_, err = living(r, changed, err)
	return err
}

func (a api) personField(ctx context.Context, op, key string) (field, error) {
	found, _, err := call[field](ctx, a, rest.Request{Op: op, Path: "api/v2/personFields/" + rest.Path(key)})
	return found, err
}

func (a api) personFields(ctx context.Context, op string, take func([]field) bool) error {
	query := url.Values{"limit": {pageSize}}
	return pages(ctx, a, rest.Request{Op: op, Path: "api/v2/personFields", Query: query}, take)
}

func (a api) addPersonField(ctx context.Context, op string, body field) error {
	_, _, err := call[field](ctx, a, rest.Request{Op: op, Method: http.MethodPost, Path: "api/v2/personFields", Body: body})
	return err
}

func (a api) activityTypes(ctx context.Context, op string) ([]activityType, error) {
	found, _, err := call[[]activityType](ctx, a, rest.Request{Op: op, Path: "v1/activityTypes"})
	return found, err
}

func (a api) addActivityType(ctx context.Context, op string, body activityType) (activityType, error) {
	added, _, err := call[activityType](ctx, a, rest.Request{Op: op, Method: http.MethodPost, Path: "v1/activityTypes", Body: body})
	return added, err
}

func (a api) users(ctx context.Context, op string) ([]user, error) {
	found, _, err := call[[]user](ctx, a, rest.Request{Op: op, Path: "v1/users"})
	return found, err
}
