package serve

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/prometheus/client_golang/prometheus/promauto"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/version"

	"stanch/cmd/stanch/role"
	"stanch/cmd/stanch/telemetry"
)

// reloaded exports how the last reload went, with names like those of Prometheus's own metrics.
type reloaded struct{ successful, at prometheus.Gauge }

// newReloaded counts the start as the first successful reading.
func newReloaded(r prometheus.Registerer) *reloaded {
	m := &reloaded{
		successful: promauto.With(r).NewGauge(prometheus.GaugeOpts{
			Name: "stanch_config_last_reload_successful",
			Help: "Whether the last reading of the configuration file was put in force; 0: an earlier one still is.",
		}),
		at: promauto.With(r).NewGauge(prometheus.GaugeOpts{
			Name: "stanch_config_last_reload_success_timestamp_seconds",
			Help: "When the configuration in force was read.",
		}),
	}
	m.record(true)
	return m
}

func (m *reloaded) record(success bool) {
	if !success {
		m.successful.Set(0)
		return
	}
	m.successful.Set(1)
	m.at.SetToCurrentTime()
}

// exportRoles exports which roles a process has, so that an alert can fire when no process has one of them.
func exportRoles(r prometheus.Registerer, roles role.Roles) {
	own := promauto.With(r).NewGaugeVec(prometheus.GaugeOpts{
		Name: "stanch_role",
		Help: "1 for each role that the process has.",
	}, []string{"role"})
	for _, name := range roles.Names() {
		own.WithLabelValues(name).Set(1)
	}
}

// scrape gathers the metrics of the service and of the sources in force.
type scrape struct{ *service }

// Gather implements [prometheus.Gatherer].
func (s scrape) Gather() ([]*dto.MetricFamily, error) {
	all := prometheus.Gatherers{s.registry}
	return append(all, s.current.Load().Metrics()...).Gather()
}

func newRegistry() *prometheus.Registry {
	version.Version = telemetry.Version() // what stanch_build_info says; the Go tool stamps it, no linker flag sets it
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		versioncollector.NewCollector("stanch"),
	)
	return registry
}
