package httpapi

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"crmsync/connectors"
)

// PutMessages implements connectors.Connector: one request for each text, or
// for each batch. A text without a contact is not applicable where the request's
// path names one.
func (c *Connector) PutMessages(ctx context.Context, records []connectors.Record) []connectors.Outcome {
	if c.cfg.PutMessage.Batch == 0 {
		return each(records, func(r connectors.Record) connectors.Outcome { return c.putOne(ctx, r) })
	}
	var out []connectors.Outcome
	for len(records) > 0 {
		n := min(c.cfg.PutMessage.Batch, len(records))
		out = append(out, c.putBatch(ctx, records[:n])...)
		records = records[n:]
	}
	return out
}

func (c *Connector) putOne(ctx context.Context, r connectors.Record) connectors.Outcome {
	input := newText(r)
	if needsMore(c.put.path, input) {
		return connectors.Outcome{State: connectors.NotApplicable}
	}
	if c.cfg.PutMessage.LookFirst {
		ref, err := c.readBack(ctx, r)
		if err != nil {
			return failed(err)
		}
		if !ref.Zero() {
			return connectors.Outcome{Ref: ref, State: connectors.Existed}
		}
	}
	e, said, err := c.put.call(ctx, r.Key, input, 0)
	if err != nil {
		return failed(err)
	}
	return c.outcome(ctx, e, said, r)
}

// outcome reads which record an answer, or an item of it, is about.
func (c *Connector) outcome(ctx context.Context, e env, said string, r connectors.Record) connectors.Outcome {
	ref, err := c.put.refOf(e)
	if said != existed {
		if err != nil {
			return failed(c.put.unclear(e, err))
		}
		return connectors.Outcome{Ref: ref, State: connectors.Written}
	}
	if err != nil && c.read != nil {
		// A refusal need not say what stands in its way.
		var failure *connectors.Error
		if ref, failure = c.readBack(ctx, r); failure != nil {
			return failed(failure)
		}
	}
	return connectors.Outcome{Ref: ref, State: connectors.Existed}
}

func (c *Connector) putBatch(ctx context.Context, records []connectors.Record) []connectors.Outcome {
	input := batch{make([]text, len(records))}
	for i, r := range records {
		input.Items[i] = newText(r)
	}
	e, _, failure := c.put.call(ctx, "", input, len(records))
	if failure != nil {
		return connectors.FailAll(len(records), failure)
	}
	items, err := list(c.put.result["items"], e)
	if err == nil && len(items) != len(records) {
		err = errors.New("result.items has not one item for each text")
	}
	if err != nil {
		return connectors.FailAll(len(records), c.put.unclear(e, err))
	}
	out := make([]connectors.Outcome, len(records))
	for i, item := range items {
		out[i] = c.outcomeOf(ctx, item, records[i])
	}
	return out
}

// outcomeOf judges one item of a batch.
func (c *Connector) outcomeOf(ctx context.Context, e env, r connectors.Record) connectors.Outcome {
	if x := c.put.result["status"]; x != nil {
		code, err := statusOf(x, e)
		if err != nil {
			return failed(c.put.unclear(e, err))
		}
		e["status"] = code
	}
	said, failure := c.put.judge(e, 0, nil)
	if failure != nil {
		return failed(failure)
	}
	return c.outcome(ctx, e, said, r)
}

func statusOf(x *expression, e env) (int, error) {
	s, err := word(x, e)
	if err != nil {
		return 0, err
	}
	code, err := strconv.Atoi(s)
	if err != nil || code < 100 || code > 599 {
		return 0, fmt.Errorf("%s is not an HTTP status", x.key)
	}
	return code, nil
}

// readBack answers the record of a text, zero for none.
func (c *Connector) readBack(ctx context.Context, r connectors.Record) (connectors.Ref, *connectors.Error) {
	found, failure := c.lookUp(ctx, r)
	return connectors.Oldest(found), failure
}

// lookUp answers all records of a text, in the order of the answer.
func (c *Connector) lookUp(ctx context.Context, r connectors.Record) ([]connectors.Found, *connectors.Error) {
	input := newText(r)
	if needsMore(c.read.path, input) {
		err := errors.New("find_message needs a contact in its path, and the text has none")
		return nil, &connectors.Error{Op: reading.op, Kind: connectors.Unsupported, Err: err}
	}
	e, said, failure := c.read.call(ctx, "", input, 0)
	if failure != nil || said == isNone {
		return nil, failure
	}
	items, err := list(c.read.result["items"], e)
	if err != nil {
		return nil, c.read.unclear(e, err)
	}
	var found []connectors.Found
	for _, item := range items {
		text, matches, err := c.foundIn(item)
		if err != nil {
			return nil, c.read.unclear(e, err)
		}
		if matches {
			found = append(found, text)
		}
	}
	return found, nil
}

// foundIn reads one item. One without an id is no record: the answer is not what it
// seems.
func (c *Connector) foundIn(e env) (text connectors.Found, matches bool, err error) {
	if text.Ref, err = c.read.refOf(e); err != nil {
		return text, false, err
	}
	if matches, err = c.matches(e); err != nil || !matches {
		return text, false, err
	}
	text.Contacts, err = contactsOf(c.read.result["contact"], e)
	return text, true, err
}

// contactsOf reads the id of a contact, or a list of them.
func contactsOf(x *expression, e env) ([]connectors.Ref, error) {
	if x == nil {
		return nil, nil
	}
	v, err := x.eval(e)
	if err != nil {
		return nil, err
	}
	ids, several := v.([]any)
	if !several {
		ids = []any{v}
	}
	var contacts []connectors.Ref
	for _, v := range ids {
		id, ok := asWord(v)
		if !ok {
			return nil, errors.New("result.contact is neither an id nor a list of them")
		}
		if id != "" {
			contacts = append(contacts, connectors.Ref{ID: id})
		}
	}
	return contacts, nil
}

func (c *Connector) matches(e env) (bool, error) {
	v, err := c.read.result["match"].eval(e)
	if err != nil {
		return false, err
	}
	matches, ok := v.(bool)
	if !ok {
		return false, errors.New("result.match is neither true nor false")
	}
	return matches, nil
}
