package devstack

import (
	"context"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// embedded is a Redis in this process. It keeps nothing: it starts empty.
type embedded struct {
	address string
	server  *miniredis.Miniredis
	stopped chan struct{}
	ended   chan struct{}
}

// clockTick is how late a key of the embedded server may expire.
const clockTick = 100 * time.Millisecond

func (e *embedded) start(context.Context) error {
	e.server = miniredis.NewMiniRedis()
	if err := e.server.StartAddr(e.address); err != nil {
		e.server = nil
		return err
	}
	e.stopped, e.ended = make(chan struct{}), make(chan struct{})
	go e.runClock(e.server)
	return nil
}

// runClock lets keys expire: miniredis does not look at the clock itself.
func (e *embedded) runClock(m *miniredis.Miniredis) {
	defer close(e.ended)
	tick := time.NewTicker(clockTick)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-e.stopped:
			return
		case now := <-tick.C:
			m.FastForward(now.Sub(last))
			last = now
		}
	}
}

func (e *embedded) stop() error {
	if e.server == nil {
		return nil
	}
	close(e.stopped)
	<-e.ended
	e.server.Close()
	e.server = nil
	return nil
}

func (e *embedded) kill() error { return e.stop() }
