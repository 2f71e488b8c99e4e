package crm_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors/sandbox/crm"
	"crmsync/sms"
)

func open(t *testing.T, options ...crm.Option) (*crm.CRM, string) {
	t.Helper()
	c, err := crm.Open(filepath.Join(t.TempDir(), "crm.db"), append(options, crm.NoSync())...)
	require.NoError(t, err)
	server := httptest.NewServer(c.Handler())
	t.Cleanup(func() {
		require.NoError(t, c.Close())
		server.Close()
	})
	return c, server.URL
}

func contact(t *testing.T, c *crm.CRM, name string, phones ...sms.Phone) crm.Contact {
	t.Helper()
	created, _, err := c.CreateContact(crm.Contact{Name: name, Phones: phones})
	require.NoError(t, err)
	return created
}

var at = time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC)

func text(key, contact, body string, minute int) crm.Message {
	return crm.Message{Key: key, Contact: contact, Body: body, Direction: sms.Inbound, Phone: "+15125550100", At: at.Add(time.Duration(minute) * time.Minute)}
}

func put(t *testing.T, c *crm.CRM, messages ...crm.Message) []crm.Put {
	t.Helper()
	out, err := c.PutMessages(messages)
	require.NoError(t, err)
	require.Len(t, out, len(messages))
	return out
}

func bodies(t *testing.T, c *crm.CRM, contact string) []string {
	t.Helper()
	texts, _, err := c.Timeline(contact, 100)
	require.NoError(t, err)
	var out []string
	for _, m := range texts {
		out = append(out, m.Body)
	}
	return out
}

func TestPutIsOnceAndLeavesAlone(t *testing.T) {
	t.Parallel()
	c, _ := open(t)
	ann := contact(t, c, "Ann")
	first := put(t, c, text("k1", ann.ID, "late", 2), text("k2", ann.ID, "early", 1), text("k3", "99", "x", 3), text("", "", "x", 3))
	require.True(t, first[0].Created)
	require.ErrorIs(t, first[2].Err, crm.ErrNoContact)
	require.ErrorIs(t, first[3].Err, crm.ErrNoKey)
	require.NoError(t, c.EditMessage(first[0].ID, "edited", sms.StatusFailed))
	again := put(t, c, text("k1", ann.ID, "other", 5))
	require.Equal(t, crm.Put{ID: first[0].ID}, again[0])
	require.Equal(t, []string{"early", "edited"}, bodies(t, c, ann.ID))
	there, err := c.Contact(ann.ID)
	require.NoError(t, err)
	require.Equal(t, 2, there.Texts)
	require.Equal(t, "late", there.LastBody)
}

func TestDeletedContactLeavesItsTextsUnlinked(t *testing.T) {
	t.Parallel()
	c, _ := open(t)
	ann, bob := contact(t, c, "Ann", "+15125550100"), contact(t, c, "Bob", "+15125550100")
	put(t, c, text("k1", ann.ID, "to Ann", 1), text("k2", bob.ID, "to Bob", 2), text("k3", "", "to nobody", 3))
	require.NoError(t, c.Delete(ann.ID))
	require.ErrorIs(t, c.Delete(ann.ID), crm.ErrNoContact)
	require.Equal(t, []string{"to Ann", "to nobody"}, bodies(t, c, ""))
	found, err := c.FindContacts([]sms.Phone{"+15125550100", "+15125550101"})
	require.NoError(t, err)
	require.Len(t, found[0], 1)
	require.Equal(t, "Bob", found[0][0].Name)
	require.Empty(t, found[1])
}

func TestMergeMovesEverything(t *testing.T) {
	t.Parallel()
	c, _ := open(t)
	ann, bob := contact(t, c, "Ann", "(512) 555-0100", "?"), contact(t, c, "Bob", "+15125550101")
	put(t, c, text("k1", ann.ID, "to Ann", 3), text("k2", bob.ID, "to Bob", 1))
	_, err := c.SetConsent([]crm.ConsentChange{{Contact: ann.ID, OptedOut: true, At: at}})
	require.NoError(t, err)
	require.Error(t, c.Merge(ann.ID, ann.ID))
	require.NoError(t, c.Merge(ann.ID, bob.ID))
	require.Equal(t, []string{"to Bob", "to Ann"}, bodies(t, c, bob.ID))
	merged, err := c.Contact(bob.ID)
	require.NoError(t, err)
	require.Equal(t, []sms.Phone{"+15125550101", "+15125550100"}, merged.Phones)
	require.True(t, merged.OptedOut)
	require.Equal(t, 2, merged.Texts)
	require.Equal(t, "to Ann", merged.LastBody)
}

func TestContactIsCreatedOncePerKey(t *testing.T) {
	t.Parallel()
	c, _ := open(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			_, _, err := c.CreateContact(crm.Contact{Key: "k", Name: "Ann"})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	all, err := c.Contacts("")
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.NoError(t, c.Delete(all[0].ID))
	_, created, err := c.CreateContact(crm.Contact{Key: "k"})
	require.NoError(t, err)
	require.True(t, created, "the key of a deleted contact is free again")
}

func TestDataSurvivesARestart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "crm.db")
	c, err := crm.Open(path)
	require.NoError(t, err)
	ann := contact(t, c, "Ann")
	put(t, c, text("k1", ann.ID, "kept", 1))
	require.NoError(t, c.Close())
	c, err = crm.Open(path)
	require.NoError(t, err)
	defer c.Close()
	require.Equal(t, []string{"kept"}, bodies(t, c, ann.ID))
}

func get(t *testing.T, address string) (int, string) {
	t.Helper()
	res, err := http.Get(address)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(body)
}

func TestPageEscapesEverything(t *testing.T) {
	t.Parallel()
	c, base := open(t)
	const evil = `<script>alert("1")</script>`
	ann, _, err := c.CreateContact(crm.Contact{Name: evil, Email: evil, OwnerID: evil, Phones: []sms.Phone{"+15125550100"}})
	require.NoError(t, err)
	contact(t, c, evil+"2")
	m := text("k", ann.ID, evil, 1)
	m.Agent, m.Line, m.Direction = evil, evil, sms.Outbound
	m.Media = []sms.Media{{URL: "javascript:alert(1)", ContentType: evil}, {URL: "https://example.com/a.png"}}
	put(t, c, m)
	_, err = c.UpdateStatus([]crm.StatusChange{{Key: "k", Status: sms.StatusFailed, Reason: evil, At: at}})
	require.NoError(t, err)
	for _, path := range []string{"/", "/unlinked", "/contacts/" + ann.ID, "/?q=" + url.QueryEscape(evil)} {
		status, page := get(t, base+path)
		require.Equal(t, 200, status)
		require.NotContains(t, page, "<script>alert")
		require.NotContains(t, page, `href="javascript:`)
		require.Contains(t, page, "</html>")
	}
	_, page := get(t, base+"/contacts/"+ann.ID)
	require.Contains(t, page, "&lt;script&gt;")
	require.Contains(t, page, `href="https://example.com/a.png"`)
	require.Contains(t, page, "! failed")
}

func TestPageShowsConsentAndUnlinkedTexts(t *testing.T) {
	t.Parallel()
	c, base := open(t)
	ann := contact(t, c, "Ann")
	put(t, c, text("k", "", "who is this?", 1))
	_, err := c.SetConsent([]crm.ConsentChange{{Contact: ann.ID, OptedOut: true, At: at}})
	require.NoError(t, err)
	_, page := get(t, base+"/contacts/"+ann.ID)
	require.Contains(t, page, "opted out")
	_, page = get(t, base+"/unlinked")
	require.Contains(t, page, "who is this?")
	status, page := get(t, base+"/contacts/99")
	require.Equal(t, 404, status)
	require.Contains(t, page, "there is no such contact")
}

func TestFormsChangeContacts(t *testing.T) {
	t.Parallel()
	c, base := open(t)
	ann, bob := contact(t, c, "Ann"), contact(t, c, "Bob")
	submit := func(path string, form url.Values) string {
		res, err := http.PostForm(base+path, form)
		require.NoError(t, err)
		defer res.Body.Close()
		require.Equal(t, 200, res.StatusCode)
		return res.Request.URL.Path
	}
	require.Equal(t, "/contacts/"+ann.ID, submit("/contacts/"+ann.ID+"/rename", url.Values{"name": {" Anna "}}))
	renamed, err := c.Contact(ann.ID)
	require.NoError(t, err)
	require.Equal(t, "Anna", renamed.Name)
	require.Equal(t, "/contacts/"+bob.ID, submit("/contacts/"+ann.ID+"/merge", url.Values{"into": {bob.ID}}))
	require.Equal(t, "/", submit("/contacts/"+bob.ID+"/delete", nil))
	all, err := c.Contacts("")
	require.NoError(t, err)
	require.Empty(t, all)
}

func TestOtherOriginsCannotChangeAnything(t *testing.T) {
	t.Parallel()
	c, base := open(t)
	ann := contact(t, c, "Ann")
	req, _ := http.NewRequest(http.MethodPost, base+"/contacts/"+ann.ID+"/delete", nil)
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	res.Body.Close()
	require.Equal(t, http.StatusForbidden, res.StatusCode)
	_, err = c.Contact(ann.ID)
	require.NoError(t, err)
}

func TestTokenGuardsAPIAndPage(t *testing.T) {
	t.Parallel()
	_, base := open(t, crm.Token("tok"))
	for _, path := range []string{"/", "/api/check", "/events"} {
		status, _ := get(t, base+path)
		require.Equal(t, http.StatusUnauthorized, status, path)
	}
	status, _ := get(t, strings.Replace(base, "http://", "http://me:tok@", 1)+"/")
	require.Equal(t, 200, status)
	req, _ := http.NewRequest(http.MethodGet, base+"/api/check", nil)
	req.Header.Set("Authorization", "Bearer tok")
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	res.Body.Close()
	require.Equal(t, 200, res.StatusCode)
}

func TestAPIForPeople(t *testing.T) {
	t.Parallel()
	c, base := open(t)
	ann, bob := contact(t, c, "Ann", "+15125550100"), contact(t, c, "Bob")
	id := put(t, c, text("k", ann.ID, "words", 1))[0].ID
	call := func(method, path, body string) int {
		req, _ := http.NewRequest(method, base+path, strings.NewReader(body))
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer res.Body.Close()
		return res.StatusCode
	}
	require.Equal(t, 200, call("PATCH", "/api/contacts/"+ann.ID, `{"name":"Anna"}`))
	require.Equal(t, 200, call("PATCH", "/api/messages/"+id, `{"body":"edited","status":"failed"}`))
	require.Equal(t, 404, call("PATCH", "/api/messages/77", `{}`))
	require.Equal(t, 400, call("PATCH", "/api/messages/"+id, `nonsense`))
	require.Equal(t, 413, call("PUT", "/api/messages", `{"items":[{"key":"`+strings.Repeat("x", 33<<20)+`"}]}`))
	require.Equal(t, 200, call("POST", "/api/contacts/"+ann.ID+"/merge", `{"into":"`+bob.ID+`"}`))
	require.Equal(t, 200, call("DELETE", "/api/contacts/"+bob.ID, ""))
	require.Equal(t, 404, call("DELETE", "/api/contacts/"+bob.ID, ""))
	_, all := get(t, base+"/api/messages")
	var messages []crm.Message
	require.NoError(t, json.Unmarshal([]byte(all), &messages))
	require.Equal(t, "edited", messages[0].Body)
	require.Empty(t, messages[0].Contact)
	_, contacts := get(t, base+"/api/contacts?q=nobody")
	require.JSONEq(t, "[]", contacts)
}

func TestPageIsToldOfChanges(t *testing.T) {
	t.Parallel()
	c, base := open(t)
	res, err := http.Get(base + "/events")
	require.NoError(t, err)
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	require.True(t, lines.Scan())
	require.Equal(t, "retry: 1000", lines.Text())
	contact(t, c, "Ann")
	line := ""
	for line == "" && lines.Scan() {
		line = lines.Text()
	}
	require.Equal(t, "data: changed", line)
}

// Timelines show the latest texts; searching goes by name and number.
func TestLongListsAreCut(t *testing.T) {
	t.Parallel()
	c, base := open(t)
	ann := contact(t, c, "Ann", "+15125550100")
	var many []crm.Message
	for i := range 320 {
		many = append(many, text(fmt.Sprint("k", i), ann.ID, fmt.Sprintf("text %03d", i), i))
	}
	put(t, c, many...)
	for i := range 210 {
		contact(t, c, fmt.Sprint("Person ", i))
	}
	_, page := get(t, base+"/contacts/"+ann.ID)
	require.Contains(t, page, "text 319")
	require.NotContains(t, page, "text 019")
	require.Contains(t, page, "Older texts are not shown")
	require.Contains(t, page, "and 11 more")
	_, page = get(t, base+"/?q=5550100")
	require.Contains(t, page, "Ann")
	require.NotContains(t, page, "Person 5")
}
