package httpapi_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"crmsync/connectors/connectortest"
)

// quirks make another CRM of ledgerline: one that refuses a second activity
// with the same external_ref, and says which the first is.
type quirks struct{ refuses, names bool }

// ledgerline is the CRM of example 2: it takes whatever is sent as often as it
// is sent, and says no with status 200.
func ledgerline() (*vendor, http.Handler) { return ledgerlineOf(quirks{})() }

func ledgerlineOf(q quirks) func() (*vendor, http.Handler) {
	return func() (*vendor, http.Handler) { return serveLedgerline(q) }
}

func serveLedgerline(q quirks) (*vendor, http.Handler) {
	v := newVendor(100)
	v.copies = !q.refuses
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/2/whoami", v.handle(func(*http.Request, object) (int, any, error) { return 200, object{"ok": true}, nil }))
	mux.HandleFunc("POST /api/2/parties/search", v.handle(func(_ *http.Request, in object) (int, any, error) {
		hits := []any{}
		for _, p := range v.ending(word(in["phone"])) {
			numbers := []any{}
			for _, number := range p.Phones {
				numbers = append(numbers, object{"label": "mobile", "value": number})
			}
			hits = append(hits, object{
				"party_id": p.ID, "kind": "contact", "name": p.Name, "numbers": numbers,
				"modified": p.Updated.Format(time.RFC3339), "link": "https://ledgerline.example/parties/" + p.ID,
			})
		}
		return 200, object{"ok": true, "hits": hits}, nil
	}))
	mux.HandleFunc("POST /api/2/parties", v.handle(func(_ *http.Request, in object) (int, any, error) {
		c := connectortest.Contact{Name: word(in["name"])}
		for _, number := range in["numbers"].([]any) {
			c.Phones = append(c.Phones, word(number.(object)["value"]))
		}
		return 200, object{"ok": true, "party_id": v.add(c).ID}, nil
	}))
	mux.HandleFunc("POST /api/2/activities", v.handle(func(_ *http.Request, in object) (int, any, error) {
		status, answer := v.activity(in, q)
		return status, answer, nil
	}))
	mux.HandleFunc("POST /api/2/activities/batch", v.handle(func(_ *http.Request, in object) (int, any, error) {
		results := []any{}
		for _, activity := range in["activities"].([]any) {
			status, answer := v.activity(activity.(object), q)
			if answer["ok"] == false {
				status, answer["code"] = 422, answer["error"]
			}
			answer["status"] = status
			results = append(results, answer)
		}
		return 207, object{"ok": true, "results": results}, nil
	}))
	mux.HandleFunc("POST /api/2/activities/search", v.handle(func(_ *http.Request, in object) (int, any, error) {
		hits := []any{}
		for _, m := range v.texts {
			if like(m.Key, word(in["contains"])) || like(m.Body, word(in["contains"])) {
				hits = append(hits, object{"activity_id": m.ID, "party_id": m.Contact, "html": m.Body, "custom": object{"external_ref": m.Key}})
			}
		}
		return 200, object{"ok": true, "hits": hits}, nil
	}))
	mux.HandleFunc("PATCH /api/2/activities/{id}", v.handle(func(r *http.Request, in object) (int, any, error) {
		m := v.ids[r.PathValue("id")]
		if m == nil {
			return 200, object{"ok": false, "error": "no_such_record"}, nil
		}
		m.Status, m.Reason = strings.ToLower(word(in["delivery"])), word(in["delivery_reason"])
		return 200, object{"ok": true}, nil
	}))
	mux.HandleFunc("PATCH /api/2/parties/{id}", v.handle(func(r *http.Request, in object) (int, any, error) {
		p := v.person(r.PathValue("id"))
		if p == nil {
			return 200, object{"ok": false, "error": "no_such_record"}, nil
		}
		p.OptedOut = in["do_not_text"].(bool)
		p.ConsentAt, _ = time.Parse(time.RFC3339, word(in["do_not_text_since"]))
		return 200, object{"ok": true}, nil
	}))
	credentials := base64.StdEncoding.EncodeToString([]byte("crmsync:" + secret))
	return v, demand("Authorization", "Basic "+credentials, mux)
}

func (v *vendor) activity(in object, q quirks) (int, object) {
	key, contact, text := word(in["custom"].(object)["external_ref"]), word(in["party_id"]), word(in["html"])
	if key == "" {
		key = marked(text)
	}
	if v.poisoned[key] {
		return 200, object{"ok": false, "error": "bad_words"}
	}
	if v.missing(contact) {
		return 200, object{"ok": false, "error": "no_such_record"}
	}
	if there := v.ids["ref:"+key]; there != nil && q.refuses {
		answer := object{"error": "duplicate"}
		if q.names {
			answer["activity_id"] = there.ID
		}
		return 409, answer
	}
	at, err := time.Parse(time.RFC3339, word(in["happened"]))
	if err != nil {
		return 200, object{"ok": false, "error": "bad_instant"}
	}
	m := v.put("ref:"+key, connectortest.Message{
		Key: key, Contact: contact, Subject: word(in["title"]), Body: text, Direction: word(in["direction"]), At: at,
	})
	v.ids[m.ID] = m
	return 201, object{"ok": true, "activity_id": m.ID}
}

// marked is the key in the marker that a text ends with.
func marked(text string) string {
	i := strings.LastIndex(text, "[crmsync ")
	if i < 0 {
		return ""
	}
	key := strings.TrimSuffix(text[i+len("[crmsync "):], "]")
	return strings.NewReplacer("%25", "%", "%5B", "[", "%5D", "]").Replace(key)
}

// ledgerlineStored is a text in the HTML that example 2 makes of it.
func ledgerlineStored(plain string) string {
	escaped := strings.NewReplacer("&", "&amp;", "'", "&#39;", `"`, "&#34;", "<", "&lt;", ">", "&gt;", "\x00", "\uFFFD").Replace(plain)
	return strings.ReplaceAll(escaped, "\n", "<br>")
}
