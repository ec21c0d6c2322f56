package receiver

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"stanch/receiver/leak"
)

// metrics counts deliveries. Only configured sources have a label; a name that only a request knows is counted under the
// empty one.
type metrics struct {
	deliveries *prometheus.CounterVec
	alerts     *prometheus.CounterVec
	pointers   *prometheus.CounterVec
	labels     *prometheus.CounterVec
	duration   *prometheus.HistogramVec

	mu      sync.RWMutex
	sources []string // those that have series; a delivery that outlives its source must not bring them back
}

func newMetrics(reg prometheus.Registerer) *metrics {
	factory := promauto.With(reg)
	m := &metrics{
		deliveries: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "stanch_deliveries_total",
			Help: "Requests to the hook of a source, by how they were answered. The source is empty when there is no such source.",
		}, []string{"source", "result"}),
		alerts: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "stanch_alerts_total",
			Help: "Alerts stored, repetitions included.",
		}, []string{"source"}),
		pointers: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "stanch_pointers_total",
			Help: "Pointers to alerts stored, repetitions included.",
		}, []string{"source"}),
		labels: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "stanch_labels_total",
			Help: "Secrets that a source asked about, by what it was told; untold: nobody knew in time, and nothing was said.",
		}, []string{"source", "label"}),
		duration: factory.NewHistogramVec(prometheus.HistogramOpts{
			Name:                            "stanch_delivery_duration_seconds",
			Help:                            "Time from the header of a request to a configured source to its answer.",
			Buckets:                         []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15},
			NativeHistogramBucketFactor:     1.1,
			NativeHistogramMaxBucketNumber:  100,
			NativeHistogramMinResetDuration: time.Hour,
		}, []string{"source"}),
	}
	m.deliveries.WithLabelValues("", unknownSource.result)
	return m
}

// use drops the series of removed sources and starts those of new ones.
func (m *metrics) use(sources []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, source := range m.sources {
		if !slices.Contains(sources, source) {
			m.forget(source)
		}
	}
	for _, source := range sources {
		m.initialise(source)
	}
	m.sources = sources
}

func (m *metrics) forget(source string) {
	labels := prometheus.Labels{"source": source}
	m.deliveries.DeletePartialMatch(labels)
	m.alerts.DeletePartialMatch(labels)
	m.pointers.DeletePartialMatch(labels)
	m.labels.DeletePartialMatch(labels)
	m.duration.DeletePartialMatch(labels)
}

// initialise creates every series of a source at the start, so that the first failure shows as an increase.
func (m *metrics) initialise(source string) {
	m.deliveries.WithLabelValues(source, stored.result)
	m.deliveries.WithLabelValues(source, read.result)
	m.deliveries.WithLabelValues(source, notStored.result)
	for _, a := range answers {
		m.deliveries.WithLabelValues(source, a.result)
	}
	m.alerts.WithLabelValues(source)
	m.pointers.WithLabelValues(source)
	for _, label := range []leak.Label{leak.TruePositive, leak.FalsePositive, untold} {
		m.labels.WithLabelValues(source, string(label))
	}
	m.duration.WithLabelValues(source)
}

func (m *metrics) observe(d *delivery, result string, took time.Duration) {
	if d.source == "" {
		m.deliveries.WithLabelValues("", result).Inc()
		return
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	if !slices.Contains(m.sources, d.source) {
		return
	}
	m.deliveries.WithLabelValues(d.source, result).Inc()
	m.alerts.WithLabelValues(d.source).Add(float64(d.alerts))
	m.pointers.WithLabelValues(d.source).Add(float64(d.pointers))
	m.duration.WithLabelValues(d.source).Observe(took.Seconds())
}

// untold stands in the metric for a label that was not told.
const untold leak.Label = "untold"

func (m *metrics) labelled(source string, labels []leak.Label) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if !slices.Contains(m.sources, source) {
		return
	}
	for _, label := range labels {
		m.labels.WithLabelValues(source, string(cmp.Or(label, untold))).Inc()
	}
}
