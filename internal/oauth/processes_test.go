package oauth

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/config"
	"crmsync/connectors"
	"crmsync/connectors/fakes"
	"crmsync/internal/devstack/devtest"
	"crmsync/internal/ledger"
)

// helper is the variable that makes this test binary a process of a deployment:
// it says where the store and the vendor are, in JSON.
const helper = "CRMSYNC_OAUTH_HELPER"

// kills says how often TestKilledInTheMiddleOfARenewal kills; 200 for the record.
const kills = "CRMSYNC_OAUTH_KILLS"

func TestMain(m *testing.M) {
	if raw := os.Getenv(helper); raw != "" {
		help(raw)
		return
	}
	os.Exit(m.Run())
}

// orders are what a process is told.
type orders struct {
	Store, Vendor, Secret string
	Workers               int
	AskTimeout, Lease     time.Duration
}

// result is what a process has to say at its end.
type result struct {
	Statuses map[int]int // of the API's answers
	Errors   []string
}

// help is such a process: it says when it is ready, begins when told, and has
// all workers write to the vendor's API.
func help(raw string) {
	var o orders
	fail := func(err error) {
		if err != nil {
			_, _ = fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	fail(json.Unmarshal([]byte(raw), &o))
	source, err := o.source()
	fail(err)
	_, _ = fmt.Fprintln(os.Stdout, "ready")
	_, err = bufio.NewReader(os.Stdin).ReadString('\n')
	fail(err)
	fail(json.NewEncoder(os.Stdout).Encode(o.run(source)))
}

// source is as the daemon makes it.
func (o orders) source() (*Source, error) {
	store, err := o.store()
	if err != nil {
		return nil, err
	}
	vendor := (&fakes.OAuth{}).SignIn(o.Vendor)
	settings, err := Resolve(config.OAuth{ClientID: "client", ClientSecret: config.Secret(o.Secret)}, vendor)
	return NewSource(Options{
		Connector: "crm", Settings: settings, Store: store, AskTimeout: o.AskTimeout, Lease: o.Lease,
	}), err
}

func (o orders) store() (Store, error) {
	if path, ok := strings.CutPrefix(o.Store, "file:"); ok {
		return NewFile(path), nil
	}
	return ledger.OpenGrants(ledger.Options{URL: o.Store, Ring: ring("a")})
}

func (o orders) run(source *Source) result {
	client := &http.Client{Transport: source.Transport(http.DefaultTransport)}
	r := result{Statuses: map[int]int{}}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range o.Workers {
		wg.Go(func() {
			response, err := client.Post(o.Vendor+"/api/texts", "text/plain", strings.NewReader("text"))
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				r.Errors = append(r.Errors, err.Error())
				return
			}
			_ = response.Body.Close()
			r.Statuses[response.StatusCode]++
		})
	}
	wg.Wait()
	return r
}

// process is a running helper.
type process struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader
}

// start answers a process that is ready.
func (o orders) start(t testing.TB) *process {
	raw, err := json.Marshal(o)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), helper+"="+string(raw))
	cmd.Stderr = os.Stderr
	p := &process{cmd: cmd}
	p.stdin, err = cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	p.stdout = bufio.NewReader(stdout)
	require.NoError(t, cmd.Start())
	line, err := p.stdout.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "ready\n", line)
	return p
}

func (p *process) begin(t testing.TB) {
	_, err := io.WriteString(p.stdin, "\n")
	require.NoError(t, err)
}

func (p *process) result(t testing.TB) (r result) {
	require.NoError(t, json.NewDecoder(p.stdout).Decode(&r))
	require.NoError(t, p.cmd.Wait())
	return r
}

// kill ends the process as a power cut does.
func (p *process) kill(t testing.TB) {
	require.NoError(t, p.cmd.Process.Kill())
	_ = p.cmd.Wait()
}

func TestFiftyWorkersOnFiveProcessesRenewOnce(t *testing.T) {
	t.Parallel()
	stores := map[string]string{"redis": devtest.Redis(t).URL, "file": "file:" + newFile(t).path, "redis, refused early": devtest.Redis(t).URL}
	for name, where := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := startVendor(t, &fakes.OAuth{SingleUse: true})
			o := orders{Store: where, Vendor: v.url, Secret: v.ClientSecret, Workers: 10}
			store, err := o.store()
			require.NoError(t, err)
			refused := strings.HasSuffix(name, "early") // the token has not expired, and the vendor refuses it
			put(t, store, v.grant(map[bool]time.Duration{true: time.Hour, false: -time.Second}[refused]))
			v.Expire()
			fifty(t, v, o)
			count := v.Count()
			require.Equal(t, 1, count.Renewals)
			require.Zero(t, count.Reused)
			require.Zero(t, count.Refused)
			require.Equal(t, refused, count.Unguarded > 0, "a token that has expired is not even sent")
			kept, _ := stored(t, store)
			require.True(t, v.Intact(kept.RefreshToken))
		})
	}
}

// fifty workers on five processes write to the vendor's API, and see no 401.
func fifty(t *testing.T, v *vendor, o orders) {
	t.Helper()
	var all []*process
	for range 5 {
		all = append(all, o.start(t))
	}
	for _, p := range all {
		p.begin(t)
	}
	for _, p := range all {
		r := p.result(t)
		require.Empty(t, r.Errors)
		require.Equal(t, map[int]int{http.StatusOK: 10}, r.Statuses)
	}
	require.Len(t, v.calls, 50, "each wrote once")
}

// TestKilledInTheMiddleOfARenewal kills a process at random points of a renewal,
// and looks what another one finds: the grant intact; or, only where the vendor's
// answer died with the process, a sign-in that names the command.
func TestKilledInTheMiddleOfARenewal(t *testing.T) {
	t.Parallel()
	trials := 30
	if n, err := strconv.Atoi(os.Getenv(kills)); err == nil {
		trials = n
	} else if testing.Short() {
		trials = 5
	}
	stores, ends := []string{devtest.Redis(t).URL, "file:" + newFile(t).path}, map[string]int{}
	for i := range trials {
		ends[newTrial(t, stores[i%2]).kill()]++
	}
	t.Logf("%d kills: %v", trials, ends)
}

// trial is a renewal that is killed.
type trial struct {
	testing.TB
	*vendor
	orders orders
	store  Store
}

func newTrial(t testing.TB, where string) *trial {
	v := startVendor(t, &fakes.OAuth{SingleUse: true})
	o := orders{Store: where, Vendor: v.url, Secret: v.ClientSecret, Workers: 10, AskTimeout: 2 * time.Second, Lease: 200 * time.Millisecond}
	store, err := o.store()
	require.NoError(t, err)
	put(t, store, v.grant(-time.Second))
	return &trial{t, v, o, store}
}

// slow makes the vendor take its time, before it decides and after. arrived is
// closed when it is first asked.
func (r *trial) slow() (arrived <-chan struct{}) {
	asked := make(chan struct{})
	first := sync.OnceFunc(func() { close(asked) })
	r.Intercept(func(*http.Request) {
		first()
		linger(rand.N(5 * time.Millisecond))
	}, func(http.ResponseWriter, *http.Request) bool {
		linger(rand.N(5 * time.Millisecond))
		return false
	})
	return asked
}

// kill answers how it ended. The process is killed within 20 ms of its beginning,
// or of the vendor's being asked.
func (r *trial) kill() string {
	arrived := r.slow()
	before, _ := stored(r, r.store)
	p := r.orders.start(r)
	p.begin(r)
	if rand.N(3) > 0 {
		<-arrived
	}
	linger(rand.N(20 * time.Millisecond))
	p.kill(r)
	r.settle()
	left, _ := stored(r, r.store)
	switch signedIn := r.next(); {
	case !signedIn:
		return "lost with the process, a person was asked to sign in"
	case left.RefreshToken != before.RefreshToken:
		return "renewed by it, intact"
	}
	return "not asked for yet, intact"
}

// next is what another process finds: whether the sign-in holds.
func (r *trial) next() bool {
	other, err := r.orders.source()
	require.NoError(r, err)
	ctx, cancel := context.WithTimeout(r.Context(), 20*time.Second)
	defer cancel()
	_, err = other.Grant(ctx)
	for err != nil && connectors.AsError("", err).Kind == connectors.Unavailable {
		require.NoError(r, ctx.Err())
		_, err = other.Grant(ctx) // as a lane does
	}
	if err == nil {
		now, _ := stored(r, r.store)
		require.True(r, r.Intact(now.RefreshToken), "the grant that is kept works")
		require.Zero(r, r.Count().Reused)
		return true
	}
	auth(r, err)
	require.ErrorContains(r, err, "was lost")
	require.Equal(r, 1, r.Count().Reused, "the vendor's answer died with the process")
	put(r, r.store, r.grant(time.Hour)) // a person runs the command
	_, err = other.Grant(ctx)
	require.NoError(r, err)
	return false
}
