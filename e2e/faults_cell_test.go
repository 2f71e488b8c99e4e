package e2e

import (
	"cmp"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors/connectortest"
	"crmsync/sms"
)

// outcome is what became of a cell.
type outcome struct {
	posted
	events                   int // that had to arrive
	whole                    time.Duration
	texts, statuses, optOuts int // lost
	records, contacts        int // doubled
	paused, late, unfinished bool
}

// cell brings a fault during a phase, ends it, and judges what there is then.
func (r *rig) cell(during phase, f fault) {
	r.startIngress()
	switch during {
	case duringAccept:
		r.whileAccepting(f)
	case duringSync:
		r.whileSyncing(f)
	case duringReconcile:
		r.whileReconciling(f)
	}
	r.justcall.Idle(r.t.Context())
	o := r.judge(during, f)
	require.NoError(r.t, matrix.add(f.name, during, o, *outFlag))
	o.require(r, f)
}

// breaks brings a fault, for a while.
func (r *rig) breaks(f fault) {
	f.strike(r)
	<-time.After(f.duration()) // as long as the fault lasts; not a wait for a condition
	f.heal(r)
	r.healed = time.Now()
}

// whileAccepting: webhooks come at an even pace all the time.
func (r *rig) whileAccepting(f fault) {
	r.startWorker()
	wait := r.post(r.traffic, f.pace(len(r.traffic)))
	r.answered(r.t, len(r.traffic)/4)
	r.breaks(f)
	wait()
}

// whileSyncing: most was accepted before, and waits in Temporal.
func (r *rig) whileSyncing(f fault) {
	before, meanwhile := r.split()
	r.fill(before)
	r.startWorker()
	r.delivered(len(before)/10, func() {})
	wait := r.post(meanwhile, f.pace(len(meanwhile)))
	r.breaks(f)
	wait()
}

// whileReconciling: a part was accepted and delivered before. Most was never
// posted, and is only listed by JustCall.
func (r *rig) whileReconciling(f fault) {
	before, meanwhile := r.split()
	r.startWorker()
	posted := len(before) / 4
	r.fill(before[:posted])
	r.keep(before[posted:])
	r.delivered(posted+len(before)/10, r.reconcile)
	wait := r.post(meanwhile, f.pace(len(meanwhile)))
	r.breaks(f)
	wait()
}

// split keeps a part of the traffic for the time of the fault: at least as much as
// shows that JustCall does not pause us.
func (r *rig) split() (before, meanwhile []event) {
	n := len(r.traffic) * 3 / 4
	n -= n % perNumber
	return r.traffic[:n], r.traffic[n:]
}

// delivered waits until so many texts are in both CRMs, and urges meanwhile.
func (r *rig) delivered(texts int, urge func()) {
	r.t.Helper()
	eventually(r.t, patienceFor(len(r.traffic)), "some is delivered", func() bool {
		urge()
		return len(r.crm.Messages()) >= texts && len(r.search.Messages()) >= texts
	})
}

// pace spreads n webhooks over the time before, during and after a fault, but not
// beyond what a small machine can do.
func (f fault) pace(n int) time.Duration {
	return max(2*f.duration()/time.Duration(n), time.Second/50)
}

func (f fault) duration() time.Duration { return cmp.Or(f.lasts, hold) }

// judge waits until everything is in place, and counts what is not. Where that
// needs reconciliation it is run as often as it takes.
func (r *rig) judge(during phase, f fault) outcome {
	o := outcome{paused: r.justcall.Paused()}
	o.late = !within(patienceFor(len(r.traffic)), func() bool {
		if during == duringReconcile || f.loses {
			r.reconcile()
		}
		r.missing(&o)
		return o.texts+o.statuses == 0 && (o.optOuts == 0 || f.loses)
	})
	o.whole = time.Since(r.healed)
	o.unfinished = !within(patience, func() bool {
		return r.count("WorkflowType = 'SyncEvent' AND ExecutionStatus = 'Running'") == 0 && r.crm.Pending()+r.search.Pending() == 0
	})
	r.missing(&o)
	o.posted = r.posted()
	for _, crm := range []*connectortest.CRM{r.crm, r.search} {
		o.records += len(crm.Doubles())
		o.contacts += len(crm.ContactDoubles())
	}
	return o
}

// missing counts what was answered 2xx and is not in both CRMs as it should.
func (r *rig) missing(o *outcome) {
	o.events, o.texts, o.statuses, o.optOuts = 0, 0, 0, 0
	keyed, search := viewOf(r.crm), viewOf(r.search)
	for _, e := range r.promised() {
		o.events++
		switch {
		case keyed.shows(e) && search.shows(e):
		case e.kind == sms.OptOut:
			o.optOuts++
		case e.kind.Status():
			o.statuses++
		default:
			o.texts++
		}
	}
}

// promised is what has to arrive: what was answered 2xx, and what JustCall lists.
func (r *rig) promised() (events []event) {
	events = slices.Clone(r.kept)
	for _, d := range r.justcall.Deliveries() {
		if d.Answered {
			events = append(events, event{d.Kind, d.Text})
		}
	}
	return events
}

func (o outcome) require(r *rig, f fault) {
	r.t.Helper()
	r.t.Logf("%+v", o)
	require.False(r.t, o.paused, "JustCall has paused the webhook")
	require.Empty(r.t, r.justcall.Lost(), "webhooks that JustCall gave up")
	require.Equal(r.t, len(r.traffic), o.events, "webhooks answered 2xx")
	require.Zero(r.t, o.texts, "texts lost")
	require.Zero(r.t, o.statuses, "statuses lost")
	if !f.loses {
		require.Zero(r.t, o.optOuts, "opt-outs lost")
	}
	require.Zero(r.t, o.records, "records doubled")
	require.Zero(r.t, o.contacts, "contacts doubled")
	require.False(r.t, o.unfinished, "workflows still run")
}

// patienceFor is how long so many events may take: what four cells side by side on
// two cores need for many, and no longer than ever for few.
func patienceFor(events int) time.Duration {
	return patience + time.Duration(events-shortEvents)*750*time.Millisecond
}

// within is eventually, for what need not be.
func within(limit time.Duration, condition func() bool) bool {
	end := time.After(limit)
	tick := time.NewTicker(500 * time.Millisecond) // to look costs what is looked at its time
	defer tick.Stop()
	for !condition() {
		select {
		case <-end:
			return false
		case <-tick.C:
		}
	}
	return true
}
