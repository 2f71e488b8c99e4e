package httpapi_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"crmsync/connectors/connectortest"
)

// larkspur is the CRM of example 1. Its ids are larger than a float64 can tell
// apart.
func larkspur() (*vendor, http.Handler) {
	v := newVendor(9007199254740993)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/me", v.handle(func(*http.Request, object) (int, any, error) { return 200, object{"name": "crmsync"}, nil }))
	mux.HandleFunc("GET /v1/people", v.handle(func(r *http.Request, _ object) (int, any, error) {
		items := []any{}
		for _, p := range v.ending(r.FormValue("phone_contains")) {
			items = append(items, object{
				"id": json.Number(p.ID), "full_name": p.Name, "phones": p.Phones, "owner": nil, "changed": p.Updated.UnixMilli(),
			})
		}
		return 200, object{"data": object{"items": items}}, nil
	}))
	mux.HandleFunc("POST /v1/people", v.handle(func(_ *http.Request, in object) (int, any, error) {
		c := connectortest.Contact{Name: word(in["full_name"]), Email: word(in["email"])}
		for _, number := range in["phones"].([]any) {
			c.Phones = append(c.Phones, word(number))
		}
		return 201, object{"id": json.Number(v.add(c).ID)}, nil
	}))
	mux.HandleFunc("PUT /v1/texts/{key}", v.handle(v.larkspurPut))
	mux.HandleFunc("GET /v1/texts/{key}", v.handle(func(r *http.Request, _ object) (int, any, error) {
		m := v.ids[r.PathValue("key")]
		if m == nil {
			return 404, object{"error": "no such text"}, nil
		}
		return 200, object{"id": json.Number(m.ID), "reference": m.Key, "person_id": number(m.Contact)}, nil
	}))
	mux.HandleFunc("PATCH /v1/texts/{key}", v.handle(func(r *http.Request, in object) (int, any, error) {
		m := v.ids[r.PathValue("key")]
		if m == nil {
			return 404, object{"error": "no such text"}, nil
		}
		m.Status, m.Reason = strings.Replace(word(in["state"]), "arrived", "delivered", 1), word(in["note"])
		return 204, nil, nil
	}))
	mux.HandleFunc("PUT /v1/people/{id}/sms-consent", v.handle(func(r *http.Request, in object) (int, any, error) {
		p := v.person(r.PathValue("id"))
		if p == nil {
			return 404, object{"error": "no such person"}, nil
		}
		since, _ := in["since"].(json.Number).Int64()
		p.OptedOut, p.ConsentAt = !in["allowed"].(bool), time.UnixMilli(since)
		return 200, object{}, nil
	}))
	return v, demand("X-Api-Key", secret, mux)
}

// number is an id, null for none.
func number(id string) any {
	if id == "" {
		return nil
	}
	return json.Number(id)
}

func (v *vendor) larkspurPut(r *http.Request, in object) (int, any, error) {
	name, contact := r.PathValue("key"), word(in["person_id"])
	there := v.ids[name]
	switch {
	case v.poisoned[word(in["reference"])]:
		return 422, object{"error": "not acceptable"}, nil
	case v.missing(contact):
		return 404, object{"error": "no such person"}, nil
	case there != nil && r.Header.Get("If-None-Match") == "*":
		return 412, object{"error": "precondition failed"}, nil
	case there != nil && r.FormValue("new") == "only":
		return 409, object{"error": "exists"}, nil
	case there != nil: // overwrites everything
		there.Body, there.Status = word(in["text"]), ""
		return 200, object{"id": json.Number(there.ID)}, nil
	}
	at, _ := in["sent_at"].(json.Number).Int64()
	m := v.put(name, connectortest.Message{
		Key: word(in["reference"]), Contact: contact, Body: word(in["text"]), At: time.UnixMilli(at),
		Direction: map[string]string{"in": "inbound", "out": "outbound"}[word(in["direction"])],
	})
	return 201, object{"id": json.Number(m.ID)}, nil
}
