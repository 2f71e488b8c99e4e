package ledger

import (
	"bufio"
	"context"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Settings is what a Redis says of itself, in its own words. What it does not
// say, or forbids to ask, is empty.
type Settings struct {
	Version string // such as 7.2.4
	// AppendOnly is "1" where each write is kept in a file, else "0".
	AppendOnly string
	// AppendSync is when that file is on the disk: always, everysec or no.
	AppendSync string
	// MaxMemory is the limit in bytes, "0" for none; Policy is what happens at it.
	MaxMemory, Policy string
}

// Settings asks Redis how it is set up; it may take up to two seconds. Managed
// servers forbid some of it, which is no error; the error holds no password. In
// a cluster one node answers for all.
func (l *Ledger) Settings(ctx context.Context) (Settings, error) {
	return settingsOf(ctx, l.redis, l.health.secrets)
}

func settingsOf(ctx context.Context, client redis.UniversalClient, secrets []string) (Settings, error) {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	info, err := client.Info(ctx).Result()
	if err != nil {
		return Settings{}, errors.New(clean(err, secrets))
	}
	said := fields(info)
	s := Settings{
		Version: said["redis_version"], AppendOnly: said["aof_enabled"],
		MaxMemory: said["maxmemory"], Policy: said["maxmemory_policy"],
	}
	if sync, err := client.ConfigGet(ctx, "appendfsync").Result(); err == nil {
		s.AppendSync = sync["appendfsync"]
	}
	return s, nil
}

// fields reads the lines name:value of INFO.
func fields(info string) map[string]string {
	said := map[string]string{}
	for lines := bufio.NewScanner(strings.NewReader(info)); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok {
			said[name] = strings.TrimSpace(value)
		}
	}
	return said
}

// Risk says how Redis may lose what it was given to keep, and what to do about
// it; empty: it does not, but for the last second or so, or does not say.
func (s Settings) Risk() string {
	switch {
	case s.AppendOnly == "0":
		return "forgets them when it restarts: set appendonly yes"
	case s.AppendSync == "no":
		return "leaves it to the system when they are on disk: set appendfsync everysec or always"
	case s.MaxMemory != "0" && strings.HasPrefix(s.Policy, "allkeys-"):
		return "throws them away when its memory is full: set maxmemory-policy noeviction"
	}
	return ""
}
