package collect

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// The results of fetches, reports and sweeps.
const (
	resultQueued   = "queued"   // the alert is on its way to the engine
	resultReported = "reported" // the source was told
	resultDone     = "done"     // the sweep was completed
	resultOwn      = "own"      // the pointer told of something that we did ourselves
	resultGone     = "gone"     // the source has no such alert
	resultRefused  = "refused"  // the source does not allow it
	resultRetried  = "retried"
	resultDead     = "dead" // the pointer became a dead letter
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
		fetches: counter("fetches_total", "Pointers followed, by result.", "source", "result"),
		reports: counter("reports_total", "Reports to a source, by result.", "source", "result"),
		sweeps:  counter("sweeps_total", "Scheduled sweeps of a source, by result.", "source", "result"),
		missed:  counter("missed_alerts_total", "Alerts that a sweep found and no delivery had reported.", "source"),
		off: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "stanch_hook_switched_off",
			Help: "1 if the last sweep found that the source has switched off a hook that delivers to us, otherwise 0.",
		}, []string{"source"}),
	}
	if r != nil {
		r.MustRegister(m.fetches, m.reports, m.sweeps, m.missed, m.off)
	}
	return m
}

// zero creates the series of a source.
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

// switchedOff notes the result of looking for failed deliveries. Most errors do not tell whether the hook is on.
func (m *metrics) switchedOff(source string, err error) {
	switch {
	case err == nil:
		m.off.WithLabelValues(source).Set(0)
	case errors.Is(err, ErrSwitchedOff):
		m.off.WithLabelValues(source).Set(1)
	}
}
