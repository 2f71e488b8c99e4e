package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	uiserver "github.com/temporalio/ui-server/v2/server"
	uiconfig "github.com/temporalio/ui-server/v2/server/config"
	uioptions "github.com/temporalio/ui-server/v2/server/server_options"
	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/metrics"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/temporal"
)

const clusterName = "active"

// tuning is what differs from the server's defaults.
var tuning = dynamicconfig.StaticClient{
	// One read of the transfer queue every 5 instead of every 50 ms: the
	// default adds ~46 ms to every hop.
	dynamicconfig.TransferProcessorMaxPollRPS.Key(): 200,
	// One partition gives exact priorities and rate limits and less work
	// below several hundred tasks a second.
	dynamicconfig.MatchingNumTaskqueueReadPartitions.Key():  1,
	dynamicconfig.MatchingNumTaskqueueWritePartitions.Key(): 1,
	dynamicconfig.MatchingEnableFairness.Key():              true,
	// Namespaces of parallel tests and their search attributes become known, and
	// get their schedules' worker, without delay. To have the attributes read anew
	// each time they are used would keep the database's one connection busy.
	dynamicconfig.NamespaceCacheRefreshInterval.Key():     250 * time.Millisecond,
	dynamicconfig.WorkerPerNamespaceWorkerStartRate.Key(): 100.0,
	// The machine is the limit, not the server's protection of its tenants.
	dynamicconfig.FrontendRPS.Key():                                                        20000,
	dynamicconfig.FrontendMaxNamespaceRPSPerInstance.Key():                                 20000,
	dynamicconfig.FrontendMaxNamespaceVisibilityRPSPerInstance.Key():                       1000,
	dynamicconfig.FrontendNamespaceReplicationInducingAPIsRPS.Key():                        1000,
	dynamicconfig.FrontendMaxNamespaceNamespaceReplicationInducingAPIsRPSPerInstance.Key(): 100,
	dynamicconfig.FrontendGlobalNamespaceNamespaceReplicationInducingAPIsRPS.Key():         100,
	dynamicconfig.HistoryRPS.Key():                                                         20000,
	dynamicconfig.MatchingRPS.Key():                                                        20000,
}

// newServer puts the server together; it does not start it.
func newServer(o options, logger log.Logger) (temporal.Server, error) {
	persistence, err := openStorage(o)
	if err != nil {
		return nil, err
	}
	services, hosts, err := addresses(o.listen)
	if err != nil {
		return nil, err
	}
	server, err := temporal.NewServer(
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithConfig(serverConfig(o, persistence, services)),
		temporal.WithStaticHosts(hosts),
		temporal.WithLogger(logger),
		temporal.WithDynamicConfigClient(tuning),
		temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper {
			return authorization.NewNoopClaimMapper()
		}),
		temporal.WithCustomMetricsHandler(metrics.NoopMetricsHandler),
	)
	if err != nil {
		return nil, fmt.Errorf("put the server together: %w", err)
	}
	return server, nil
}

func serverConfig(o options, p config.Persistence, services map[string]config.Service) *config.Config {
	return &config.Config{
		Persistence: p,
		Services:    services,
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10,
			MasterClusterName:        clusterName,
			CurrentClusterName:       clusterName,
			ClusterInformation: map[string]cluster.ClusterInformation{
				clusterName: {Enabled: true, InitialFailoverVersion: 1, RPCAddress: o.listen},
			},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		PublicClient:        config.PublicClient{HostPort: o.listen},
		Archival: config.Archival{
			History:    config.HistoryArchival{State: config.ArchivalDisabled},
			Visibility: config.VisibilityArchival{State: config.ArchivalDisabled},
		},
		NamespaceDefaults: config.NamespaceDefaults{Archival: config.ArchivalNamespaceDefaults{
			History:    config.HistoryArchivalNamespaceDefaults{State: config.ArchivalDisabled},
			Visibility: config.VisibilityArchivalNamespaceDefaults{State: config.ArchivalDisabled},
		}},
	}
}

// addresses gives each of the four services its port. The hosts are static,
// so that no gossip ring is needed.
func addresses(frontend string) (map[string]config.Service, map[primitives.ServiceName]static.Hosts, error) {
	services := map[string]config.Service{}
	hosts := map[primitives.ServiceName]static.Hosts{}
	for _, name := range temporal.DefaultServices {
		address := frontend
		if name != string(primitives.FrontendService) {
			var err error
			if address, err = freeAddress("127.0.0.1:0"); err != nil {
				return nil, nil, err
			}
		}
		host, port, err := splitAddress(address)
		if err != nil {
			return nil, nil, err
		}
		services[name] = config.Service{RPC: config.RPC{GRPCPort: port, BindOnIP: host}}
		hosts[primitives.ServiceName(name)] = static.SingleLocalHost(address)
	}
	return services, hosts, nil
}

func splitAddress(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	port, err = strconv.Atoi(text)
	return host, port, err
}

// startUI serves the web UI; a failure to listen ends the process.
func startUI(o options) *uiserver.Server {
	host, port, _ := splitAddress(o.ui)
	ui := uiserver.NewServer(uioptions.WithConfigProvider(&uiconfig.Config{
		TemporalGRPCAddress: o.listen,
		Host:                host,
		Port:                port,
		EnableUI:            true,
		DefaultNamespace:    o.namespace,
		DisableNewsFetch:    true,
		HideLogs:            true,
		// The page is served without TLS.
		CORS:  uiconfig.CORS{CookieInsecure: true},
		Codec: uiconfig.Codec{Endpoint: o.uiCodec},
	}))
	go func() { _ = ui.Start() }()
	return ui
}

func waitForUI(ctx context.Context, url string) error {
	return poll(ctx, "the UI", func() error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/healthz", http.NoBody)
		if err != nil {
			return err
		}
		client := http.Client{Timeout: 5 * time.Second}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		return resp.Body.Close()
	})
}

// poll repeats a call until it succeeds.
func poll(ctx context.Context, what string, try func() error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w (last: %w)", what, ctx.Err(), err)
		case <-tick.C:
		}
	}
}
