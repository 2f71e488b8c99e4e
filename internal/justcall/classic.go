package justcall

import (
	"time"

	"crmsync/sms"
)

// readClassic reads an event of the classic dialect.
func readClassic(name string, top fields, in Input) (text, Reason) {
	kind := sms.Kind(name)
	if !kind.Valid() {
		return text{}, ReasonOtherType
	}
	data := requireData(top)
	t := readParties(kind, data)
	t.id, t.idField = data.id("message_id"), "data.message_id"
	t.body = data.body()
	t.media = data.media("media_urls")
	t.readPeople(data)
	t.at = t.instant(top, "timestamp", parseRFC3339(top.raw("timestamp")), in)
	return t, ""
}

// parseRFC3339 answers the zero time for what is no instant.
func parseRFC3339(s string) time.Time {
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
}
