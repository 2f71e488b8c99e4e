package justcall

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode"

	"crmsync/sms"
)

// fields reads one JSON object of the wire. Readers never fail: they answer the
// zero value, and the first problem is kept for the end, shared by an object and
// the objects in it.
type fields struct {
	path   string // "" or "data."
	values map[string]any
	first  *problem
}

type problem struct{ err error }

func (f fields) err() error { return f.first.err }

func (f fields) fresh() fields {
	f.first = &problem{}
	return f
}

func (f fields) fail(name string, cause Cause) {
	if f.first.err == nil {
		f.first.err = &Error{Cause: cause, Field: f.path + name}
	}
}

// trim drops white space and a byte order mark.
func trim(body []byte) []byte {
	return bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")))
}

// parseObject keeps numbers as they are written, since an id of 2.1 is a number
// that a float would round. Invalid UTF-8 becomes U+FFFD.
func parseObject(body []byte) (fields, error) {
	notJSON := &Error{Cause: CauseNotJSON, Field: "body"}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return fields{}, notJSON
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fields{}, notJSON
	}
	values, ok := v.(map[string]any)
	if !ok {
		return fields{}, notJSON
	}
	return fields{values: values, first: &problem{}}, nil
}

// has reports whether the field says anything: not null, "", {} or [].
func (f fields) has(name string) bool {
	switch v := f.values[name].(type) {
	case nil:
		return false
	case string:
		return v != ""
	case map[string]any:
		return len(v) > 0
	case []any:
		return len(v) > 0
	}
	return true
}

// object answers the object in a field. The vendor's empty object may come as
// an empty list.
func (f fields) object(name string) fields {
	inner := fields{path: f.path + name + ".", first: f.first}
	if !f.has(name) {
		return inner
	}
	values, ok := f.values[name].(map[string]any)
	if !ok {
		f.fail(name, CauseWrongType)
	}
	inner.values = values
	return inner
}

// raw answers a string or the digits of a number, as written.
func (f fields) raw(name string) string {
	switch v := f.values[name].(type) {
	case nil:
		return ""
	case string:
		return v
	case json.Number:
		return v.String()
	}
	f.fail(name, CauseWrongType)
	return ""
}

// body answers what a text says, without NUL, which neither databases nor CRMs take.
func (f fields) body() string {
	return strings.ReplaceAll(f.raw("body"), "\x00", "")
}

// line answers a string of one line: a name, an address.
func (f fields) line(name string) string { return oneLine(f.raw(name)) }

func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// number answers a phone number, which may come as a JSON number of digits.
func (f fields) number(name string) string {
	if f.fractional(name) {
		f.fail(name, CauseBadNumber)
		return ""
	}
	return f.line(name)
}

// fractional reports a JSON number with anything but digits in it.
func (f fields) fractional(name string) bool {
	n, ok := f.values[name].(json.Number)
	return ok && strings.Trim(n.String(), "0123456789") != ""
}

// id answers an identifier: a string as it is, or an integer as it is written.
// The number 0 is the vendor's "none": taken for an id it would make one
// message of many.
func (f fields) id(name string) string {
	if f.fractional(name) {
		f.fail(name, CauseBadID)
		return ""
	}
	s := f.raw(name)
	if s == "0" {
		return ""
	}
	return s
}

// truth reads a yes or no that may come as a bool, a number or a string; ok is
// false where the field says nothing.
func (f fields) truth(name string) (yes, ok bool) {
	switch v := f.values[name].(type) {
	case bool:
		return v, true
	case []any, map[string]any:
		f.fail(name, CauseWrongType)
		return false, false
	}
	switch strings.ToLower(strings.TrimSpace(f.raw(name))) {
	case "":
		return false, false
	case "1", "true", "yes":
		return true, true
	case "0", "false", "no":
		return false, true
	}
	f.fail(name, CauseWrongType)
	return false, false
}

// media reads every shape in which the vendor sends files: a list of addresses,
// a list of objects, one object of lists, one object, one address.
func (f fields) media(name string) []sms.Media {
	switch v := f.values[name].(type) {
	case nil:
		return nil
	case string:
		return appendMedia(nil, v, "")
	case map[string]any:
		return f.mediaObject(name, v)
	case []any:
		var all []sms.Media
		for _, item := range v {
			all = append(all, f.mediaItem(name, item)...)
		}
		return all
	}
	f.fail(name, CauseWrongType)
	return nil
}

func (f fields) mediaItem(name string, item any) []sms.Media {
	switch v := item.(type) {
	case nil:
		return nil
	case string:
		return appendMedia(nil, v, "")
	case map[string]any:
		return f.mediaObject(name, v)
	}
	f.fail(name, CauseWrongType)
	return nil
}

func (f fields) mediaObject(name string, v map[string]any) []sms.Media {
	urls, ok := stringList(v["media_url"])
	types, typesOK := stringList(v["content_type"])
	if !ok || !typesOK {
		f.fail(name, CauseWrongType)
		return nil
	}
	if len(urls) == 0 && len(v) > 0 && v["media_url"] == nil {
		f.fail(name+".media_url", CauseMissing)
	}
	var all []sms.Media
	for i, u := range urls {
		contentType := ""
		if i < len(types) {
			contentType = types[i]
		}
		all = appendMedia(all, u, contentType)
	}
	return all
}

func appendMedia(all []sms.Media, url, contentType string) []sms.Media {
	if url = clean(url); url == "" {
		return all
	}
	return append(all, sms.Media{URL: url, ContentType: clean(contentType)})
}

func clean(s string) string { return strings.TrimSpace(strings.ReplaceAll(s, "\x00", "")) }

// stringList reads nothing, one string, or a list of strings.
func stringList(v any) ([]string, bool) {
	switch v := v.(type) {
	case nil:
		return nil, true
	case string:
		return []string{v}, true
	case []any:
		out := make([]string, len(v))
		for i, item := range v {
			s, ok := item.(string)
			if !ok && item != nil {
				return nil, false
			}
			out[i] = s
		}
		return out, true
	}
	return nil, false
}
