package worker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"crmsync/activities"
	"crmsync/config"
	"crmsync/internal/ledger"
)

// minRetention is how long Temporal should keep closed workflows: one of the
// nets against doubles.
const minRetention = 7 * 24 * time.Hour

// finding is one thing that check has to say.
type finding struct {
	Level string `json:"level"` // ok, warning, error
	About string `json:"about"`
	Text  string `json:"text"`
}

type checker struct {
	config   *config.Config
	findings []finding
}

func (c *checker) add(level, about, format string, args ...any) {
	c.findings = append(c.findings, finding{level, about, fmt.Sprintf(format, args...)})
}

func (a *app) checkCommand() *cobra.Command {
	return a.jsonFlag(&cobra.Command{
		Use:   "check",
		Short: "Say what is wrong with the configuration and with what it names",
		Long: `Check reads the configuration and asks Temporal, Redis and each CRM whether they
are there and let us in. It changes nothing. The exit status is 1 if there are
errors; warnings alone leave it 0.`,
		Example: "  crmsync check --config crmsync.yaml --json",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.load()
			if err != nil {
				return err
			}
			instances, err := openInstances(c, a.registry, nil)
			if err != nil {
				return err
			}
			return a.report(runChecks(cmd.Context(), c, instances))
		},
	})
}

func runChecks(ctx context.Context, c *config.Config, instances map[string]*activities.Instance) []finding {
	check := &checker{config: c}
	check.settings()
	check.temporal(ctx)
	check.redis(ctx)
	for _, name := range slices.Sorted(maps.Keys(instances)) {
		check.connector(ctx, instances[name])
	}
	return check.findings
}

func (c *checker) settings() {
	for _, problem := range c.config.Problems() {
		c.add("error", "configuration", "%v", problem)
	}
	for _, warning := range c.config.Warnings() {
		c.add("warning", "configuration", "%s", warning)
	}
	for _, name := range slices.Sorted(maps.Keys(c.config.JustCall)) {
		c.account(name)
	}
}

// account says which kinds of event reach nobody.
func (c *checker) account(name string) {
	about := "justcall." + name
	if len(c.config.AccountConnectors(name)) == 0 {
		c.add("warning", about, "no connector gets its events: all six kinds are accepted and ignored; add one under connectors")
		return
	}
	c.add("ok", about, "paste the URL https://YOUR-HOST/webhooks/justcall/%s%s into JustCall's webhook settings", name,
		map[bool]string{true: "/TOKEN", false: ""}[c.config.JustCall[name].Webhook.Token != ""])
	if len(c.config.Routes) == 0 {
		return
	}
	routed := false
	for _, route := range c.config.Routes {
		for _, to := range route.To {
			routed = routed || slices.Contains(c.config.AccountConnectors(name), to)
		}
	}
	if !routed {
		c.add("warning", about, "no route leads to a connector of this account: sms.received, sms.sent, sms.delivered and sms.failed reach none; consent reaches all")
	}
}

func (c *checker) temporal(ctx context.Context) {
	ring, err := ringOf(c.config)
	if err != nil {
		c.add("error", "configuration", "%v", err)
		return
	}
	temporal, err := newTemporalClient(c.config.Temporal, ring, hclog.NewNullLogger(), nil)
	if err != nil {
		c.add("error", "temporal", "%v", err)
		return
	}
	defer temporal.Close()
	described, err := namespace(ctx, temporal, c.config.Temporal.Namespace)
	if err != nil {
		c.add("error", "temporal", "cannot be reached at %s: %v; is it running, and is temporal.address right?", c.config.Temporal.Address, err)
		return
	}
	c.add("ok", "temporal", "namespace %s at %s answers", c.config.Temporal.Namespace, c.config.Temporal.Address)
	if kept := described.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration(); kept < minRetention {
		c.add("warning", "temporal", "the namespace keeps closed workflows for %s only; keep them for 7 days or more, since they are a net against doubles: temporal operator namespace update --retention 168h", kept)
	}
	missing, err := missingAttributes(ctx, temporal, c.config)
	switch {
	case err != nil:
		c.add("warning", "temporal", "search attributes cannot be listed: %v", err)
	case len(missing) > 0:
		c.add("warning", "temporal", "search attributes %s are not registered; 'run' does that if it may", strings.Join(slices.Sorted(maps.Keys(missing)), ", "))
	}
}

func (c *checker) redis(ctx context.Context) {
	memory, err := ledger.Open(ledger.Options{
		URL: c.config.Redis.URL.Reveal(), Mode: string(c.config.Redis.Mode), Name: c.config.Name, Log: hclog.NewNullLogger(),
	})
	if err != nil {
		c.add("error", "redis", "%v", err)
		return
	}
	defer func() { _ = memory.Close() }()
	if err := memory.Ping(ctx); err != nil {
		c.add("warning", "redis", "cannot be reached: %v; crmsync works without it, slower and with more API calls", err)
		return
	}
	c.add("ok", "redis", "answers")
}

func (c *checker) connector(ctx context.Context, instance *activities.Instance) {
	about := "connectors." + instance.Name
	caps, err := instance.Capabilities(ctx)
	if err != nil {
		c.add("error", about, "%v", err)
		return
	}
	c.add("ok", about, "credentials work; idempotency class %s, contacts %s", caps.Class, map[bool]string{true: "searched", false: "not searched"}[caps.Find])
	if !caps.Status {
		c.add("ok", about, "statuses are not applicable here: this CRM cannot change a logged text")
	}
	if !caps.Consent {
		c.add("warning", about, "opt-outs have no place in this CRM")
	}
}

func (a *app) report(findings []finding) error {
	var err error
	for _, f := range findings {
		if f.Level == "error" {
			err = errFindings
		}
	}
	if a.json {
		if findings == nil {
			findings = []finding{}
		}
		if printErr := a.printJSON(findings); printErr != nil {
			return printErr
		}
		return err
	}
	for _, f := range findings {
		a.printf("%-8s %s: %s\n", f.Level, f.About, f.Text)
	}
	return err
}
