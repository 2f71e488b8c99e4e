package hubspot_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/connectortest"
	"crmsync/connectors/hubspot"
)

func TestLive(t *testing.T) {
	t.Parallel()
	connectortest.Live(t, connectortest.LiveHarness{
		Definition: hubspot.Definition(),
		Prefix:     "CRMSYNC_LIVE_HUBSPOT_",
		Config: `base_url: ${URL:-https://api.hubapi.com}
token: ${TOKEN}
unique: ${UNIQUE:-true}
association_type: ${ASSOCIATION_TYPE:-81}
`,
		Gone:   connectors.Ref{Type: "contact", ID: "999999999999"},
		Stored: storedLive,
	})
}

// storedLive searches for the keys, which shows doubles, too, until as many are
// found or a search should have seen them.
func storedLive(ctx context.Context, variable func(string) string, keys []string) ([]connectortest.Message, error) {
	var found []connectortest.Message
	for part := range slices.Chunk(keys, 50) {
		var of []connectortest.Message
		for deadline := time.Now().Add(2 * hubspot.Definition().SearchLag); len(of) < len(part) && time.Now().Before(deadline); {
			var err error
			if of, err = searchLive(ctx, variable, part); err != nil {
				return nil, err
			}
			time.Sleep(time.Second) //nolint:forbidigo // searches are limited, and lag
		}
		found = append(found, of...)
	}
	return found, nil
}

// searchLive searches for ids, and reads what stands there now.
func searchLive(ctx context.Context, variable func(string) string, keys []string) ([]connectortest.Message, error) {
	const objects = "crm/objects/2026-03/communications/"
	type record struct {
		ID         string            `json:"id"`
		Properties map[string]string `json:"properties"`
	}
	var page, read struct {
		Results []record `json:"results"`
	}
	filter := map[string]any{"propertyName": "justcall_message_id", "operator": "IN", "values": keys}
	groups := []any{map[string]any{"filters": []any{filter}}}
	err := post(ctx, variable, objects+"search", map[string]any{"filterGroups": groups, "properties": []string{}, "limit": 200}, &page)
	if err != nil || len(page.Results) == 0 {
		return nil, err
	}
	var ids []map[string]string
	for _, r := range page.Results {
		ids = append(ids, map[string]string{"id": r.ID})
	}
	err = post(ctx, variable, objects+"batch/read", map[string]any{
		"inputs": ids, "propertiesWithHistory": []string{},
		"properties": []string{"justcall_message_id", "justcall_direction", "justcall_status", "hs_timestamp", "hs_communication_body"},
	}, &read)
	if err != nil {
		return nil, err
	}
	var found []connectortest.Message
	for _, r := range read.Results {
		p := r.Properties
		at, _ := time.Parse(time.RFC3339, p["hs_timestamp"])
		found = append(found, connectortest.Message{
			ID: r.ID, Key: p["justcall_message_id"], Body: p["hs_communication_body"], At: at, // the suite's keys need no encoding
			Direction: p["justcall_direction"], Status: p["justcall_status"],
		})
	}
	return found, linkLive(ctx, variable, ids, found)
}

// linkLive fills in whose timeline each text is on.
func linkLive(ctx context.Context, variable func(string) string, ids []map[string]string, found []connectortest.Message) error {
	var linked struct {
		Results []struct {
			From struct {
				ID string `json:"id"`
			} `json:"from"`
			To []struct {
				ID json.RawMessage `json:"toObjectId"`
			} `json:"to"`
		} `json:"results"`
	}
	if err := post(ctx, variable, "crm/associations/2026-03/communications/contacts/batch/read", map[string]any{"inputs": ids}, &linked); err != nil {
		return err
	}
	for _, l := range linked.Results {
		at := slices.IndexFunc(found, func(m connectortest.Message) bool { return m.ID == l.From.ID })
		if at < 0 || len(l.To) != 1 {
			return fmt.Errorf("communication %s is associated with %d contacts", l.From.ID, len(l.To))
		}
		found[at].Contact = string(bytes.Trim(l.To[0].ID, `"`))
	}
	return nil
}

func post(ctx context.Context, variable func(string) string, path string, body, into any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	base := cmp.Or(variable("URL"), "https://api.hubapi.com")
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/"+path, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+variable("TOKEN"))
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("%s: %s", path, res.Status)
	}
	return json.NewDecoder(res.Body).Decode(into)
}
