package ledger

import "time"

// All keys of the ledger. They are persisted: append-only. Each is used alone,
// never two in one command, so that they need no hash tags in a cluster.
//
//	{name}:{namespace id}:seen:{event key}
//	{name}:{namespace id}:contact:{connector}:{keyed hash of the number}
//	{name}:{namespace id}:record:{connector}:{message key}
//	{name}:{namespace id}:intent:{connector}:{message key}
//	{name}:{namespace id}:owner:{connector}:{keyed hash of the e-mail address}
//	{name}:{namespace id}:line:{account}:{keyed hash of the number}
//	{name}:{namespace id}:gate:{connector}
//	{name}:{namespace id}:probe:{connector}

// How long memories last. A contact's is short, since people merge and delete
// contacts; it is not renewed by use. That somebody is no user of the CRM is soon
// asked again, since a person who notices makes them one.
const (
	seenTTL    = 30 * 24 * time.Hour
	contactTTL = 24 * time.Hour
	recordTTL  = 30 * 24 * time.Hour
	intentTTL  = 30 * 24 * time.Hour
	lineTTL    = 30 * 24 * time.Hour
	ownerTTL   = 24 * time.Hour
	noOwnerTTL = time.Hour
)

func prefix(name, namespaceID string) string { return name + ":" + namespaceID + ":" }

func seenKey(eventKey string) string { return "seen:" + eventKey }
func contactKey(connector, numberHash string) string {
	return "contact:" + connector + ":" + numberHash
}

func recordKey(connector, messageKey string) string { return "record:" + connector + ":" + messageKey }

func ownerKey(connector, emailHash string) string { return "owner:" + connector + ":" + emailHash }

func lineKey(account, numberHash string) string { return "line:" + account + ":" + numberHash }

func intentKey(connector, messageKey string) string { return "intent:" + connector + ":" + messageKey }

func gateKey(connector string) string { return "gate:" + connector }

func probeKey(connector string) string { return "probe:" + connector }
