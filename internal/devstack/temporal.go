package devstack

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"time"

	namespacepb "go.temporal.io/api/namespace/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Retention is how long closed workflows are kept: as long as check demands,
// since a duplicate is refused only while its first run is remembered.
const Retention = 7 * 24 * time.Hour

// bootTimeout bounds the start of a server that is already built.
const bootTimeout = 2 * time.Minute

// TemporalOptions say how to start Temporal. The zero value is a server in
// memory, on a free port, without UI.
type TemporalOptions struct {
	DataFile string // SQLite file; empty: in memory
	Postgres string // PostgreSQL URL instead; only the devserver can

	Address   string // preferred "127.0.0.1:port"; empty: a free port
	UIAddress string // the same for the UI; empty: no UI, "127.0.0.1:0": a free port
	Fixed     bool   // fail when a preferred address is taken instead of taking a free one

	Namespace        string            // default: "default"
	SearchAttributes map[string]string // name to type, e.g. "Keyword", registered at the start
	UICodecEndpoint  string            // URL at which the UI has payloads decoded
	LogLevel         string            // of the server; default: warn

	Progress io.Writer // what a person waits for; nil: nowhere
	Logs     io.Writer // the server's log; nil: nowhere
}

// Temporal is a Temporal server that was started here. Its methods are not
// safe for concurrent use.
type Temporal struct {
	Address   string // host:port of the gRPC frontend
	UI        string // URL of the UI; empty: there is none
	How       string // where the server came from, for people
	Namespace string

	options TemporalOptions // with the addresses that were chosen
	program program
	child   *child
}

// StartTemporal finds or builds a server, starts it and waits until its
// namespace can be used. The context bounds the start, not the server's life.
func StartTemporal(ctx context.Context, o TemporalOptions) (*Temporal, error) {
	o = o.withDefaults()
	p, err := findProgram(ctx, o.Progress)
	if err != nil {
		return nil, err
	}
	if p.cli && o.Postgres != "" {
		return nil, fmt.Errorf("%s cannot keep its data in PostgreSQL: set %s to a devserver", p.how, DevserverEnv)
	}
	t := &Temporal{How: p.how, Namespace: o.Namespace, options: o, program: p}
	// Between choosing a port and listening on it another process may take it.
	for try := 1; ; try++ {
		err := t.startAnywhere(ctx, o)
		if err == nil {
			return t, nil
		}
		if try == 3 || o.Fixed || !strings.Contains(err.Error(), "address already in use") {
			return nil, err
		}
	}
}

func (o TemporalOptions) withDefaults() TemporalOptions {
	if o.Namespace == "" {
		o.Namespace = "default"
	}
	if o.LogLevel == "" {
		o.LogLevel = "warn"
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	if o.UIAddress == "127.0.0.1:0" {
		o.UIAddress = freeOrSame(o.UIAddress)
	}
	if o.Address == "127.0.0.1:0" {
		o.Address = ""
	}
	return o
}

func freeOrSame(address string) string {
	if free, err := FreeAddress(); err == nil {
		return free
	}
	return address
}

// startAnywhere starts on the preferred addresses or on free ones.
func (t *Temporal) startAnywhere(ctx context.Context, o TemporalOptions) (err error) {
	if o.Address, err = choose("Temporal", o.Address, o.Fixed, o.Progress); err != nil {
		return err
	}
	if o.UIAddress != "" {
		if o.UIAddress, err = choose("Temporal's UI", o.UIAddress, o.Fixed, o.Progress); err != nil {
			return err
		}
	}
	t.options = o
	return t.start(ctx)
}

// start starts the program with options whose addresses are settled.
func (t *Temporal) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	boot := t.startDevserver
	if t.program.cli {
		boot = t.startCLI
	}
	if err := boot(ctx); err != nil {
		return errors.Join(fmt.Errorf("start %s: %w", t.How, err), t.Kill())
	}
	t.Address, t.UI = t.options.Address, ""
	if t.options.UIAddress != "" {
		t.UI = "http://" + t.options.UIAddress
	}
	return nil
}

// startDevserver waits for the line that our own server prints when it is ready.
func (t *Temporal) startDevserver(ctx context.Context) error {
	stdoutReader, stdoutWriter := io.Pipe()
	cmd := exec.Command(t.program.path, devserverArgs(t.options)...)
	cmd.Stdout = stdoutWriter
	c, err := startChild(cmd, t.options.Logs, true)
	if err != nil {
		return err
	}
	t.child = c
	line := make(chan string, 1)
	go func() {
		r := bufio.NewReader(stdoutReader)
		text, _ := r.ReadString('\n')
		line <- text
		_, _ = io.Copy(io.Discard, r)
	}()
	go func() { <-c.done; _ = stdoutWriter.Close() }()
	select {
	case text := <-line:
		if text == "" {
			<-c.done
			return c.died()
		}
		if err := json.Unmarshal([]byte(text), &struct{}{}); err != nil {
			return fmt.Errorf("unexpected output %q: %w", text, err)
		}
		return nil
	case <-c.done:
		return c.died()
	case <-ctx.Done():
		return fmt.Errorf("wait for it: %w: %s", ctx.Err(), c.output)
	}
}

func devserverArgs(o TemporalOptions) []string {
	args := []string{
		"--exit-with-parent", "--listen", o.Address, "--ui", o.UIAddress,
		"--data", o.DataFile, "--postgres", o.Postgres,
		"--namespace", o.Namespace, "--retention", Retention.String(),
		"--log-level", o.LogLevel, "--ui-codec-endpoint", o.UICodecEndpoint,
	}
	for name, kind := range o.SearchAttributes {
		args = append(args, "--search-attribute", name+"="+kind)
	}
	return args
}

// startCLI starts Temporal's command line with what the devserver sets by
// itself, and corrects the retention, for which it has no flag.
func (t *Temporal) startCLI(ctx context.Context) error {
	args, err := cliArgs(t.options)
	if err != nil {
		return err
	}
	c, err := startChild(exec.Command(t.program.path, args...), t.options.Logs, false)
	if err != nil {
		return err
	}
	t.child = c
	return t.pollRetention(ctx)
}

func (t *Temporal) pollRetention(ctx context.Context) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := setRetention(ctx, t.options)
		if err == nil {
			return nil
		}
		select {
		case <-t.child.done:
			return t.child.died()
		case <-ctx.Done():
			return fmt.Errorf("wait for it: %w (last: %w): %s", ctx.Err(), err, t.child.output)
		case <-tick.C:
		}
	}
}

func setRetention(ctx context.Context, o TemporalOptions) error {
	c, err := client.DialContext(ctx, client.Options{
		HostPort: o.Address, Namespace: o.Namespace, Logger: silent{},
		ConnectionOptions: client.ConnectionOptions{GetSystemInfoTimeout: time.Second},
	})
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.WorkflowService().UpdateNamespace(ctx, &workflowservice.UpdateNamespaceRequest{
		Namespace: o.Namespace,
		Config:    &namespacepb.NamespaceConfig{WorkflowExecutionRetentionTtl: durationpb.New(Retention)},
	})
	return err
}

func cliArgs(o TemporalOptions) ([]string, error) {
	host, port, err := net.SplitHostPort(o.Address)
	if err != nil {
		return nil, err
	}
	args := []string{
		"server", "start-dev", "--ip", host, "--port", port,
		"--namespace", o.Namespace, "--log-level", o.LogLevel,
		"--dynamic-config-value", "history.transferProcessorMaxPollRPS=200",
		"--dynamic-config-value", "matching.numTaskqueueReadPartitions=1",
		"--dynamic-config-value", "matching.numTaskqueueWritePartitions=1",
		"--dynamic-config-value", "matching.enableFairness=true",
		"--dynamic-config-value", "system.forceSearchAttributesCacheRefreshOnRead=true",
	}
	ui, err := cliUIArgs(o)
	if err != nil {
		return nil, err
	}
	args = append(args, ui...)
	if o.DataFile != "" {
		args = append(args, "--db-filename", o.DataFile,
			"--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=NORMAL")
	}
	for name, kind := range o.SearchAttributes {
		args = append(args, "--search-attribute", name+"="+kind)
	}
	return args, nil
}

func cliUIArgs(o TemporalOptions) ([]string, error) {
	if o.UIAddress == "" {
		return []string{"--headless"}, nil
	}
	host, port, err := net.SplitHostPort(o.UIAddress)
	args := []string{"--ui-ip", host, "--ui-port", port}
	if o.UICodecEndpoint != "" {
		args = append(args, "--ui-codec-endpoint", o.UICodecEndpoint)
	}
	return args, err
}

// Stop ends the server in good order; nothing happens when it has ended.
func (t *Temporal) Stop() error {
	if t.child == nil {
		return nil
	}
	return t.child.stop()
}

// Kill ends the server at once, as a crash would.
func (t *Temporal) Kill() error {
	if t.child == nil {
		return nil
	}
	return t.child.kill()
}

// Restart starts the server again on the same addresses, with the same data
// where it has a file, and stops it first if it still runs.
func (t *Temporal) Restart(ctx context.Context) error {
	if err := t.Stop(); err != nil {
		return err
	}
	return t.start(ctx)
}

// Pid is the server's process id.
func (t *Temporal) Pid() int { return t.child.cmd.Process.Pid }

// Output is the end of what the server logged.
func (t *Temporal) Output() string { return t.child.output.String() }

// Done is closed when the server that runs now has ended.
func (t *Temporal) Done() <-chan struct{} { return t.child.done }

// silent keeps the SDK from logging while the server boots.
type silent struct{}

var _ log.Logger = silent{}

func (silent) Debug(string, ...any) {}
func (silent) Info(string, ...any)  {}
func (silent) Warn(string, ...any)  {}
func (silent) Error(string, ...any) {}
