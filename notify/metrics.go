package notify

import (
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
}

// newMetrics registers the metrics with reg, or with nobody when it is nil, and sets those of each notifier to zero.
func newMetrics(reg prometheus.Registerer, routes map[string]Route) metrics {
	m := metrics{notices: promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
		Name: "stanch_notices_total",
		Help: "Number of attempts to deliver a notice, by notifier and by what became of the attempt.",
	}, []string{"notifier", "result"})}
	for name := range routes {
		for _, r := range results {
			m.notices.WithLabelValues(name, string(r))
		}
	}
	return m
}

func (m metrics) count(notifier string, r result) {
	m.notices.WithLabelValues(notifier, string(r)).Inc()
}
