package connectortest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
)

// harness runs testcrm against the test CRM in health.
func harness(class connectors.Class, maxBatch int) Harness {
	return Harness{
		Definition: Definition(Options{MaxBatch: maxBatch}),
		Start: func(t testing.TB) Fake {
			crm := NewCRM(CRMOptions{Class: class, Token: "t0ken-s3cret", MaxBatch: maxBatch})
			return Fake{
				Config:  fmt.Sprintf("base_url: %s\nclass: %s\ntoken: t0ken-s3cret\n", crm.Start(t), class),
				Secrets: []string{"t0ken-s3cret"},
				Store:   crm,
				Poison:  func(key string) { crm.SetFaults(func(f *Faults) { f.Poison = append(f.Poison, key) }) },
			}
		},
		Refusals: []Refusal{{
			Name:   "451 with Retry-After",
			Answer: Answer{Status: 451, Header: http.Header{"Retry-After": {"9"}}}, Want: connectors.Unknown, RetryAfter: 9 * time.Second,
		}},
		Reads: func(r *http.Request) bool {
			return r.Method == http.MethodGet || strings.HasSuffix(r.URL.Path, "/find") || strings.HasSuffix(r.URL.Path, "/search")
		},
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for _, class := range []connectors.Class{connectors.ClassA, connectors.ClassB, connectors.ClassC, connectors.ClassD} {
		for _, maxBatch := range []int{1, 50} {
			t.Run(fmt.Sprintf("class %s, batches of %d", class, maxBatch), func(t *testing.T) {
				t.Parallel()
				Run(t, harness(class, maxBatch))
			})
		}
	}
}

func TestWaivers(t *testing.T) {
	t.Parallel()
	judge := func(h Harness, name string) string {
		for _, v := range verdicts(t, h) {
			if v.name == name {
				return v.judge(t, h)
			}
		}
		return "no such case"
	}
	h := harness(connectors.ClassB, 10)
	h.Waive = map[string]string{"put/arrives": "out of laziness", "put/nothing": ""}
	require.Equal(t, "the waiver is stale: the case passes", judge(h, "put/arrives"))
	require.Equal(t, "a waiver needs a reason", judge(h, "put/nothing"))
	require.Empty(t, judge(h, "put/twice is once"))
}

func TestWaiverWithoutACaseFails(t *testing.T) {
	t.Parallel()
	h := harness(connectors.ClassB, 10)
	h.Waive = map[string]string{"put/arives": "a slip of the pen"}
	failure := examine(t, h, func(b *bench) { verdicts(b, h) })
	require.Contains(t, failure, "there is no such case")
}

func TestWaivedCaseThatFailsPasses(t *testing.T) {
	t.Parallel()
	h := harness(connectors.ClassD, 10)
	h.Definition = defective(writesTwice)
	h.Waive = map[string]string{"put/arrives": "this CRM shows each text twice"}
	for _, v := range verdicts(t, h) {
		if v.name == "put/arrives" {
			require.Empty(t, v.judge(t, h))
		}
	}
}
