package main

import (
	"log/slog"
	"net/http"

	"stanch/dispositions/ledger"

	"github.com/prometheus/client_golang/prometheus"
)

// NewAPI is the API over what it shows.
func NewAPI(l *ledger.Ledger, x *ledger.Index, s *ledger.Sightings) http.Handler {
	return (&api{
		ledger: l, index: x, sightings: s, gatherer: prometheus.NewRegistry(), log: slog.New(slog.DiscardHandler),
		ready: func() error { return nil },
	}).handler()
}
