package worker

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"crmsync/config"
	"crmsync/internal/codec"
	"crmsync/workflows"
)

// newTemporalClient makes a client that connects when it is first used. What it
// sends is encrypted with the ring's keys. Metrics may be nil.
func newTemporalClient(c config.Temporal, ring *codec.Ring, log hclog.Logger, metrics client.MetricsHandler) (client.Client, error) {
	return newTemporalClientAs("", c, ring, log, metrics)
}

// newTemporalClientAs makes a client that tells who it is; "" is this process.
func newTemporalClientAs(identity string, c config.Temporal, ring *codec.Ring, log hclog.Logger, metrics client.MetricsHandler) (client.Client, error) {
	options := client.Options{
		Identity:       identity,
		HostPort:       c.Address,
		Namespace:      c.Namespace,
		Logger:         temporalLogger{log.Named("temporal")},
		MetricsHandler: metrics,
	}
	options.DataConverter, options.FailureConverter = ring.Converters()
	if c.TLS != nil {
		tlsConfig, err := tlsConfig(*c.TLS)
		if err != nil {
			return nil, fmt.Errorf("temporal.tls: %w", err)
		}
		options.ConnectionOptions.TLS = tlsConfig
	}
	if c.APIKey != "" {
		options.Credentials = client.NewAPIKeyStaticCredentials(c.APIKey.Reveal())
	}
	temporal, err := client.NewLazyClient(options)
	if err != nil {
		return nil, fmt.Errorf("temporal client: %w", err)
	}
	return temporal, nil
}

func tlsConfig(c config.TLS) (*tls.Config, error) {
	out := &tls.Config{ServerName: c.ServerName, MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("read ca: %w", err)
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("ca holds no certificate")
		}
	}
	if c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("load cert and key: %w", err)
		}
		out.Certificates = []tls.Certificate{pair}
	}
	return out, nil
}

// namespace describes the configured namespace, as a proof that the server is
// there and lets us in.
func namespace(ctx context.Context, temporal client.Client, name string) (*workflowservice.DescribeNamespaceResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	described, err := temporal.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: name})
	if err != nil {
		return nil, fmt.Errorf("describe namespace %s: %w", name, err)
	}
	return described, nil
}

// attributesTimeout is how long it may take to register search attributes, and for
// Temporal to know them: it reads them every 2 s by itself (dynamic configuration,
// system.namespaceCacheRefreshInterval).
const attributesTimeout = 10 * time.Second

// registerAttributes registers the search attributes that are missing, and waits
// until they can be used. It may be repeated.
func registerAttributes(ctx context.Context, temporal client.Client, c *config.Config) error {
	ctx, cancel := context.WithTimeout(ctx, attributesTimeout)
	defer cancel()
	missing, err := missingAttributes(ctx, temporal, c)
	if err != nil || len(missing) == 0 {
		return err
	}
	types := workflows.AttributesOf(c.Name).Types()
	request := &operatorservice.AddSearchAttributesRequest{Namespace: c.Temporal.Namespace, SearchAttributes: types}
	for name := range types {
		if !missing[name] {
			delete(request.SearchAttributes, name)
		}
	}
	if _, err := temporal.OperatorService().AddSearchAttributes(ctx, request); err != nil {
		return fmt.Errorf("add search attributes: %w", err)
	}
	return awaitAttributes(ctx, temporal, slices.Sorted(maps.Keys(types)))
}

// awaitAttributes waits until workflows can be searched by attributes.
func awaitAttributes(ctx context.Context, temporal client.Client, names []string) error {
	query := "`" + strings.Join(names, "` IS NULL AND `") + "` IS NULL"
	for {
		_, err := temporal.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Query: query})
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for search attributes: %w", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func missingAttributes(ctx context.Context, temporal client.Client, c *config.Config) (map[string]bool, error) {
	listed, err := temporal.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: c.Temporal.Namespace})
	if err != nil {
		return nil, fmt.Errorf("list search attributes: %w", err)
	}
	missing := map[string]bool{}
	for name := range workflows.AttributesOf(c.Name).Types() {
		if _, ok := listed.GetCustomAttributes()[name]; !ok {
			missing[name] = true
		}
	}
	return missing, nil
}
