package web

import (
	"cmp"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// standing is how the service is doing, as far as this process knows: its metrics, in words.
type standing struct {
	Queues    []queued
	Dead      int
	Sources   []source
	Notifiers []notifier
	ReadAt    time.Time // when the configuration in force was read
	Reloaded  bool      // whether the last reading was put in force
	Known     bool      // whether the process could tell at all
}

// queued is how much a queue holds.
type queued struct {
	Name   string
	Count  int
	Oldest time.Duration
}

// source is what a source sent since the process started.
type source struct {
	Name    string
	Results []result
	KeysAge time.Duration // of its public keys; 0: it has none
	Off     bool          // it has switched off a hook that delivers to us
}

// result is how many deliveries were answered in a way.
type result struct {
	Name  string
	Count int
}

// notifier is what became of notices since the process started.
type notifier struct {
	Name      string
	Failing   bool
	Delivered int
	Dropped   int
}

// standing reads the metrics. What they do not tell is left out.
func (p *page) standing() standing {
	families, err := p.Gatherer.Gather()
	if err != nil {
		p.Log.Warn("gathering how the service stands", "err", err)
	}
	m := gathered{}
	for _, f := range families {
		m[f.GetName()] = f.GetMetric()
	}
	return standing{
		Queues: m.queues(), Dead: int(m.one("stanch_dead_letters")), Sources: m.sources(), Notifiers: m.notifiers(),
		ReadAt:   time.Unix(int64(m.one("stanch_config_last_reload_success_timestamp_seconds")), 0),
		Reloaded: m.one("stanch_config_last_reload_successful") == 1, Known: len(m["stanch_dead_letters"]) == 1,
	}
}

// gathered are metrics by the names of their families.
type gathered map[string][]*dto.Metric

// one is the value of a metric without labels; 0 when there is none.
func (g gathered) one(name string) float64 {
	for _, m := range g[name] {
		return m.GetGauge().GetValue()
	}
	return 0
}

// labelled is the value of a label.
func labelled(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// by returns a value for each value of a label.
func (g gathered) by(family, label string) map[string]float64 {
	values := map[string]float64{}
	for _, m := range g[family] {
		values[labelled(m, label)] += m.GetGauge().GetValue() + m.GetCounter().GetValue()
	}
	return values
}

func (g gathered) queues() (all []queued) {
	oldest := g.by("stanch_queue_oldest_age_seconds", "stream")
	for name, n := range g.by("stanch_queue_pending", "stream") {
		all = append(all, queued{strings.ToLower(name), int(n), seconds(oldest[name])})
	}
	slices.SortFunc(all, func(a, b queued) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

func (g gathered) sources() []source {
	ages, off := g.by("stanch_public_keys_age_seconds", "source"), g.by("stanch_hook_switched_off", "source")
	found := map[string]*source{}
	for _, m := range g["stanch_deliveries_total"] {
		name := labelled(m, "source")
		if name == "" { // of no source that there is
			continue
		}
		if found[name] == nil {
			found[name] = &source{Name: name, KeysAge: seconds(ages[name]), Off: off[name] == 1}
		}
		if n := int(m.GetCounter().GetValue()); n > 0 {
			found[name].Results = append(found[name].Results, result{strings.ReplaceAll(labelled(m, "result"), "_", " "), n})
		}
	}
	return inOrder(found, func(s source) string { return s.Name })
}

func (g gathered) notifiers() []notifier {
	failing := g.by("stanch_notifier_failing", "notifier")
	found := map[string]*notifier{}
	for _, m := range g["stanch_notices_total"] {
		name := labelled(m, "notifier")
		if found[name] == nil {
			found[name] = &notifier{Name: name, Failing: failing[name] == 1}
		}
		switch n := int(m.GetCounter().GetValue()); labelled(m, "result") {
		case "delivered":
			found[name].Delivered = n
		case "dropped":
			found[name].Dropped = n
		}
	}
	return inOrder(found, func(n notifier) string { return n.Name })
}

// inOrder are the values of a map, by name.
func inOrder[T any](found map[string]*T, name func(T) string) (all []T) {
	for _, it := range found {
		all = append(all, *it)
	}
	slices.SortFunc(all, func(a, b T) int { return cmp.Compare(name(a), name(b)) })
	return all
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
