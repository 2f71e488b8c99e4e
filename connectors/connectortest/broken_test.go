package connectortest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/rest"
	"crmsync/sms"
)

// altered is testcrm with one defect: a verb that is not nil takes the place of
// testcrm's own.
type altered struct {
	*testcrm
	check     func(context.Context) (connectors.Capabilities, error)
	put       verbOf[connectors.Record]
	find      func(context.Context, []sms.Phone) ([][]connectors.Contact, error)
	create    func(context.Context, connectors.NewContact) (connectors.Contact, error)
	status    verbOf[connectors.StatusChange]
	consent   verbOf[connectors.ConsentChange]
	adopt     verbOf[connectors.Record]
	read      func([]connectors.Record, [][]connectors.Found) // changes what was found
	owners    func(context.Context, []string) ([]string, error)
	provision func(context.Context, bool) ([]connectors.Change, error)
}

type verbOf[T any] func(context.Context, []T) []connectors.Outcome

func (a *altered) Check(ctx context.Context) (connectors.Capabilities, error) {
	if a.check != nil {
		return a.check(ctx)
	}
	return a.testcrm.Check(ctx)
}

func (a *altered) PutMessages(ctx context.Context, records []connectors.Record) []connectors.Outcome {
	if a.put != nil {
		return a.put(ctx, records)
	}
	return a.testcrm.PutMessages(ctx, records)
}

func (a *altered) FindContacts(ctx context.Context, phones []sms.Phone) ([][]connectors.Contact, error) {
	if a.find != nil {
		return a.find(ctx, phones)
	}
	return a.testcrm.FindContacts(ctx, phones)
}

func (a *altered) CreateContact(ctx context.Context, n connectors.NewContact) (connectors.Contact, error) {
	if a.create != nil {
		return a.create(ctx, n)
	}
	return a.testcrm.CreateContact(ctx, n)
}

func (a *altered) UpdateStatus(ctx context.Context, changes []connectors.StatusChange) []connectors.Outcome {
	if a.status != nil {
		return a.status(ctx, changes)
	}
	return a.testcrm.UpdateStatus(ctx, changes)
}

func (a *altered) SetConsent(ctx context.Context, changes []connectors.ConsentChange) []connectors.Outcome {
	if a.consent != nil {
		return a.consent(ctx, changes)
	}
	return a.testcrm.SetConsent(ctx, changes)
}

func (a *altered) AdoptMessages(ctx context.Context, records []connectors.Record) []connectors.Outcome {
	if a.adopt != nil {
		return a.adopt(ctx, records)
	}
	return a.testcrm.AdoptMessages(ctx, records)
}

func (a *altered) FindOwners(ctx context.Context, emails []string) ([]string, error) {
	if a.owners != nil {
		return a.owners(ctx, emails)
	}
	return a.testcrm.FindOwners(ctx, emails)
}

func (a *altered) Provision(ctx context.Context, dryRun bool) ([]connectors.Change, error) {
	if a.provision != nil {
		return a.provision(ctx, dryRun)
	}
	return a.testcrm.Provision(ctx, dryRun)
}

// altering changes what PutMessages answers.
func altering(change func(*connectors.Outcome)) func(*altered) {
	return func(a *altered) {
		a.put = func(ctx context.Context, records []connectors.Record) []connectors.Outcome {
			out := a.testcrm.PutMessages(ctx, records)
			for i := range out {
				if out[i].Err != nil {
					e := *out[i].Err
					out[i].Err = &e
				}
				change(&out[i])
			}
			return out
		}
	}
}

func onError(change func(*connectors.Error)) func(*altered) {
	return altering(func(o *connectors.Outcome) {
		if o.Err != nil {
			change(o.Err)
		}
	})
}

// A suite that cannot fail is a defect: each of these breaks one clause, and the
// case that must notice is named.
func TestSuiteFindsDefects(t *testing.T) {
	t.Parallel()
	for _, d := range []struct {
		defect string
		class  connectors.Class
		alter  func(*altered)
		found  string
	}{
		{"retries by itself", "B", retries, "put/503 with a page"},
		{"retries what was limited", "B", retries, "put/429 with Retry-After"},
		{"writes twice", "D", writesTwice, "put/arrives"},
		{"swallows an empty answer", "B", altering(swallow), "put/200 without a body"},
		{"swallows an empty result", "B", altering(swallow), "put/200 with an empty result"},
		{"swallows a page", "B", altering(swallow), "put/200 with a page"},
		{"leaks the token", "B", onError(leakToken), "put/401"},
		{"repeats the text in an error", "B", onError(leakText), "put/403"},
		{"takes a lost answer for a failure", "D", onError(certain), "put/answer lost"},
		{"takes a truncated answer for a failure", "B", onError(certain), "put/answer truncated"},
		{"doubts everything", "B", onError(doubtful), "put/401"},
		{"doubts a refused connection", "B", onError(doubtful), "put/connection refused"},
		{"forgets Retry-After", "B", onError(func(e *connectors.Error) { e.RetryAfter = 0 }), "put/429 for the day"},
		{"parks what was limited", "B", onError(func(e *connectors.Error) { e.Kind = connectors.Invalid }), "put/429 without Retry-After"},
		{"says existed for written", "B", altering(func(o *connectors.Outcome) { o.State = connectors.Existed }), "put/arrives"},
		{"says written for existed", "C", altering(func(o *connectors.Outcome) { o.State = connectors.Written }), "put/twice is once"},
		{"takes the poisoned item for written", "B", altering(swallow), "put/one poisoned item"},
		{"answers too few outcomes", "B", tooFew, "put/arrives"},
		{"answers an error of its own type", "B", ownError, "find contacts/500"},
		{"finds nobody when the CRM is down", "B", findsNobody, "find contacts/503 with a page"},
		{"finds whoever looks alike", "B", looksAlike, "find contacts/near misses"},
		{"resets the status in a put", "B", resetsStatus, "put/leaves the status alone"},
		{"creates a text for a status", "B", createsForStatus, "status/unknown text"},
		{"ignores the context", "B", ignoresContext, "put/context ended before"},
		{"has no limit", "B", noLimit, "put/200 without an end"},
		{"leaves a goroutine", "B", leavesGoroutine, "no goroutine is left"},
		{"compares keys carelessly", "B", carelessKeys, "put/keys that look alike"},
		{"cuts the text at a NUL", "B", cutsText, "put/hostile text: NUL"},
		{"panics", "B", func(a *altered) { a.put = nil; a.testcrm.api = nil }, "put/arrives"},
		{"writes during Check", "B", writesInCheck, "check/capabilities"},
	} {
		t.Run(d.defect, func(t *testing.T) {
			t.Parallel()
			mustNotice(t, d.class, d.alter, d.found)
		})
	}
}

// mustNotice requires that a case fails with the defect, and only with it.
func mustNotice(t *testing.T, class connectors.Class, alter func(*altered), found string) {
	t.Helper()
	h := harness(class, 10)
	require.Empty(t, judgeCase(t, h, found), "without the defect")
	h.Definition = defective(alter)
	failure := judgeCase(t, h, found)
	require.NotEmpty(t, failure, "the suite does not notice")
	t.Log(failure)
}

// hollow offers less than it says.
type hollow struct{ connectors.Connector }

func TestSuiteFindsWidenedCapabilities(t *testing.T) {
	t.Parallel()
	h := harness(connectors.ClassB, 10)
	inner := h.Definition.Open
	h.Definition.Open = func(c connectors.Config, env connectors.Env) (connectors.Connector, error) {
		whole, err := inner(c, env)
		return hollow{whole}, err
	}
	require.Contains(t, judgeCase(t, h, "check/capabilities"), "widens")
}

func TestSuiteFindsOpenWithIO(t *testing.T) {
	t.Parallel()
	h := harness(connectors.ClassB, 10)
	inner := h.Definition.Open
	h.Definition.Open = func(c connectors.Config, env connectors.Env) (connectors.Connector, error) {
		opened, err := inner(c, env)
		if err == nil {
			_, _ = opened.Check(context.Background())
		}
		return opened, err
	}
	failure := examine(t, h, exampleOpens)
	require.Contains(t, failure, "Open did I/O")
}

func judgeCase(t *testing.T, h Harness, name string) string {
	t.Helper()
	for _, c := range allCases(h) {
		if c.name == name {
			return verdict{c, true}.judge(t, h)
		}
	}
	require.Fail(t, "no such case", name)
	return ""
}

func defective(alter func(*altered)) connectors.Definition {
	d := Definition(Options{MaxBatch: 10})
	d.Open = func(c connectors.Config, env connectors.Env) (connectors.Connector, error) {
		inner, err := openTestCRM(c, env)
		if err != nil {
			return nil, err
		}
		a := &altered{testcrm: inner}
		alter(a)
		return a, nil
	}
	return d
}

func retries(a *altered) {
	a.put = func(ctx context.Context, records []connectors.Record) []connectors.Outcome {
		out := a.testcrm.PutMessages(ctx, records)
		if out[0].Err != nil {
			return a.testcrm.PutMessages(ctx, records)
		}
		return out
	}
}

func writesTwice(a *altered) {
	a.put = func(ctx context.Context, records []connectors.Record) []connectors.Outcome {
		a.testcrm.PutMessages(ctx, records)
		return a.testcrm.PutMessages(ctx, records)
	}
}

func swallow(o *connectors.Outcome) {
	if o.Err != nil {
		*o = connectors.Outcome{State: connectors.Written, Ref: connectors.Ref{ID: "1"}}
	}
}

func leakToken(e *connectors.Error) { e.Err = errors.New("refused: Bearer t0ken-s3cret") }
func leakText(e *connectors.Error)  { e.Err = fmt.Errorf("refused: text %s", confidential) }
func certain(e *connectors.Error)   { e.Ambiguous = false }
func doubtful(e *connectors.Error)  { e.Ambiguous = true }

func tooFew(a *altered) {
	a.put = func(ctx context.Context, records []connectors.Record) []connectors.Outcome {
		return a.testcrm.PutMessages(ctx, records)[1:]
	}
}

func ownError(a *altered) {
	a.find = func(ctx context.Context, phones []sms.Phone) ([][]connectors.Contact, error) {
		found, err := a.testcrm.FindContacts(ctx, phones)
		if err != nil {
			err = errors.New("does not work")
		}
		return found, err
	}
}

func findsNobody(a *altered) {
	a.find = func(ctx context.Context, phones []sms.Phone) ([][]connectors.Contact, error) {
		found, _ := a.testcrm.FindContacts(ctx, phones)
		if found == nil {
			found = make([][]connectors.Contact, len(phones))
		}
		return found, nil
	}
}

func looksAlike(a *altered) {
	a.find = func(ctx context.Context, phones []sms.Phone) ([][]connectors.Contact, error) {
		var out apiContacts
		_, err := a.api.Do(ctx, rest.Request{Op: "find", Method: "POST", Path: "contacts/search", Body: apiBatch[sms.Phone]{phones}, Into: &out})
		found := make([][]connectors.Contact, len(phones))
		for i, contacts := range out.Contacts {
			for _, c := range contacts {
				found[i] = append(found[i], ours(c, phones[i]))
			}
		}
		return found, err
	}
}

func resetsStatus(a *altered) {
	a.put = func(ctx context.Context, records []connectors.Record) []connectors.Outcome {
		out := a.testcrm.PutMessages(ctx, records)
		for _, r := range records {
			a.testcrm.UpdateStatus(ctx, []connectors.StatusChange{change(r, sms.StatusSent)})
		}
		return out
	}
}

func createsForStatus(a *altered) {
	a.status = func(ctx context.Context, changes []connectors.StatusChange) []connectors.Outcome {
		for _, c := range changes {
			a.testcrm.PutMessages(ctx, []connectors.Record{{Key: c.Key, Contact: c.Contact, Message: c.Message}})
		}
		return a.testcrm.UpdateStatus(ctx, changes)
	}
}

func ignoresContext(a *altered) {
	a.put = func(ctx context.Context, records []connectors.Record) []connectors.Outcome {
		return a.testcrm.PutMessages(context.WithoutCancel(ctx), records)
	}
}

func noLimit(a *altered) { rest.WithMaxAnswer(1 << 40)(a.api) }

func leavesGoroutine(a *altered) {
	a.check = func(ctx context.Context) (connectors.Capabilities, error) { return a.testcrm.Check(ctx) }
	a.put = func(ctx context.Context, records []connectors.Record) []connectors.Outcome {
		go func() { <-ctx.Done() }()
		return a.testcrm.PutMessages(ctx, records)
	}
}

func carelessKeys(a *altered) {
	a.put = func(ctx context.Context, records []connectors.Record) []connectors.Outcome {
		lower := append([]connectors.Record(nil), records...)
		for i := range lower {
			lower[i].Key = strings.ToLower(lower[i].Key)
		}
		return a.testcrm.PutMessages(ctx, lower)
	}
}

func cutsText(a *altered) {
	a.put = func(ctx context.Context, records []connectors.Record) []connectors.Outcome {
		cut := append([]connectors.Record(nil), records...)
		for i := range cut {
			cut[i].Body, _, _ = strings.Cut(cut[i].Body, "\x00")
		}
		return a.testcrm.PutMessages(ctx, cut)
	}
}

func writesInCheck(a *altered) {
	a.check = func(ctx context.Context) (connectors.Capabilities, error) {
		a.testcrm.PutMessages(ctx, []connectors.Record{record(99, connectors.Ref{})})
		return a.testcrm.Check(ctx)
	}
}
