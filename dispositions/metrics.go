package dispositions

import (
	"github.com/prometheus/client_golang/prometheus"

	"stanch/receiver/leak"
)

// The results of a disposition.
const (
	resultProved = "proved" // the issuer, asked again, says so
	resultLeft   = "left"   // policy says nothing
	resultHeld   = "held"
	// resultExpired is of a key that its issuer does not change any more, and whose value is refused because its time is over.
	resultExpired = "expired"
	// resultAccepted is of an action that its issuer accepted, and that nobody can prove.
	resultAccepted = "accepted"
	resultFailed   = "failed"
	resultNoKey    = "unknown"
	resultUndone   = "undone" // by a person; so are rejected and closed, the names of their steps
)

// resultNames are what outcomes are called in metrics. Keys that expired and secrets that a person must revoke have names of their
// own.
var resultNames = map[result]string{
	isContained: resultProved, isAccepted: resultAccepted, isLeft: resultLeft, isHeld: resultHeld, isDisabled: resultHeld,
	isFailed: resultFailed, isUnknown: resultNoKey, isUndone: resultUndone, isJoined: leak.RuleJoined,
}

type metrics struct {
	dispositions *prometheus.CounterVec
	contain      *prometheus.HistogramVec
	phases       *prometheus.HistogramVec
	ruleFailures *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		dispositions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stanch_dispositions_total",
			Help: "How many incidents came to each result.",
		}, []string{"issuer", "action", "result"}),
		contain: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:                        "stanch_contain_duration_seconds",
			Help:                        "Time from the receipt of an alert until the key was proved dead.",
			Buckets:                     []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600},
			NativeHistogramBucketFactor: 1.1,
		}, []string{"issuer", "action"}),
		phases: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:                        "stanch_phase_duration_seconds",
			Help:                        "Time that one phase of a reconcile took.",
			Buckets:                     []float64{.0005, .001, .005, .01, .05, .1, .5, 1, 5, 10, 30},
			NativeHistogramBucketFactor: 1.1,
		}, []string{"phase"}),
		ruleFailures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stanch_rule_failures_total",
			Help: "How often a rule could not be evaluated for a key, so that the next one was asked.",
		}, []string{"rule"}),
	}
	r.MustRegister(m.dispositions, m.contain, m.phases, m.ruleFailures)
	return m
}

// zero makes the series of what the settings name.
func (m *metrics) zero(s Settings) {
	for _, rule := range s.Policy.Rules {
		m.ruleFailures.WithLabelValues(rule.Name)
	}
	for _, i := range s.Issuers {
		for _, action := range []leak.Action{leak.Disable, leak.Delete} {
			for _, result := range []string{resultProved, resultExpired, resultAccepted, resultHeld, resultFailed} {
				m.dispositions.WithLabelValues(i.Name, string(action), result)
			}
			m.contain.WithLabelValues(i.Name, string(action))
		}
		for _, result := range []string{resultLeft, leak.RuleByHand, resultUndone, string(leak.Rejected), string(leak.Ended)} {
			m.dispositions.WithLabelValues(i.Name, string(leak.Nothing), result)
		}
	}
	for _, result := range []string{resultNoKey, resultFailed} {
		m.dispositions.WithLabelValues("", string(leak.Nothing), result)
	}
	for _, name := range []string{phaseLocate, phaseAnnounce, phaseAct, phaseProve, phaseRecord} {
		m.phases.WithLabelValues(name)
	}
}

// ended counts an incident that came to a result.
func (m *metrics) ended(i leak.Incident, result string) {
	action := i.Action
	if action == "" {
		action = leak.Nothing
	}
	m.dispositions.WithLabelValues(i.Issuer, string(action), result).Inc()
}

// contained measures how long a key lived. The time runs from the alert that was worked on: a key that leaks again a month
// later is not a month late. What a person did in their own time is not measured.
func (m *metrics) contained(i leak.Incident, action leak.Action, a leak.Alert) {
	if a.ReceivedAt.IsZero() {
		return
	}
	m.contain.WithLabelValues(i.Issuer, string(action)).Observe(i.ContainedAt.Sub(a.ReceivedAt).Seconds())
}

func (m *metrics) ruleFailed(rule string) { m.ruleFailures.WithLabelValues(rule).Inc() }
