package deliver

import (
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// result says what became of one attempt to tell one notifier; the label of a metric.
type result string

const (
	delivered  result = "delivered"
	retried    result = "retried"    // it did not work, and is tried again
	skipped    result = "skipped"    // the notifier does not want this incident
	dropped    result = "dropped"    // the channel refused it for a day
	grouped    result = "gathered"   // it waits to be told in one notice with others
	unreadable result = "unreadable" // the log's entry cannot be read; no retry can help
)

var results = []result{delivered, retried, skipped, dropped, grouped, unreadable}

type metrics struct {
	notices *prometheus.CounterVec
	unsure  *prometheus.CounterVec
	failing *prometheus.GaugeVec

	mu        sync.RWMutex
	notifiers []string // that have series; a notice that outlives its notifier must not bring them back
}

// newMetrics registers the metrics with reg, or with nobody when it is nil.
func newMetrics(reg prometheus.Registerer) *metrics {
	return &metrics{
		notices: promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
			Name: "stanch_notices_total",
			Help: "Number of attempts to deliver a notice, by notifier and by what became of the attempt.",
		}, []string{"notifier", "result"}),
		unsure: promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
			Name: "stanch_notices_unsure_total",
			Help: "Number of notices that went as if there were no condition or template, because it could not be evaluated.",
		}, []string{"notifier"}),
		failing: promauto.With(reg).NewGaugeVec(prometheus.GaugeOpts{
			Name: "stanch_notifier_failing",
			Help: "Whether the last attempt to tell a notifier anything failed: 1 when it did.",
		}, []string{"notifier"}),
	}
}

// use forgets the series of notifiers that are gone, and starts those of new ones at zero.
func (m *metrics) use(notifiers []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range m.notifiers {
		if !slices.Contains(notifiers, name) {
			m.notices.DeletePartialMatch(prometheus.Labels{"notifier": name})
			m.unsure.DeleteLabelValues(name)
			m.failing.DeleteLabelValues(name)
		}
	}
	for _, name := range notifiers {
		for _, r := range results {
			m.notices.WithLabelValues(name, string(r))
		}
		m.unsure.WithLabelValues(name)
		m.failing.WithLabelValues(name)
	}
	m.notifiers = notifiers
}

func (m *metrics) count(notifier string, r result) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if !slices.Contains(m.notifiers, notifier) {
		return
	}
	m.notices.WithLabelValues(notifier, string(r)).Inc()
	switch r {
	case delivered:
		m.failing.WithLabelValues(notifier).Set(0)
	case retried, dropped:
		m.failing.WithLabelValues(notifier).Set(1)
	}
}

// countUnsure counts a notice that went although its condition or its template could not be evaluated.
func (m *metrics) countUnsure(notifier string) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if slices.Contains(m.notifiers, notifier) {
		m.unsure.WithLabelValues(notifier).Inc()
	}
}
