package httpapi_test

import (
	"maps"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/connectortest"
	"crmsync/connectors/httpapi"
)

const manual = "../../docs/connectors/http.md"

var (
	block     = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")
	reference = regexp.MustCompile(`\$\{[A-Z_]+\}`)
	baseURL   = regexp.MustCompile(`(?m)^base_url: https://[^/\n]+`)
)

// blocks answers the YAML in the manual: whole examples, and fragments.
func blocks(t testing.TB) (examples, fragments []string) {
	text, err := os.ReadFile(manual)
	require.NoError(t, err)
	for _, found := range block.FindAllStringSubmatch(string(text), -1) {
		if strings.HasPrefix(found[1], "type: http\n") {
			examples = append(examples, found[1])
		} else {
			fragments = append(fragments, found[1])
		}
	}
	return examples, fragments
}

// at gives a configuration another address, and secrets to its references.
func at(url, config string) string {
	return reference.ReplaceAllString(baseURL.ReplaceAllString(config, "base_url: "+url), secret)
}

func harness(config string, crm func() (*vendor, http.Handler)) connectortest.Harness {
	d := httpapi.Definition()
	d.MaxBatch = 3 // also one by one, the order and the rest of a batch count
	return connectortest.Harness{Definition: d, Reads: reads, Start: func(t testing.TB) connectortest.Fake {
		store, handler := crm()
		return connectortest.Fake{Config: at(start(t, handler), config), Secrets: []string{secret}, Store: store, Poison: store.poison}
	}}
}

func TestExampleOneConforms(t *testing.T) {
	t.Parallel()
	examples, _ := blocks(t)
	require.Len(t, examples, 2)
	h := harness(examples[0], larkspur)
	h.Waive = american(nil)
	connectortest.Run(t, h)
}

// american adds to waivers those of a CRM with region: US.
func american(waivers map[string]string) map[string]string {
	const reason = "region: US says that a number without its country is American"
	all := map[string]string{"find contacts/number: with a trunk prefix": reason, "find contacts/number: national, spaces": reason}
	maps.Copy(all, waivers)
	return all
}

func TestExampleTwoConforms(t *testing.T) {
	t.Parallel()
	examples, _ := blocks(t)
	h := harness(examples[1], ledgerline)
	h.Stored = ledgerlineStored
	connectortest.Run(t, h)
}

func open(config string) error {
	_, err := httpapi.Definition().Open(connectortest.Config("crm", config), connectors.Env{Client: http.DefaultClient})
	return err
}

// least is a configuration that fragments of the manual complete.
const least = `type: http
class: B
check: { path: me }
put_message: { path: messages, body: '{"text": {{.Body}}}', result: { id: body.id } }
base_url: https://crm.example.com
`

// completed puts a fragment in place of what least says.
func completed(fragment string) string {
	var kept []string
	for _, line := range strings.SplitAfter(least, "\n") {
		key, _, _ := strings.Cut(line, ":")
		if key == "" || !regexp.MustCompile("(?m)^"+key+":").MatchString(fragment) {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "") + fragment
}

func TestFragmentsOfTheManualOpen(t *testing.T) {
	t.Parallel()
	_, fragments := blocks(t)
	require.NotEmpty(t, fragments)
	for _, fragment := range fragments {
		require.NoError(t, open(at("https://crm.example.com", completed(fragment))), fragment)
	}
}

// section replaces an operation of an example.
func section(t *testing.T, config, name, instead string) string {
	t.Helper()
	operation := regexp.MustCompile(`(?ms)^` + name + `:.*?\n\n`)
	require.Regexp(t, operation, config)
	return operation.ReplaceAllLiteralString(config, instead+"\n\n")
}

// replaced replaces pieces of an example, each of which must be there.
func replaced(t *testing.T, config string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		require.Contains(t, config, pairs[i])
		config = strings.Replace(config, pairs[i], pairs[i+1], 1)
	}
	return config
}

const batchedPut = `put_message:
  path: activities/batch
  batch: 50
  body: |
    { "activities": [
      {{range $i, $m := .Items}}{{if $i}},{{end}}
      { "party_id": {{$m.Contact.ID | default nil}}, "direction": {{$m.Direction}}, "happened": {{$m.At}}, "html": "{{$m.Body | html | replace "\n" "<br>"}}", "custom": { "external_ref": {{$m.Key}} } }
      {{end}}
    ] }
  verdict: 'item.code == "no_such_record" ? "NOT_FOUND" : ""'
  result: { items: body.results, id: item.activity_id, status: item.status }`

// Other ways to keep the promise, at CRMs that differ from those of the
// examples in one thing each.
func TestVariantsConform(t *testing.T) {
	t.Parallel()
	examples, _ := blocks(t)
	one, two := examples[0], examples[1]
	for name, c := range map[string]struct {
		config string
		crm    func() (*vendor, http.Handler)
		stored func(string) string
		waive  map[string]string
	}{
		"an upsert that overwrites, after a look": {
			config: replaced(t, one, `headers: { If-None-Match: "*" }`, "look_first: true"), crm: larkspur,
			waive: american(map[string]string{"put/answer truncated": "what is cut off is the 404 of the look, which says enough by its status"}),
		},
		"class A": {
			config: replaced(t, one, "class: B", "class: A", `  headers: { If-None-Match: "*" }`, "  query: { new: only }", "  status: { 412: existed }\n", ""),
			crm:    larkspur,
			waive:  american(nil),
		},
		"class C, a refusal that names the record": {
			config: replaced(t, two, "class: D", "class: C"), crm: ledgerlineOf(quirks{refuses: true, names: true}), stored: ledgerlineStored,
		},
		"class C, a refusal that does not": {
			config: replaced(t, two, "class: D", "class: C"), crm: ledgerlineOf(quirks{refuses: true}), stored: ledgerlineStored,
		},
		"a marker in the text": {
			config: replaced(t, two, `replace "\n" "<br>"}}"`, `replace "\n" "<br>"}}<br>{{.Marker}}"`, `"external_ref": {{.Key}}`, `"external_ref": ""`,
				`"external_ref", "contains": {{.Key}}`, `"html", "contains": {{.Marker}}`,
				"item.custom.external_ref == input.Key", "item.html endsWith input.Marker"),
			crm: ledgerline, stored: ledgerlineStored,
			waive: map[string]string{"put/leaves edits alone": "whoever rewrites the text removes the marker"},
		},
		"batches": {config: section(t, two, "put_message", batchedPut), crm: ledgerline, stored: ledgerlineStored},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := harness(c.config, c.crm)
			h.Stored, h.Waive = c.stored, c.waive
			connectortest.Run(t, h)
		})
	}
}
