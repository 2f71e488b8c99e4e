package metrics

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"crmsync/activities"
	"crmsync/connectors"
	"crmsync/internal/ingress"
	"crmsync/internal/ledger"
	"crmsync/sms"
)

// counters are what methods add to.
type counters struct {
	webhooks, spool, deliveries, attempts, contacts, requests, redis metric.Int64Counter
	listed, reconciled, runs                                         metric.Int64Counter
	requestTime, consentTime                                         metric.Float64Histogram
}

func newCounters(meter metric.Meter) (c counters, err error) {
	var errs []error
	counter := func(name, help string) metric.Int64Counter {
		counter, err := meter.Int64Counter("crmsync_"+name, metric.WithDescription(help))
		errs = append(errs, err)
		return counter
	}
	c = counters{
		webhooks:   counter("webhooks", "Webhooks by how they were answered."),
		spool:      counter("spool_events", "Events by what happened to them in the spool."),
		deliveries: counter("deliveries", "Deliveries of an event to a connector that ended, or were parked, by outcome."),
		attempts:   counter("attempts", "Attempts of activities at a connector, by result: OK or the kind of error."),
		contacts:   counter("contact_decisions", "Decisions on which contact a number belongs to."),
		requests:   counter("crm_requests", "HTTP requests to a connector's CRM, by class of status; error means that no answer came."),
		listed:     counter("suppressed_numbers", "Numbers on JustCall's do-not-message list, at each comparison: known as opted out, added; or lifted, which are opted out and not on it."),
		reconciled: counter("reconciled", "Texts and statuses that JustCall listed to a run of reconciliation, by what became of them."),
		runs:       counter("reconcile_runs", "Runs of reconciliation that ended, by result."),
		redis:      counter("redis_calls", "Calls to Redis; skipped ones were not tried, since it had just failed."),
	}
	c.consentTime, err = meter.Float64Histogram("crmsync_consent_duration",
		metric.WithUnit("s"), metric.WithDescription("Time from the webhook of an opt-out or opt-in until the connector's CRM had it."))
	errs = append(errs, err)
	c.requestTime, err = meter.Float64Histogram("crmsync_crm_request_duration",
		metric.WithUnit("s"), metric.WithDescription("Time until a connector's CRM began to answer a request."))
	return c, errors.Join(append(errs, err)...)
}

// start begins counters at zero where an alert looks at their increase, which
// Prometheus cannot see of a series that begins at one.
func (m *Metrics) start() {
	for _, what := range ingress.SpoolEvents() {
		m.count(what, 0)
	}
	for o := range outcomes {
		if o.Reason == ingress.NoAccount {
			add(m.counters.webhooks, 0, webhook(Other, o)...)
			continue
		}
		for account := range m.accounts {
			add(m.counters.webhooks, 0, webhook(account, o)...)
		}
	}
	for account := range m.accounts {
		add(m.counters.listed, 0, listed(account, "added")...)
		m.reconciled(account, activities.Counts{}, false, 0)
		m.reconciled(account, activities.Counts{}, true, 0)
	}
}

func add(c metric.Int64Counter, n int64, labels ...attribute.KeyValue) {
	c.Add(context.Background(), n, metric.WithAttributeSet(attribute.NewSet(labels...)))
}

// The fixed lists of labels.
var (
	outcomes  = outcomeSet()
	decisions = setOf(activities.Decisions())
	kinds     = setOf([]sms.Kind{sms.Received, sms.Sent, sms.Delivered, sms.Failed, sms.OptOut, sms.OptIn})
	states    = setOf([]connectors.State{connectors.Written, connectors.Existed, connectors.NotApplicable, activities.Superseded, activities.Adopted, Parked})
	results   = setOf([]string{
		OK, Canceled, activities.Waiting, activities.GivenBack, activities.NoContact, activities.SeveralContacts,
		string(connectors.Unavailable), string(connectors.RateLimited), string(connectors.Unknown), string(connectors.Auth),
		string(connectors.Invalid), string(connectors.Forbidden), string(connectors.NotFound), string(connectors.Conflict),
		string(connectors.Unsupported),
	})
)

func outcomeSet() map[ingress.Outcome]bool {
	s := map[ingress.Outcome]bool{}
	for _, o := range ingress.Outcomes() {
		s[o] = true
	}
	return s
}

var _ ingress.Metrics = (*Metrics)(nil)

// Webhook counts a webhook that was answered. An account that is not configured
// is counted as Other.
func (m *Metrics) Webhook(account string, o ingress.Outcome) {
	if !outcomes[o] {
		o = ingress.Outcome{Result: Other}
	}
	add(m.counters.webhooks, 1, webhook(m.accounts.label(account), o)...)
}

// Spool counts what happened to an event in the spool.
func (m *Metrics) Spool(what ingress.SpoolEvent) { m.count(what, 1) }

func (m *Metrics) count(what ingress.SpoolEvent, n int64) {
	add(m.counters.spool, n, attribute.String("result", string(what)))
}

func webhook(account string, o ingress.Outcome) []attribute.KeyValue {
	return []attribute.KeyValue{
		attribute.String("account", account), attribute.String("result", o.Result), attribute.String("reason", o.Reason),
	}
}

// Parked is the outcome of a delivery that waits for a person.
const Parked connectors.State = "parked"

// Delivery counts a delivery that ended, or was parked.
func (m *Metrics) Delivery(connector string, kind sms.Kind, outcome connectors.State) {
	add(m.counters.deliveries, 1, m.connector(connector),
		attribute.String("kind", kinds.label(string(kind))), attribute.String("outcome", states.label(string(outcome))))
}

// The results of an attempt beside the kinds of error.
const (
	OK       = "OK"
	Canceled = "CANCELED"
)

// Attempt counts an attempt of an activity, whose name is one of ours.
func (m *Metrics) Attempt(connector, activity, result string) {
	add(m.counters.attempts, 1, m.connector(connector),
		attribute.String("activity", activity), attribute.String("result", results.label(result)))
}

var _ activities.Metrics = (*Metrics)(nil)

// Contact counts a decision on a number's contact.
func (m *Metrics) Contact(connector string, d activities.Decision) {
	add(m.counters.contacts, 1, m.connector(connector), attribute.String("decision", decisions.label(string(d))))
}

// Consent measures how long an opt-out or opt-in took from its webhook to a CRM.
func (m *Metrics) Consent(connector string, optedOut bool, took time.Duration) {
	change := "opt_in"
	if optedOut {
		change = "opt_out"
	}
	m.counters.consentTime.Record(context.Background(), took.Seconds(),
		metric.WithAttributeSet(attribute.NewSet(m.connector(connector), attribute.String("change", change))))
}

// Listed counts what a comparison with a do-not-message list found.
func (m *Metrics) Listed(r activities.ConsentReport) {
	account := m.accounts.label(r.Account)
	add(m.counters.listed, int64(r.Known), listed(account, "known")...)
	add(m.counters.listed, int64(r.Added), listed(account, "added")...)
	add(m.counters.listed, int64(r.Lifted), listed(account, "lifted")...)
}

func listed(account, result string) []attribute.KeyValue {
	return []attribute.KeyValue{attribute.String("account", account), attribute.String("result", result)}
}

// Reconciled counts a run of reconciliation that ended, and what it found.
func (m *Metrics) Reconciled(account string, c activities.Counts, idsDiffer bool) {
	m.reconciled(m.accounts.label(account), c, idsDiffer, 1)
}

func (m *Metrics) reconciled(account string, c activities.Counts, idsDiffer bool, runs int64) {
	result := "ok"
	if idsDiffer {
		result = "ids_differ"
	}
	label := attribute.String("account", account)
	add(m.counters.runs, runs, label, attribute.String("result", result))
	for kind, tally := range map[string]activities.Tally{"text": c.Tally, "status": c.Statuses} {
		for outcome, n := range map[string]int{
			"listed": tally.Listed, "known": tally.Known, "missing": tally.Missing, "repaired": tally.Repaired,
			"skipped": tally.Skipped, "quarantined": tally.Quarantined,
		} {
			add(m.counters.reconciled, int64(n), label, attribute.String("kind", kind), attribute.String("outcome", outcome))
		}
	}
}

// Redis counts a call of the ledger, as its Options.OnOp.
func (m *Metrics) Redis(op string, err error) {
	result := "ok"
	switch {
	case errors.Is(err, ledger.ErrSkipped), errors.Is(err, ledger.ErrUnbound):
		result = "skipped"
	case err != nil:
		result = "error"
	}
	add(m.counters.redis, 1, attribute.String("op", op), attribute.String("result", result))
}

func (m *Metrics) connector(name string) attribute.KeyValue {
	return attribute.String("connector", m.crms.label(name))
}
