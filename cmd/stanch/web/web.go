// Package web is the page: what the person on call at 3 a.m. needs first, and how things stand, as plain HTML that works
// without a script. It reads what the API reads; what acts goes through the API's own orders, for somebody who signed in
// and from no other site. Whatever strangers wrote is shown so that it can neither run nor disguise itself. Nothing of it
// is stored by browsers.
package web

import (
	"log/slog"
	"net/http"

	"stanch/dispositions/deadletter"
	"stanch/dispositions/ledger"
	"stanch/notify/deliver"
	"stanch/receiver/leak"

	"github.com/prometheus/client_golang/prometheus"
)

// Config is what the page reads from, and who takes its orders. No field may be nil.
type Config struct {
	Ledger    *ledger.Ledger
	Index     *ledger.Index
	Sightings *ledger.Sightings
	Dead      *deadletter.Letters
	Orders    Orders
	// Settings are those that notices are composed by now: the page says of an incident what its notice says.
	Settings func() deliver.Settings
	// Reach says how far a leak reached, in pairs of a name, never empty, and what is known, or "-".
	Reach func(leak.Incident) [][2]string
	// Gatherer has the metrics of this process. How the service stands is read from them.
	Gatherer prometheus.Gatherer
	Log      *slog.Logger
}

// Register adds the page to the private listener. It is for a process that has the engine's role.
func Register(mux *http.ServeMux, c Config) {
	p := &page{Config: c}
	for pattern, show := range map[string]shower{
		"GET /{$}":                   p.home,
		"GET /incidents/{id}":        p.incident,
		"GET /incidents/{id}/{verb}": p.confirm,
		"GET /held/{verb}":           p.confirmHeld,
		"GET /dead":                  p.dead,
	} {
		mux.Handle(pattern, p.shown(show))
	}
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(p.shown(func(*http.Request, string) (view, error) { return view{}, errElsewhere }))
	mux.Handle("POST /incidents/{id}/{verb}", guard.Handler(p.acting(p.order)))
	mux.Handle("POST /held/{verb}", guard.Handler(p.acting(p.orderHeld)))
	for _, a := range assets {
		mux.Handle("GET "+a.path, a)
	}
}
