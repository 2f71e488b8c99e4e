// Devserver is a Temporal server with its web UI in one process and one file,
// for trying crmsync, for its tests and for its benchmarks. It is a module of
// its own, so that the daemon does not carry the server's dependencies.
//
//	devserver --data var/temporal.sqlite
//
// State is kept in two SQLite files (it survives a restart and a kill), in
// memory when --data is empty, or in PostgreSQL with --postgres. The files
// belong to one server at a time. Everything listens on loopback only and
// there is no authentication: this is not a server for production.
//
// When the frontend takes calls and the namespace exists, one line of JSON is
// printed on stdout, and nothing after it; logs go to stderr:
//
//	{"frontend":"127.0.0.1:7233","ui":"http://127.0.0.1:8233","version":"1.32.1"}
//
// SIGINT and SIGTERM stop it. With --exit-with-parent so does the end of
// stdin: a parent that holds the other end of that pipe takes the server with
// it, however it dies.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"go.temporal.io/server/common/headers"
	"go.temporal.io/server/common/log"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// bootTimeout bounds everything before the line on stdout. A first boot on
// PostgreSQL applies some thirty schema versions, on a busy machine.
const bootTimeout = 2 * time.Minute

func main() {
	// Nothing but the ready line may reach stdout, whatever a library prints.
	stdout := os.Stdout
	os.Stdout = os.Stderr

	o, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "devserver:", err)
		os.Exit(2)
	}
	if err := run(o, os.Stdin, stdout); err != nil {
		fmt.Fprintln(os.Stderr, "devserver:", err)
		os.Exit(1)
	}
}

// run serves until a signal or, if asked for, the end of stdin.
func run(o options, stdin io.Reader, stdout io.Writer) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if o.exitWithParent {
		ctx = untilEOF(ctx, stdin)
	}

	s, err := start(ctx, o)
	if errors.Is(err, context.Canceled) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.NewEncoder(stdout).Encode(s.ready); err != nil {
		return fmt.Errorf("tell that the server is ready: %w", err)
	}
	<-ctx.Done()
	return s.stop()
}

// untilEOF ends the context when nobody can write to r any more.
func untilEOF(parent context.Context, r io.Reader) context.Context {
	ctx, cancel := context.WithCancel(parent)
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, r)
	}()
	return ctx
}

// ready is the line on stdout.
type ready struct {
	Frontend string `json:"frontend"`
	UI       string `json:"ui"`
	Version  string `json:"version"`
}

// running is a started server; ui is nil without one.
type running struct {
	ready  ready
	level  zap.AtomicLevel
	server interface{ Stop() error }
	ui     interface{ Stop() }
}

func (r *running) stop() error {
	// While they stop, the server's parts complain of each other's absence.
	r.level.SetLevel(zap.FatalLevel)
	if r.ui != nil {
		r.ui.Stop()
	}
	return r.server.Stop()
}

// start boots the server and its UI and waits until both can be used.
func start(parent context.Context, o options) (*running, error) {
	ctx, cancel := context.WithTimeout(parent, bootTimeout)
	defer cancel()

	if err := o.takePorts(); err != nil {
		return nil, err
	}
	logger, level := newLogger(o.logLevel)
	server, err := newServer(o, logger)
	if err != nil {
		return nil, err
	}
	if err := server.Start(); err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	r := &running{server: server, level: level, ready: ready{Frontend: o.listen, Version: headers.ServerVersion}}
	if err := prepareNamespace(ctx, o); err != nil {
		return nil, errors.Join(err, r.stop())
	}
	if o.ui != "" {
		r.ui = startUI(o)
		r.ready.UI = "http://" + o.ui
		if err := waitForUI(ctx, r.ready.UI); err != nil {
			return nil, errors.Join(err, r.stop())
		}
	}
	return r, nil
}

// newLogger writes lines of JSON to stderr, up to a level that can be changed.
func newLogger(name string) (log.Logger, zap.AtomicLevel) {
	level := zap.NewAtomicLevelAt(log.ParseZapLevel(name))
	encoder := zap.NewProductionEncoderConfig()
	encoder.EncodeTime = zapcore.ISO8601TimeEncoder
	core := zapcore.NewCore(zapcore.NewJSONEncoder(encoder), zapcore.Lock(os.Stderr), level)
	return log.NewZapLogger(zap.New(core)), level
}
