package pipedrive

import (
	"context"
	"slices"
	"time"

	"crmsync/connectors"
	"crmsync/sms"
)

// PutMessages implements connectors.Connector in one request for each text. A
// person who is not there fails the text with NOT_FOUND.
func (c *Connector) PutMessages(ctx context.Context, records []connectors.Record) []connectors.Outcome {
	const op = "put messages"
	return each(op, records, func(r connectors.Record) (connectors.Ref, connectors.State, error) {
		added, err := c.api.addActivity(ctx, op, newActivity(c.cfg.ActivityType, r))
		if err != nil {
			return connectors.Ref{}, "", c.blame(ctx, op, r.Contact, err)
		}
		return c.ref(ctx, added.ID, r.Contact), connectors.Written, nil
	})
}

// each turns what happened to each item into outcomes.
func each[In any](op string, items []In, do func(In) (connectors.Ref, connectors.State, error)) []connectors.Outcome {
	out := make([]connectors.Outcome, len(items))
	for i, item := range items {
		ref, state, err := do(item)
		out[i] = connectors.Outcome{Ref: ref, State: state}
		if err != nil {
			out[i] = connectors.Outcome{State: connectors.Failed, Err: connectors.AsError(op, err)}
		}
	}
	return out
}

func (c *Connector) ref(ctx context.Context, activityID id, contact connectors.Ref) connectors.Ref {
	return connectors.Ref{ID: activityID.String(), URL: c.api.personURL(ctx, contact.ID)}
}

// blame finds out whether an activity was refused for its person, who was deleted
// or merged, or for its type: the API's words for that are not documented.
func (c *Connector) blame(ctx context.Context, op string, contact connectors.Ref, err error) error {
	e := connectors.AsError(op, err)
	if e.Kind != connectors.Invalid && e.Kind != connectors.NotFound {
		return err
	}
	if !contact.Zero() {
		if _, err := c.api.person(ctx, op, contact.ID); err != nil {
			return err
		}
	}
	if err := c.ready(ctx, op); err != nil {
		return err
	}
	e.Kind = connectors.Invalid
	return e
}

func newActivity(kind string, r connectors.Record) activity {
	m := r.Message
	done, busy := true, false
	a := activity{
		Subject: subject(r), Type: kind, OwnerID: id(r.OwnerID), Done: &done, Busy: &busy,
		Note: note(r.Body, r.Key), PublicDescription: marker(r.Key),
	}
	if !m.At.IsZero() { // both are in UTC, and shown in each user's zone
		a.DueDate, a.DueTime = m.At.UTC().Format(time.DateOnly), m.At.UTC().Format(dueTime)
	}
	if !r.Contact.Zero() {
		a.Participants = []participant{{PersonID: id(r.Contact.ID), Primary: true}}
	}
	return a
}

// dueTime is the form that the API takes. It answers with seconds.
const dueTime = "15:04"

// UpdateStatus implements connectors.StatusUpdater in one request for each text
// whose record is remembered, and in one more for another.
func (c *Connector) UpdateStatus(ctx context.Context, changes []connectors.StatusChange) []connectors.Outcome {
	const op = "update status"
	return each(op, changes, func(s connectors.StatusChange) (connectors.Ref, connectors.State, error) {
		ref := s.Record
		if ref.Zero() {
			found, err := c.find(ctx, op, s.Key, s.Contact, s.Message.At, 1)
			if err != nil {
				return ref, "", err
			}
			if len(found) == 0 {
				return ref, "", gone(op)
			}
			ref = found[0].Ref
		}
		return ref, connectors.Written, c.api.describe(ctx, op, ref.ID, marker(s.Key)+" "+statusLine(s))
	})
}

// FindMessages implements connectors.MessageFinder in one request for each text:
// by its record, where that is remembered, else in the list of its person's
// activities. In texts of nobody it reads everything that changed since.
func (c *Connector) FindMessages(ctx context.Context, records []connectors.Record) ([][]connectors.Found, error) {
	found := make([][]connectors.Found, len(records))
	for i, r := range records {
		var err error
		if found[i], err = c.look(ctx, r); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (c *Connector) look(ctx context.Context, r connectors.Record) ([]connectors.Found, error) {
	const op = "find messages"
	if !r.Known.Zero() {
		a, err := c.api.activity(ctx, op, r.Known.ID)
		if err == nil {
			return []connectors.Found{c.found(ctx, a)}, nil
		}
		if connectors.AsError(op, err).Kind != connectors.NotFound {
			return nil, err
		}
	}
	return c.find(ctx, op, r.Key, r.Contact, r.Message.At, 0)
}

// found answers an activity, and on whose timelines it stands.
func (c *Connector) found(ctx context.Context, a activity) connectors.Found {
	people := []id{a.PersonID}
	for _, p := range a.Participants {
		if p.PersonID != a.PersonID {
			people = append(people, p.PersonID)
		}
	}
	f := connectors.Found{Ref: c.ref(ctx, a.ID, connectors.Ref{ID: a.PersonID.String()})}
	for _, p := range people {
		if p != "" {
			f.Contacts = append(f.Contacts, c.personRef(ctx, p))
		}
	}
	return f
}

// early is how long before the instant of a text its record may have been written,
// as far as anybody can tell: clocks differ, and a status may come with an instant
// of its own.
const early = 7 * 24 * time.Hour

// find looks for the texts with that key, the oldest first: for so many of the
// newest, or for all where most is 0, for which it reads to the end.
func (c *Connector) find(ctx context.Context, op, key string, contact connectors.Ref, at time.Time, most int) ([]connectors.Found, error) {
	var found []connectors.Found
	err := c.api.activities(ctx, op, contact.ID, since(at), func(page []activity) bool {
		for _, a := range page { // the newest first
			if keyOf(a) == key {
				found = append(found, c.found(ctx, a))
			}
		}
		return most > 0 && len(found) >= most
	})
	slices.Reverse(found)
	return found, err
}

func since(at time.Time) time.Time {
	if at.IsZero() {
		return at
	}
	return at.Add(-early)
}

// AdoptMessages implements connectors.Adopter in one request for each text, and in
// one more for one that is taken over. An activity with a description is somebody
// else's, and left alone.
func (c *Connector) AdoptMessages(ctx context.Context, records []connectors.Record) []connectors.Outcome {
	const op = "adopt messages"
	return each(op, records, func(r connectors.Record) (connectors.Ref, connectors.State, error) {
		if r.Contact.Zero() || r.Message.Body == "" {
			return connectors.Ref{}, connectors.NotApplicable, nil
		}
		twin, state, err := c.twin(ctx, op, r)
		if err != nil || state != connectors.Written {
			return twin, state, err
		}
		return twin, state, c.api.describe(ctx, op, twin.ID, marker(r.Key))
	})
}

// twin finds the record of another integration for the same text (Written: it is to
// be marked), or our own (Existed).
func (c *Connector) twin(ctx context.Context, op string, r connectors.Record) (connectors.Ref, connectors.State, error) {
	var twin connectors.Ref
	state := connectors.NotApplicable
	err := c.api.activities(ctx, op, r.Contact.ID, since(r.Message.At), func(page []activity) bool {
		for _, a := range page {
			switch {
			case keyOf(a) == r.Key:
				twin, state = c.ref(ctx, a.ID, r.Contact), connectors.Existed
				return true
			case same(a, r.Message):
				twin, state = c.ref(ctx, a.ID, r.Contact), connectors.Written
			}
		}
		return false
	})
	return twin, state, err
}

// sameTime is how far apart two records of one text may be.
const sameTime = time.Minute

// same reports whether a is another integration's record of the text m.
func same(a activity, m sms.Message) bool {
	at, err := dueAt(a)
	return err == nil && at.Sub(m.At).Abs() <= sameTime && a.PublicDescription == "" && keyOf(a) == "" &&
		directionOf(a) == m.Direction && holds(a.Note, m.Body)
}

func dueAt(a activity) (time.Time, error) {
	if at, err := time.Parse(time.DateOnly+" "+time.TimeOnly, a.DueDate+" "+a.DueTime); err == nil {
		return at, nil
	}
	return time.Parse(time.DateOnly+" "+dueTime, a.DueDate+" "+a.DueTime)
}
