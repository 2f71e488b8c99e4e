package odoo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/rest"
)

// errForm: the answer does not hold what was asked for.
var errForm = errors.New("the answer does not fit the question")

// api makes the calls, in either protocol.
type api struct {
	*rest.Client
	cfg Config
	uid atomic.Int64 // see the package comment; 0: not known
}

func newAPI(cfg Config, client *http.Client) *api {
	cfg.BaseURL = strings.TrimRight(cfg.BaseURL, "/")
	a := &api{cfg: cfg}
	if cfg.Protocol == json2 {
		a.Client = rest.New(client, cfg.BaseURL, rest.Bearer(cfg.APIKey), rest.Header("X-Odoo-Database", cfg.Database))
	} else {
		a.Client = rest.New(client, cfg.BaseURL)
	}
	a.uid.Store(int64(cfg.UID))
	return a
}

// call is a method of a model, none of which is called on records. Its arguments have the same names in 16 to 19.
type call struct {
	op, model, method string
	args              map[string]any
	context           map[string]any
	reads             bool
	items             int
}

func (a *api) do(ctx context.Context, c call, into any) error {
	// In English, so that refusals can be read; load reads times in the context's
	// zone, else in the user's.
	c.args = maps.Clone(c.args)
	if c.args == nil {
		c.args = map[string]any{}
	}
	with := map[string]any{"lang": "en_US", "tz": "UTC"}
	maps.Copy(with, c.context)
	c.args["context"] = with
	if a.cfg.Protocol == json2 {
		return a.json2(ctx, c, into)
	}
	return a.jsonrpc(ctx, c, into)
}

// json2: https://www.odoo.com/documentation/19.0/developer/reference/external_api.html
func (a *api) json2(ctx context.Context, c call, into any) error {
	_, err := a.Do(ctx, rest.Request{
		Op: c.op, Method: http.MethodPost, Path: "json/2/" + rest.Path(c.model, c.method), ReadOnly: c.reads,
		Items: c.items, Body: c.args, Into: into, Judge: judge(!c.reads, c.items),
	})
	return err
}

// rpc is what JSON-RPC is asked. Its errors come with the status 200.
// https://www.odoo.com/documentation/18.0/developer/reference/external_api.html
type rpc struct {
	Version string    `json:"jsonrpc"`
	ID      int       `json:"id"`
	Method  string    `json:"method"`
	Params  rpcParams `json:"params"`
}

type rpcParams struct {
	Service string `json:"service"`
	Method  string `json:"method"`
	Args    []any  `json:"args"`
}

type rpcAnswer struct {
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Data fault `json:"data"`
	} `json:"error"`
}

func (a *api) jsonrpc(ctx context.Context, c call, into any) error {
	uid, err := a.login(ctx, c.op)
	if err != nil {
		return err
	}
	args := []any{a.cfg.Database, uid, a.cfg.APIKey.Reveal(), c.model, c.method, []any{}, c.args}
	err = a.ask(ctx, c, rpcParams{"object", "execute_kw", args}, into)
	if e, ok := errors.AsType[*connectors.Error](err); ok && e.Kind == connectors.Auth {
		a.uid.Store(int64(a.cfg.UID))
	}
	return err
}

// login answers the user's number.
func (a *api) login(ctx context.Context, op string) (int64, error) {
	if uid := a.uid.Load(); uid != 0 {
		return uid, nil
	}
	var uid optional[int64] // false where the credentials are wrong
	args := []any{a.cfg.Database, a.cfg.Login, a.cfg.APIKey.Reveal()}
	if err := a.ask(ctx, call{op: op, reads: true}, rpcParams{"common", "login", args}, &uid); err != nil {
		return 0, err
	}
	if uid.Value == 0 {
		return 0, &connectors.Error{Op: op, Kind: connectors.Auth, Err: errors.New("odoo refuses the login or the api_key")}
	}
	a.uid.Store(uid.Value)
	return uid.Value, nil
}

func (a *api) ask(ctx context.Context, c call, params rpcParams, into any) error {
	var out rpcAnswer
	_, err := a.Do(ctx, rest.Request{
		Op: c.op, Method: http.MethodPost, Path: "jsonrpc", ReadOnly: c.reads,
		Items: c.items, Body: rpc{"2.0", 1, "call", params}, Into: &out, Judge: judge(!c.reads, c.items),
	})
	if err != nil {
		return err
	}
	if out.Error != nil {
		return out.Error.Data.verdict(&connectors.Error{Op: c.op, Status: http.StatusOK}, !c.reads, c.items)
	}
	if out.Result == nil || json.Unmarshal(out.Result, into) != nil {
		return &connectors.Error{Op: c.op, Kind: connectors.Unknown, Ambiguous: !c.reads, Err: errForm}
	}
	return nil
}

// optional is a value that Odoo gives as false where there is none.
type optional[T any] struct{ Value T }

// UnmarshalJSON implements json.Unmarshaler.
func (o *optional[T]) UnmarshalJSON(raw []byte) error {
	if string(raw) == "false" || string(raw) == "null" {
		return nil
	}
	return json.Unmarshal(raw, &o.Value)
}

// link is a many2one, [id, name].
type link struct{ ID int }

// UnmarshalJSON implements json.Unmarshaler.
func (l *link) UnmarshalJSON(raw []byte) error {
	var pair optional[[]any]
	if err := json.Unmarshal(raw, &pair); err != nil || len(pair.Value) == 0 {
		return err
	}
	id, ok := pair.Value[0].(float64)
	if !ok {
		return errForm
	}
	l.ID = int(id)
	return nil
}

func (l link) String() string {
	if l.ID == 0 {
		return ""
	}
	return strconv.Itoa(l.ID)
}

// datetime is an instant as Odoo writes it, in UTC.
const datetime = "2006-01-02 15:04:05"

// term is a condition of a search: field, operator, value. They stand in prefix
// notation; side by side they mean and.
// https://www.odoo.com/documentation/19.0/developer/reference/backend/orm.html#search-domains
type term = [3]any

func anyOf(terms []term) []any {
	var out []any
	for range len(terms) - 1 {
		out = append(out, "|")
	}
	for _, t := range terms {
		out = append(out, t)
	}
	return out
}

func allOf(terms ...term) []any {
	out := make([]any, len(terms))
	for i, t := range terms {
		out[i] = t
	}
	return out
}

// query is a search.
type query struct {
	op, model string
	domain    []any
	fields    []string
	archived  bool // those too
}

// search answers every record that fits, in the order of creation.
func search[T any](ctx context.Context, a *api, q query) ([]T, error) {
	out := make([]T, 0)
	c := call{op: q.op, model: q.model, method: "search_read", reads: true, args: map[string]any{
		"domain": q.domain, "fields": q.fields, "order": "id",
	}}
	if q.archived {
		c.context = map[string]any{"active_test": false}
	}
	return out, a.do(ctx, c, &out)
}

// field is what is told of a model's field.
type field struct {
	Type      string      `json:"type"`
	Selection [][2]string `json:"selection"`
}

// fields answers those that there are, of some.
func (a *api) fields(ctx context.Context, op, model string, names []string) (map[string]field, error) {
	out := map[string]field{}
	err := a.do(ctx, call{op: op, model: model, method: "fields_get", reads: true, args: map[string]any{
		"allfields": names, "attributes": []string{"type", "selection"},
	}}, &out)
	return out, err
}

// table is what is loaded: a row of values for each record.
type table struct {
	model  string
	fields []string
	rows   [][]string
}

// problem is what load says of rows that it refuses. Nothing of the table was
// loaded then.
type problem struct {
	Type    string `json:"type"`
	Message string `json:"message"`
	Field   string `json:"field"`
	Rows    struct {
		From int `json:"from"`
		To   int `json:"to"`
	} `json:"rows"`
}

// loadMode leaves alone the records whose external ids are there, and creates
// none without one.
var loadMode = map[string]any{"mode": "update", "noupdate": true, "mail_auto_subscribe_no_notify": true, "mail_create_nosubscribe": true}

// load creates the records with external ids that are not there, or changes
// those with database ids, all or none. It answers the ids, in order, or why
// there are none.
func (a *api) load(ctx context.Context, op string, t table, with map[string]any) ([]int, []problem, error) {
	var out struct {
		IDs      optional[[]int] `json:"ids"`
		Messages []problem       `json:"messages"`
	}
	err := a.do(ctx, call{op: op, model: t.model, method: "load", items: len(t.rows), context: with, args: map[string]any{
		"fields": t.fields, "data": t.rows,
	}}, &out)
	if err != nil {
		return nil, nil, err
	}
	if len(out.IDs.Value) == len(t.rows) {
		return out.IDs.Value, nil, nil
	}
	var refused []problem
	for _, p := range out.Messages {
		if p.Type == "error" && p.Rows.From >= 0 && p.Rows.To < len(t.rows) {
			refused = append(refused, p)
		}
	}
	if len(refused) == 0 || len(out.IDs.Value) > 0 {
		return nil, nil, &connectors.Error{Op: op, Kind: connectors.Unknown, Ambiguous: true, Err: errForm}
	}
	return nil, refused, nil
}

// page is where Odoo shows a record.
func (a *api) page(model string, id int) string {
	return fmt.Sprintf("%s/mail/view?model=%s&res_id=%d", a.cfg.BaseURL, model, id)
}

func instant(at time.Time) string { return at.UTC().Format(datetime) }
