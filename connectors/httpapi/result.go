package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/types"
	"github.com/expr-lang/expr/vm"

	"crmsync/connectors"
	"crmsync/connectors/templates"
	"crmsync/sms"
)

// expression picks something from an answer. It is safe for concurrent use.
type expression struct {
	key     string // under result, or verdict
	program *vm.Program
}

// keyFunctions are those that templates make keys with, since match compares
// with what a template wrote.
var keyFunctions = []expr.Option{textFunction("sha256", templates.SHA256), textFunction("uuid", templates.UUID)}

func textFunction(name string, f func(string) string) expr.Option {
	call := func(args ...any) (any, error) { return f(args[0].(string)), nil }
	return expr.Function(name, call, new(func(string) string))
}

// env is what an expression sees.
type env map[string]any

// parseExpression compiles an expression for answers to what was asked with
// values such as sample.
func parseExpression(key, source string, sample any) (*expression, error) {
	allowed := types.Map{
		"body": types.Any, "item": types.Any, "status": types.Int,
		"headers": types.TypeOf(map[string]string{}), "input": types.TypeOf(pointerTo(sample)),
	}
	program, err := expr.Compile(source, append(keyFunctions, expr.Env(allowed))...)
	if err != nil {
		message, _, _ := strings.Cut(err.Error(), "\n")
		return nil, fmt.Errorf("%s; known are body, headers, item, status and input, which has %s", message, templates.Known(reflect.TypeOf(sample)))
	}
	return &expression{key, program}, nil
}

// pointerTo answers a pointer to a copy of v: expr knows the fields of a struct
// in a types.Map only behind one.
func pointerTo(v any) any {
	p := reflect.New(reflect.TypeOf(v))
	p.Elem().Set(reflect.ValueOf(v))
	return p.Interface()
}

// eval answers the value. Its error names the expression and nothing of the
// answer.
func (x *expression) eval(e env) (any, error) {
	v, err := expr.Run(x.program, map[string]any(e))
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read from the answer", x.key)
	}
	return v, nil
}

// with answers e for one of its items.
func (e env) with(item any) env {
	own := maps.Clone(e)
	own["item"] = item
	return own
}

// list answers the items of an answer, each in an environment of its own.
// Without an expression the body is the only one.
func list(x *expression, e env) ([]env, error) {
	if x == nil {
		return []env{e}, nil
	}
	v, err := x.eval(e)
	if err != nil {
		return nil, err
	}
	items, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("%s is no list", x.key)
	}
	out := make([]env, len(items))
	for i, item := range items {
		out[i] = e.with(item)
	}
	return out, nil
}

// word answers a value as a text, "" for none and for no expression.
func word(x *expression, e env) (string, error) {
	if x == nil {
		return "", nil
	}
	v, err := x.eval(e)
	if err != nil {
		return "", err
	}
	s, ok := asWord(v)
	if !ok {
		return "", fmt.Errorf("%s is neither a text nor a number", x.key)
	}
	return s, nil
}

func asWord(v any) (string, bool) {
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Invalid:
		return "", true
	case reflect.String:
		return r.String(), true
	case reflect.Int, reflect.Int64:
		return strconv.FormatInt(r.Int(), 10), true
	case reflect.Float64:
		return strconv.FormatFloat(r.Float(), 'f', -1, 64), true
	}
	return "", false
}

// refOf reads which record an answer is about. One without an id is an error.
func (o *operation) refOf(e env) (connectors.Ref, error) {
	var r connectors.Ref
	for key, into := range map[string]*string{"id": &r.ID, "type": &r.Type, "parent": &r.Parent, "url": &r.URL} {
		var err error
		if *into, err = word(o.result[key], e); err != nil {
			return connectors.Ref{}, err
		}
	}
	if r.ID == "" {
		return connectors.Ref{}, errors.New("result.id is empty")
	}
	return r, nil
}

// contactOf reads a contact. Numbers that are none are left out.
func (o *operation) contactOf(e env, read func(raw string) (sms.Phone, error)) (connectors.Contact, error) {
	ref, err := o.refOf(e)
	if err != nil {
		return connectors.Contact{}, err
	}
	c := connectors.Contact{Ref: ref}
	if c.Name, err = word(o.result["name"], e); err != nil {
		return c, err
	}
	if c.OwnerID, err = word(o.result["owner"], e); err != nil {
		return c, err
	}
	if c.Updated, err = instant(o.result["updated"], e); err != nil {
		return c, err
	}
	if c.OptedOut, err = truth(o.result["opted_out"], e); err != nil {
		return c, err
	}
	c.Phones, err = numbers(o.result["phones"], e, read)
	return c, err
}

// truth reads true or false; nil for neither a value nor an expression.
func truth(x *expression, e env) (*bool, error) {
	if x == nil {
		return nil, nil //nolint:nilnil // the CRM does not say
	}
	v, err := x.eval(e)
	if err != nil || v == nil {
		return nil, err
	}
	is, ok := v.(bool)
	if !ok {
		return nil, fmt.Errorf("%s is neither true nor false", x.key)
	}
	return &is, nil
}

// numbers reads numbers in any spelling: a list of them, or one. Only full
// numbers can match.
func numbers(x *expression, e env, read func(raw string) (sms.Phone, error)) ([]sms.Phone, error) {
	v, err := x.eval(e)
	if err != nil {
		return nil, err
	}
	raw, ok := v.([]any)
	if !ok {
		raw = []any{v}
	}
	var out []sms.Phone
	for _, v := range raw {
		s, ok := asWord(v)
		if !ok {
			return nil, fmt.Errorf("%s is neither a number nor a list of numbers", x.key)
		}
		if p, err := read(s); err == nil && p.E164() && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out, nil
}

// timeLayouts are the spellings of an instant that are understood. Without a
// zone it is in UTC.
var timeLayouts = []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04:05Z0700", time.RFC1123, time.DateOnly}

// milliseconds is where numbers stop to be seconds since 1970: in the year 5138.
const milliseconds = 1e11

// instant reads a time: in a known spelling, or as seconds or milliseconds
// since 1970.
func instant(x *expression, e env) (time.Time, error) {
	if x == nil {
		return time.Time{}, nil
	}
	v, err := x.eval(e)
	if err != nil {
		return time.Time{}, err
	}
	if t, ok := v.(time.Time); ok {
		return t, nil
	}
	s, ok := asWord(v)
	if s == "" && ok {
		return time.Time{}, nil
	}
	if n, err := strconv.ParseFloat(s, 64); err == nil && math.Abs(n) < 1e15 {
		if math.Abs(n) >= milliseconds {
			n /= 1000
		}
		return time.UnixMilli(int64(n * 1000)).UTC(), nil
	}
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%s is no time in a spelling that is understood", x.key)
}

// document is a decoded JSON answer. Whole numbers stay what they are, however
// large.
type document struct{ value any }

// UnmarshalJSON implements json.Unmarshaler.
func (d *document) UnmarshalJSON(data []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&d.value); err != nil {
		return err
	}
	d.value = plain(d.value)
	return nil
}

// plain makes numbers of json.Numbers: int where it fits, a text where nothing
// holds the digits, else float64.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			v[key] = plain(value)
		}
	case []any:
		for i, value := range v {
			v[i] = plain(value)
		}
	case json.Number:
		return number(v)
	}
	return v
}

func number(n json.Number) any {
	if i, err := strconv.Atoi(n.String()); err == nil {
		return i
	}
	f, err := n.Float64()
	if err != nil || !strings.ContainsAny(n.String(), ".eE") {
		return n.String()
	}
	return f
}
