package odoo

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"crmsync/connectors"
	"crmsync/sms"
)

// module is the first part of the external ids; no module of Odoo has the name.
const module = "crmsync"

// externalID is injective. What follows the first dot is the name.
func externalID(kind, key string) string { return module + "." + kind + "_" + encoded(key) }

func messageID(key string) string { return "<" + encoded(key) + "@" + module + ">" }

func encoded(key string) string { return strings.ReplaceAll(url.PathEscape(key), ".", "%2E") }

// text is a text's record, as far as it is read.
type text struct {
	ID        int              `json:"id"`
	MessageID string           `json:"message_id"`
	Subject   optional[string] `json:"subject"`
	Model     optional[string] `json:"model"`
	RecordID  optional[int]    `json:"res_id"`
}

// texts answers the first of those that are there, by their keys.
func (a *api) texts(ctx context.Context, op string, keys []string) (map[string]text, error) {
	all, err := a.allTexts(ctx, op, keys)
	there := map[string]text{}
	for key, found := range all {
		there[key] = found[0]
	}
	return there, err
}

// allTexts answers those that are there, by their keys, the oldest first.
func (a *api) allTexts(ctx context.Context, op string, keys []string) (map[string][]text, error) {
	byID := map[string]string{}
	for _, key := range keys {
		byID[messageID(key)] = key
	}
	found, err := search[text](ctx, a, query{
		op: op, model: "mail.message", fields: []string{"message_id", "subject", "model", "res_id"},
		domain: allOf(term{"message_id", "in", slices.Sorted(maps.Keys(byID))}),
	})
	there := map[string][]text{}
	for _, t := range found {
		if key, ours := byID[t.MessageID]; ours {
			there[key] = append(there[key], t)
		}
	}
	return there, err
}

func (a *api) textRef(id int) connectors.Ref {
	return connectors.Ref{ID: strconv.Itoa(id), URL: fmt.Sprintf("%s/mail/view?message_id=%d", a.cfg.BaseURL, id)}
}

func keysOf(records []connectors.Record) []string {
	keys := make([]string, len(records))
	for i, r := range records {
		keys[i] = r.Key
	}
	return keys
}

// textFields are what a text's record is made of.
var textFields = []string{
	"id", "message_id", "model", "res_id", "message_type", "subtype_id/id",
	"author_id/.id", "partner_ids/.id", "email_from", "date", "subject", "body",
}

// PutMessages implements connectors.Connector in two requests, three where texts
// have owners, and two more where Odoo refuses some. A text without a contact is
// not applicable: a message that stands on no record is seen by nobody.
func (c *Connector) PutMessages(ctx context.Context, records []connectors.Record) []connectors.Outcome {
	const op = "put messages"
	if len(records) == 0 {
		return nil
	}
	there, err := c.api.texts(ctx, op, keysOf(records))
	if err != nil {
		return connectors.FailAll(len(records), connectors.AsError(op, err))
	}
	out := make([]connectors.Outcome, len(records))
	var missing []int
	for i, r := range records {
		switch t, found := there[r.Key]; {
		case found:
			out[i] = connectors.Outcome{Ref: c.api.textRef(t.ID), State: connectors.Existed}
		case r.Contact.Zero():
			out[i] = connectors.Outcome{State: connectors.NotApplicable}
		default:
			missing = append(missing, i)
		}
	}
	c.insert(ctx, op, records, missing, out)
	return out
}

// insert creates the missing records and settles their outcomes.
func (c *Connector) insert(ctx context.Context, op string, records []connectors.Record, missing []int, out []connectors.Outcome) {
	if len(missing) == 0 {
		return
	}
	// The chatter is in the order of creation.
	slices.SortStableFunc(missing, func(i, j int) int { return records[i].Message.At.Compare(records[j].Message.At) })
	agents, err := c.agents(ctx, op, records, missing)
	if err != nil {
		settle(missing, out, connectors.Outcome{State: connectors.Failed, Err: connectors.AsError(op, err)})
		return
	}
	refused := c.loadTexts(ctx, op, records, missing, out, agents)
	if len(refused) > 0 {
		c.recognise(ctx, op, records, refused, out)
	}
}

// maxLoads bounds how often what is left of a batch is loaded, once the rows that
// Odoo refused are out of it.
const maxLoads = 3

// loadTexts answers those that Odoo refuses.
func (c *Connector) loadTexts(ctx context.Context, op string, records []connectors.Record, left []int, out []connectors.Outcome, agents map[string]string) (refused []int) {
	for range maxLoads {
		t := table{model: "mail.message", fields: textFields}
		for _, i := range left {
			t.rows = append(t.rows, c.row(records[i], agents[records[i].OwnerID]))
		}
		ids, problems, err := c.api.load(ctx, op, t, loadMode)
		if err != nil {
			settle(left, out, connectors.Outcome{State: connectors.Failed, Err: connectors.AsError(op, err)})
			return refused
		}
		for n, id := range ids {
			out[left[n]] = connectors.Outcome{Ref: c.api.textRef(id), State: connectors.Written}
		}
		accused := blame(op, problems)
		var others []int
		for n, i := range left {
			if e := accused[n]; e != nil {
				out[i] = connectors.Outcome{State: connectors.Failed, Err: e}
				refused = append(refused, i)
			} else if ids == nil {
				others = append(others, i)
			}
		}
		if left = others; len(left) == 0 {
			return refused
		}
	}
	settle(left, out, connectors.Outcome{State: connectors.NotAttempted})
	return refused
}

func settle(items []int, out []connectors.Outcome, o connectors.Outcome) {
	for _, i := range items {
		out[i] = o
	}
}

// blame answers the rows that are the reason for a refusal. Since 18 Odoo puts
// before the others the error of the attempt with all rows, and lays it at the
// first row's door: where there are others, that row is tried without them.
func blame(op string, problems []problem) map[int]*connectors.Error {
	accused := map[int]*connectors.Error{}
	times := map[int]int{}
	for _, p := range problems {
		for n := p.Rows.From; n <= p.Rows.To; n++ {
			times[n]++
			if accused[n] == nil {
				accused[n] = p.verdict(op)
			}
		}
	}
	if len(problems) > 0 && len(accused) > 1 && times[problems[0].Rows.From] == 1 {
		delete(accused, problems[0].Rows.From)
	}
	return accused
}

// recognise looks for texts that were refused and are there all the same, since
// another wrote them at the same time: the database may say so in any language.
func (c *Connector) recognise(ctx context.Context, op string, records []connectors.Record, refused []int, out []connectors.Outcome) {
	var unclear []int
	var keys []string
	for _, i := range refused {
		if out[i].Err.Kind == connectors.Invalid {
			unclear, keys = append(unclear, i), append(keys, records[i].Key)
		}
	}
	if len(keys) == 0 {
		return
	}
	there, err := c.api.texts(ctx, op, keys)
	for _, i := range unclear {
		if t, found := there[records[i].Key]; found {
			out[i] = connectors.Outcome{Ref: c.api.textRef(t.ID), State: connectors.Existed}
		} else if err != nil {
			out[i].Err = connectors.AsError(op, err)
		}
	}
}

// row is a text's record. The agent is the owner's partner id, "" for none.
func (c *Connector) row(r connectors.Record, agent string) []string {
	contact, model := r.Contact.ID, modelOf(r.Contact.Type)
	if model != partner {
		contact = "" // a lead is nobody's partner
	}
	author, recipient, from := contact, agent, r.Message.ContactName
	if r.Message.Direction == sms.Outbound {
		author, recipient, from = agent, contact, address(r.Message.Agent)
	}
	if author != "" {
		from = ""
	} else if from == "" {
		from = string(sender(r.Message))
	}
	return []string{
		externalID("sms", r.Key), messageID(r.Key), model, r.Contact.ID, c.cfg.MessageType, "mail.mt_note",
		author, recipient, from, instant(r.Message.At), oneLine(r.Subject), markup(r.Body),
	}
}

func sender(m sms.Message) sms.Phone {
	if m.Direction == sms.Outbound {
		return m.Line
	}
	return m.Contact
}

// address is what the chatter shows in place of an author.
func address(a sms.Agent) string {
	if a.Name != "" && a.Email != "" {
		return oneLine(a.Name + " <" + a.Email + ">")
	}
	return oneLine(cmp.Or(a.Name, a.Email))
}

// printable replaces what XML cannot hold, and with it Odoo's sanitizer.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0xFFFE || r == 0xFFFF {
			return utf8.RuneError
		}
		return r
	}, strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n"))
}

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\n", "<br>")

// web is an address in a text, without the full stop behind it.
var web = regexp.MustCompile(`https?://[^\s<>"']*[^\s<>"'.,;:!?()\[\]]`)

// markup is plain text as HTML, in the form in which Odoo's sanitizer leaves it.
// Addresses can be clicked, which not every version sees to.
func markup(s string) string {
	s = printable(s)
	var out strings.Builder
	end := 0
	for _, at := range web.FindAllStringIndex(s, -1) {
		link := escaper.Replace(s[at[0]:at[1]])
		out.WriteString(escaper.Replace(s[end:at[0]]) + `<a href="` + link + `" target="_blank">` + link + `</a>`)
		end = at[1]
	}
	return "<p>" + out.String() + escaper.Replace(s[end:]) + "</p>"
}

func oneLine(s string) string { return strings.Join(strings.Fields(printable(s)), " ") }

// UpdateStatus implements connectors.StatusUpdater in two requests.
func (c *Connector) UpdateStatus(ctx context.Context, changes []connectors.StatusChange) []connectors.Outcome {
	const op = "update status"
	if len(changes) == 0 {
		return nil
	}
	keys := make([]string, len(changes))
	for i, s := range changes {
		keys[i] = s.Key
	}
	there, err := c.api.texts(ctx, op, keys)
	if err != nil {
		return connectors.FailAll(len(changes), connectors.AsError(op, err))
	}
	out := make([]connectors.Outcome, len(changes))
	t := table{model: "mail.message", fields: []string{".id", "subject"}}
	var todo []int
	for i, s := range changes {
		found, ok := there[s.Key]
		subject := marked(found.Subject.Value, s.Status, s.Reason)
		switch {
		case !ok:
			out[i] = connectors.Outcome{State: connectors.Failed, Err: &connectors.Error{Op: op, Kind: connectors.NotFound}}
			continue
		case subject != found.Subject.Value:
			t.rows, todo = append(t.rows, []string{strconv.Itoa(found.ID), subject}), append(todo, i)
		}
		out[i] = connectors.Outcome{Ref: c.api.textRef(found.ID), State: connectors.Existed}
	}
	c.update(ctx, op, t, todo, out)
	return out
}

// update changes records. Of an update Odoo does not always tell which row is
// the reason (19 forgets the ids), so several are refused as a whole.
func (c *Connector) update(ctx context.Context, op string, t table, todo []int, out []connectors.Outcome) {
	if len(todo) == 0 {
		return
	}
	_, problems, err := c.api.load(ctx, op, t, loadMode)
	if err == nil && len(problems) == 0 {
		for _, i := range todo {
			out[i].State = connectors.Written
		}
		return
	}
	e := connectors.AsError(op, err)
	if err == nil {
		e = problems[0].verdict(op)
		e.WholeBatch = len(todo) > 1 && e.Kind.Permanent()
	}
	settle(todo, out, connectors.Outcome{State: connectors.Failed, Err: e})
}

// status is how the subject ends, once there is one.
var status = regexp.MustCompile(`(?:^| )\[(sent|delivered|failed)(?:: [^\[\]]*)?\]$`)

var brackets = strings.NewReplacer("[", "(", "]", ")")

// marked puts the status behind a subject, in place of an earlier one.
func marked(subject string, s sms.Status, reason string) string {
	mark := string(s)
	if reason != "" {
		mark += ": " + brackets.Replace(oneLine(reason))
	}
	return strings.TrimLeft(status.ReplaceAllString(subject, "")+" ["+mark+"]", " ")
}

// FindMessages implements connectors.MessageFinder in one request.
func (c *Connector) FindMessages(ctx context.Context, records []connectors.Record) ([][]connectors.Found, error) {
	if len(records) == 0 {
		return nil, nil
	}
	there, err := c.api.allTexts(ctx, "find messages", keysOf(records))
	if err != nil {
		return nil, err
	}
	found := make([][]connectors.Found, len(records))
	for i, r := range records {
		for _, t := range there[r.Key] {
			found[i] = append(found[i], c.found(t))
		}
	}
	return found, nil
}

// found answers a text, and on whose chatter it stands.
func (c *Connector) found(t text) connectors.Found {
	f := connectors.Found{Ref: c.api.textRef(t.ID)}
	for _, of := range []contactTable{{typeContact, partner}, {typeLead, lead}} {
		if id := t.RecordID.Value; id != 0 && t.Model.Value == of.model {
			f.Contacts = []connectors.Ref{c.contactRef(of, id)}
		}
	}
	return f
}
