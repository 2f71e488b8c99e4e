package e2e

import (
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors/connectortest"
	"crmsync/sms"
)

// outcome is what became of a cell.
type outcome struct {
	events, answered, again      int
	slowest, whole               time.Duration
	texts, statuses, optOuts     int // lost
	records, contacts            int // doubled
	paused, unfinished, timedOut bool
}

// cell brings a fault during a phase, ends it, and judges what there is then.
func (r *rig) cell(during phase, f fault) {
	r.startIngress()
	switch during {
	case duringAccept:
		r.whileAccepting(f)
	case duringSync:
		r.whileSyncing(f)
	}
	r.sender.all.Wait()
	o := r.judge()
	matrix.add(f.name, during, o)
	o.require(r)
}

// breaks brings a fault, for a while.
func (r *rig) breaks(f fault) {
	f.strike(r)
	<-time.After(hold) // as long as the fault lasts; not a wait for a condition
	f.heal(r)
	r.healed = time.Now()
}

// whileAccepting: webhooks come at an even pace all the time.
func (r *rig) whileAccepting(f fault) {
	r.startWorker()
	n := len(r.traffic)
	r.sender.send(r.traffic, 0, n, pace(n))
	r.sender.reached(r.t, n/4)
	r.breaks(f)
}

// whileSyncing: nearly everything was accepted before, and waits in Temporal.
func (r *rig) whileSyncing(f fault) {
	n := len(r.traffic)
	before := n * 9 / 10
	r.sender.fill(r.traffic, before)
	r.startWorker()
	eventually(r.t, patience, "some is delivered", func() bool { return len(r.crm.Messages()) >= n/10 && len(r.search.Messages()) >= n/10 })
	r.sender.send(r.traffic, before, n, pace(n-before))
	r.breaks(f)
}

// pace spreads n webhooks over the time before, during and after a fault, but not
// beyond what this machine can do.
func pace(n int) time.Duration { return max(2*hold/time.Duration(n), time.Second/50) }

// judge waits until everything is in place, and counts what is not.
func (r *rig) judge() outcome {
	o := outcome{events: len(r.traffic)}
	o.timedOut = !within(patience, 100*time.Millisecond, func() bool { return r.missing(&o) == 0 })
	o.whole = time.Since(r.healed)
	o.unfinished = !within(patience, 100*time.Millisecond, func() bool {
		return r.count("WorkflowType = 'SyncEvent' AND ExecutionStatus = 'Running'") == 0 && r.crm.Pending()+r.search.Pending() == 0
	})
	r.missing(&o)
	for _, crm := range []*connectortest.CRM{r.crm, r.search} {
		o.records += len(crm.Doubles())
		o.contacts += len(crm.ContactDoubles())
	}
	o.answered, o.again, o.slowest, o.paused = len(r.sender.answered), r.sender.again, r.sender.slowest, r.sender.paused
	return o
}

// missing counts what was answered 2xx and is not in both CRMs as it should.
func (r *rig) missing(o *outcome) int {
	o.texts, o.statuses, o.optOuts = 0, 0, 0
	keyed, search := viewOf(r.crm), viewOf(r.search)
	for i := range r.sender.answered {
		e := r.traffic[i]
		if keyed.shows(e) && search.shows(e) {
			continue
		}
		switch {
		case e.kind == sms.OptOut:
			o.optOuts++
		case e.kind.Status():
			o.statuses++
		default:
			o.texts++
		}
	}
	return o.texts + o.statuses + o.optOuts
}

func (o outcome) require(r *rig) {
	r.t.Helper()
	r.t.Logf("%+v", o)
	require.False(r.t, o.paused, "JustCall has paused the webhook")
	require.Equal(r.t, o.events, o.answered, "webhooks answered 2xx")
	require.Zero(r.t, o.texts, "texts lost")
	require.Zero(r.t, o.statuses, "statuses lost")
	require.Zero(r.t, o.optOuts, "opt-outs lost")
	require.Zero(r.t, o.records, "records doubled")
	require.Zero(r.t, o.contacts, "contacts doubled")
	require.False(r.t, o.unfinished, "workflows still run")
}

// within is eventually, for what need not be.
func within(limit, every time.Duration, condition func() bool) bool {
	end := time.After(limit)
	tick := time.NewTicker(every)
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
