//go:build linux

// Package bench measures the daemon against a floor: a bare workflow with one
// activity that does nothing, on the same server, with the same settings of
// client and workers, in the same run. Machines differ and are noisy; the ratio
// of the two is what counts.
//
//	make bench                 # everything; docs/benchmarks.md says how long it takes
//	make bench BENCH=quota     # one scenario
//	make bench SHORT=1         # small numbers, to try a change
//	make bench LONG=1          # the sizes that the targets speak of
//	go test -run '^$' -bench Saturation -benchtime 1x ./bench -profile /tmp/profile
//
// The servers, the daemons and the floor's worker are processes of their own,
// whose CPU and memory are the kernel's account of them. The load and the CRMs
// are in this process. A table of all figures, and what became of the targets,
// is printed at the end.
//
// Every scenario is a file: saturation, paced, quota, outage, neighbours, history.
package bench

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"
	"testing"

	"crmsync/worker"
)

// The roles that the test binary plays in processes of their own.
const (
	roleEnv    = "CRMSYNC_BENCH_ROLE"
	profileEnv = "CRMSYNC_BENCH_PROFILE"
	roleDaemon = "daemon"
	roleFloor  = "floor"
)

var (
	profileFlag = flag.String("profile", "", "`folder` for CPU profiles of the daemons and of the floor's worker")
	outFlag     = flag.String("out", "", "Markdown `file` that gets the results after its line "+marker)
	runsFlag    = flag.Int("runs", 5, "how often floor and daemon take turns")
	longFlag    = flag.Bool("long", false, "a backlog of 20,000 texts and an outage of ten minutes")
)

func TestMain(m *testing.M) {
	switch role := os.Getenv(roleEnv); role {
	case "":
	case roleDaemon:
		os.Exit(play(func(ctx context.Context) int {
			return worker.Run(ctx, os.Args[1:], os.Stdout, os.Stderr, definitions()...)
		}))
	case roleFloor:
		os.Exit(play(workFloor))
	}
	flag.Parse()
	status := m.Run()
	if err := results.print(os.Stdout, *outFlag); err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

// play runs a role until SIGTERM, and profiles it where that is asked for.
func play(role func(context.Context) int) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if name := os.Getenv(profileEnv); name != "" {
		file, err := os.Create(name)
		if err == nil {
			err = pprof.StartCPUProfile(file)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer pprof.StopCPUProfile()
	}
	return role(ctx)
}

// size picks a number for the form of the run.
func size(short, usual, long int) int {
	switch {
	case testing.Short():
		return short
	case *longFlag:
		return long
	}
	return usual
}

// runs is how often floor and daemon take turns.
func runs() int {
	return size(1, *runsFlag, *runsFlag)
}
