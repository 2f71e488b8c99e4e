package ingress

import (
	"slices"

	"crmsync/internal/justcall"
)

// Metrics is told how each webhook was answered. Its methods are safe for
// concurrent use and return at once.
type Metrics interface {
	// Webhook: the account is as the request says, and may be anything.
	Webhook(account string, o Outcome)
	// Spool: something happened to an event in the spool.
	Spool(what SpoolEvent)
}

// SpoolEvent is what happened to an event in the spool, as a label.
type SpoolEvent string

// What happens in the spool.
const (
	Spooled    SpoolEvent = "spooled"   // Temporal did not take it in time
	NotSpooled SpoolEvent = "not_taken" // the spool did not either: 503
	Drained    SpoolEvent = "drained"   // Temporal has taken it
	Dead       SpoolEvent = "dead"      // Temporal never will
)

// SpoolEvents answers every SpoolEvent there is.
func SpoolEvents() []SpoolEvent { return []SpoolEvent{Spooled, NotSpooled, Drained, Dead} }

// Outcome is how a webhook was answered, as labels of a metric. Reason is set
// where Result is ignored or refused.
type Outcome struct{ Result, Reason string }

// noConnector is the reason of an event that no connector is for.
const noConnector = "no_connector"

// refused is the result of everything that is not answered 200.
const refused = "refused"

// Outcomes answers every Outcome there is.
func Outcomes() []Outcome {
	all := []Outcome{{Accepted, ""}, {Duplicate, ""}, {Ping, ""}, {Quarantined, ""}, {Ignored, noConnector}}
	for _, reason := range []justcall.Reason{
		justcall.ReasonOtherType, justcall.ReasonNotFinal, justcall.ReasonUnknownStatus, justcall.ReasonNoConsent,
	} {
		all = append(all, Outcome{Ignored, string(reason)})
	}
	for _, result := range []string{Refused, NoAccount, WrongMethod, TooLarge, Unavailable} {
		all = append(all, Outcome{refused, result})
	}
	return all
}

// outcome sorts an answer. Its reason is a label only where that is one of a few
// words.
func outcome(a Answer) Outcome {
	o := Outcome{Result: refused, Reason: a.Result}
	switch {
	case a.Result == Ignored && a.Key != "": // an event, so that only its way out is missing
		o = Outcome{Ignored, noConnector}
	case a.Result == Ignored:
		o = Outcome{Ignored, a.Reason}
	case slices.Contains([]string{Accepted, Duplicate, Ping, Quarantined}, a.Result):
		o = Outcome{Result: a.Result}
	}
	return o
}
