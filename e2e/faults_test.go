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
	// telling are the phases in which it is tried in the short form, too.
	telling []phase
}

// phase is a column of the matrix: what crmsync is busy with while it fails.
type phase string

const (
	duringAccept phase = "accept"
	duringSync   phase = "sync"
)

var phases = []phase{duringAccept, duringSync}

// TestFaults breaks one thing at a time while texts, statuses and opt-outs are
// accepted or delivered: whatever was answered 2xx is in both CRMs in the end,
// once. Every cell has servers and processes of its own.
func TestFaults(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("kills processes, and waits until others notice: a minute")
	}
	for _, f := range faults() {
		for _, during := range phases {
			if *matrixFlag == 0 && !slices.Contains(f.telling, during) {
				continue
			}
			t.Run(string(during)+"/"+f.name, func(t *testing.T) {
				t.Parallel()
				newRig(t).cell(during, f)
			})
		}
	}
}

// faults are the rows of the matrix, in the order of the table.
func faults() []fault {
	rows := []fault{
		{name: "SIGKILL of a worker", strike: (*rig).killWorker, heal: (*rig).startWorker, telling: []phase{duringSync}},
		{name: "SIGKILL of ingress", strike: (*rig).killIngress, heal: (*rig).startIngress, telling: []phase{duringAccept}},
		{name: "SIGKILL of Redis, back with its file", strike: (*rig).killRedis, heal: (*rig).startRedis},
		{name: "SIGKILL of Redis, back empty", strike: (*rig).killRedis, heal: (*rig).startRedisEmpty, telling: []phase{duringSync}},
		{name: "SIGKILL of Temporal", strike: (*rig).killTemporal, heal: (*rig).startTemporal, telling: []phase{duringAccept, duringSync}},
	}
	for _, to := range []struct {
		name string
		link func(*rig) []*devtest.Link
	}{
		{"Temporal", func(r *rig) []*devtest.Link { return []*devtest.Link{r.net.temporal} }},
		{"Redis", func(r *rig) []*devtest.Link { return []*devtest.Link{r.net.redis} }},
		{"the CRMs", func(r *rig) []*devtest.Link { return []*devtest.Link{r.net.keyed, r.net.search} }},
	} {
		rows = append(rows, networkFaults(to.name, to.link)...)
	}
	rows = append(rows, webhookFaults()...)
	return append(rows, crmFaults()...)
}

// networkFaults are what the way to a server can do.
func networkFaults(to string, links func(*rig) []*devtest.Link) (rows []fault) {
	for _, n := range []struct {
		name    string
		trouble devtest.Trouble
		telling []phase
	}{
		{"connections to " + to + " are refused", devtest.Refusing, nil},
		{"connections to " + to + " hang", devtest.Hanging, nil},
		{"answers of " + to + " are cut off", devtest.Resetting, []phase{duringSync}},
		{"the way to " + to + " is slow", devtest.Slow, nil},
	} {
		rows = append(rows, fault{
			name: n.name, telling: n.telling,
			strike: func(r *rig) { become(links(r), n.trouble) },
			heal:   func(r *rig) { become(links(r), devtest.Healthy) },
		})
	}
	return rows
}

func become(links []*devtest.Link, trouble devtest.Trouble) {
	for _, l := range links {
		l.Become(trouble)
	}
}

// webhookFaults are what JustCall sees of its own way to us.
func webhookFaults() []fault {
	way := func(r *rig) []*devtest.Link { return []*devtest.Link{r.net.webhook} }
	all := networkFaults("our ingress", way)
	return []fault{all[1], all[2]} // that it refuses or is slow is JustCall's affair alone
}

// crmFaults are what both CRMs answer.
func crmFaults() []fault {
	at := func(name string, bad func(*connectortest.Faults), telling ...phase) fault {
		return fault{
			name: name, telling: telling,
			strike: func(r *rig) { r.crmsDo(bad) },
			heal:   func(r *rig) { r.crmsDo(func(f *connectortest.Faults) { *f = usual }) },
		}
	}
	return []fault{
		at("the CRMs answer 503", func(f *connectortest.Faults) { f.Down = true }),
		at("the CRMs answer 429", func(f *connectortest.Faults) { f.Limited, f.RetryAfter = true, time.Second }),
		at("the CRMs answer too late", func(f *connectortest.Faults) { f.Latency = 2 * callTimeout }),
		at("the CRMs' answers are lost after a write", func(f *connectortest.Faults) { f.LoseEvery, f.LateEvery = 3, 6 }, duringSync),
		at("the CRMs refuse the credentials", func(f *connectortest.Faults) { f.Unauthorized = true }),
	}
}
