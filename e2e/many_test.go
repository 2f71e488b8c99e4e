package e2e

import (
	"fmt"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/connectortest"
)

const (
	manyConnectors = 60
	// manyMemory is the most that an idle daemon with so many may hold, in KiB.
	manyMemory = 200 << 10
)

// TestManyConnectors runs sixty connectors in one process: one dead CRM leaves the
// other 59 alone.
func TestManyConnectors(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("sixty CRMs: 20 s")
	}
	st := newStack(t, setup{})
	crms, configuration := st.manyCRMs(manyConnectors)
	p := st.prepare()
	p.configure(t, configuration)
	p.start()
	p.ready()
	dead := crms[0]
	p.acceptedByAll(crms, "msg_first")
	together := p.acceptedByAll(crms, "msg_all")
	dead.SetFaults(func(f *connectortest.Faults) { f.Down = true })
	p.acceptedByAll(crms[1:], "msg_most")
	eventually(t, time.Minute, "one lane is paused", func() bool { return p.standing()["crm"].State == "paused" })
	alone := p.acceptedByAll(crms[1:], "msg_more")
	eventually(t, time.Minute, "only the dead CRM's wait", func() bool {
		waiting := 0
		for name, s := range p.standing() {
			if name != "crm" {
				require.Equal(t, "flowing", s.State, name)
				waiting += *s.Waiting
			}
		}
		return waiting == 0
	})
	dead.SetFaults(func(f *connectortest.Faults) { f.Down = false })
	for _, id := range []string{"msg_most", "msg_more"} {
		require.Equal(t, connectors.Written, st.result("main/" + id + "/sms.received").Deliveries["crm"].State)
	}
	for i, c := range crms {
		require.Len(t, c.Messages(), 4, i)
		require.Empty(t, c.Doubles())
	}
	require.Less(t, alone, together+10*time.Second)
	t.Logf("a text was in 59 CRMs after %s; after %s with the 60th dead", together.Round(time.Millisecond), alone.Round(time.Millisecond))
}

// manyCRMs starts test CRMs, the stack's first, and answers them with the
// configuration of their connectors.
func (st *stack) manyCRMs(n int) ([]*connectortest.CRM, string) {
	crms, configuration := []*connectortest.CRM{st.crm}, testCRM(st.crmURL)
	for i := range n - 1 {
		c := connectortest.NewCRM(connectortest.CRMOptions{})
		crms = append(crms, c)
		configuration += fmt.Sprintf("\n  crm%d: %s", i+2, testCRM(c.Start(st.t)))
	}
	return crms, configuration
}

// acceptedByAll posts a text and answers how long it took until each CRM had it.
func (p *process) acceptedByAll(crms []*connectortest.CRM, id string) time.Duration {
	p.st.t.Helper()
	had := map[*connectortest.CRM]int{}
	for _, c := range crms {
		had[c] = len(c.Messages())
	}
	begun := time.Now()
	p.accepted(inbound(id, "+15125551234", "hello").json())
	eventually(p.st.t, time.Minute, id+" is in every CRM", func() bool {
		for _, c := range crms {
			if len(c.Messages()) == had[c] {
				return false
			}
		}
		return true
	})
	return time.Since(begun)
}

// TestManyConnectorsIdle measures the real program with sixty connectors while
// nothing happens.
func TestManyConnectorsIdle(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds the program, and measures 10 s in which nothing happens")
	}
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	p := newStack(t, setup{}).prepare()
	p.useSandbox(t, manyConnectors)
	program := buildProgram(t)
	p.run(program)
	p.term()
	begun := time.Now()
	p.run(program)
	ready := time.Since(begun)
	p.accepted(inbound("msg_one", "+15125551234", "so that everything has been used once").json())
	require.Len(t, p.st.result("main/msg_one/sms.received").Deliveries, manyConnectors)

	const span = 10 * time.Second
	begun = time.Now()
	before := p.scrape() // and the next one within that asks Temporal nothing
	surveyed := time.Since(begun)
	<-time.After(span)
	after := p.scrape()
	resident := p.resident(t)
	t.Logf("ready after %s, surveyed in %s; idle: %.0f MiB resident, %.1f %% of a processor, %.0f calls to Redis a second, %.0f goroutines",
		ready.Round(time.Millisecond), surveyed.Round(time.Millisecond), float64(resident)/1024,
		100*(after.value(t, "process_cpu_seconds_total")-before.value(t, "process_cpu_seconds_total"))/span.Seconds(),
		(after.sum(t, "crmsync_redis_calls_total")-before.sum(t, "crmsync_redis_calls_total"))/span.Seconds(),
		after.value(t, "go_goroutines"))
	require.Less(t, ready, readyWithin)
	require.Less(t, resident, manyMemory)
	for i := range manyConnectors - 1 {
		require.InDelta(t, 0, after.value(t, fmt.Sprintf("crmsync_waiting_deliveries{connector=\"crm%d\"}", i+2)), 0, "the survey is complete")
		require.Positive(t, after.value(t, fmt.Sprintf("crmsync_queue_pollers{queue=\"crmsync-crm%d\",type=\"activity\"}", i+2)))
	}
}

// run runs a program in the daemon's place until it is ready.
func (p *process) run(program string) {
	p.st.t.Helper()
	p.cmd = exec.Command(program, "run", "--config", p.config)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	require.NoError(p.st.t, p.cmd.Start())
	p.ready()
}

// sum adds up all samples of a metric.
func (p page) sum(t *testing.T, name string) (sum float64) {
	t.Helper()
	for line := range strings.Lines(string(p)) {
		if strings.HasPrefix(line, name+"{") {
			value, err := strconv.ParseFloat(strings.Fields(line)[1], 64)
			require.NoError(t, err)
			sum += value
		}
	}
	return sum
}
