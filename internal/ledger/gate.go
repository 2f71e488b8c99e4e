package ledger

import (
	"context"
	"time"
)

// ReadGate implements lane.Board: the state of a lane as some process posted it
// last. False means that none did lately, or that Redis is away.
func (l *Ledger) ReadGate(ctx context.Context, connector string) (state []byte, known bool) {
	ok := l.do(ctx, "read_gate", read, gateKey(connector), func(ctx context.Context, key string) (err error) {
		state, err = l.redis.Get(ctx, key).Bytes()
		return err
	})
	return state, ok && len(state) > 0
}

// PostGate implements lane.Board.
func (l *Ledger) PostGate(ctx context.Context, connector string, state []byte, ttl time.Duration) {
	l.set(ctx, "post_gate", gateKey(connector), string(state), ttl)
}

// WinProbe implements lane.Board: whether this process may try the CRM now, and
// no other for ttl. Without Redis each may.
func (l *Ledger) WinProbe(ctx context.Context, connector string, ttl time.Duration) bool {
	won := true
	ok := l.do(ctx, "win_probe", write, probeKey(connector), func(ctx context.Context, key string) (err error) {
		won, err = l.redis.SetNX(ctx, key, "1", ttl).Result()
		return err
	})
	return won || !ok
}
