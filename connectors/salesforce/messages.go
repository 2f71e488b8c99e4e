package salesforce

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"

	"crmsync/connectors"
)

// Ref.Type of a text's record.
const refTask = "task"

// Limits of a Task's fields, in characters.
// https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/object_reference/sforce_api_objects_task.htm
const (
	maxSubject     = 255
	maxDescription = 32_000
	maxText        = 255 // of a custom field of type Text
)

// dateTime is how the API writes an instant. Pages show it in the time zone of
// whoever looks.
const dateTime = "2006-01-02T15:04:05.000Z"

// stamp is how it answers one.
const stamp = "2006-01-02T15:04:05.000-0700"

// PutMessages implements connectors.Connector in one request, and a query for
// those doubles in whose refusal the first record's id does not stand. A contact
// or lead that is not there, or a lead that was converted, fails its text with
// NOT_FOUND.
func (c *Connector) PutMessages(ctx context.Context, records []connectors.Record) []connectors.Outcome {
	const op = "put messages"
	// Two records of one key in one request would both be refused.
	once, place := distinct(records, func(r connectors.Record) string { return r.Key })
	if len(once) == 0 {
		return nil
	}
	tasks := make([]record, len(once))
	for i, r := range once {
		tasks[i] = c.task(r)
	}
	results, err := c.api.save(ctx, op, http.MethodPost, tasks)
	if err != nil {
		return connectors.FailAll(len(records), connectors.AsError(op, err))
	}
	out := make([]connectors.Outcome, len(once))
	pages := c.api.pages(ctx)
	for i, r := range results {
		out[i] = c.created(op, r, pages, len(once))
	}
	c.name(ctx, once, out)
	return spread(out, place)
}

// task is the record of a text. Its status is UpdateStatus' alone.
func (c *Connector) task(r connectors.Record) record {
	m := r.Message
	t := typed(task)
	t["Subject"] = clipped(strings.Join(strings.Fields(clean(r.Subject)), " "), maxSubject)
	t["Description"] = clipped(clean(r.Body), maxDescription)
	t["ActivityDate"] = m.At.In(c.cfg.zone()).Format(time.DateOnly)
	t[c.cfg.Fields.Key] = encodeKey(r.Key)
	t[c.cfg.Fields.Direction] = string(m.Direction)
	t[c.cfg.Fields.At] = m.At.UTC().Format(dateTime)
	for name, value := range map[string]string{
		"Status": c.cfg.TaskStatus, "Type": c.cfg.TaskType, "WhoId": r.Contact.ID, "OwnerId": r.OwnerID,
	} {
		if value != "" {
			t[name] = value
		}
	}
	return t
}

// taskID finds the id of a Task in the words of a refusal, which are in the
// user's language.
var taskID = regexp.MustCompile(`\b00T[0-9A-Za-z]{12}(?:[0-9A-Za-z]{3})?\b`)

// created reads the verdict on a new record. A double of the key is there
// already; its Ref is zero where its id is not told.
func (c *Connector) created(op string, r saved, pages string, items int) connectors.Outcome {
	if r.Success && r.ID != "" {
		return connectors.Outcome{Ref: ref(refTask, pages, r.ID), State: connectors.Written}
	}
	if len(r.Errors) > 0 && r.Errors[0].code() == "DUPLICATE_VALUE" {
		said := r.Errors[0].Message
		if strings.Contains(said, c.cfg.Fields.Key) {
			return connectors.Outcome{Ref: ref(refTask, pages, taskID.FindString(said)), State: connectors.Existed}
		}
	}
	return connectors.Outcome{State: connectors.Failed, Err: itemError(op, r.Errors, items)}
}

// name finds the ids that the refusals of doubles did not tell. Of two requests
// at the same time the loser reads <unknown> for field and id. A double that
// cannot be found was refused for another field that the customer made unique.
func (c *Connector) name(ctx context.Context, records []connectors.Record, out []connectors.Outcome) {
	var nameless []int
	var asked []connectors.Record
	for i, o := range out {
		duplicate := o.State == connectors.Failed && o.Err.Kind == connectors.Conflict
		if duplicate || o.State == connectors.Existed && o.Ref.Zero() {
			nameless, asked = append(nameless, i), append(asked, records[i])
		}
	}
	found, err := c.FindMessages(ctx, asked)
	for n, i := range nameless {
		switch {
		case err != nil:
			out[i] = connectors.Outcome{State: connectors.Failed, Err: connectors.AsError("put messages", err)}
		case len(found[n]) > 0:
			out[i] = connectors.Outcome{Ref: found[n][0].Ref, State: connectors.Existed}
		}
	}
}

// UpdateStatus implements connectors.StatusUpdater in one request, and a query
// where a record is not remembered.
func (c *Connector) UpdateStatus(ctx context.Context, changes []connectors.StatusChange) []connectors.Outcome {
	const op = "update status"
	if c.cfg.Fields.Status == "" {
		return connectors.FailAll(len(changes), &connectors.Error{Op: op, Kind: connectors.Unsupported, Err: errors.New("fields.status is not set")})
	}
	ids, err := c.idsOf(ctx, op, changes)
	if err != nil {
		return connectors.FailAll(len(changes), connectors.AsError(op, err))
	}
	of := make([]update, len(changes))
	for i, s := range changes {
		t := record{c.cfg.Fields.Status: string(s.Status)}
		if c.cfg.Fields.Reason != "" {
			t[c.cfg.Fields.Reason] = clipped(clean(s.Reason), maxText)
		}
		of[i] = update{task, ids[i], t}
	}
	return c.update(ctx, op, of)
}

// idsOf answers the id of each text's record, "" for one that is not there.
func (c *Connector) idsOf(ctx context.Context, op string, changes []connectors.StatusChange) ([]string, error) {
	ids := make([]string, len(changes))
	var keys []string
	for i, s := range changes {
		if ids[i] = s.Record.ID; ids[i] == "" {
			keys = append(keys, s.Key)
		}
	}
	byKey, err := c.byKey(ctx, op, keys)
	for i, s := range changes {
		if ids[i] == "" {
			ids[i] = connectors.Oldest(byKey[encodeKey(s.Key)]).ID
		}
	}
	return ids, err
}

// update is a change of one record.
type update struct {
	object, id string
	fields     record
}

// update changes records in one request. One without an id fails with NOT_FOUND,
// and of two changes of one record the last counts for both.
func (c *Connector) update(ctx context.Context, op string, of []update) []connectors.Outcome {
	out := connectors.FailAll(len(of), &connectors.Error{Op: op, Kind: connectors.NotFound, Err: errors.New("the record is not there")})
	items, at := merged(of)
	if len(items) == 0 {
		return out
	}
	results, err := c.api.save(ctx, op, http.MethodPatch, items)
	for i, u := range of {
		switch {
		case u.id == "":
		case err != nil:
			out[i].Err = connectors.AsError(op, err)
		case results[at[u.id]].Success:
			out[i] = connectors.Outcome{State: connectors.Written}
		default:
			out[i].Err = itemError(op, results[at[u.id]].Errors, len(items))
		}
	}
	return out
}

// merged answers a record for each id, and where it is among them: one that is
// twice in a request is refused. Those of one object stand together, since a
// request may change from one object to another nine times only.
func merged(of []update) (items []record, at map[string]int) {
	at = map[string]int{}
	for _, object := range []string{task, contact, lead} {
		for _, u := range of {
			if u.object != object || u.id == "" {
				continue
			}
			if _, seen := at[u.id]; !seen {
				at[u.id] = len(items)
				items = append(items, nil)
			}
			items[at[u.id]] = u.record()
		}
	}
	return items, at
}

func (u update) record() record {
	r := typed(u.object)
	r["id"] = u.id
	maps.Copy(r, u.fields)
	return r
}

// FindMessages implements connectors.MessageFinder. It reads the database, not
// the search index, so that it sees everything at once.
func (c *Connector) FindMessages(ctx context.Context, records []connectors.Record) ([][]connectors.Found, error) {
	if len(records) == 0 {
		return nil, nil
	}
	keys := make([]string, len(records))
	for i, r := range records {
		keys[i] = r.Key
	}
	byKey, err := c.byKey(ctx, "find messages", keys)
	if err != nil {
		return nil, err
	}
	found := make([][]connectors.Found, len(records))
	for i, key := range keys {
		found[i] = byKey[encodeKey(key)]
	}
	return found, nil
}

// byKey answers the records with those keys, by the key as it is stored, the
// oldest first: several only where the key's field is not unique.
func (c *Connector) byKey(ctx context.Context, op string, keys []string) (map[string][]connectors.Found, error) {
	encoded := make([]string, len(keys))
	for i, key := range keys {
		encoded[i] = encodeKey(key)
	}
	soql := "SELECT Id, WhoId, CreatedDate, " + c.cfg.Fields.Key + " FROM Task WHERE IsDeleted = false AND " + c.cfg.Fields.Key + " IN"
	found, err := c.api.where(ctx, op, soql, encoded)
	// All instants are in UTC and of the same form.
	slices.SortStableFunc(found, func(a, b record) int {
		return cmp.Or(strings.Compare(a.str("CreatedDate"), b.str("CreatedDate")), strings.Compare(a.str("Id"), b.str("Id")))
	})
	pages, byKey := c.api.pages(ctx), map[string][]connectors.Found{}
	for _, r := range found {
		f := connectors.Found{Ref: ref(refTask, pages, r.str("Id"))}
		if who := r.str("WhoId"); who != "" {
			f.Contacts = []connectors.Ref{ref(typeOf(who), pages, who)}
		}
		key := r.str(c.cfg.Fields.Key)
		byKey[key] = append(byKey[key], f)
	}
	return byKey, err
}

// encodeKey writes a key so that it differs from every other one even where case
// is disregarded, as in a field that was created by hand without "case
// sensitive": a capital is ^ and its small letter, ^ is ^^. What is too long for
// the field then is its hash, behind ^#.
func encodeKey(key string) string {
	var b strings.Builder
	for _, r := range key {
		if unicode.IsUpper(r) || r == '^' {
			b.WriteByte('^')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	if b.Len() > maxText {
		sum := sha256.Sum256([]byte(key))
		return "^#" + hex.EncodeToString(sum[:])
	}
	return b.String()
}

// clean drops what cannot stand in a text field: control characters, and what is
// no UTF-8. Salesforce escapes markup by itself.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' {
			return -1
		}
		return r
	}, s)
}

// cut stands at the end of a text that was longer than its field.
const cut = " […]"

// clipped shortens s visibly to a number of characters as Salesforce counts
// them, in UTF-16.
func clipped(s string, most int) string {
	if len(s) <= most || length(s) <= most {
		return s
	}
	n := 0
	for i, r := range s {
		if n += utf16.RuneLen(r); n > most-length(cut) {
			return s[:i] + cut
		}
	}
	return s
}

func length(s string) int { return len(utf16.Encode([]rune(s))) }

// distinct answers the first item of each key, and for each item where its first
// one is.
func distinct[T any](items []T, key func(T) string) (once []T, place []int) {
	at := map[string]int{}
	for _, item := range items {
		k := key(item)
		if _, seen := at[k]; !seen {
			at[k] = len(once)
			once = append(once, item)
		}
		place = append(place, at[k])
	}
	return once, place
}

// spread answers for each item the outcome of the first one of its key. Of a text
// that was written, the others find it there.
func spread(out []connectors.Outcome, place []int) []connectors.Outcome {
	all := make([]connectors.Outcome, len(place))
	seen := map[int]bool{}
	for i, at := range place {
		all[i] = out[at]
		if seen[at] && all[i].State == connectors.Written {
			all[i].State = connectors.Existed
		}
		seen[at] = true
	}
	return all
}
