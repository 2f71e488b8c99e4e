// Package e2e holds the promise against the real thing: real processes that are
// killed, a real Temporal server, a real Redis, real HTTP to a CRM that keeps
// count of what was written.
package e2e

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/connectortest"
)

// promiseEvents are those of [TestPromise]; in CI and in `make promise` they are 2,000.
var promiseEvents = number("CRMSYNC_E2E_PROMISE", 400)

const (
	promiseContacts = 200
	promisePosters  = 16
)

// TestPromise posts hundreds of events and 20 % duplicates while the daemon is killed
// three times, Redis is killed and comes back empty, and the CRM is down for a
// while, slow, and loses answers after it wrote.
func TestPromise(t *testing.T) { //nolint:paralleltest // it wants the machine for itself
	if testing.Short() {
		t.Skip("takes minutes; the short form of the same faults is TestLostAnswers")
	}
	for _, class := range []connectors.Class{connectors.ClassB, connectors.ClassD} { //nolint:paralleltest // one after the other
		t.Run(string(class), func(t *testing.T) { keepPromise(t, class) })
	}
}

func keepPromise(t *testing.T, class connectors.Class) {
	st := newStack(t, setup{
		crm:       connectortest.CRMOptions{Class: class, Seed: 1, Settle: time.Second, SearchLag: time.Second},
		connector: connectortest.Options{Settle: 2 * time.Second, SearchLag: 2 * time.Second, CallTimeout: 10 * time.Second},
	})
	st.crm.SetFaults(func(f *connectortest.Faults) { f.Latency, f.LoseEvery = 20*time.Millisecond, 20 })
	p := st.daemon()
	begun := time.Now()
	posting := postAll(p, promiseTexts())
	st.plague(p, posting)
	posting.done.Wait()
	t.Logf("class %s: all %d webhooks answered 200 after %s (%d of them as duplicates, %d posts tried again)",
		class, posting.ok, time.Since(begun).Round(time.Second), posting.duplicates, posting.again)
	st.settled(promiseEvents, 8*time.Minute)
	t.Logf("class %s: %d events, %d records, %d contacts, %d doubled records, %d doubled contacts, requests %v, after %s",
		class, promiseEvents, len(st.crm.Messages()), len(st.crm.Contacts()), len(st.crm.Doubles()), len(st.crm.ContactDoubles()),
		st.crm.Requests(), time.Since(begun).Round(time.Second))
	require.Empty(t, st.crm.Doubles(), "records written twice")
	require.Empty(t, st.crm.ContactDoubles(), "contacts created twice")
	require.Len(t, st.crm.Messages(), promiseEvents)
	require.Len(t, st.crm.Contacts(), promiseContacts)
}

// plague brings the faults while events are posted, each once a share of them
// has been answered.
func (st *stack) plague(p *process, posting *posting) {
	share := promiseEvents / 10
	steps := []func(){
		func() {
			st.crm.SetFaults(func(f *connectortest.Faults) { f.DownUntil = time.Now().Add(20 * time.Second) })
		},
		func() { p.restart() },
		func() { st.redisEmpty(p, posting) },
		func() { p.restart() },
		func() {
			st.crm.SetFaults(func(f *connectortest.Faults) { f.Latency = 200 * time.Millisecond })
		},
		func() { p.restart() },
	}
	for i, step := range steps {
		posting.reached(st.t, (i+1)*share)
		step()
	}
}

// restart kills the daemon and starts it again.
func (p *process) restart() {
	p.kill()
	p.start()
	p.ready()
}

// redisEmpty kills Redis, which comes back with nothing. What it holds of events
// that Temporal has not taken yet would be lost with it, and only JustCall would
// know: so it holds none when it is killed.
func (st *stack) redisEmpty(p *process, posting *posting) {
	posting.pause.Lock()
	p.drained()
	err := st.redis.Kill()
	posting.pause.Unlock()
	require.NoError(st.t, err)
	require.NoError(st.t, st.redis.Start(st.t.Context()))
}

// promiseTexts are the bodies of the texts, a fifth of them twice, shuffled.
func promiseTexts() [][]byte {
	random := rand.New(rand.NewPCG(1, 2))
	var bodies [][]byte
	for i := range promiseEvents {
		from := fmt.Sprintf("+1512556%04d", i%promiseContacts)
		body := inbound(fmt.Sprintf("msg_%05d", i), from, fmt.Sprintf("text number %d", i)).json()
		bodies = append(bodies, body)
		if i%5 == 0 {
			bodies = append(bodies, body)
		}
	}
	random.Shuffle(len(bodies), func(i, j int) { bodies[i], bodies[j] = bodies[j], bodies[i] })
	return bodies
}

// posting counts what the webhooks were answered.
type posting struct {
	done                  sync.WaitGroup
	pause                 sync.RWMutex // held for writing: nothing is posted
	mu                    sync.Mutex
	ok, again, duplicates int
}

// postAll posts each body until it is answered 200, as JustCall does.
func postAll(p *process, bodies [][]byte) *posting {
	counts := &posting{}
	queue := make(chan []byte, len(bodies))
	for _, body := range bodies {
		queue <- body
	}
	close(queue)
	for range promisePosters {
		counts.done.Go(func() {
			for body := range queue {
				counts.post(p, body)
			}
		})
	}
	return counts
}

func (c *posting) post(p *process, body []byte) {
	for {
		c.pause.RLock()
		a, err := p.try(body)
		c.pause.RUnlock()
		c.mu.Lock()
		if err == nil && a.Status == 200 {
			c.ok++
			if a.Result == "duplicate" {
				c.duplicates++
			}
			c.mu.Unlock()
			return
		}
		c.again++
		c.mu.Unlock()
		<-time.After(100 * time.Millisecond) // as a sender does; not a wait for a condition
	}
}

func (c *posting) reached(t *testing.T, n int) {
	t.Helper()
	eventually(t, 5*time.Minute, fmt.Sprintf("%d webhooks are answered", n), func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.ok >= n
	})
}

// settled waits until that many workflows of events have completed and no late
// write is under way.
func (st *stack) settled(events int, within time.Duration) {
	st.t.Helper()
	eventually(st.t, within, "all workflows have completed", func() bool {
		return st.count("WorkflowType = 'SyncEvent' AND ExecutionStatus = 'Completed'") >= events && st.crm.Pending() == 0
	})
}
