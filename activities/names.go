package activities

import "crmsync/sms"

// Everything in this file is persisted by Temporal: in workflow ids, histories
// and queue names. It is append-only.

// Workflow types.
const (
	SyncEvent      = "SyncEvent"
	SyncConsent    = "SyncConsent"
	EnsureContact  = "EnsureContact"
	Quarantine     = "Quarantine"
	CompareConsent = "CompareConsent"
	Reconcile      = "Reconcile"
	Backfill       = "Backfill"
)

// Signals between workflows.
const (
	SignalAsk        = "ask"        // to EnsureContact, with an Ask
	SignalLink       = "link"       // to EnsureContact, with a Match
	SignalAnswer     = "answer"     // from EnsureContact, with an Answer
	SignalSuperseded = "superseded" // to a delivered status, once the text has failed
	SignalConsent    = "consent"    // to SyncConsent, with a ConsentSignal
	SignalContact    = "contact"    // to SyncConsent, with an Appeared
)

// Memo fields.
const (
	MemoTargets = "targets" // of a text: the connectors it goes to
	MemoMatch   = "match"   // of EnsureContact: the contact it remembers
)

// Error types beside the connectors' kinds.
const (
	// Waiting: something else has to end first. Retried.
	Waiting = "WAITING"
	// GivenBack: not attempted, because the worker stops or time ran short. Retried.
	GivenBack = "GIVEN_BACK"
	// NoContact: policy parks a text whose number nobody in the CRM has.
	NoContact = "NO_CONTACT"
	// SeveralContacts: policy parks a text whose number several contacts have.
	SeveralContacts = "SEVERAL_CONTACTS"
)

// Queue is the task queue of the deployment's workflows and of the activities
// that touch no CRM.
func Queue(deployment string) string { return deployment }

// ConnectorQueue is the task queue on which a connector's lane works.
func ConnectorQueue(deployment, connector string) string { return deployment + "-" + connector }

// ConsentQueue is the connector's task queue for consent, so that no backlog
// stands before it.
func ConsentQueue(deployment, connector string) string {
	return ConnectorQueue(deployment, connector) + "-consent"
}

// ContactID is the id of the EnsureContact workflow for a number (hashed) at a
// connector.
func ContactID(connector, numberHash string) string { return connector + "/contact/" + numberHash }

// ConsentID is the id of the SyncConsent workflow for a number (hashed) of an
// account.
func ConsentID(account, numberHash string) string { return account + "/consent/" + numberHash }

// CompareConsentID is the id of an account's schedule for CompareConsent, and how
// those of its workflows begin.
func CompareConsentID(deployment, account string) string {
	return deployment + "-compare-consent-" + account
}

// QuarantineID is the id of the Quarantine workflow for a body.
func QuarantineID(account, bodyHash string) string { return account + "/quarantine/" + bodyHash }

// ResyncID is the id of the workflow that delivers an event (by its key) once
// more to one connector.
func ResyncID(key, connector string) string { return key + "@" + connector }

// ReconcileID is the id of the schedule that reconciles an account, and the
// beginning of its workflows' ids.
func ReconcileID(deployment, account string) string { return deployment + "-reconcile-" + account }

// BackfillID is the id of the workflow that backfills an account: one for each
// hash of what was asked for, so that asking twice joins it.
func BackfillID(account, hash string) string { return account + "/backfill/" + hash }

// sibling is the workflow id of another event of the same text.
func sibling(e sms.Event, kind sms.Kind) string { return e.MessageKey() + "/" + string(kind) }
