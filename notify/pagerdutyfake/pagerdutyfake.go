// Package pagerdutyfake plays PagerDuty's Events API v2: it refuses what PagerDuty documents to refuse, keeps the
// alerts that events make, and can be told to fail.
package pagerdutyfake

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"stanch/receiver/outbound/vendorfake"
)

// The documented limits of an event.
const (
	maxEvent   = 512_000 // bytes
	maxSummary = 1024    // characters
	maxKey     = 255     // characters of a deduplication key
	keySize    = 32      // characters of a routing key
)

// Event is one request that was accepted.
type Event struct {
	RoutingKey string  `json:"routing_key"`
	Action     string  `json:"event_action"`
	DedupKey   string  `json:"dedup_key"`
	Client     string  `json:"client"`
	ClientURL  string  `json:"client_url"`
	Links      []Link  `json:"links"`
	Payload    Payload `json:"payload"`
}

// Link is a link of an event.
type Link struct {
	Href string `json:"href"`
	Text string `json:"text"`
}

// Payload is what an event says.
type Payload struct {
	Summary   string            `json:"summary"`
	Timestamp string            `json:"timestamp"`
	Severity  string            `json:"severity"`
	Source    string            `json:"source"`
	Component string            `json:"component"`
	Group     string            `json:"group"`
	Class     string            `json:"class"`
	Details   map[string]string `json:"custom_details"`
}

// Server is a PagerDuty of one service. It is safe for concurrent use.
type Server struct {
	URL string // of the enqueue endpoint

	server *vendorfake.Server
	mu     sync.Mutex
	key    string
	next   func(http.ResponseWriter, *http.Request) bool
	events []Event
	alerts map[string]string // states by deduplication key
}

// Start serves a new service with one routing key on a free port of the loopback interface, until Close.
func Start(key string) (*Server, error) {
	s := &Server{key: key, alerts: map[string]string{}}
	server, err := vendorfake.Serve(s)
	if err != nil {
		return nil, err
	}
	s.server, s.URL = server, server.Origin()+"/v2/enqueue"
	return s, nil
}

// Close stops at once; calls under way are cut.
func (s *Server) Close() { s.server.Close() }

// Fault gives every request to answer first; when that reports true, it has answered and the request goes no further. Nil
// ends the fault.
func (s *Server) Fault(answer func(http.ResponseWriter, *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = answer
}

// Events are those that were accepted, in order.
func (s *Server) Events() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events)
}

// Alerts are the states of all alerts, by deduplication key: triggered, acknowledged or resolved.
func (s *Server) Alerts() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.alerts)
}

// Shown is what people see of all triggers, one line a text.
func (s *Server) Shown() string {
	var b strings.Builder
	for _, e := range s.Events() {
		fmt.Fprintln(&b, e.Payload.Summary)
		for _, name := range slices.Sorted(maps.Keys(e.Payload.Details)) {
			fmt.Fprintln(&b, name)
			fmt.Fprintln(&b, e.Payload.Details[name])
		}
		for _, l := range e.Links {
			fmt.Fprintln(&b, l.Text, l.Href)
		}
	}
	return b.String()
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	fault := s.next
	s.mu.Unlock()
	if fault != nil && fault(w, r) {
		return
	}
	body, err := io.ReadAll(r.Body)
	var e Event
	switch {
	case err != nil:
		return
	case r.URL.Path != "/v2/enqueue" || r.Method != http.MethodPost:
		w.WriteHeader(http.StatusNotFound)
	case len(body) > maxEvent:
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	case json.Unmarshal(body, &e) != nil:
		answer(w, http.StatusBadRequest, map[string]any{
			"status": "invalid event", "message": "Event object is invalid", "errors": []string{"JSON parse error"},
		})
	default:
		s.take(w, e)
	}
}

func (s *Server) take(w http.ResponseWriter, e Event) {
	if faults := s.faults(e); len(faults) > 0 {
		answer(w, http.StatusBadRequest, map[string]any{
			"status": "invalid event", "message": "Event object is invalid", "errors": faults,
		})
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
	switch {
	case e.Action == "trigger" && s.alerts[e.DedupKey] != "acknowledged":
		s.alerts[e.DedupKey] = "triggered"
	case e.Action == "acknowledge" && s.alerts[e.DedupKey] == "triggered":
		s.alerts[e.DedupKey] = "acknowledged"
	case e.Action == "resolve" && s.alerts[e.DedupKey] != "":
		s.alerts[e.DedupKey] = "resolved"
	}
	answer(w, http.StatusAccepted, map[string]any{
		"status": "success", "message": "Event processed", "dedup_key": e.DedupKey,
	})
}

// faults are what PagerDuty documents to refuse.
func (s *Server) faults(e Event) []string {
	var faults []string
	add := func(wrong bool, text string) {
		if wrong {
			faults = append(faults, text)
		}
	}
	add(len(e.RoutingKey) != keySize, "Length of 'routing_key' is incorrect (should be 32 characters)")
	add(e.RoutingKey != s.key, "'routing_key' is unknown")
	add(len(e.DedupKey) > maxKey, "'dedup_key' is too long")
	switch e.Action {
	case "trigger":
		_, err := time.Parse(time.RFC3339, e.Payload.Timestamp)
		add(err != nil, "'payload.timestamp' is no ISO 8601 date")
		add(e.Payload.Summary == "", "'payload.summary' is missing or blank")
		add(utf8.RuneCountInString(e.Payload.Summary) > maxSummary, "'payload.summary' is too long")
		add(e.Payload.Source == "", "'payload.source' is missing or blank")
		severities := []string{"critical", "error", "warning", "info"}
		add(!slices.Contains(severities, e.Payload.Severity), "'payload.severity' is invalid")
	case "acknowledge", "resolve":
		add(e.DedupKey == "", "'dedup_key' is missing or blank")
	default:
		add(true, "'event_action' is invalid")
	}
	return faults
}

func answer(w http.ResponseWriter, status int, body map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
