package justcalltest

import (
	"encoding/json"
	"strings"
	"time"

	"crmsync/internal/justcall"
	"crmsync/sms"
)

type object = map[string]any

// newer is a text as the API and webhooks of 2.1 tell of it
// (https://developer.justcall.io/docs/justcall-sms-object).
func (t Text) newer(zone *time.Location) object {
	at, local := t.At.UTC(), t.At.In(zone)
	mms := []object{}
	for _, m := range t.Media {
		mms = append(mms, object{"media_url": m.URL, "content_type": m.ContentType})
	}
	direction, status := "Incoming", "received"
	if t.Direction == sms.Outbound {
		direction, status = "Outgoing", "sent"
	}
	if t.Status != "" {
		status = string(t.Status)
	}
	return object{
		"id": numeric(t.ID), "contact_number": digits(t.Contact), "contact_name": t.ContactName, "contact_email": t.ContactEmail,
		"justcall_number": digits(t.Line), "justcall_line_name": "Front desk",
		"agent_id": numeric(t.Agent.ID), "agent_name": t.Agent.Name, "agent_email": t.Agent.Email,
		"sms_date": at.Format(time.DateOnly), "sms_time": at.Format(time.TimeOnly),
		"sms_user_date": local.Format(time.DateOnly), "sms_user_time": local.Format(time.TimeOnly),
		"direction": direction, "delivery_status": status, "is_deleted": false, "medium": t.Medium, "cost_incurred": 0,
		"sms_info": object{"body": t.Body, "is_mms": len(mms) > 0, "mms": mms},
	}
}

// classic is the data of a classic webhook.
func (t Text) classic() object {
	media := []string{}
	for _, m := range t.Media {
		media = append(media, m.URL)
	}
	from, to := t.Contact, t.Line
	if t.Direction == sms.Outbound {
		from, to = to, from
	}
	return object{
		"message_id": t.ID, "direction": t.Direction, "from": from, "to": to, "body": t.Body, "media_urls": media,
		"justcall_number": t.Line, "contact_name": t.ContactName, "agent_id": orNull(t.Agent.ID),
	}
}

// row is the text in a list. What the classic API answers is not documented: this
// is its webhook's data, with the instant and the status.
func (o Options) row(t Text) object {
	if o.API == v21 {
		return t.newer(o.Zone)
	}
	row := t.classic()
	row["timestamp"] = t.At.UTC().Format(time.RFC3339)
	if t.Direction == sms.Outbound {
		row["status"] = "sent"
		if t.Status != "" {
			row["status"] = t.Status
		}
		row["failure_reason"] = t.Reason
	}
	return row
}

// webhook is the body that tells of a text, and the type that its signature covers.
func (o Options) webhook(kind sms.Kind, t Text, at time.Time) (body []byte, typ string) {
	if o.Dialect == justcall.Classic {
		data := t.classic()
		if kind == sms.Failed {
			data["failure_reason"] = t.Reason
		}
		if kind.Text() {
			at = t.At
		}
		return marshal(object{"event": kind, "timestamp": at.UTC().Format(time.RFC3339), "data": data}), string(kind)
	}
	data := t.newer(o.Zone)
	typ = string(kind)
	switch {
	case kind.Status():
		typ = "sms.status_updated"
		data["failure_reason"] = t.Reason
	case kind.Consent():
		typ = "jc.contact_status_updated"
		data = object{
			"id": 55512, "contact_number": digits(t.Contact), "status_updated_at": at.UTC().Format(time.DateOnly),
			"status": object{"blacklist": false, "dnd": false, "dnm": kind == sms.OptOut},
		}
	}
	return marshal(object{"request_id": "01J8Z3N3W1V6", "webhook_url": o.SignedURL, "url_id": "aHR0cHM6Ly9", "type": typ, "data": data}), typ
}

func marshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("justcalltest: " + err.Error())
	}
	return b
}

// numeric is an id as 2.1 writes it: a number where it can be one.
func numeric(id string) any {
	if id == "" {
		return nil
	}
	if strings.Trim(id, "0123456789") == "" {
		return json.Number(id)
	}
	return id
}

// digits is a number as 2.1 writes it: without +.
func digits(p sms.Phone) string { return strings.TrimPrefix(string(p), "+") }

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}
