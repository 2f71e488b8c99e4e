package odoo_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/connectortest"
	"crmsync/connectors/odoo"
)

func TestLive(t *testing.T) {
	t.Parallel()
	connectortest.Live(t, connectortest.LiveHarness{
		Definition: odoo.Definition(),
		Prefix:     "CRMSYNC_LIVE_ODOO_",
		Config: `base_url: ${URL}
database: ${DATABASE}
protocol: ${PROTOCOL:-jsonrpc}
login: ${USER}
api_key: ${PASSWORD}
phone_fields: ${PHONE_FIELDS:-[phone]}
`,
		Gone:   connectors.Ref{Type: "contact", ID: "2000000000"},
		Stored: storedLive,
	})
}

// storedLive reads the messages over JSON-RPC, which 16 to 19 all have.
func storedLive(ctx context.Context, variable func(string) string, keys []string) ([]connectortest.Message, error) {
	ids := map[string]string{}
	for _, key := range keys {
		ids["<"+strings.ReplaceAll(url.PathEscape(key), ".", "%2E")+"@crmsync>"] = key
	}
	names := make([]string, 0, len(ids))
	for id := range ids {
		names = append(names, id)
	}
	var uid int
	if err := rpc(ctx, variable, &uid, "common", "login", variable("DATABASE"), variable("USER"), secret(variable)); err != nil {
		return nil, err
	}
	var found []struct {
		ID        int    `json:"id"`
		MessageID string `json:"message_id"`
		ResID     int    `json:"res_id"`
		Author    any    `json:"author_id"`
		Subject   string `json:"subject"`
		Body      string `json:"body"`
		Date      string `json:"date"`
	}
	domain := []any{[]any{"message_id", "in", names}}
	fields := []string{"message_id", "res_id", "author_id", "subject", "body", "date"}
	err := rpc(ctx, variable, &found, "object", "execute_kw", variable("DATABASE"), uid, secret(variable),
		"mail.message", "search_read", []any{domain, fields}, map[string]any{})
	if err != nil {
		return nil, err
	}
	out := make([]connectortest.Message, len(found))
	for i, m := range found {
		out[i] = connectortest.Message{ID: strconv.Itoa(m.ID), Key: ids[m.MessageID], Contact: strconv.Itoa(m.ResID), Subject: m.Subject, Body: m.Body, Direction: "outbound"}
		out[i].At, _ = time.Parse(time.DateTime, m.Date)
		if author, ok := m.Author.([]any); ok && author[0] == float64(m.ResID) {
			out[i].Direction = "inbound"
		}
		if _, mark, marked := strings.Cut(m.Subject, " ["); marked {
			out[i].Status, _, _ = strings.Cut(strings.TrimSuffix(mark, "]"), ":")
		}
	}
	return out, nil
}

// secret is what JSON-RPC takes; JSON-2's keys are good for it, too.
func secret(variable func(string) string) string { return variable("PASSWORD") }

func rpc(ctx context.Context, variable func(string) string, into any, service, method string, args ...any) error {
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": "call", "params": map[string]any{"service": service, "method": method, "args": args}})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, variable("URL")+"/jsonrpc", bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var answer struct {
		Result json.RawMessage `json:"result"`
		Error  *struct {
			Data struct {
				Name string `json:"name"`
			} `json:"data"`
		} `json:"error"`
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Error != nil {
		return errors.New(answer.Error.Data.Name)
	}
	return json.Unmarshal(answer.Result, into)
}
