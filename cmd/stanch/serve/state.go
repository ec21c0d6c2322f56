package serve

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stanch/dispositions/ledger"
	"stanch/receiver/queue"
)

// statsTimeout bounds what one scrape waits for the store.
const statsTimeout = 5 * time.Second

// state exports what the store and the log hold at the moment of a scrape. Only the engine's role exports it; several
// engines export the same values, so rules and panels take the largest and never the sum.
type state struct {
	store queue.Store
	index *ledger.Index
	log   *slog.Logger

	pending, oldest, dead, incidents, held, live *prometheus.Desc
}

func newState(store queue.Store, index *ledger.Index, log *slog.Logger) *state {
	return &state{
		store: store, index: index, log: log,
		pending: prometheus.NewDesc("stanch_queue_pending",
			"How many messages of a stream are not settled yet.", []string{"stream"}, nil),
		oldest: prometheus.NewDesc("stanch_queue_oldest_age_seconds",
			"Age of the oldest message of a stream that is not settled yet; 0 when there is none.", []string{"stream"}, nil),
		dead: prometheus.NewDesc("stanch_dead_letters",
			"How many dead letters are kept.", nil, nil),
		incidents: prometheus.NewDesc("stanch_incidents",
			"How many incidents are in each state.", []string{"state"}, nil),
		held: prometheus.NewDesc("stanch_fuse_held",
			"How many incidents the fuse holds back.", nil, nil),
		live: prometheus.NewDesc("stanch_tokens_live",
			"How many incidents have a dead key whose tokens, issued before it died, may still work.", nil, nil),
	}
}

// Describe implements [prometheus.Collector].
func (s *state) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{s.pending, s.oldest, s.dead, s.incidents, s.held, s.live} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector]. It leaves out what it cannot read from the store.
func (s *state) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), statsTimeout)
	defer cancel()
	for _, stream := range []string{queue.Alerts, queue.Pointers} {
		if stats, ok := s.stats(ctx, stream); ok {
			ch <- gauge(s.pending, float64(stats.Messages), stream)
			ch <- gauge(s.oldest, age(stats.Oldest), stream)
		}
	}
	if stats, ok := s.stats(ctx, queue.Dead); ok {
		ch <- gauge(s.dead, float64(stats.Messages))
	}
	s.collectIncidents(ch)
}

// collectIncidents leaves the counts out until the index knows every incident: half of them would look like progress.
func (s *state) collectIncidents(ch chan<- prometheus.Metric) {
	select {
	case <-s.index.Ready():
	default:
		return
	}
	for state, count := range s.index.Counts() {
		ch <- gauge(s.incidents, float64(count), string(state))
	}
	ch <- gauge(s.held, float64(s.index.Fused()))
	ch <- gauge(s.live, float64(s.index.TokensLive()))
}

func (s *state) stats(ctx context.Context, stream string) (queue.Stats, bool) {
	stats, err := s.store.Stats(ctx, stream)
	if err != nil {
		s.log.Warn("reading the state of a stream", "stream", stream, "err", err)
	}
	return stats, err == nil
}

func gauge(d *prometheus.Desc, value float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

func age(oldest time.Time) float64 {
	if oldest.IsZero() {
		return 0
	}
	return max(0, time.Since(oldest).Seconds())
}
