package ledger

import "time"

// SetClock puts the ledger's health on a clock of the test.
func (l *Ledger) SetClock(now func() time.Time) {
	l.health.mu.Lock()
	defer l.health.mu.Unlock()
	l.health.now = now
}

// Pause is how long calls are skipped after a failure.
const Pause = pause

// The options of each mode, for tests that look at them.
var (
	SingleOptions   = singleOptions
	SentinelOptions = sentinelOptions
	ClusterOptions  = clusterOptions
)
