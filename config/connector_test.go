package config_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/config"
	"crmsync/connectors"
)

// A configured connector is what the connectors' contract asks for.
var _ connectors.Config = (*config.Connector)(nil)

// vendor is what a connector's settings may look like.
type vendor struct {
	Token     config.Secret
	Foreign   connectors.Secret
	Base      string        `yaml:"base_url,omitempty"`
	Wait      time.Duration `yaml:"wait"`
	From      time.Time
	Retry     *bool
	Size      int8
	Count     uint
	Ratio     float64
	Tags      []string
	Headers   map[string]string
	Put       *request
	Requests  []request
	ByName    map[string]*request `yaml:"by_name"`
	Free      any
	Share     config.Percent
	Ignored   string `yaml:"-"`
	Embedded  `yaml:",inline"`
	unnoticed int
}

type request struct{ Method, Path string }

// Embedded is inlined into the settings.
type Embedded struct{ Region string }

func decode(t *testing.T, settings string, into any) error {
	t.Helper()
	c := parse(t, "justcall: { main: {} }\nconnectors:\n  crm:\n    type: t\n"+settings)
	require.Equal(t, "crm", c.Connectors["crm"].Name())
	return c.Connectors["crm"].Decode(into)
}

func TestDecodeReadsTheVendorsSettings(t *testing.T) {
	t.Parallel()
	v := vendor{Base: "https://default.example.com", Wait: time.Second, Count: 7, unnoticed: 1}
	require.NoError(t, decode(t, `
    token: abc
    foreign: def
    wait: 90s
    from: 2026-12-01
    retry: false
    size: -5
    ratio: 0.5
    tags: [a, 1, true]
    headers: { X-A: ${NUMBER}, X-B: 5 }
    put: { method: PUT, path: /a }
    requests: [ { method: GET }, { path: /b } ]
    by_name: { one: { method: POST } }
    free: { list: [1, two, ${NUMBER}, null], on: true }
    share: 12.5%
    region: eu
`, &v))
	no := false
	require.Equal(t, vendor{
		Token: "abc", Foreign: "def", Base: "https://default.example.com", Wait: 90 * time.Second, Retry: &no, Count: 7,
		From: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), Size: -5, Ratio: 0.5, Tags: []string{"a", "1", "true"},
		Headers: map[string]string{"X-A": "12345", "X-B": "5"}, Put: &request{"PUT", "/a"},
		Requests: []request{{Method: "GET"}, {Path: "/b"}}, ByName: map[string]*request{"one": {Method: "POST"}},
		Free:  map[string]any{"list": []any{1, "two", "12345", nil}, "on": true},
		Share: 12.5, Embedded: Embedded{Region: "eu"}, unnoticed: 1,
	}, v)
}

func TestDecodeReportsAllMistakesAtOnce(t *testing.T) {
	t.Parallel()
	require.EqualError(t, decode(t, `
    token: ${EMPTY}
    base_url:
    wait: soon
    from: tomorrow
    retry: 1
    size: 200
    count: -1
    ratio: half
    tags: a
    headers: [a]
    put: { methd: PUT }
    requests: [ GET ]
    by_name: { one: { method: [] } }
    share: 101%
    ignored: x
    unnoticed: 1
    regoin: eu
`, &vendor{}), `crmsync.yaml:6: connectors.crm.token: is empty
crmsync.yaml:7: connectors.crm.base_url: has no value: fill it in or remove the line
crmsync.yaml:8: connectors.crm.wait: must be a duration, such as 90s, 15m or 24h
crmsync.yaml:9: connectors.crm.from: must be an instant, such as 2026-12-01T00:00:00Z, or a date
crmsync.yaml:10: connectors.crm.retry: must be true or false
crmsync.yaml:11: connectors.crm.size: must be a whole number
crmsync.yaml:12: connectors.crm.count: must be a whole number, 0 or more
crmsync.yaml:13: connectors.crm.ratio: must be a number
crmsync.yaml:14: connectors.crm.tags: must be a list, such as [a, b]
crmsync.yaml:15: connectors.crm.headers: must be a mapping of keys to values
crmsync.yaml:16: connectors.crm.put.methd: unknown key; did you mean method?
crmsync.yaml:17: connectors.crm.requests[0]: must be a mapping with the keys method, path
crmsync.yaml:18: connectors.crm.by_name.one.method: must be a single value
crmsync.yaml:19: connectors.crm.share: must be a percentage above 0% and up to 100%, such as 60%
crmsync.yaml:20: connectors.crm.ignored: unknown key
crmsync.yaml:21: connectors.crm.unnoticed: unknown key
crmsync.yaml:22: connectors.crm.regoin: unknown key; did you mean region?`)
}

func TestDecodeNeedsAPointerToAStruct(t *testing.T) {
	t.Parallel()
	require.Error(t, decode(t, "", vendor{}))
	require.Error(t, decode(t, "", (*vendor)(nil)))
}

// strict is a vendor's settings with a check of its own.
type strict struct {
	Token config.Secret
	Put   request
}

// Validate implements what Decode looks for.
func (s *strict) Validate() error {
	return errors.Join(
		errors.New("token: is missing: create one in the CRM's settings"),
		errors.New("put.method: must be PUT"),
		errors.New("one of the two is needed"),
	)
}

func TestDecodePlacesTheVendorsOwnProblems(t *testing.T) {
	t.Parallel()
	require.EqualError(t, decode(t, "    put:\n      method: GET\n", &strict{}),
		`crmsync.yaml:3: connectors.crm.token: is missing: create one in the CRM's settings
crmsync.yaml:3: connectors.crm: one of the two is needed
crmsync.yaml:6: connectors.crm.put.method: must be PUT`)
}

func TestErrorfNamesTheLine(t *testing.T) {
	t.Parallel()
	c := parse(t, "justcall: { main: {} }\nconnectors:\n  crm:\n    type: t\n    token: abc\n").Connectors["crm"]
	require.EqualError(t, c.Errorf("type", "there is no %q", "t"), `crmsync.yaml:4: connectors.crm.type: there is no "t"`)
	require.EqualError(t, c.Errorf("put.path", "is missing"), "crmsync.yaml:3: connectors.crm.put.path: is missing")
	require.EqualError(t, c.Errorf("", "cannot be opened"), "crmsync.yaml:3: connectors.crm: cannot be opened")
}
