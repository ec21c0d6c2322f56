// Package api is the HTTP API of the private listener and the unix socket, and the client by which commands use it. Each file has
// the messages, the handlers and the client methods of one thing.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"

	"stanch/dispositions"
	"stanch/dispositions/deadletter"
	"stanch/dispositions/ledger"
	"stanch/receiver/collect"
	"stanch/receiver/queue"
	"stanch/receiver/seal"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// API answers operators, on the private listener and on the unix socket. Requests that change something need a known sender and a
// reason. Its handlers are safe for concurrent use. Fields of roles that the process does not have are nil.
type API struct {
	Ledger       *ledger.Ledger // nil: the API tells nothing of incidents
	Index        *ledger.Index
	Sightings    *ledger.Sightings
	Engine       *dispositions.Engine
	Dead         *deadletter.Letters
	Collector    *collect.Collector // nil: nothing is swept
	Store        queue.Store
	Fingerprints seal.FingerprintKey
	// WebConfig is the private listener's web configuration file; empty: nobody can sign in over TCP.
	WebConfig string
	// Reload reads the configuration file again and puts it in force, or returns what is wrong with it.
	Reload   func(ctx context.Context) error
	Ready    func() error // why the process cannot work now
	Gatherer prometheus.Gatherer
	Log      *slog.Logger

	auditing sync.Mutex // each verification reads all of the log
}

// acts handles a request that changes something, in the name of its sender.
type acts func(w http.ResponseWriter, r *http.Request, by string)

// Handler returns the handler of every path of the API. Another site cannot make a browser send requests that change something.
func (a *API) Handler() *http.ServeMux {
	mux := http.NewServeMux()
	guard := http.NewCrossOriginProtection()
	acting := func(pattern string, h acts) { mux.Handle(pattern, guard.Handler(a.known(h))) }

	mux.Handle("GET /metrics", promhttp.HandlerFor(a.Gatherer, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "healthy") })
	mux.HandleFunc("GET /-/ready", a.answerReady)
	acting("POST /-/reload", a.reload)
	if a.Collector != nil {
		acting("POST /api/v1/sources/{name}/sweep", a.sweep)
	}
	if a.Ledger == nil {
		mux.HandleFunc("/api/v1/", func(w http.ResponseWriter, _ *http.Request) { a.refuse(w, http.StatusNotFound, errNoEngine) })
		return mux
	}
	mux.HandleFunc("GET /api/v1/incidents", a.list)
	mux.HandleFunc("GET /api/v1/incidents/{id}", a.show)
	mux.HandleFunc("GET /api/v1/incidents/{id}/explanation", a.explanation)
	acting("POST /api/v1/incidents/{id}/{verb}", a.one)
	acting("POST /api/v1/held/{verb}", a.held)
	mux.HandleFunc("GET /api/v1/dead", a.listDead)
	mux.HandleFunc("GET /api/v1/dead/{id}", a.showDead)
	acting("POST /api/v1/dead/{id}/replay", a.replayDead)
	acting("POST /api/v1/dead/replay", a.replayAllDead)
	acting("POST /api/v1/audit/verify", a.verify)
	return mux
}

var errNoEngine = errors.New("this process does not have the role that answers this: ask an engine or, for sweeps, a collector")

func (a *API) answerReady(w http.ResponseWriter, _ *http.Request) {
	if err := a.Ready(); err != nil {
		http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	_, _ = fmt.Fprintln(w, "ready")
}

// reload answers POST /-/reload.
func (a *API) reload(w http.ResponseWriter, r *http.Request, by string) {
	a.Log.Info("reload ordered", "by", by)
	if err := a.Reload(r.Context()); err != nil {
		a.refuse(w, http.StatusConflict, err)
		return
	}
	answer(w, http.StatusOK, Taken{Text: "the configuration is read again and in force"})
}

// known passes a request on with the name of its sender, or refuses it when nobody knows who that is.
func (a *API) known(next acts) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		by, err := a.Actor(r)
		if err != nil {
			a.refuse(w, http.StatusUnauthorized, err)
			return
		}
		next(w, r, by)
	})
}

// decode reads the body of a request. If it cannot, it answers with an example and returns false.
func (a *API) decode(w http.ResponseWriter, r *http.Request, most int64, into any, example string) bool {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, most))
	decoder.DisallowUnknownFields()
	if decoder.Decode(into) != nil {
		a.refuse(w, http.StatusBadRequest, errors.New("the body must be JSON such as "+example))
		return false
	}
	return true
}

func (a *API) fail(w http.ResponseWriter, err error) {
	a.Log.Error("answering an operator", "err", err)
	a.refuse(w, http.StatusInternalServerError, err)
}

func (a *API) refuse(w http.ResponseWriter, status int, err error) {
	answer(w, status, map[string]string{"error": err.Error()})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(v) // the reader is gone
}
