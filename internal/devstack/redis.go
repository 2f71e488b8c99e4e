package devstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// RequireEnv lists what tests must not do without, e.g. "redis".
const RequireEnv = "CRMSYNC_TEST_REQUIRE"

// RedisOptions say how to start Redis. The zero value is an empty server on a
// free port that keeps nothing.
type RedisOptions struct {
	Dir     string // where its file goes; empty: a temporary folder, removed by Stop
	Address string // preferred "127.0.0.1:port"; empty: a free port
	Fixed   bool   // fail when the preferred address is taken
	AOF     bool   // keep the data: an append-only file, fsynced at every write
	Require bool   // refuse the embedded server

	Progress io.Writer // says when the preferred port is taken; nil: nowhere
	Logs     io.Writer // the server's log; nil: nowhere
}

// Redis is a Redis server that was started here. Its methods are not safe for
// concurrent use.
type Redis struct {
	Address string // host:port
	URL     string // "redis://127.0.0.1:port/0"
	How     string // which server it is, for people

	server    redisServer
	temporary string
}

// redisServer is one of the two kinds.
type redisServer interface {
	start(ctx context.Context) error
	stop() error
	kill() error
}

// StartRedis starts redis-server, or the embedded one where that is missing.
func StartRedis(ctx context.Context, o RedisOptions) (*Redis, error) {
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	path, err := exec.LookPath("redis-server")
	if err != nil {
		if o.Require || required("redis") {
			return nil, fmt.Errorf("redis-server is needed and not on PATH: install it (apt-get install redis-server, brew install redis): %w", err)
		}
		path = ""
	}
	r := &Redis{}
	if o.Dir == "" && path != "" {
		if r.temporary, err = os.MkdirTemp("", "crmsync-redis-"); err != nil {
			return nil, err
		}
		o.Dir = r.temporary
	}
	if o.Dir != "" {
		if err := os.MkdirAll(o.Dir, 0o700); err != nil {
			return nil, fmt.Errorf("make the folder of Redis: %w", err)
		}
	}
	if err := r.open(ctx, path, o); err != nil {
		return nil, errors.Join(err, r.removeTemporary())
	}
	return r, nil
}

func (r *Redis) open(ctx context.Context, path string, o RedisOptions) (err error) {
	if r.Address, err = choose("Redis", o.Address, o.Fixed, o.Progress); err != nil {
		return err
	}
	r.URL = "redis://" + r.Address + "/0"
	if path == "" {
		r.How = "embedded miniredis (pure Go, not kept)"
		r.server = &embedded{address: r.Address}
	} else {
		r.How = "redis-server " + redisVersion(ctx, path)
		r.server = &redisProcess{path: path, address: r.Address, options: o}
	}
	return r.server.start(ctx)
}

// required tells whether the environment forbids to do without something.
func required(what string) bool {
	return slices.Contains(strings.Split(os.Getenv(RequireEnv), ","), what)
}

// redisVersion is the "7.0.15" of "Redis server v=7.0.15 sha=…".
func redisVersion(ctx context.Context, path string) string {
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	_, rest, found := strings.Cut(string(out), "v=")
	if err != nil || !found {
		return "of unknown version"
	}
	version, _, _ := strings.Cut(rest, " ")
	return version
}

// Stop ends the server in good order and removes its temporary folder.
func (r *Redis) Stop() error {
	return errors.Join(r.server.stop(), r.removeTemporary())
}

func (r *Redis) removeTemporary() error {
	if r.temporary == "" {
		return nil
	}
	return os.RemoveAll(r.temporary)
}

// Kill ends the server at once, as a crash would.
func (r *Redis) Kill() error { return r.server.kill() }

// Start starts it again on the same port after Stop or Kill: with its file
// where it keeps one, else empty.
func (r *Redis) Start(ctx context.Context) error {
	if r.temporary != "" {
		if err := os.MkdirAll(r.temporary, 0o700); err != nil {
			return err
		}
	}
	return r.server.start(ctx)
}

// Flush deletes everything.
func (r *Redis) Flush(ctx context.Context) error {
	return withClient(r.Address, func(c *redis.Client) error { return c.FlushAll(ctx).Err() })
}

func withClient(address string, do func(*redis.Client) error) error {
	redis.SetLogger(mute{}) // a server that is not up yet is no news
	c := redis.NewClient(&redis.Options{Addr: address, MaxRetries: -1})
	return errors.Join(do(c), c.Close())
}

type mute struct{}

func (mute) Printf(context.Context, string, ...any) {}

// redisProcess is redis-server.
type redisProcess struct {
	path, address string
	options       RedisOptions
	child         *child
}

func (p *redisProcess) start(ctx context.Context) error {
	_, port, err := net.SplitHostPort(p.address)
	if err != nil {
		return err
	}
	cmd := exec.Command(p.path, "--bind", "127.0.0.1", "--port", port,
		"--dir", p.options.Dir, "--save", "", "--appendonly", yesNo(p.options.AOF), "--appendfsync", "always",
		"--maxmemory-policy", "noeviction", "--daemonize", "no", "--loglevel", "warning")
	if p.child, err = startChild(cmd, p.options.Logs, false); err != nil {
		return err
	}
	if err := p.await(ctx); err != nil {
		return errors.Join(fmt.Errorf("start redis-server: %w", err), p.kill())
	}
	return nil
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// await polls until the server answers and has loaded its file.
func (p *redisProcess) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := withClient(p.address, func(c *redis.Client) error { return c.Ping(ctx).Err() })
		if err == nil && p.child.alive() {
			return nil
		}
		select {
		case <-p.child.done:
			return p.child.died()
		case <-ctx.Done():
			return fmt.Errorf("wait for it: %w (last: %w)", ctx.Err(), err)
		case <-tick.C:
		}
	}
}

func (p *redisProcess) stop() error { return p.child.stop() }
func (p *redisProcess) kill() error { return p.child.kill() }
