package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strconv"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/rest"
	"crmsync/internal/justcall"
	"crmsync/sms"
)

// Text is one row of JustCall's list, as events.
type Text struct {
	// ID is the text's id; empty where it cannot be read.
	ID string
	// At is when it was sent or received; zero where it cannot be read.
	At time.Time
	// Events are what webhooks tell of it, with the same keys: the text itself,
	// and then its final status, where it has one. None where it is not sent yet.
	Events []sms.Event
	// Err is why the row could not be decoded; then there are no events, and Raw is
	// the row's JSON, wrapped so that [justcall.Decode] reads it as well.
	Err error
	Raw []byte
}

// Query says which texts are asked for.
type Query struct {
	// Since and Until bound [Text.At], the latter exclusively; zero: no bound. A
	// row without an instant that can be read is always answered.
	Since, Until time.Time
	// Line and Contact are numbers of the company and of the other party; empty: all.
	Line, Contact sms.Phone
}

// Page is a part of a list.
type Page struct {
	Texts []Text
	// Next is where the list goes on; empty: that was all.
	Next Cursor
	// Total is how many texts the API says there are, in a window that is wider
	// than asked for; 0: it does not say.
	Total int
}

// The sizes of pages: the largest of 2.1 (https://developer.justcall.io/reference/texts_list_v21),
// and that of the classic contract's example.
const (
	perPage        = "100"
	classicPerPage = "20"
)

// offset is how far the vendor's zones are from UTC at most: its window is in the
// time zone of the user whose key it is, and nothing says which that is.
const offset = 14 * time.Hour

// Texts answers one page of the texts that a query asks for, beginning with the
// oldest where the API can sort. A cursor belongs to its query. A page may be
// empty and yet not the last one.
func (c *Client) Texts(ctx context.Context, q Query, from Cursor) (Page, error) {
	path, query := c.textsPath("list"), url.Values{"per_page": {classicPerPage}}
	if c.settings.Version == V21 {
		path, query = c.textsPath(), q.window()
	}
	s, err := c.step(ctx, "list texts", path, query, from)
	if err != nil {
		return Page{}, err
	}
	page := Page{Total: s.total}
	for _, row := range s.rows {
		t := c.text(row)
		s.next.Ages.see(t.At)
		if q.wants(t) {
			page.Texts = append(page.Texts, t)
		}
	}
	if !s.last && !s.next.Ages.passed(q.Since) {
		page.Next = s.next.cursor()
	}
	return page, nil
}

func (c *Client) textsPath(rest ...string) string {
	if c.settings.Version == V21 {
		return path("v2.1", "texts", rest...)
	}
	return path("api/v2", "texts", rest...)
}

// path joins escaped segments behind two that are not to be escaped.
func path(version, kind string, segments ...string) string {
	p := version + "/" + kind
	if len(segments) > 0 {
		p += "/" + rest.Path(segments...)
	}
	return p
}

// window asks for what the query wants, in the words of 2.1, and a little more.
func (q Query) window() url.Values {
	v := url.Values{"per_page": {perPage}, "sort": {"id"}, "order": {"asc"}}
	set := func(name, value string) {
		if value != "" {
			v.Set(name, value)
		}
	}
	set("justcall_number", string(q.Line))
	set("contact_number", string(q.Contact))
	if !q.Since.IsZero() {
		v.Set("from_datetime", q.Since.UTC().Add(-offset).Format(time.DateTime))
	}
	if !q.Until.IsZero() {
		v.Set("to_datetime", q.Until.UTC().Add(offset).Format(time.DateTime))
	}
	return v
}

// wants filters what the API answered beyond the query. What cannot be read is
// wanted: somebody has to see it.
func (q Query) wants(t Text) bool {
	if t.Err != nil {
		return true
	}
	if len(t.Events) == 0 || t.At.Before(q.Since) || !q.Until.IsZero() && !t.At.Before(q.Until) {
		return false
	}
	m := t.Events[0].Message
	return (q.Line == "" || q.Line == m.Line) && (q.Contact == "" || q.Contact == m.Contact)
}

func (c *Client) text(row json.RawMessage) Text {
	events, err := justcall.DecodeRow(row, justcall.Input{Account: c.settings.Account, Region: c.settings.Region})
	switch {
	case err != nil:
		return Text{ID: justcall.RowID(row), Err: err, Raw: justcall.WrapRow(row)}
	case len(events) == 0:
		return Text{ID: justcall.RowID(row)}
	}
	return Text{ID: events[0].Message.ID, At: events[0].Message.At, Events: events}
}

// Text answers one text, by its id in webhooks; NOT_FOUND where there is none. Err
// is set in it where its row cannot be decoded.
func (c *Client) Text(ctx context.Context, id string) (Text, error) {
	const op = "get text"
	if err := sms.ValidateID(id); err != nil {
		return Text{}, &connectors.Error{Op: op, Kind: connectors.Invalid, Err: err}
	}
	row, err := c.one(ctx, op, c.textsPath(id))
	if err != nil {
		return Text{}, err
	}
	t := c.text(row)
	if t.ID != "" && t.ID != id {
		return Text{}, unknown(op, "the answer is about another text")
	}
	return t, nil
}

// one reads a record, which stands in data or alone.
func (c *Client) one(ctx context.Context, op, path string) (json.RawMessage, error) {
	var whole json.RawMessage
	if _, err := c.rest.Do(ctx, rest.Request{Op: op, Path: path, Into: &whole}); err != nil {
		return nil, err
	}
	var body map[string]json.RawMessage
	_ = json.Unmarshal(whole, &body) // what is no object is told by whoever reads it
	data, wrapped := body["data"]
	if !wrapped {
		return whole, nil
	}
	var several []json.RawMessage
	if json.Unmarshal(data, &several) == nil {
		if len(several) == 0 { // null too
			return nil, &connectors.Error{Op: op, Kind: connectors.NotFound, Err: errors.New("the answer is empty")}
		}
		return several[0], nil
	}
	return data, nil
}

// number reads an id or a count as it is written.
func number(raw json.RawMessage) string {
	s := scalar(raw)
	if s == "0" {
		return ""
	}
	return s
}

// flag is a boolean as a parameter.
func flag(b bool) string { return strconv.FormatBool(b) }
