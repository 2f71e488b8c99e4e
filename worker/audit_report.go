package worker

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"crmsync/connectors"
	"crmsync/internal/audit"
	"crmsync/internal/messages"
)

// auditReport is what a program reads.
type auditReport struct {
	audit.Report
	// Complete: the whole list was read.
	Complete bool `json:"complete"`
	// Repair is what became of the missing; nil where they were left alone.
	Repair *messages.Tally `json:"repair,omitempty"`
}

func (a *app) reportAudit(report audit.Report, repaired *auditRepair, err error) error {
	if a.json {
		out := auditReport{Report: report, Complete: err == nil}
		if repaired != nil {
			out.Repair = &repaired.Tally
		}
		if printErr := a.printJSON(out); printErr != nil {
			return printErr
		}
	} else {
		a.printAudit(report)
		a.printAuditRepair(report, repaired)
	}
	switch {
	case err != nil:
		return fmt.Errorf("the audit was broken off, and its figures are not complete: %w", err)
	case repaired != nil && repaired.err != nil:
		return repaired.err
	case repaired != nil && repaired.Done == report.Missing:
		report.Missing = 0
	}
	if !report.Well() {
		return errFindings
	}
	return nil
}

func (a *app) printAudit(r audit.Report) {
	wrong := fmt.Sprint(r.WrongContact)
	if r.ContactsUnknown {
		wrong = "not known"
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "listed\tin CRM\tmissing\tdouble\twrong contact\n%d\t%d\t%d\t%d\t%s\n", r.Listed, r.InCRM, r.Missing, r.Double, wrong)
	_ = w.Flush()
	var also []string
	for _, part := range []struct {
		n    int
		what string
	}{
		{r.UnderWay, "under way"},
		{r.Parked, "parked (crmsync messages list --parked)"},
		{r.LeftOut, "left out (skipped by a person, or this CRM has no place for them)"},
		{r.Unanswered, "that this CRM cannot be asked for"},
		{r.Unreadable, "rows that cannot be decoded"},
		{r.Elsewhere, "for other connectors only"},
	} {
		if part.n > 0 {
			also = append(also, fmt.Sprintf("%d %s", part.n, part.what))
		}
	}
	if len(also) > 0 {
		a.printf("besides: %s\n", strings.Join(also, ", "))
	}
	a.printFindings(r)
}

func (a *app) printFindings(r audit.Report) {
	for i, f := range r.Findings {
		if i == problemsShown {
			a.printf("… and more (--json lists them)\n")
			return
		}
		text := f.What + "  " + f.Key
		if f.Why != "" {
			text += ": " + f.Why
		}
		a.printf("%s%s\n", printable(text), printable(places(f.Records)))
	}
}

// places are where records are found.
func places(records []connectors.Ref) string {
	var links []string
	for _, r := range records {
		links = append(links, link(r))
	}
	if len(links) == 0 {
		return ""
	}
	return " (" + strings.Join(links, ", ") + ")"
}

func (a *app) printAuditRepair(r audit.Report, repaired *auditRepair) {
	switch {
	case repaired == nil && r.Missing > 0:
		a.printf("To deliver what is missing, give the same command --repair.\n")
	case repaired == nil || errors.Is(repaired.err, errIDs):
	default:
		a.printTally(&repairFlags{verb: "repair"}, false, repaired.Tally, messages.Found{})
		if left := r.Missing - len(r.Lost); left > 0 {
			a.printf("%d more are missing: repeat the command once these are there.\n", left)
		}
	}
}
