// Package devtest gives tests real servers:
//
//	temporal := devtest.Temporal(t)              // one per test process, in memory
//	namespace := devtest.Namespace(t, temporal)  // this test's own
//	redis := devtest.Redis(t)                    // this test's own, empty
//	link := devtest.NewLink(t, redis.Address)    // a way to it that can be broken
//
// No TestMain is needed: the shared Temporal server reads a pipe from this
// process and ends with it. Tests that stop or kill a server start their own
// with package devstack.
package devtest

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"google.golang.org/protobuf/types/known/durationpb"

	"crmsync/internal/devstack"
)

// buildTimeout is for the first test of a machine, which builds the devserver.
const buildTimeout = 9 * time.Minute

// shared starts the server of this test process.
var shared = sync.OnceValues(func() (*devstack.Temporal, error) {
	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()
	return devstack.StartTemporal(ctx, devstack.TemporalOptions{})
})

// Temporal is this test process's server: in memory, without UI. What it
// logged last is shown when the test fails.
func Temporal(t testing.TB) *devstack.Temporal {
	t.Helper()
	server, err := shared()
	require.NoError(t, err)
	t.Cleanup(func() {
		if output := server.Output(); t.Failed() && output != "" {
			t.Logf("temporal logged:\n%s", output)
		}
	})
	return server
}

// Redis is a server of this test's own, empty, stopped at its end.
func Redis(t testing.TB) *devstack.Redis {
	t.Helper()
	r, err := devstack.StartRedis(t.Context(), devstack.RedisOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Stop()) })
	return r
}

// Namespace registers a namespace for this test, with a retention of seven
// days, and waits until it can be used. It goes with the server.
func Namespace(t testing.TB, server *devstack.Temporal) string {
	t.Helper()
	name := freshName(t)
	c := Dial(t, server, name)
	_, err := c.WorkflowService().RegisterNamespace(t.Context(), &workflowservice.RegisterNamespaceRequest{
		Namespace:                        name,
		WorkflowExecutionRetentionPeriod: durationpb.New(devstack.Retention),
	})
	require.NoError(t, err)
	// The frontend remembers for up to a second that it did not know a name.
	require.Eventually(t, func() bool {
		_, err := c.CountWorkflow(t.Context(), &workflowservice.CountWorkflowExecutionsRequest{})
		return err == nil
	}, time.Minute, 10*time.Millisecond)
	return name
}

// freshName says in the UI which test it belongs to.
func freshName(t testing.TB) string {
	test := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, t.Name())
	return test[:min(len(test), 60)] + "-" + time.Now().UTC().Format("150405.000000000")
}

// Dial gives a client that is closed at the end of the test.
func Dial(t testing.TB, server *devstack.Temporal, namespace string) client.Client {
	t.Helper()
	c, err := client.NewLazyClient(client.Options{HostPort: server.Address, Namespace: namespace, Logger: quiet{}})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// quiet drops what the SDK logs: it logs after a test has ended as well, when
// a test must not be written to any more.
type quiet struct{}

var _ log.Logger = quiet{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}
