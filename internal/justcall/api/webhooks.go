package api

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// The statuses of a webhook, in the vendor's words and from good to bad. One that
// is blacklisted gets nothing any more; there is no call to bring it back, so that
// it has to be deleted and added again.
const (
	Active      = "Active"
	Warning     = "Warning"
	Blacklisted = "Blacklisted"
)

// Webhook is an address that JustCall posts events to.
type Webhook struct {
	URL string
	// Status is Active, Warning or Blacklisted, the worst of its events; another
	// word as it came.
	Status string
	// Events are the types that it gets, in alphabetical order.
	Events []string
}

// Webhooks answers the account's webhooks, ordered by URL; UNSUPPORTED in v2.
// (https://developer.justcall.io/reference/webhook_list_v21: one row for each type
// of event, with the addresses that get it.)
func (c *Client) Webhooks(ctx context.Context) ([]Webhook, error) {
	const op = "list webhooks"
	if err := c.newer(op); err != nil {
		return nil, err
	}
	l, err := c.list(ctx, op, "v2.1/webhooks", url.Values{}, place{})
	if err != nil {
		return nil, err
	}
	byURL := map[string]Webhook{}
	for _, raw := range l.rows {
		for _, found := range webhooksOf(raw) {
			w := byURL[found.URL]
			w.URL, w.Status = found.URL, worse(w.Status, found.Status)
			w.Events = append(w.Events, found.Events...)
			byURL[found.URL] = w
		}
	}
	all := slices.SortedFunc(maps.Values(byURL), func(a, b Webhook) int { return cmp.Compare(a.URL, b.URL) })
	for i := range all {
		slices.Sort(all[i].Events)
		all[i].Events = slices.Compact(all[i].Events)
	}
	return all, nil
}

// webhooksOf reads a row: a type with its addresses, or (as some answers were seen)
// one address with its type.
func webhooksOf(raw json.RawMessage) []Webhook {
	var row map[string]json.RawMessage
	if json.Unmarshal(raw, &row) != nil {
		return nil
	}
	event := firstOf(row, "type", "topic", "event")
	var addresses []json.RawMessage
	if json.Unmarshal(row["webhook_urls"], &addresses) != nil || addresses == nil {
		addresses = []json.RawMessage{raw}
	}
	var found []Webhook
	for _, address := range addresses {
		if w, ok := webhookOf(address); ok {
			w.Events = []string{event}
			found = append(found, w)
		}
	}
	return found
}

func webhookOf(raw json.RawMessage) (Webhook, bool) {
	if address := scalar(raw); address != "" {
		return Webhook{URL: address}, true
	}
	var row map[string]json.RawMessage
	_ = json.Unmarshal(raw, &row) // nothing in it otherwise
	w := Webhook{URL: firstOf(row, "url", "webhook_url"), Status: statusWord(firstOf(row, "status"))}
	return w, w.URL != ""
}

func statusWord(s string) string {
	for _, known := range []string{Active, Warning, Blacklisted} {
		if strings.EqualFold(s, known) {
			return known
		}
	}
	return s
}

// worse answers the worse of two statuses; a word that is not known stands between
// Active and Warning.
func worse(a, b string) string {
	rank := func(s string) int {
		if known, ok := map[string]int{"": 0, Active: 1, Warning: 3, Blacklisted: 4}[s]; ok {
			return known
		}
		return 2
	}
	if rank(b) > rank(a) {
		return b
	}
	return a
}
