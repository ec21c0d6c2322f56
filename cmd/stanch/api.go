package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"stanch/dispositions/ledger"
	"stanch/receiver/leak"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// view is an incident as the API shows it: with its sightings, as far as they are not forgotten, and all its steps.
type view struct {
	leak.Incident
	Sightings []leak.Sighting `json:"sightings"`
	Steps     []leak.Step     `json:"steps"`
}

// defaultList is how many incidents a list holds when nobody asks for another number.
const defaultList = 100

// api answers operators, on the private listener and on the unix socket. It only reads; [orders] act. Without a ledger, which
// only the engine's role has, it tells nothing of incidents.
type api struct {
	ledger    *ledger.Ledger
	index     *ledger.Index
	sightings *ledger.Sightings
	gatherer  prometheus.Gatherer
	ready     func() error
	log       *slog.Logger
}

func (a *api) handler() *http.ServeMux {
	mux := http.NewServeMux()
	if a.ledger != nil {
		mux.HandleFunc("GET /api/v1/incidents", a.list)
		mux.HandleFunc("GET /api/v1/incidents/{id}", a.show)
	} else {
		mux.HandleFunc("/api/v1/", func(w http.ResponseWriter, _ *http.Request) { a.refuse(w, http.StatusNotFound, errNoEngine) })
	}
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.gatherer, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "healthy") })
	mux.HandleFunc("GET /-/ready", a.answerReady)
	return mux
}

var errNoEngine = errors.New("this process has not the role that answers that: ask an engine, and of sweeps a collector")

func (a *api) answerReady(w http.ResponseWriter, _ *http.Request) {
	if err := a.ready(); err != nil {
		http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	_, _ = fmt.Fprintln(w, "ready")
}

func (a *api) list(w http.ResponseWriter, r *http.Request) {
	query, err := listQuery(r.URL.Query())
	if err != nil {
		a.refuse(w, http.StatusBadRequest, err)
		return
	}
	if !a.knowsAll(w, r) {
		return
	}
	views, err := a.views(r.Context(), a.index.IDs(query)...)
	if err != nil {
		a.fail(w, err)
		return
	}
	answer(w, http.StatusOK, views)
}

// listQuery reads ?state= and ?limit=.
func listQuery(values url.Values) (ledger.Query, error) {
	query := ledger.Query{State: leak.State(values.Get("state")), Limit: defaultList}
	if query.State != "" && !slices.Contains(leak.States, query.State) {
		return ledger.Query{}, fmt.Errorf("state must be one of %v", leak.States)
	}
	if limit := values.Get("limit"); limit != "" {
		n, err := strconv.Atoi(limit)
		if err != nil || n < 0 {
			return ledger.Query{}, errors.New("limit must be a whole number; 0 lists all")
		}
		query.Limit = n
	}
	return query, nil
}

func (a *api) show(w http.ResponseWriter, r *http.Request) {
	if !a.knowsAll(w, r) {
		return
	}
	id, ok := a.find(w, r)
	if !ok {
		return
	}
	views, err := a.views(r.Context(), id)
	if err != nil {
		a.fail(w, err)
		return
	}
	answer(w, http.StatusOK, views[0])
}

// find returns the incident that a path names, or answers that there is none and returns false.
func (a *api) find(w http.ResponseWriter, r *http.Request) (leak.Fingerprint, bool) {
	id, err := a.index.Find(r.PathValue("id"))
	switch {
	case errors.Is(err, ledger.ErrNoIncident):
		a.refuse(w, http.StatusNotFound, err)
	case err != nil: // several
		a.refuse(w, http.StatusConflict, err)
	}
	return id, err == nil
}

// indexTimeout is how long a request waits for the index, which is folded anew at every start. A hundred thousand
// incidents take two seconds.
const indexTimeout = 10 * time.Second

var errIndexing = errors.New("stanch has just started and is still reading its log: ask again in a moment")

// knowsAll waits until the index knows every incident, because half a list looks like a whole one. When that takes too
// long it answers so itself, and returns false.
func (a *api) knowsAll(w http.ResponseWriter, r *http.Request) bool {
	ctx, cancel := context.WithTimeout(r.Context(), indexTimeout)
	defer cancel()
	select {
	case <-a.index.Ready():
		return true
	case <-ctx.Done():
		w.Header().Set("Retry-After", "5")
		a.refuse(w, http.StatusServiceUnavailable, errIndexing)
		return false
	}
}

// views are incidents as they are shown, in the order of their ids.
func (a *api) views(ctx context.Context, ids ...leak.Fingerprint) ([]view, error) {
	histories, err := a.ledger.Histories(ctx, ids...)
	if err != nil {
		return nil, err
	}
	seen, err := a.sightings.OfAll(ctx, ids...)
	if err != nil {
		return nil, err
	}
	views := make([]view, 0, len(ids))
	for _, id := range ids {
		h := histories[id]
		views = append(views, view{Incident: h.Incident, Sightings: append([]leak.Sighting{}, seen[id]...), Steps: h.Steps})
	}
	return views, nil
}

func (a *api) fail(w http.ResponseWriter, err error) {
	a.log.Error("answering an operator", "err", err)
	a.refuse(w, http.StatusInternalServerError, err)
}

func (a *api) refuse(w http.ResponseWriter, status int, err error) {
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

// openPaths are asked for by machines that call us as they like.
var openPaths = []string{"/metrics", "/-/healthy", "/-/ready"}

// checkHost refuses requests whose Host is a name that we do not go by, so that a page elsewhere cannot point its own
// name at this listener and read it from a browser. Addresses are always right; metrics and health hold nothing to read.
func checkHost(next http.Handler, names ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(openPaths, r.URL.Path) && !knownHost(r.Host, names) {
			http.Error(w, "this listener does not go by that name", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func knownHost(hostport string, names []string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]")
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return strings.EqualFold(host, "localhost") || slices.ContainsFunc(names, func(name string) bool {
		return name != "" && strings.EqualFold(host, name)
	})
}
