package justcalltest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"crmsync/internal/justcall"
	"crmsync/sms"
)

func (s *Server) listUsers(w http.ResponseWriter, r *http.Request) {
	if !allowed(w, r.URL.Query(), "page", "per_page", "order", "email", "role", "available", "group_id") {
		return
	}
	s.mu.Lock()
	var rows []object
	for _, u := range s.users {
		var lines []string
		for _, line := range u.Lines {
			lines = append(lines, digits(line))
		}
		rows = append(rows, object{"id": u.ID, "name": u.Name, "email": u.Email, "role": "Agent", "owned_numbers": lines, "shared_numbers": []string{}})
	}
	s.mu.Unlock()
	s.page(w, r, rows)
}

func (s *Server) listNumbers(w http.ResponseWriter, r *http.Request) {
	if !allowed(w, r.URL.Query(), "page", "per_page", "order", "capabilities", "number_type") {
		return
	}
	s.mu.Lock()
	var rows []object
	for _, u := range s.users {
		for i, line := range u.Lines {
			rows = append(rows, object{
				"id": 100*u.ID + i, "justcall_number": digits(line), "justcall_line_name": "Front desk",
				"number_owner": object{"id": u.ID, "name": u.Name, "email": u.Email}, "shared_with": object{},
			})
		}
	}
	s.mu.Unlock()
	s.page(w, r, rows)
}

func (s *Server) listContacts(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if !allowed(w, q, "page", "per_page", "order", "across_team", "contact_number", "status") {
		return
	}
	s.page(w, r, s.contactRows(func(c Contact) bool { return is(q.Get("contact_number"), c.Phone) }))
}

func (s *Server) listSuppressed(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if !allowed(w, q, "page", "per_page", "order", "across_team", "contact_number", "status") {
		return
	}
	if q.Get("across_team") != "true" { // the owner of the key knows nobody
		s.page(w, r, nil)
		return
	}
	s.page(w, r, s.contactRows(func(c Contact) bool {
		return c.DNM && q.Get("status") == "dnm" || (c.DNM || c.DND || c.Blacklist) && q.Get("status") == ""
	}))
}

func (s *Server) contactRows(wanted func(Contact) bool) []object {
	var rows []object
	for _, c := range s.Contacts() {
		if wanted(c) {
			rows = append(rows, c.row())
		}
	}
	return rows
}

func (c Contact) row() object {
	return object{
		"id": c.ID, "ref_id": "ref" + strconv.Itoa(c.ID), "first_name": c.FirstName, "last_name": c.LastName, "email": c.Email,
		"contact_number": digits(c.Phone), "other_numbers": []object{}, "status": object{"blacklist": c.Blacklist, "dnd": c.DND, "dnm": c.DNM},
	}
}

func (s *Server) getContact(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	for _, c := range s.Contacts() {
		if strconv.Itoa(c.ID) == id {
			answer(w, object{"status": "success", "data": c.row()})
			return
		}
	}
	refuse(w, http.StatusNotFound, "Contact not found")
}

func (s *Server) newContact(w http.ResponseWriter, r *http.Request) {
	fields, ok := body(w, r, "first_name", "last_name", "email", "company", "contact_number", "across_team")
	if !ok {
		return
	}
	if text(fields["first_name"]) == "" || text(fields["contact_number"]) == "" {
		refuse(w, http.StatusBadRequest, "first_name and contact_number are required")
		return
	}
	s.mu.Lock()
	c := s.contactOf(justcall.ParseNumber(text(fields["contact_number"]), "US"))
	c.set(fields)
	id := c.ID
	s.mu.Unlock()
	answer(w, object{"status": "success", "data": object{"id": id}})
}

func (s *Server) putContact(w http.ResponseWriter, r *http.Request) {
	fields, ok := body(w, r, "id", "first_name", "last_name", "email", "company", "contact_number", "across_team")
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.contacts, func(c Contact) bool { return float64(c.ID) == fields["id"] })
	if i < 0 {
		refuse(w, http.StatusNotFound, "Contact not found")
		return
	}
	s.contacts[i].set(fields)
	answer(w, object{"status": "success", "data": object{"id": s.contacts[i].ID}})
}

func (c *Contact) set(fields object) {
	for name, into := range map[string]*string{"first_name": &c.FirstName, "last_name": &c.LastName, "email": &c.Email} {
		if s := text(fields[name]); s != "" {
			*into = s
		}
	}
}

func (s *Server) putStatus(w http.ResponseWriter, r *http.Request) {
	fields, ok := body(w, r, "id", "contact_number", "across_team", "add_to", "remove_from")
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.contactOf(sms.Phone(text(fields["contact_number"])))
	for list, on := range map[string]*bool{"blacklist": &c.Blacklist, "dnd": &c.DND, "dnm": &c.DNM} {
		for field, value := range map[string]bool{"add_to": true, "remove_from": false} {
			if names, _ := fields[field].([]any); slices.Contains(names, any(list)) {
				*on = value
			}
		}
	}
	answer(w, object{"status": "success", "data": object{"id": c.ID}})
}

func (s *Server) listWebhooks(w http.ResponseWriter, r *http.Request) {
	if !allowed(w, r.URL.Query(), "type") {
		return
	}
	var rows []object
	if s.options.URL != "" {
		for _, typ := range []string{"jc.contact_status_updated", "sms.received", "sms.sent", "sms.status_updated"} {
			rows = append(rows, object{
				"type": typ, "url_count": 1, "webhook_urls": []object{{"url": s.options.SignedURL, "status": s.sender.status()}},
			})
		}
	}
	if rows == nil {
		rows = []object{}
	}
	answer(w, object{"status": "success", "total_count": len(rows), "data": rows})
}
