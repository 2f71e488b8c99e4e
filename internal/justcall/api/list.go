package api

import (
	"context"
	"encoding/json"
	"maps"
	"net/url"
	"strconv"
	"strings"

	"crmsync/connectors"
	"crmsync/connectors/rest"
)

// The parameters of pages
// (https://developer.justcall.io/reference/pagination).
const (
	pageParam   = "page"
	lastFetched = "last_sms_id_fetched"
)

// place is a page as the API is asked for it: the zero one is the first.
type place struct {
	Page string `json:"p,omitempty"`
	Last string `json:"l,omitempty"` // last_sms_id_fetched
}

func (p place) first() bool { return p == place{} }

// listing is one page of any list.
type listing struct {
	rows  []json.RawMessage
	total int    // of all pages; 0: not told
	page  string // the number of this page; "": not told
	// linked says that the answer tells about a next page; next is which, the zero
	// place where this is the last.
	linked bool
	next   place
}

// list asks for one page.
func (c *Client) list(ctx context.Context, op, path string, query url.Values, at place) (listing, error) {
	query = maps.Clone(query)
	if at.Page != "" {
		query.Set(pageParam, at.Page)
	}
	if at.Last != "" {
		query.Set(lastFetched, at.Last)
	}
	var body json.RawMessage
	_, err := c.rest.Do(ctx, rest.Request{Op: op, Path: path, Query: query, Into: &body})
	if err != nil {
		// Behind the last page may be nothing.
		if !at.first() && connectors.AsError(op, err).Kind == connectors.NotFound {
			return listing{}, nil
		}
		return listing{}, err
	}
	l, ok := parseListing(body)
	if !ok {
		return listing{}, unknown(op, "the answer holds no list")
	}
	return l, nil
}

// parseListing reads a list that stands alone, or the documented form: rows in
// data, beside what is known of the pages. Only a list, or one that is told to be
// empty, is taken for one, since nothing may be taken for empty that is not.
func parseListing(body []byte) (listing, bool) {
	var rows []json.RawMessage
	if json.Unmarshal(body, &rows) == nil {
		return listing{rows: rows}, rows != nil
	}
	var top map[string]json.RawMessage
	if json.Unmarshal(body, &top) != nil {
		return listing{}, false
	}
	total, _ := whole(top, "total_texts", "total_count", "total")
	l := listing{total: total, page: scalar(top["current_page"])}
	l.linked, l.next = link(top)
	rows, ok := rowsOf(top)
	if count, told := whole(top, "count", "total_texts", "total_count", "total"); !ok && (!told || count != 0) {
		return listing{}, false
	}
	l.rows = rows
	return l, true
}

// rowsOf finds the list, in data or in an object there. How the classic API names
// it is not documented.
func rowsOf(top map[string]json.RawMessage) ([]json.RawMessage, bool) {
	for _, name := range []string{"data", "texts", "messages", "results"} {
		var rows []json.RawMessage
		if json.Unmarshal(top[name], &rows) == nil && rows != nil {
			return rows, true
		}
		var inner map[string]json.RawMessage
		if json.Unmarshal(top[name], &inner) == nil && inner != nil {
			return rowsOf(inner)
		}
	}
	return nil, false
}

// link reads where the next page is. Of the address only the page counts: it is
// never followed, so that credentials go nowhere else.
func link(top map[string]json.RawMessage) (linked bool, next place) {
	raw, told := top["next_page_link"]
	if !told {
		return false, place{}
	}
	address := scalar(raw)
	if address == "" {
		return true, place{}
	}
	u, err := url.Parse(address)
	if err != nil {
		return false, place{}
	}
	next = place{Page: u.Query().Get(pageParam), Last: u.Query().Get(lastFetched)}
	return !next.first(), next
}

// whole answers the first of the named numbers that is told.
func whole(top map[string]json.RawMessage, names ...string) (n int, told bool) {
	for _, name := range names {
		if n, err := strconv.Atoi(scalar(top[name])); err == nil {
			return max(n, 0), true
		}
	}
	return 0, false
}

// scalar answers a string or a number as it is written, "" for anything else.
func scalar(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return strings.TrimSpace(s)
	}
	var n json.Number
	if json.Unmarshal(raw, &n) == nil {
		return n.String()
	}
	return ""
}
