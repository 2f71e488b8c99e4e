package activities_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"crmsync/activities"
	"crmsync/connectors"
	"crmsync/sms"
)

// users makes the CRM know people by e-mail address.
func (c *crm) users(ids map[string]string) {
	c.owners = func(email string) (string, error) { return ids[email], nil }
}

// by is an outbound text of an agent to a contact without an owner.
func by(agent sms.Agent) activities.DeliverInput {
	in := to("1")
	in.Event = outbound(sms.Sent)
	in.Event.Message.Agent = agent
	return in
}

func TestOwner(t *testing.T) {
	t.Parallel()
	ann := sms.Agent{ID: "7", Name: "Ann Lee", Email: "ann@example.com"}
	everywhere := []string{"agent", "line", "contact"}
	for name, c := range map[string]struct {
		agent   sms.Agent
		from    []string
		instead string // the default
		contact string // the contact's owner
		want    string
	}{
		"the agent, by e-mail":             {agent: ann, from: everywhere, contact: "c", want: "ann"},
		"however it is spelt":              {agent: sms.Agent{Email: " Ann@Example.com"}, from: everywhere, want: "ann"},
		"the agent, by id":                 {agent: sms.Agent{ID: "8"}, from: everywhere, want: "bob"},
		"the agent, by name":               {agent: sms.Agent{Name: "Cy Doe"}, from: everywhere, want: "cy"},
		"the agent's address in the CRM":   {agent: sms.Agent{Email: "Robert@example.com"}, from: everywhere, want: "bob"},
		"the line's, where no agent":       {from: everywhere, contact: "c", want: "line"},
		"the line's, the agent being none": {agent: sms.Agent{Email: "x@example.com"}, from: everywhere, want: "line"},
		"in the configured order":          {agent: ann, from: []string{"contact", "agent"}, contact: "c", want: "c"},
		"the contact's":                    {agent: ann, from: []string{"contact"}, contact: "c", want: "c"},
		"the default":                      {agent: sms.Agent{Email: "x@example.com"}, from: []string{"agent", "contact"}, instead: "ops@example.com", want: "ops"},
		"only the default":                 {agent: ann, contact: "c", instead: "ops@example.com", want: "ops"},
		"nobody":                           {agent: sms.Agent{Email: "x@example.com"}, from: []string{"agent"}, contact: "c"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.crm.users(map[string]string{
				"ann@example.com": "ann", "bob@example.com": "bob", "cy@example.com": "cy", "line@example.com": "line", "ops@example.com": "ops",
			})
			w.acts.Staff = map[string]activities.Staff{
				"main": {
					Agents: map[string]string{"8": "bob@example.com", "cy doe": "cy@example.com", "robert@example.com": "bob@example.com"},
					Lines:  map[sms.Phone]string{line: "line@example.com"},
				},
				"other": {Agents: map[string]string{"7": "line@example.com"}},
			}
			w.inst.Owner = activities.OwnerPolicy{From: c.from, Default: c.instead}
			in := by(c.agent)
			in.Match.OwnerID = c.contact
			_, err := w.deliver(in)
			require.NoError(t, err)
			require.Equal(t, c.want, w.crm.records[0].OwnerID)
		})
	}
}

// Each is asked for once, also who is nobody.
func TestOwnerCostsNoCallOnceItIsKnown(t *testing.T) {
	t.Parallel()
	for _, ids := range []map[string]string{{"ann@example.com": "ann"}, {}} {
		w := newWorld(t)
		w.crm.users(ids)
		for _, id := range []string{"msg_1", "msg_2", "msg_3"} {
			in := by(sms.Agent{Email: "ann@example.com"})
			in.Event.Message.ID = id
			_, err := w.deliver(in)
			require.NoError(t, err)
		}
		require.Equal(t, []string{"owner", "put", "put", "put"}, w.crm.calls)
		require.Equal(t, ids["ann@example.com"], w.crm.records[2].OwnerID)
		for _, key := range w.redis.Keys() {
			require.NotContains(t, key, "ann")
		}
	}
}

func TestNewContactHasAnOwner(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.crm.users(map[string]string{"ann@example.com": "ann"})
	in := live()
	in.Event.Message.Agent.Email = "ann@example.com"
	out, err := w.deliver(in)
	require.NoError(t, err)
	require.True(t, out.Asked)
	ask := w.temporal.asked()
	require.Equal(t, "ann", ask.OwnerID)

	var created []connectors.NewContact
	w.crm.create = func(n connectors.NewContact) (connectors.Contact, error) {
		if created = append(created, n); n.OwnerID != "" {
			return connectors.Contact{}, &connectors.Error{Op: "create contact", Kind: connectors.Invalid}
		}
		return connectors.Contact{Ref: ref("new")}, nil
	}
	_, err = run[activities.Created](w, w.acts.CreateContact, ask)
	require.NoError(t, err)
	require.Len(t, created, 2, "one whom the CRM does not take as an owner is left out")
	require.Equal(t, "ann", created[0].OwnerID)
	require.Empty(t, created[1].OwnerID)
}

// A contact that is there keeps its owner, and nobody is looked up for one that
// will not be created.
func TestOwnerOfNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.crm.finds("1", "2")
	w.inst.Contacts.CreateWhen = "never"
	in := live()
	in.Event.Message.Agent.Email = "ann@example.com"
	out, err := w.deliver(in)
	require.NoError(t, err)
	require.True(t, out.Asked)
	require.Empty(t, w.temporal.asked().OwnerID)
	require.Equal(t, []string{"find"}, w.crm.calls)
}

func TestFailureToFindAnOwner(t *testing.T) {
	t.Parallel()
	for _, kind := range []connectors.Kind{connectors.Unavailable, connectors.RateLimited, connectors.Unknown, connectors.Auth} {
		w := newWorld(t)
		w.crm.caps.Class = connectors.ClassD
		w.crm.owners = func(string) (string, error) { return "", &connectors.Error{Op: "find owners", Kind: kind} }
		_, err := w.deliver(by(sms.Agent{Email: "ann@example.com"}))
		retried(t, string(kind), err)
		require.Equal(t, 0, times(w.crm.calls, "put"))
		require.True(t, w.ledger.WinIntent(t.Context(), "crm", "main/msg_1"), "nothing was intended yet")
	}
	for _, kind := range []connectors.Kind{connectors.Forbidden, connectors.Unsupported, connectors.Invalid} {
		w := newWorld(t)
		w.crm.owners = func(string) (string, error) { return "", &connectors.Error{Op: "find owners", Kind: kind} }
		in := by(sms.Agent{Email: "ann@example.com"})
		in.Match.OwnerID = "c"
		for range 2 {
			_, err := w.deliver(in)
			require.NoError(t, err)
			require.Equal(t, "c", w.crm.records[0].OwnerID, "who else there is")
		}
		require.Equal(t, 1, times(w.crm.calls, "owner"))
	}
}

func TestCRMWithoutUsersIsNotAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.bare()
	_, err := w.deliver(by(sms.Agent{Email: "ann@example.com"}))
	require.NoError(t, err)
	require.Equal(t, []string{"put"}, w.crm.calls)
}

// A user who has left must not keep a text from the timeline.
func TestTextIsPutWithoutAnOwnerWhomTheCRMRefuses(t *testing.T) {
	t.Parallel()
	for _, ambiguous := range []bool{false, true} {
		w := newWorld(t)
		w.crm.put = func(r connectors.Record) []connectors.Outcome {
			if r.OwnerID == "" {
				return []connectors.Outcome{{Ref: ref("record"), State: connectors.Written}}
			}
			err := &connectors.Error{Op: "put messages", Kind: connectors.Invalid, Ambiguous: ambiguous}
			return []connectors.Outcome{{State: connectors.Failed, Err: err}}
		}
		in := to("1")
		in.Match.OwnerID = "gone"
		out, err := w.deliver(in)
		if ambiguous {
			parked(t, string(connectors.Invalid), err)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, connectors.Written, out.State)
	}
	w := newWorld(t)
	w.crm.put = fails[connectors.Record](connectors.Invalid)
	in := to("1")
	in.Match.OwnerID = "here"
	_, err := w.deliver(in)
	parked(t, string(connectors.Invalid), err)
	require.Len(t, w.crm.records, 2)
}

// directory is what JustCall says of its people.
type directory struct {
	agents map[string]string
	lines  map[sms.Phone]string
	asked  int
}

func (d *directory) Agent(_ context.Context, id string) string {
	d.asked++
	return d.agents[id]
}

func (d *directory) Line(_ context.Context, line sms.Phone) string {
	d.asked++
	return d.lines[line]
}

// JustCall is asked only where neither the event nor the configuration knows.
func TestOwnerByJustCall(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		agent sms.Agent
		from  []string
		want  string
		asked int
	}{
		"the agent, by id":            {sms.Agent{ID: "7"}, []string{"agent", "line"}, "ann", 1},
		"an agent whom nobody knows":  {sms.Agent{ID: "9"}, []string{"agent", "line"}, "bob", 2},
		"no agent":                    {sms.Agent{}, []string{"agent", "line"}, "bob", 1},
		"the event says who":          {sms.Agent{ID: "7", Email: "cy@example.com"}, []string{"agent", "line"}, "cy", 0},
		"the configuration says who":  {sms.Agent{ID: "8"}, []string{"agent", "line"}, "cy", 0},
		"nobody asks for agent, line": {sms.Agent{ID: "7"}, []string{"contact"}, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.crm.users(map[string]string{"ann@example.com": "ann", "bob@example.com": "bob", "cy@example.com": "cy"})
			people := &directory{agents: map[string]string{"7": "ann@example.com", "8": "ann@example.com"}, lines: map[sms.Phone]string{line: "bob@example.com"}}
			w.acts.People = map[string]activities.People{"main": people}
			w.acts.Staff = map[string]activities.Staff{"main": {Agents: map[string]string{"8": "cy@example.com"}}}
			w.inst.Owner = activities.OwnerPolicy{From: c.from}
			_, err := w.deliver(by(c.agent))
			require.NoError(t, err)
			require.Equal(t, c.want, w.crm.records[0].OwnerID)
			require.Equal(t, c.asked, people.asked)
		})
	}
}

// A CRM that cannot look users up costs JustCall no request.
func TestJustCallIsNotAskedForNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.bare()
	w.crm.caps = connectors.Capabilities{Class: connectors.ClassA}
	people := &directory{}
	w.acts.People = map[string]activities.People{"main": people}
	_, err := w.deliver(by(sms.Agent{ID: "7"}))
	require.NoError(t, err)
	require.Zero(t, people.asked)
}
