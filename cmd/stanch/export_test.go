package main

import (
	"io"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"stanch/dispositions/ledger"
	"stanch/receiver/leak"
)

// What the external tests see of the command.
var (
	Main     = main
	Run      = run
	Adapters = adapters
)

// NewAPI is the API over what it shows.
func NewAPI(l *ledger.Ledger, x *ledger.Index, s *ledger.Sightings) http.Handler {
	return (&api{
		ledger: l, index: x, sightings: s, gatherer: prometheus.NewRegistry(), log: slog.New(slog.DiscardHandler),
		ready: func() error { return nil },
	}).handler()
}

// Timeline prints an incident as people read it.
func Timeline(w io.Writer, i leak.Incident) { timeline(w, view{Incident: i}) }
