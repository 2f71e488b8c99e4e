// Package metrics is everything that crmsync counts and measures: the names,
// units, descriptions and labels of docs/operations.md, in one place.
//
// Others call a small method for each thing that happened ([Metrics.Webhook],
// [Metrics.Attempt] and so on), wrap a transport ([Metrics.Transport]), or are
// asked at a scrape ([Metrics.Watch]); none of them knows how metrics are kept.
// Inside there is one pipeline: OpenTelemetry's meters, which Temporal's SDK
// knows too, and from there Prometheus's text format, in a registry of its own.
//
// # Labels
//
// The value of a label comes from the configuration or from a fixed list. What
// comes from outside and is in neither is counted under [Other]: so the number
// of series is bounded, whatever is posted, and no number, text, URL or secret
// can get into one.
package metrics

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/otlptranslator"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/opentelemetry"
)

// Other is the value of a label whose true value is in no list.
const Other = "other"

// Options names what the configuration brings into labels.
type Options struct {
	Version    string
	Accounts   []string
	Connectors []string
	// OnError is told of what cannot be measured; nil ignores it. It must be safe
	// for concurrent use.
	OnError func(error)
}

// Metrics counts and measures. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	meter    metric.Meter
	onError  func(error)
	accounts set
	crms     set
	counters counters
	watched  watched
}

// New makes the pipeline. Nothing global is touched, so that a process may hold
// several.
func New(o Options) (*Metrics, error) {
	m := &Metrics{registry: prometheus.NewRegistry(), onError: o.OnError, accounts: setOf(o.Accounts), crms: setOf(o.Connectors)}
	if m.onError == nil {
		m.onError = func(error) {}
	}
	reader, err := exporter.New(
		exporter.WithRegisterer(m.registry),
		exporter.WithTranslationStrategy(otlptranslator.UnderscoreEscapingWithSuffixes),
		exporter.WithoutScopeInfo(),
		exporter.WithoutTargetInfo(),
	)
	if err != nil {
		return nil, fmt.Errorf("prometheus exporter: %w", err)
	}
	provider := sdk.NewMeterProvider(sdk.WithReader(reader), sdk.WithView(view), sdk.WithResource(resource.Empty()))
	m.meter = provider.Meter("crmsync")
	if m.counters, err = newCounters(m.meter); err != nil {
		return nil, err
	}
	m.start()
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		buildInfo(o.Version),
	)
	return m, nil
}

func buildInfo(version string) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "crmsync_build_info", Help: "Always 1; the labels say what is running.",
		ConstLabels: prometheus.Labels{"version": version, "go_version": runtime.Version()},
	}, func() float64 { return 1 })
}

// The upper bounds of histograms, in seconds. Calls to a CRM end by a time limit
// of half a minute or so; in Temporal a text may wait for hours.
var (
	callBuckets = []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
	waitBuckets = []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 5, 10, 60, 300, 3600}
)

const ofTemporal = "Of Temporal's SDK, see https://docs.temporal.io/references/sdk-metrics."

// view gives histograms their buckets, and Temporal's metrics the description
// that the SDK leaves out.
func view(i sdk.Instrument) (sdk.Stream, bool) {
	stream := sdk.Stream{Name: i.Name, Description: i.Description, Unit: i.Unit}
	buckets := callBuckets
	if i.Name == "crmsync_consent_duration" {
		buckets = waitBuckets
	}
	if strings.HasPrefix(i.Name, "temporal_") {
		stream.Description, buckets = ofTemporal, waitBuckets
	}
	if i.Kind == sdk.InstrumentKindHistogram {
		stream.Aggregation = sdk.AggregationExplicitBucketHistogram{Boundaries: buckets, NoMinMax: true}
	}
	return stream, true
}

// Temporal is what Temporal's client and workers report to.
func (m *Metrics) Temporal() client.MetricsHandler {
	return opentelemetry.NewMetricsHandler(opentelemetry.MetricsHandlerOptions{
		Meter: m.meter, UseMonotonicCounters: true, OnError: m.onError,
	})
}

// scrapeTimeout bounds a scrape as a whole.
const scrapeTimeout = 10 * time.Second

// Handler serves the metrics in Prometheus's text format. A scrape may ask for
// a new [Survey]; see [SurveyInterval].
func (m *Metrics) Handler() http.Handler {
	page := promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, ErrorLog: errorLog(m.onError), Timeout: scrapeTimeout,
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.watched.refresh(r.Context())
		page.ServeHTTP(w, r)
	})
}

// errorLog tells OnError what a scrape left out.
type errorLog func(error)

// Println implements promhttp.Logger.
func (l errorLog) Println(v ...any) { l(fmt.Errorf("scrape: %s", fmt.Sprint(v...))) }

// set is the values that a label may have.
type set map[string]bool

func setOf[S ~string](values []S) set {
	s := set{}
	for _, v := range values {
		s[string(v)] = true
	}
	return s
}

// label is the value itself where it is one of the set, else Other.
func (s set) label(value string) string {
	if s[value] {
		return value
	}
	return Other
}
