package worker

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"crmsync/internal/audit"
	"crmsync/internal/messages"
)

// To deliver texts that are there under other ids would double all of them; and what
// was not read to the end is not known.
func TestAuditRepairsNothingInDoubt(t *testing.T) {
	t.Parallel()
	a := &app{stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}}
	strange := audit.Report{Listed: audit.MinProof, Missing: audit.MinProof, Lost: make([]audit.Lost, audit.MinProof)}
	repair := &auditFlags{repair: true}
	got := a.repairAudit(t.Context(), nil, repair, strange, nil)
	require.ErrorIs(t, got.err, errIDs)
	require.Equal(t, messages.Tally{Found: audit.MinProof, Left: audit.MinProof, Failed: []messages.Problem{}}, got.Tally)
	require.Nil(t, a.repairAudit(t.Context(), nil, repair, strange, context.Canceled), "the list was not read to the end")
	require.Nil(t, a.repairAudit(t.Context(), nil, &auditFlags{}, strange, nil), "nobody asked for it")
}

func TestAuditEnds(t *testing.T) {
	t.Parallel()
	done := func(n int) *auditRepair { return &auditRepair{Tally: messages.Tally{Found: 2, Done: n}} }
	for name, c := range map[string]struct {
		report   audit.Report
		repaired *auditRepair
		err      error
		want     string // "" where all is well
		says     string
	}{
		"well":                {report: audit.Report{Listed: 3, InCRM: 1, UnderWay: 1, Parked: 1}, says: "besides: 1 under way, 1 parked"},
		"missing":             {report: audit.Report{Listed: 2, Missing: 2}, want: errFindings.Error(), says: "give the same command --repair"},
		"repaired":            {report: audit.Report{Listed: 2, Missing: 2, Lost: make([]audit.Lost, 2)}, repaired: done(2), says: "repair: 2 of 2 done"},
		"repaired in part":    {report: audit.Report{Listed: 2, Missing: 2, Lost: make([]audit.Lost, 2)}, repaired: done(1), want: errFindings.Error()},
		"more than is held":   {report: audit.Report{Listed: 3, Missing: 3, Lost: make([]audit.Lost, 2)}, repaired: done(2), want: errFindings.Error(), says: "1 more are missing"},
		"ids in doubt":        {report: audit.Report{Listed: 2, Missing: 2}, repaired: &auditRepair{err: errIDs}, want: "by other ids"},
		"double":              {report: audit.Report{Listed: 1, InCRM: 1, Double: 1}, want: errFindings.Error()},
		"wrong contact":       {report: audit.Report{Listed: 1, InCRM: 1, WrongContact: 1}, want: errFindings.Error()},
		"rows without a form": {report: audit.Report{Unreadable: 1}, want: errFindings.Error()},
		"no answer":           {report: audit.Report{Listed: 1, Unanswered: 1}, want: errFindings.Error(), says: "1 that this CRM cannot be asked for"},
		"broken off":          {err: errors.New("the CRM is away"), want: "its figures are not complete: the CRM is away"},
		"contacts not known":  {report: audit.Report{Listed: 1, InCRM: 1, ContactsUnknown: true}, says: "not known"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, json := range []bool{false, true} {
				out := &bytes.Buffer{}
				a := &app{stdout: out, stderr: &bytes.Buffer{}, json: json}
				err := a.reportAudit(c.report, c.repaired, c.err)
				if c.want == "" {
					require.NoError(t, err)
				} else {
					require.ErrorContains(t, err, c.want)
				}
				if !json {
					require.Contains(t, out.String(), c.says)
				}
			}
		})
	}
}
