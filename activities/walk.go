package activities

import (
	"context"
	"fmt"
	"slices"
	"time"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"

	"crmsync/connectors"
	"crmsync/internal/justcall/api"
	"crmsync/sms"
)

// Walk says which of an account's texts are looked at.
type Walk struct {
	Account string `json:"account"`
	// Since and Until bound the texts' instants; Until is not part of them.
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
	// Line and Contact choose one of the company's numbers, or one contact.
	Line    sms.Phone `json:"line,omitempty"`
	Contact sms.Phone `json:"contact,omitempty"`
	// To adds this connector to texts wherever they went before; empty: what is
	// missing goes where it would have gone.
	To string `json:"to,omitempty"`
}

// Tally counts what a walk found, of texts or of their statuses. All that is
// listed is known, missing, skipped or quarantined.
type Tally struct {
	Listed int `json:"listed"`
	// Known have a workflow already.
	Known   int `json:"known"`
	Missing int `json:"missing"`
	// Repaired are those of the missing that were started.
	Repaired int `json:"repaired"`
	// Skipped are for no connector, by the routes and `since`; a status is skipped
	// with its text, and while it is young.
	Skipped int `json:"skipped,omitempty"`
	// Quarantined are rows that could not be decoded.
	Quarantined int `json:"quarantined,omitempty"`
}

// Counts are the tallies of a walk: of texts, and of their statuses.
type Counts struct {
	Tally
	Statuses Tally `json:"statuses"`
}

// Add adds up.
func (c *Counts) Add(more Counts) {
	c.Tally.add(more.Tally)
	c.Statuses.add(more.Statuses)
}

func (t *Tally) add(more Tally) {
	t.Listed += more.Listed
	t.Known += more.Known
	t.Missing += more.Missing
	t.Repaired += more.Repaired
	t.Skipped += more.Skipped
	t.Quarantined += more.Quarantined
}

// Offer is what a walk found missing: an event, or a row that could not be
// decoded.
type Offer struct {
	Event sms.Event `json:"event,omitzero"`
	// To is the connector that is added, and Text the workflow of the text that a
	// status belongs to there; both are empty where none is added.
	To   string `json:"to,omitempty"`
	Text string `json:"text,omitempty"`
	// Row is what could not be decoded, and Reason why.
	Row    []byte `json:"row,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// PageInput asks for one page of a walk.
type PageInput struct {
	Walk
	Cursor string `json:"cursor,omitempty"` // of the page before; empty: the first
}

// Page is one page of a walk: what was found, and what is missing of it.
type Page struct {
	Counts
	Offers []Offer `json:"offers,omitempty"`
	// Next is where to go on; empty: that was the last page.
	Next string `json:"next,omitempty"`
	// Total is how many texts there are in all; 0: JustCall does not say.
	Total int `json:"total,omitempty"`
}

// Young is what a webhook may take. What is younger is no business of a walk.
const Young = 5 * time.Minute

// ListTexts lists one page of an account's texts at JustCall, and asks Temporal
// which of their events have a workflow, whatever Redis remembers. It starts
// nothing. What an operator has ended counts as known.
func (a *Activities) ListTexts(ctx context.Context, in PageInput) (Page, error) {
	defer beat(ctx)()
	account, err := a.justcall(in.Account)
	if err != nil {
		return Page{}, err
	}
	query := api.Query{Since: in.Since, Until: in.Until, Line: in.Line, Contact: in.Contact}
	listed, err := account.Texts(ctx, query, api.Cursor(in.Cursor))
	if err != nil {
		return Page{}, a.notAnswered("list texts", err)
	}
	if listed.Next != "" && string(listed.Next) == in.Cursor {
		return Page{}, park(string(connectors.Unknown), "JustCall's list of texts does not go on")
	}
	page := Page{Next: string(listed.Next), Total: listed.Total}
	for _, row := range listed.Texts {
		begun := time.Now()
		if err := a.look(ctx, &page, in.To, row); err != nil {
			return Page{}, err
		}
		rest(ctx, lookRest*time.Since(begun))
	}
	return page, nil
}

// lookRest is how many times as long a walk rests after a look at Temporal as that
// took, so that a page's looks do not stand before live texts.
const lookRest = 3

// justcall answers an account's client. That there is none is not retried:
// whoever asked has to know, and a schedule asks again.
func (a *Activities) justcall(account string) (JustCall, error) {
	if client, ok := a.JustCall[account]; ok {
		return client, nil
	}
	return nil, park(string(connectors.Unsupported), fmt.Sprintf("this process has no key and secret in justcall.%s.api", account))
}

// notAnswered is the error of a call of JustCall's API.
func (a *Activities) notAnswered(op string, err error) error {
	e := connectors.AsError(op, err)
	a.Log.Warn("JustCall did not answer", "op", e.Op, "kind", e.Kind, "status", e.Status, "retry", !e.Kind.Permanent())
	return failure(e)
}

// look finds out what is missing of one row.
func (a *Activities) look(ctx context.Context, page *Page, to string, row api.Text) error {
	page.Listed++
	if len(row.Events) == 0 {
		page.odd(row)
		return nil
	}
	text, statuses := row.Events[0], row.Events[1:]
	page.Statuses.Listed += len(statuses)
	targets := a.Door.Targets(text)
	if len(targets) == 0 || to != "" && !slices.Contains(targets, to) {
		page.Skipped++
		page.Statuses.Skipped += len(statuses)
		return nil
	}
	workflow, known, err := a.workflowOf(ctx, text, to)
	if err != nil {
		return err
	}
	page.found(&page.Tally, known, Offer{Event: text, To: to})
	for _, status := range statuses {
		if err := a.lookAtStatus(ctx, page, workflow, Offer{Event: status, To: to}); err != nil {
			return err
		}
	}
	return nil
}

// odd takes a row without events: one that could not be decoded, or is not sent yet.
func (p *Page) odd(row api.Text) {
	if row.Err == nil {
		p.Skipped++
		return
	}
	p.Quarantined++
	p.Offers = append(p.Offers, Offer{Row: row.Raw, Reason: row.Err.Error()})
}

func (a *Activities) lookAtStatus(ctx context.Context, page *Page, text string, offer Offer) error {
	if time.Since(offer.Event.At) < Young {
		page.Statuses.Skipped++
		return nil
	}
	key := offer.Event.Key()
	ids := []string{key}
	if offer.To != "" {
		offer.Text, ids = text, []string{ResyncID(key, offer.To)}
		if text == sibling(offer.Event, sms.Sent) { // the text went there by itself, and so did its status
			ids = append(ids, key)
		}
	}
	for _, id := range ids {
		if info, err := a.describe(ctx, id); err != nil || info.GetStatus() != enums.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED {
			page.found(&page.Statuses, true, offer)
			return err
		}
	}
	page.found(&page.Statuses, false, offer)
	return nil
}

func (p *Page) found(t *Tally, known bool, offer Offer) {
	if known {
		t.Known++
		return
	}
	t.Missing++
	p.Offers = append(p.Offers, offer)
}

// workflowOf answers the workflow that brings a text to the connector that is
// added (empty: wherever it goes), and whether it is there.
func (a *Activities) workflowOf(ctx context.Context, text sms.Event, to string) (id string, known bool, err error) {
	info, err := a.describe(ctx, text.Key())
	known = info.GetStatus() != enums.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED
	if err != nil || to == "" {
		return text.Key(), known, err
	}
	if went, err := a.targetsIn(info.GetMemo()); err != nil || slices.Contains(went, to) {
		return text.Key(), true, err
	}
	id = ResyncID(text.Key(), to)
	info, err = a.describe(ctx, id)
	return id, info.GetStatus() != enums.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED, err
}

// RepairInput is what is missing.
type RepairInput struct {
	Account string  `json:"account"`
	Offers  []Offer `json:"offers"`
	// UnderWay is the query for what is being delivered: while it finds many, this
	// waits. Empty: it does not.
	UnderWay string `json:"under_way,omitempty"`
}

const (
	// maxUnderWay is how many deliveries may be under way while more are started
	// that can wait.
	maxUnderWay = 500
	// After each start comes a rest that is several times as long as Temporal took
	// for it: so a walk takes a small part of what the server can do, and less the
	// busier it is. The least rest bounds it to some 40 a second.
	restFactor = 8
	minRest    = 25 * time.Millisecond
	maxRest    = time.Second
)

// Repaired is what was started of what was missing: the first so many offers.
type Repaired struct {
	Counts
	Offers int `json:"offers,omitempty"`
}

// Repair starts what is missing, in order and paced. What was started meanwhile
// is left alone, so that it may be repeated. Where it cannot go on it answers how
// far it came, so that a server that takes few starts is not asked for the same
// again; it fails only where it started nothing.
func (a *Activities) Repair(ctx context.Context, in RepairInput) (done Repaired, err error) {
	defer beat(ctx)()
	if err := a.room(ctx, in.UnderWay); err != nil {
		return Repaired{}, err
	}
	for _, offer := range in.Offers {
		if err := a.start(ctx, in.Account, offer); err != nil {
			if done.Offers == 0 {
				return Repaired{}, err
			}
			a.Log.Warn("what is missing is started in parts", "started", done.Offers, "of", len(in.Offers), "error", err)
			return done, nil
		}
		done.Offers++
		done.repaired(offer)
	}
	return done, nil
}

// start starts one offer, and rests.
func (a *Activities) start(ctx context.Context, account string, offer Offer) error {
	if stopping(ctx) {
		return again(GivenBack, "the worker is stopping", time.Second)
	}
	begun := time.Now()
	if err := a.Door.Offer(ctx, account, offer); err != nil {
		return fmt.Errorf("start what is missing: %w", err)
	}
	rest(ctx, max(restFactor*time.Since(begun), minRest))
	return nil
}

func (c *Counts) repaired(offer Offer) {
	switch {
	case offer.Event.Kind.Status():
		c.Statuses.Repaired++
	case offer.Event.Kind.Text():
		c.Repaired++
	}
}

func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(min(d, maxRest))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// room ends the attempt while many deliveries are under way, such as while a CRM
// is down: it costs nothing then. A server that cannot tell does not hold it up.
func (a *Activities) room(ctx context.Context, underWay string) error {
	if underWay == "" {
		return nil
	}
	counted, err := a.Temporal.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Query: underWay})
	if err != nil {
		a.Log.Warn("what is under way cannot be counted", "error", err)
		return nil
	}
	if n := counted.GetCount(); n >= maxUnderWay {
		return again(Waiting, fmt.Sprintf("waits until fewer than %d deliveries are under way (%d are)", maxUnderWay, n), roomPause)
	}
	return nil
}

// roomPause is how long to wait for deliveries to end.
const roomPause = 5 * time.Second
