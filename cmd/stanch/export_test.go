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
	Main = main
	Run  = run
)

// Parse reads a configuration for every role.
func Parse(file string, data []byte) (*Config, []Fault) { return parse(file, data, nil) }

// NewAPI is the API over what it shows.
func NewAPI(l *ledger.Ledger, x *ledger.Index, s *ledger.Sightings) http.Handler {
	return (&api{
		ledger: l, index: x, sightings: s, gatherer: prometheus.NewRegistry(), log: slog.New(slog.DiscardHandler),
		ready: func() error { return nil },
	}).handler()
}

// Timeline prints an incident as people read it.
func Timeline(w io.Writer, i leak.Incident) { timeline(w, view{Incident: i}) }

// Adapters are the structs whose fields an entry has beside its own, by list and type.
func Adapters() map[string]map[string]any {
	return map[string]map[string]any{
		"sources": adapters(sources), "issuers": adapters(issuers), "notifiers": adapters(notifiers),
	}
}

func adapters[C checker](registry map[string]func() C) map[string]any {
	all := map[string]any{}
	for kind, fresh := range registry {
		all[kind] = fresh()
	}
	return all
}
