package worker

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"crmsync/activities"
	"crmsync/connectors"
	"crmsync/sms"
)

// rehearsalName marks the contact of a rehearsal.
const rehearsalName = "crmsync test"

// rehearsalBody holds what careless APIs break.
const rehearsalBody = `This text is a test of crmsync and can be deleted. These should look right: "quotes", 'single ones', <tags>, & and ü 👍
and this is the second line.`

// rehearsalStep is how one step of a rehearsal ended.
type rehearsalStep struct {
	Step  string `json:"step"`
	State string `json:"state"` // ok, skipped, failed
	Text  string `json:"text"`
}

// leftover is a record that a rehearsal leaves in the CRM.
type leftover struct {
	What string `json:"what"` // contact, text
	connectors.Ref
}

// rehearsal tries a connector on a live CRM.
type rehearsal struct {
	inst  *activities.Instance
	caps  connectors.Capabilities
	phone sms.Phone
	key   string
	at    time.Time
	// patience is how much longer a search may lag than the connector says, pause
	// the time between two looks.
	patience, pause time.Duration

	contact   connectors.Ref
	ours      bool // the contact is one of a rehearsal
	record    connectors.Ref
	steps     []rehearsalStep
	leftovers []leftover
}

func newRehearsal(inst *activities.Instance, phone sms.Phone) *rehearsal {
	key := "test/crmsync-" + strings.ToLower(rand.Text()[:10])
	return &rehearsal{
		inst: inst, phone: phone, key: key, at: time.Now().UTC().Truncate(time.Second),
		patience: 10 * time.Second, pause: 500 * time.Millisecond,
	}
}

// run goes through the verbs in the order in which a text needs them. Only
// Check is needed for the rest.
func (t *rehearsal) run(ctx context.Context) {
	if !t.check(ctx) {
		return
	}
	t.contacts(ctx)
	if t.put(ctx) {
		t.putAgain(ctx)
		t.readBack(ctx)
		t.status(ctx)
	}
	t.consent(ctx)
}

func (t *rehearsal) ok(step, format string, args ...any) { t.add(step, "ok", format, args...) }
func (t *rehearsal) skip(step, why string)               { t.add(step, "skipped", "%s", why) }

func (t *rehearsal) fail(step, format string, args ...any) { t.add(step, "failed", format, args...) }

func (t *rehearsal) add(step, state, format string, args ...any) {
	t.steps = append(t.steps, rehearsalStep{step, state, fmt.Sprintf(format, args...)})
}

func (t *rehearsal) failed() bool {
	return slices.ContainsFunc(t.steps, func(s rehearsalStep) bool { return s.State == "failed" })
}

// call bounds one call.
func (t *rehearsal) call(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, t.inst.Definition.CallTimeout)
}

func (t *rehearsal) check(ctx context.Context) bool {
	caps, err := t.inst.Lane().Capabilities(ctx)
	if err != nil {
		t.fail("check", "%v", err)
		return false
	}
	t.caps = caps
	t.ok("check", "credentials work; idempotency class %s", caps.Class)
	return true
}

// contacts finds the contact of an earlier rehearsal, or creates one and finds it.
func (t *rehearsal) contacts(ctx context.Context) {
	known, err := t.find(ctx)
	switch {
	case !t.caps.Find:
		t.skip("find contact", "not offered: texts are not linked to contacts by themselves")
	case err != nil:
		t.fail("find contact", "%v", err)
		return
	case len(known) > 0:
		t.contact, t.ours = known[0].Ref, strings.TrimSpace(known[0].Name) == rehearsalName
		t.ok("find contact", "%d with %s: takes %s", len(known), t.phone, describe(t.contact))
		t.skip("create contact", "one is there already; delete it, or give another --phone, to try this")
		if t.ours {
			t.leaves("contact", t.contact)
		}
		return
	}
	if t.create(ctx) && t.caps.Find {
		t.findCreated(ctx)
	}
}

func (t *rehearsal) create(ctx context.Context) bool {
	const step = "create contact"
	creator, ok := t.inst.Connector.(connectors.ContactCreator)
	if !ok || !t.caps.Create {
		t.skip(step, "not offered")
		return false
	}
	ctx, cancel := t.call(ctx)
	defer cancel()
	contact, err := creator.CreateContact(ctx, connectors.NewContact{Key: t.key, Phone: t.phone, Name: rehearsalName})
	if err != nil {
		t.fail(step, "%v%s", err, mayBeThere(err))
		return false
	}
	t.contact, t.ours = contact.Ref, true
	t.leaves("contact", contact.Ref)
	t.ok(step, "created %s as %q with %s", describe(contact.Ref), rehearsalName, t.phone)
	return true
}

func (t *rehearsal) find(ctx context.Context) ([]connectors.Contact, error) {
	finder, ok := t.inst.Connector.(connectors.ContactFinder)
	if !ok || !t.caps.Find {
		return nil, nil
	}
	ctx, cancel := t.call(ctx)
	defer cancel()
	found, err := finder.FindContacts(ctx, []sms.Phone{t.phone})
	if err != nil {
		return nil, err
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("answered %d lists for one number", len(found))
	}
	return found[0], nil
}

// findCreated allows for a search that lags behind.
func (t *rehearsal) findCreated(ctx context.Context) {
	const step = "find contact"
	var names []string
	ok, asked, err := t.eventually(ctx, func() (bool, error) {
		found, err := t.find(ctx)
		names = nil
		for _, c := range found {
			names = append(names, c.ID)
		}
		return slices.Contains(names, t.contact.ID), err
	})
	switch {
	case err != nil:
		t.fail(step, "%v", err)
	case !ok:
		t.fail(step, "the search finds %d contacts, but not the new one: look at how it is asked for a number, and at where the answer has the numbers", len(names))
	case t.late(asked):
		t.fail(step, "the new contact was found only after %s: set search_lag, where the connector has it, so that no second one is created", asked.Round(time.Millisecond))
	default:
		t.ok(step, "the search finds it")
	}
}

// eventually asks again and again until it holds, or for too long, and answers
// when the last question was asked.
func (t *rehearsal) eventually(ctx context.Context, holds func() (bool, error)) (ok bool, asked time.Duration, err error) {
	start := time.Now()
	tick := time.NewTicker(t.pause)
	defer tick.Stop()
	for {
		if ok, err = holds(); ok || err != nil || asked > t.inst.Definition.SearchLag+t.patience {
			return ok, asked, err
		}
		select {
		case <-tick.C:
			asked = time.Since(start)
		case <-ctx.Done():
			return false, asked, ctx.Err()
		}
	}
}

// late reports whether a search lags more than the connector says.
func (t *rehearsal) late(asked time.Duration) bool {
	return asked > t.inst.Definition.SearchLag+t.pause
}

func (t *rehearsal) text(key string) connectors.Record {
	account, id, _ := strings.Cut(key, "/")
	e := sms.Event{Account: account, Kind: sms.Sent, At: t.at, Message: sms.Message{
		ID: id, Direction: sms.Outbound, Contact: t.phone, Line: "+12025550100", Body: rehearsalBody,
		Agent: sms.Agent{Name: rehearsalName}, At: t.at,
	}}
	r := connectors.Record{Key: key, Contact: t.contact, Message: e.Message}
	r.Subject, r.Body, _ = t.inst.Templates.Render(e) // what fails is the default, as in the daemon
	return r
}

func (t *rehearsal) write(ctx context.Context) connectors.Outcome {
	ctx, cancel := t.call(ctx)
	defer cancel()
	return single(t.inst.Connector.PutMessages(ctx, []connectors.Record{t.text(t.key)}))
}

// single takes the outcome of a batch of one.
func single(outcomes []connectors.Outcome) connectors.Outcome {
	if len(outcomes) != 1 {
		err := fmt.Errorf("answered %d outcomes for one item", len(outcomes))
		return connectors.Outcome{State: connectors.Failed, Err: &connectors.Error{Op: "batch", Kind: connectors.Unknown, Err: err}}
	}
	return outcomes[0]
}

func (t *rehearsal) put(ctx context.Context) bool {
	const step = "put text"
	out := t.write(ctx)
	switch out.State {
	case connectors.Failed:
		t.fail(step, "%v%s", out.Err, mayBeThere(out.Err))
		return false
	case connectors.NotApplicable:
		t.skip(step, "a text without a contact has no place in this CRM")
		return false
	}
	t.record = out.Ref
	t.leaves("text", out.Ref)
	t.ok(step, "%s %s with the key %s; look whether its quotes, signs and second line are right", out.State, describe(out.Ref), t.key)
	return true
}

// putAgain must not double the text. In class D the daemon never does that.
func (t *rehearsal) putAgain(ctx context.Context) {
	const step = "put it again"
	if t.caps.Class == connectors.ClassD {
		t.skip(step, "would double it in class D: the daemon reads back instead")
		return
	}
	out := t.write(ctx)
	other := !out.Ref.Zero() && !t.record.Zero() && !out.Ref.Same(t.record)
	switch {
	case out.State == connectors.Failed:
		t.fail(step, "%v%s", out.Err, mayBeThere(out.Err))
	case other:
		t.leaves("text", out.Ref)
		t.fail(step, "there is a second record now, %s: the idempotency class is not %s", describe(out.Ref), t.caps.Class)
	case out.State == connectors.Existed:
		t.ok(step, "it is recognised: nothing is doubled")
	default:
		t.ok(step, "names the same record, though it does not say that it existed; look whether there is only one")
	}
}

// readBack finds what is there, and nothing where nothing is.
func (t *rehearsal) readBack(ctx context.Context) {
	const step = "find text"
	finder, ok := t.inst.Connector.(connectors.MessageFinder)
	if !ok || !t.caps.ReadBack {
		t.skip(step, "not offered")
		return
	}
	var absent connectors.Ref
	there, asked, err := t.eventually(ctx, func() (bool, error) {
		ctx, cancel := t.call(ctx)
		defer cancel()
		found, err := finder.FindMessages(ctx, []connectors.Record{t.text(t.key), t.text(t.key + "-absent")})
		if err == nil && len(found) != 2 {
			err = fmt.Errorf("answered %d records for two texts", len(found))
		}
		if err != nil {
			return false, err
		}
		absent = connectors.Oldest(found[1])
		ref := connectors.Oldest(found[0])
		return !ref.Zero() && (t.record.Zero() || ref.ID == t.record.ID), nil
	})
	switch {
	case err != nil:
		t.fail(step, "%v", err)
	case !absent.Zero():
		t.fail(step, "finds %s for a key that was never written: it must compare the whole key", describe(absent))
	case !there:
		t.fail(step, "does not find the text")
	case t.late(asked):
		t.fail(step, "found it only after %s: set search_lag, where the connector has it, so that nothing is written twice", asked.Round(time.Millisecond))
	default:
		t.ok(step, "found by its key")
	}
}

func (t *rehearsal) status(ctx context.Context) {
	const step = "update status"
	updater, ok := t.inst.Connector.(connectors.StatusUpdater)
	if !ok || !t.caps.Status {
		t.skip(step, "not offered")
		return
	}
	update := func(key string, record connectors.Ref) connectors.Outcome {
		ctx, cancel := t.call(ctx)
		defer cancel()
		return single(updater.UpdateStatus(ctx, []connectors.StatusChange{{
			Key: key, Record: record, Contact: t.contact, Message: t.text(key).Message, Status: sms.StatusDelivered, At: time.Now().UTC(),
		}}))
	}
	if out := update(t.key, t.record); out.State == connectors.Failed {
		t.fail(step, "%v", out.Err)
		return
	}
	t.ok(step, "set to %s", sms.StatusDelivered)
	out := update(t.key+"-absent", connectors.Ref{})
	if out.State == connectors.Failed && out.Err.Kind == connectors.NotFound {
		t.ok("status of nothing", "is refused, as it must be")
		return
	}
	t.fail("status of nothing", "a text that is not there must be %s, not %s: look for a record with the key %s-absent", connectors.NotFound, outcomeText(out), t.key)
}

func outcomeText(out connectors.Outcome) string {
	if out.Err != nil {
		return out.Err.Error()
	}
	return string(out.State)
}

// consent opts the contact out and in again, if it is one of a rehearsal.
func (t *rehearsal) consent(ctx context.Context) {
	const step = "set consent"
	setter, ok := t.inst.Connector.(connectors.ConsentSetter)
	switch {
	case !ok || !t.caps.Consent:
		t.skip(step, "not offered")
		return
	case t.contact.Zero():
		t.skip(step, "there is no contact to try it on")
		return
	case !t.ours:
		t.skip(step, "the contact is not one of a test, so its consent is left alone")
		return
	}
	for _, optedOut := range []bool{true, false} {
		callCtx, cancel := t.call(ctx)
		out := single(setter.SetConsent(callCtx, []connectors.ConsentChange{{
			Contact: t.contact, Consent: sms.Consent{Phone: t.phone, OptedOut: optedOut, At: time.Now().UTC()},
		}}))
		cancel()
		if out.State == connectors.Failed {
			t.fail(step, "%v", out.Err)
			return
		}
	}
	t.ok(step, "opted out, and in again")
}

func (t *rehearsal) leaves(what string, ref connectors.Ref) {
	t.leftovers = append(t.leftovers, leftover{what, ref})
}

func describe(r connectors.Ref) string {
	if r.Zero() {
		return "a record that the answer does not name"
	}
	return strings.TrimSpace(cmp.Or(r.Type, "record") + " " + r.ID + " " + r.URL)
}

func mayBeThere(err error) string {
	if connectors.AsError("", err).Ambiguous {
		return "; it may have been written all the same: look for it"
	}
	return ""
}
