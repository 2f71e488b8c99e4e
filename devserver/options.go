package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
)

// options is the command line, checked.
type options struct {
	data, postgres   string
	listen, ui       string
	uiCodec          string
	namespace        string
	retention        time.Duration
	logLevel         string
	searchAttributes attributes
	exitWithParent   bool
}

// parse reads the command line and names what is wrong with it.
func parse(args []string, usage io.Writer) (options, error) {
	o := options{searchAttributes: attributes{}}
	f := flag.NewFlagSet("devserver", flag.ContinueOnError)
	f.SetOutput(usage)
	f.StringVar(&o.data, "data", "", "SQLite `file`, beside which another one ends in .visibility; empty: keep everything in memory")
	f.StringVar(&o.postgres, "postgres", "", "PostgreSQL `url` instead, e.g. postgres://user:pw@127.0.0.1:5432/temporal; databases and schema are created")
	f.StringVar(&o.listen, "listen", "127.0.0.1:7233", "`address` of the gRPC frontend; port 0: a free one")
	f.StringVar(&o.ui, "ui", "127.0.0.1:8233", "`address` of the web UI; port 0: a free one; empty: no UI")
	f.StringVar(&o.uiCodec, "ui-codec-endpoint", "", "`url` at which the UI has payloads decoded")
	f.StringVar(&o.namespace, "namespace", "default", "namespace to create")
	f.DurationVar(&o.retention, "retention", 7*24*time.Hour, "how long closed workflows are kept, and so how long duplicates are refused")
	f.StringVar(&o.logLevel, "log-level", "warn", "debug, info, warn or error")
	f.Var(o.searchAttributes, "search-attribute", "`Name=Type` to register (Keyword, Text, Int, Double, Bool, Datetime, KeywordList); may be repeated")
	f.BoolVar(&o.exitWithParent, "exit-with-parent", false, "stop when stdin ends")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	return o, o.validate()
}

func (o options) validate() error {
	var errs []error
	if o.data != "" && o.postgres != "" {
		errs = append(errs, errors.New("--data and --postgres exclude each other"))
	}
	if o.data != "" {
		errs = append(errs, folderExists(o.data))
	}
	if o.namespace == "" {
		errs = append(errs, errors.New("--namespace must not be empty"))
	}
	if o.retention < time.Hour {
		errs = append(errs, fmt.Errorf("--retention %s: the server takes no less than 1h", o.retention))
	}
	switch o.logLevel {
	case "debug", "info", "warn", "error":
	default:
		errs = append(errs, fmt.Errorf("--log-level %q: want debug, info, warn or error", o.logLevel))
	}
	errs = append(errs, loopback("--listen", o.listen))
	if o.ui != "" {
		errs = append(errs, loopback("--ui", o.ui))
	}
	return errors.Join(errs...)
}

func folderExists(file string) error {
	if info, err := os.Stat(filepath.Dir(file)); err != nil || !info.IsDir() {
		return fmt.Errorf("--data %s: the folder %s does not exist", file, filepath.Dir(file))
	}
	return nil
}

// loopback refuses an address that other machines could reach, since the
// server lets everybody do everything.
func loopback(name, address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%s %q: want host:port: %w", name, address, err)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("%s %q: want a loopback address such as 127.0.0.1:%s", name, address, "0")
	}
	return nil
}

// takePorts turns port 0 into a free port and refuses one that is taken: the
// server itself would end the process without saying which flag to change.
func (o *options) takePorts() (err error) {
	if o.listen, err = freeAddress(o.listen); err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	if o.ui == "" {
		return nil
	}
	if o.ui, err = freeAddress(o.ui); err != nil {
		return fmt.Errorf("--ui: %w", err)
	}
	return nil
}

func freeAddress(address string) (string, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// attributes are custom search attributes, as a flag that may be repeated.
type attributes map[string]enumspb.IndexedValueType

// String is part of flag.Value.
func (a attributes) String() string { return "" }

// Set takes one Name=Type.
func (a attributes) Set(s string) error {
	name, kind, ok := strings.Cut(s, "=")
	if !ok || name == "" {
		return fmt.Errorf("%q: want Name=Type, e.g. Contact=Keyword", s)
	}
	t, err := enumspb.IndexedValueTypeFromString(kind)
	if err != nil || t == enumspb.INDEXED_VALUE_TYPE_UNSPECIFIED {
		return fmt.Errorf("%q: %q is not a type of search attribute", s, kind)
	}
	a[name] = t
	return nil
}
