package notify

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
	unreadable result = "unreadable" // the log's entry cannot be read; no retry can help
)

var results = []result{delivered, retried, skipped, unreadable}

type metrics struct {
	notices *prometheus.CounterVec

	mu        sync.RWMutex
	notifiers []string // that have series; a notice that outlives its notifier must not bring them back
}

// newMetrics registers the metrics with reg, or with nobody when it is nil.
func newMetrics(reg prometheus.Registerer) *metrics {
	return &metrics{notices: promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
		Name: "stanch_notices_total",
		Help: "Number of attempts to deliver a notice, by notifier and by what became of the attempt.",
	}, []string{"notifier", "result"})}
}

// use forgets the series of notifiers that are gone, and starts those of new ones at zero.
func (m *metrics) use(notifiers []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range m.notifiers {
		if !slices.Contains(notifiers, name) {
			m.notices.DeletePartialMatch(prometheus.Labels{"notifier": name})
		}
	}
	for _, name := range notifiers {
		for _, r := range results {
			m.notices.WithLabelValues(name, string(r))
		}
	}
	m.notifiers = notifiers
}

func (m *metrics) count(notifier string, r result) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if slices.Contains(m.notifiers, notifier) {
		m.notices.WithLabelValues(notifier, string(r)).Inc()
	}
}
