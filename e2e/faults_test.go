package e2e

import (
	"flag"
	"slices"
	"testing"
	"time"

	"crmsync/connectors/connectortest"
	"crmsync/internal/devstack/devtest"
)

var (
	matrixFlag = flag.Int("matrix", 0, "run every cell of the fault matrix, with so many `events` each; 0: the most telling ones, with few")
	outFlag    = flag.String("out", "", "Markdown `file` that gets the fault matrix after its line "+marker)
)

// fault is a row of the matrix.
type fault struct {
	name string
	// strike brings it; heal ends it, and may be nil.
	strike, heal func(*rig)
	// config is added to the configuration.
	config string
	// lasts is how long it lasts; hold by default.
	lasts time.Duration
	// telling are the phases in which it is tried in the short form, too.
	telling []phase
	// only is the one phase in which it matters; empty: in each.
	only phase
	// loses says that Redis loses what it holds for Temporal: texts are repaired by
	// the next reconciliation, opt-outs of classic webhooks are not.
	loses bool
}

// phase is a column of the matrix: what crmsync is busy with while it fails.
type phase string

const (
	duringAccept    phase = "accept"
	duringSync      phase = "sync"
	duringReconcile phase = "reconcile"
)

var phases = []phase{duringAccept, duringSync, duringReconcile}

// TestFaults breaks one thing at a time while texts, statuses and opt-outs are
// accepted or delivered: whatever was answered 2xx is in both CRMs in the end,
// once. Every cell has servers and processes of its own, so that no other test
// runs beside them.
func TestFaults(t *testing.T) { //nolint:paralleltest,tparallel // see above
	if testing.Short() {
		t.Skip("kills processes, and waits until others notice: a minute")
	}
	for _, f := range faults() {
		for _, during := range phases {
			if !f.in(during) {
				continue
			}
			t.Run(string(during)+"/"+f.name, func(t *testing.T) {
				t.Parallel()
				newRig(t, f).cell(during, f)
			})
		}
	}
}

// in tells whether it is tried in a phase, in this form.
func (f fault) in(during phase) bool {
	if *matrixFlag == 0 {
		return slices.Contains(f.telling, during)
	}
	return f.only == "" || f.only == during
}

// faults are the rows of the matrix, in the order of the table.
func faults() []fault {
	return slices.Concat(
		killFaults(),
		networkFaults("Temporal", func(r *rig) []*devtest.Link { return []*devtest.Link{r.net.temporal} }, duringSync),
		networkFaults("Redis", func(r *rig) []*devtest.Link { return []*devtest.Link{r.net.redis} }),
		networkFaults("the CRMs", func(r *rig) []*devtest.Link { return []*devtest.Link{r.net.keyed, r.net.search} }, duringSync),
		justCallFaults(), crmFaults(), spoolFaults(),
	)
}

func killFaults() []fault {
	return []fault{
		{name: "SIGKILL of a worker", strike: (*rig).killWorker, heal: (*rig).startWorker, telling: []phase{duringSync, duringReconcile}},
		{name: "SIGKILL of ingress", strike: (*rig).killIngress, heal: (*rig).startIngress, telling: []phase{duringAccept}},
		{name: "SIGKILL of Redis, back with its file", strike: (*rig).killRedis, heal: (*rig).startRedis},
		{name: "SIGKILL of Redis, back empty", strike: (*rig).killRedis, heal: (*rig).startRedisEmpty},
		{name: "SIGKILL of Temporal", strike: (*rig).killTemporal, heal: (*rig).startTemporal, lasts: longHold, telling: []phase{duringAccept}},
	}
}

// networkFaults are what the way to a server can do. That answers are cut off may be
// telling.
func networkFaults(to string, links func(*rig) []*devtest.Link, telling ...phase) (rows []fault) {
	for i, f := range []fault{
		{name: "connections to " + to + " are refused", lasts: longHold},
		{name: "connections to " + to + " hang", lasts: longHold},
		{name: "answers of " + to + " are cut off", telling: telling},
		{name: "the way to " + to + " is slow"},
	} {
		trouble := []devtest.Trouble{devtest.Refusing, devtest.Hanging, devtest.Resetting, devtest.Slow}[i]
		f.strike = func(r *rig) { become(links(r), trouble) }
		f.heal = func(r *rig) { become(links(r), devtest.Healthy) }
		rows = append(rows, f)
	}
	return rows
}

func become(links []*devtest.Link, trouble devtest.Trouble) {
	for _, l := range links {
		l.Become(trouble)
	}
}

// justCallFaults are what JustCall sees of its way to us (that it is refused or slow
// is its affair alone), and we of ours to it.
func justCallFaults() []fault {
	in := networkFaults("our ingress", func(r *rig) []*devtest.Link { return []*devtest.Link{r.net.webhook} })
	out := networkFaults("JustCall's API", func(r *rig) []*devtest.Link { return []*devtest.Link{r.net.api} })
	for i := range out {
		out[i].only = duringReconcile
	}
	in[1].lasts = hold // JustCall would come too often
	return append(in[1:3], out...)
}

// crmFaults are what both CRMs answer.
func crmFaults() []fault {
	at := func(name string, bad func(*connectortest.Faults), telling ...phase) fault {
		return fault{
			name: name, telling: telling,
			strike: func(r *rig) { r.crmsDo(bad); r.crmsAsked("") },
			heal:   func(r *rig) { r.crmsDo(func(f *connectortest.Faults) { *f = usual }) },
		}
	}
	lost := at("the CRMs' answers are lost after a write", nil, duringSync)
	lost.strike = func(r *rig) {
		r.crmsDo(func(f *connectortest.Faults) { f.LoseEvery, f.LateEvery = 2, 4 })
		r.crmsAsked("put")
	}
	return []fault{
		at("the CRMs answer 503", func(f *connectortest.Faults) { f.Down = true }),
		at("the CRMs answer 429", func(f *connectortest.Faults) { f.Limited, f.RetryAfter = true, time.Second }),
		at("the CRMs answer too late", func(f *connectortest.Faults) { f.Latency = 2 * callTimeout }),
		lost,
		at("the CRMs refuse the credentials", func(f *connectortest.Faults) { f.Unauthorized = true }),
	}
}

// spoolFaults are what can happen to the events that Redis holds while Temporal is
// away.
func spoolFaults() []fault {
	return []fault{{
		name: "Temporal is away, and the spool is full", telling: []phase{duringAccept},
		config: "spool: { max_events: 5 }",
		strike: func(r *rig) { r.net.temporal.Become(devtest.Refusing) },
		heal:   func(r *rig) { r.net.temporal.Become(devtest.Healthy) },
		lasts:  longHold,
	}, {
		name:   "Temporal was away, and ingress is killed while it drains the spool",
		strike: (*rig).killIngressDraining, heal: (*rig).startIngressDrained, telling: []phase{duringAccept},
	}, {
		name:   "Temporal is away, and Redis is killed while it holds events, back with its file",
		strike: (*rig).killRedisHolding, heal: (*rig).startBoth, telling: []phase{duringAccept},
	}, {
		name:   "Temporal is away, and Redis is killed while it holds events, back empty",
		strike: (*rig).killRedisHolding, heal: (*rig).startBothEmpty, loses: true, telling: []phase{duringAccept},
	}}
}
