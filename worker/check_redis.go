package worker

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"

	"crmsync/config"
	"crmsync/internal/ledger"
)

// patience is how long Redis may take here, where no event waits for it.
const patience = 2 * time.Second

func (f *findings) redis(ctx context.Context, c *config.Config) {
	memory, err := ledger.Open(ledger.Options{
		URL: c.Redis.URL.Reveal(), Mode: string(c.Redis.Mode), Name: c.Name, Timeout: patience, Log: hclog.NewNullLogger(),
	})
	if err != nil {
		f.fail("redis", "%v", err)
		return
	}
	defer func() { _ = memory.Close() }()
	if err := memory.Ping(ctx); err != nil {
		f.warn("redis", "cannot be reached: %v; crmsync works without it, slower, with more API calls, and refuses webhooks while Temporal is away", err)
		return
	}
	f.ok("redis", "answers")
	f.spool(ctx, c)
	settings, err := memory.Settings(ctx)
	if err != nil {
		f.ok("redis", "does not let us see its settings (%v): see to it that it is 6.2 or newer, has appendonly yes and maxmemory-policy noeviction", err)
		return
	}
	f.redisSettings(settings)
}

func (f *findings) redisSettings(s ledger.Settings) {
	var major, minor int
	if _, err := fmt.Sscanf(s.Version, "%d.%d", &major, &minor); err == nil && (major < 6 || major == 6 && minor < 2) {
		f.fail("redis", "is version %s and must be 6.2 or newer: upgrade it", s.Version)
	}
	switch {
	case s.AppendOnly == "":
		f.ok("redis", "does not say whether it keeps its data on disk: see to it that it has appendonly yes")
	case s.AppendOnly == "0":
		f.warn("redis", "forgets everything when it restarts, spooled events too: set appendonly yes and appendfsync everysec")
	case s.AppendSync == "no":
		f.warn("redis", "leaves it to the system when its data, spooled events too, is on disk: set appendfsync everysec")
	}
	if s.MaxMemory != "0" && s.Policy != "" && s.Policy != "noeviction" {
		f.warn("redis", "throws keys away when its memory is full (maxmemory-policy %s): set it to noeviction", s.Policy)
	}
}
