// Package connectortest proves that a connector keeps the contract of package
// connectors.
//
// [Run] is the conformance suite. Its author gives it a [Harness]: the
// connector's definition and a fake of the vendor that only knows the happy
// path. The suite puts the faults between the two: answers that get lost after
// the write, limits, outages, pages in place of answers. Then it looks into the
// fake's [Store], which holds what was really written, and compares. What a verb
// needs of a fake beyond that is an interface of package fakes, such as
// fakes.OwnerAdder; a case that misses it names it.
//
//	func TestConformance(t *testing.T) {
//		t.Parallel()
//		connectortest.Run(t, connectortest.Harness{
//			Definition: acme.Definition(),
//			Start: func(t testing.TB) connectortest.Fake {
//				fake := newFake()
//				server := httptest.NewServer(fake)
//				t.Cleanup(server.Close)
//				return connectortest.Fake{
//					Config:  "base_url: " + server.URL + "\ntoken: s3cret",
//					Secrets: []string{"s3cret"},
//					Store:   fake,
//					Poison:  fake.poison,
//				}
//			},
//		})
//	}
//
// [CRM] is a whole CRM in memory, of any idempotency class and with faults on
// demand, for tests of everything above the connectors.
package connectortest

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"crmsync/connectors"
)

// Harness is what the suite needs to know of a connector.
type Harness struct {
	Definition connectors.Definition
	// Start makes a fresh, empty fake of the vendor. It is called many times,
	// from several goroutines, and releases what it took with t.Cleanup.
	Start func(t testing.TB) Fake
	// Stored answers what a plain text looks like in [Message].Body, where the
	// vendor's markup makes it differ; nil means unchanged. More may stand
	// around it.
	Stored func(plain string) string
	// Reads tells the requests that change nothing, and may read the body for
	// that; nil means GET and HEAD.
	Reads func(*http.Request) bool
	// Refusals are answers in the vendor's own words, each tried on every verb.
	Refusals []Refusal
	// Waive names cases that the vendor makes impossible, with the reason. A
	// waiver for a case that would pass, or does not exist, fails.
	Waive map[string]string
}

// Fake is a running fake of a vendor; [Serve] makes one.
type Fake struct {
	// URL is the fake's address, where the test that started it wants to know it.
	URL string
	// Config is the instance's settings, in YAML.
	Config string
	// Transport leads to the fake; nil means over the network.
	Transport http.RoundTripper
	// Grant is given to the connector as it is.
	Grant func(context.Context) (connectors.Grant, error)
	// Secrets are the credentials in Config and Grant. None may ever show in
	// an error.
	Secrets []string
	Store   Store
	// Poison makes the vendor refuse the text with that key for its content.
	// It may be nil where Definition.MaxBatch is 1.
	Poison func(key string)
}

// Refusal is an answer of the vendor that the connector must understand, such
// as a spent daily limit that comes as a 403.
type Refusal struct {
	Name   string
	Answer Answer
	Want   connectors.Kind
	// RetryAfter is what the connector must make of it; 0 for none.
	RetryAfter time.Duration
}

// Answer is an answer in the vendor's words.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// testCase is one clause of the contract.
type testCase struct {
	name  string
	needs func(abilities) bool // nil: every connector
	run   func(*bench)
}

// abilities are a connector's capabilities, what no capability tells, and what
// its fake can show.
type abilities struct {
	connectors.Capabilities
	owners, provision bool
	fields, leads     bool
}

// Run holds the connector to the contract, one subtest for each clause.
func Run(t *testing.T, h Harness) {
	t.Helper()
	for _, v := range verdicts(t, h) {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			v.report(t, h)
		})
	}
}

// verdict is how one case is to be judged.
type verdict struct {
	testCase
	applies bool
}

// verdicts lists the cases that apply, and those that are waived.
func verdicts(t testing.TB, h Harness) []verdict {
	can := able(t, h)
	var out []verdict
	known := map[string]bool{}
	for _, c := range allCases(h) {
		known[c.name] = true
		applies := c.needs == nil || c.needs(can)
		if _, waived := h.Waive[c.name]; applies || waived {
			out = append(out, verdict{c, applies})
		}
	}
	for name := range h.Waive {
		if !known[name] {
			t.Errorf("waiver %q: there is no such case", name)
		}
	}
	return out
}

func (v verdict) report(t *testing.T, h Harness) {
	if problem := v.judge(t, h); problem != "" {
		t.Error(problem)
	}
}

// judge runs the case and answers what is wrong, "" for nothing.
func (v verdict) judge(t testing.TB, h Harness) string {
	reason, waived := h.Waive[v.name]
	if waived && reason == "" {
		return "a waiver needs a reason"
	}
	if !v.applies {
		return "the waiver is stale: the case does not apply"
	}
	failure := examine(t, h, v.run)
	switch {
	case waived && failure == "":
		return "the waiver is stale: the case passes"
	case waived:
		t.Logf("waived: %s", reason)
		return ""
	}
	return failure
}

// able finds out what the connector can. Where Check of a fresh instance fails,
// every method counts, and the case that looks at Check tells why.
func able(t testing.TB, h Harness) abilities {
	var can abilities
	failure := examine(t, h, func(b *bench) {
		s := b.open()
		can.Capabilities = connectors.CapabilitiesOf(s.connector, connectors.ClassB)
		if answered, err := s.connector.Check(b.Context()); err == nil {
			can.Capabilities = can.Narrow(answered)
		}
		_, can.owners = s.connector.(connectors.OwnerFinder)
		_, can.provision = s.connector.(connectors.Provisioner)
		_, can.fields = s.store.(fieldNamer)
		can.leads = s.store.AddContact(lead()).Type == leadType
	})
	if failure != "" {
		t.Fatalf("the connector does not open: %s", failure)
	}
	return can
}

func allCases(h Harness) []testCase {
	cases := definitionCases()
	cases = append(cases, textCases(h)...)
	cases = append(cases, contactCases()...)
	cases = append(cases, numberCases()...)
	cases = append(cases, typeCases()...)
	cases = append(cases, setupCases()...)
	cases = append(cases, adoptCases()...)
	return append(cases, faultCases(h)...)
}

func (h Harness) stored(plain string) string {
	if h.Stored == nil {
		return plain
	}
	return h.Stored(plain)
}

func (h Harness) reads(r *http.Request) bool {
	if h.Reads == nil {
		return r.Method == http.MethodGet || r.Method == http.MethodHead
	}
	return h.Reads(r)
}

// batchSize is how many items the suite puts in a call.
func (h Harness) batchSize() int { return min(3, cmp.Or(h.Definition.MaxBatch, 1)) }

func caseName(group, name string) string { return fmt.Sprintf("%s/%s", group, name) }
