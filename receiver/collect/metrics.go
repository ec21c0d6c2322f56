package collect

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// The results of what the collector does.
const (
	resultQueued   = "queued"   // an alert was fetched, and is on its way to the engine
	resultReported = "reported" // the source was told
	resultDone     = "done"     // a sweep came to its end
	resultOwn      = "own"      // the pointer told of what we did ourselves
	resultGone     = "gone"     // the source has no such alert
	resultRefused  = "refused"  // the source does not let us
	resultRetried  = "retried"
	resultDead     = "dead" // it became a dead letter
	resultFailed   = "failed"
)

type metrics struct {
	fetches, reports, sweeps, missed *prometheus.CounterVec
	off                              *prometheus.GaugeVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "stanch_" + name, Help: help}, labels)
	}
	m := &metrics{
		fetches: counter("fetches_total", "How many pointers came to each result.", "source", "result"),
		reports: counter("reports_total", "How many reports to a source came to each result.", "source", "result"),
		sweeps:  counter("sweeps_total", "How many scheduled sweeps of a source came to each result.", "source", "result"),
		missed:  counter("missed_alerts_total", "How many alerts a sweep found that no delivery had told of.", "source"),
		off: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "stanch_hook_switched_off",
			Help: "Whether the source has switched off a hook that delivers to us, as the last sweep found: 1 when it has.",
		}, []string{"source"}),
	}
	if r != nil {
		r.MustRegister(m.fetches, m.reports, m.sweeps, m.missed, m.off)
	}
	return m
}

// zero makes the series of a source.
func (m *metrics) zero(source string) {
	for _, result := range []string{resultQueued, resultOwn, resultGone, resultRetried, resultDead} {
		m.fetches.WithLabelValues(source, result)
	}
	for _, result := range []string{resultReported, resultGone, resultRefused, resultRetried} {
		m.reports.WithLabelValues(source, result)
	}
	for _, result := range []string{resultDone, resultFailed} {
		m.sweeps.WithLabelValues(source, result)
	}
	m.missed.WithLabelValues(source)
	m.off.WithLabelValues(source)
}

func (m *metrics) fetched(source, result string) { m.fetches.WithLabelValues(source, result).Inc() }

func (m *metrics) reported(source, result string) { m.reports.WithLabelValues(source, result).Inc() }
func (m *metrics) swept(source, result string)    { m.sweeps.WithLabelValues(source, result).Inc() }

// switchedOff takes what came of looking for failed deliveries. Of most errors nobody can tell whether deliveries are on.
func (m *metrics) switchedOff(source string, err error) {
	switch {
	case err == nil:
		m.off.WithLabelValues(source).Set(0)
	case errors.Is(err, ErrSwitchedOff):
		m.off.WithLabelValues(source).Set(1)
	}
}
