package salesforce

import (
	"context"
	"slices"
	"strings"
	"time"

	"crmsync/connectors"
	"crmsync/sms"
)

// nearby is how far a record of the same text may be from it.
const nearby = 60 * time.Second

// AdoptMessages implements connectors.Adopter in three requests: which keys are
// there, which closed Tasks without one stand on those people, and one that
// writes keys. Nobody else may adopt in the same organisation at the same moment.
//
// Not confirmed: how JustCall's own sync words its Tasks. The text must be all of
// the description, or stand at its beginning or end on lines of its own or behind
// a colon; a Task that says the other direction is not taken.
func (c *Connector) AdoptMessages(ctx context.Context, records []connectors.Record) []connectors.Outcome {
	const op = "adopt messages"
	out := make([]connectors.Outcome, len(records))
	for i := range out {
		out[i].State = connectors.NotApplicable
	}
	known, err := c.FindMessages(ctx, records)
	if err != nil {
		return connectors.FailAll(len(records), connectors.AsError(op, err))
	}
	free, err := c.free(ctx, op, records)
	if err != nil {
		return connectors.FailAll(len(records), connectors.AsError(op, err))
	}
	var at []int
	var taken []connectors.Record
	var of []update
	for i, r := range records {
		if len(known[i]) > 0 {
			out[i] = connectors.Outcome{Ref: known[i][0].Ref, State: connectors.Existed}
			continue
		}
		n := nearest(r, free)
		if n < 0 {
			continue
		}
		at, taken = append(at, i), append(taken, r)
		of = append(of, update{task, free[n].str("Id"), record{
			c.cfg.Fields.Key: encodeKey(r.Key), c.cfg.Fields.Direction: string(r.Message.Direction),
			c.cfg.Fields.At: r.Message.At.UTC().Format(dateTime),
		}})
		free = slices.Delete(free, n, n+1)
	}
	pages := c.api.pages(ctx)
	results := c.update(ctx, op, of)
	c.name(ctx, taken, results)
	for n, o := range results {
		if o.State == connectors.Written {
			o.Ref = ref(refTask, pages, of[n].id)
		}
		out[at[n]] = o
	}
	return out
}

// free answers the closed Tasks without a key on the records' people, around
// their instants.
func (c *Connector) free(ctx context.Context, op string, records []connectors.Record) ([]record, error) {
	var people []string
	var from, to time.Time
	for _, r := range records {
		if r.Contact.Zero() {
			continue
		}
		people = append(people, r.Contact.ID)
		at := r.Message.At.UTC()
		if from.IsZero() || at.Before(from) {
			from = at
		}
		if at.After(to) {
			to = at
		}
	}
	soql := "SELECT Id, WhoId, Subject, Description, CreatedDate FROM Task WHERE IsDeleted = false AND IsClosed = true AND " +
		c.cfg.Fields.Key + " = null AND CreatedDate >= " + from.Add(-nearby).Format(dateTime) +
		" AND CreatedDate <= " + to.Add(nearby).Format(dateTime) + " AND WhoId IN"
	return c.api.where(ctx, op, soql, people)
}

// nearest answers which Task says the same as r, the one closest in time; -1 for
// none.
func nearest(r connectors.Record, free []record) int {
	best, bestBy := -1, nearby+1
	for i, t := range free {
		created, err := time.Parse(stamp, t.str("CreatedDate"))
		by := created.Sub(r.Message.At).Abs()
		if err == nil && by < bestBy && t.str("WhoId") == r.Contact.ID && says(t, r.Message) {
			best, bestBy = i, by
		}
	}
	return best
}

// says reports whether a Task holds the text m, and does not say that it went the
// other way.
func says(t record, m sms.Message) bool {
	body, held := strings.TrimSpace(clean(m.Body)), strings.TrimSpace(strings.ReplaceAll(t.str("Description"), "\r\n", "\n"))
	whole := held == body || strings.HasSuffix(held, "\n"+body) || strings.HasSuffix(held, ": "+body) || strings.HasPrefix(held, body+"\n")
	if body == "" || !whole {
		return false
	}
	about := strings.ToLower(t.str("Subject") + " " + strings.TrimSuffix(held, body))
	other := []string{"outbound", "outgoing", "sent"}
	if m.Direction == sms.Outbound {
		other = []string{"inbound", "incoming", "received"}
	}
	return !slices.ContainsFunc(other, func(word string) bool { return strings.Contains(about, word) })
}
