// Package slackfake plays the part of Slack's Web API that notices need: a channel of messages and threads. It refuses
// what Slack documents to refuse, and can be told to fail.
package slackfake

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/time/rate"

	"stanch/receiver/outbound/vendorfake"
)

// maxText is how many characters the text beside the blocks may have.
const maxText = 40_000

// Message is a message as it stands.
type Message struct {
	TS        string // what Slack calls it
	Thread    string // the first message of its thread; empty: it is in the channel
	Broadcast bool   // a reply that is shown in the channel too
	Edits     int
	Text      string // the fallback, as it was sent
	Blocks    []Block
}

// Server is a workspace with one channel and one app. It is safe for concurrent use.
type Server struct {
	URL string // of the Web API

	server   *vendorfake.Server
	mu       sync.Mutex
	token    string
	channel  string
	scopes   string
	fault    func(http.ResponseWriter, *http.Request) bool
	limit    *rate.Limiter
	messages []*Message
}

// Start serves a new workspace for one token and one channel on a free port of the loopback interface, until Close.
func Start(token, channel string) (*Server, error) {
	s := &Server{token: token, channel: channel, scopes: "chat:write", limit: rate.NewLimiter(rate.Inf, 1)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/chat.postMessage", s.call(s.post))
	mux.HandleFunc("POST /api/chat.update", s.call(s.update))
	mux.HandleFunc("POST /api/auth.test", s.call(s.auth))
	server, err := vendorfake.Serve(mux)
	if err != nil {
		return nil, err
	}
	s.server, s.URL = server, server.Origin()+"/api/"
	return s, nil
}

// Close stops at once; calls under way are cut.
func (s *Server) Close() { s.server.Close() }

// Fault gives every call to answer first; when that reports true, it has answered and the call goes no further. Nil ends the
// fault.
func (s *Server) Fault(answer func(http.ResponseWriter, *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = answer
}

// Limit makes posts beyond it be refused with 429. Slack's own limit is one a second, with a few more for a moment.
func (s *Server) Limit(perSecond rate.Limit, burst int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = rate.NewLimiter(perSecond, burst)
}

// Grant replaces the scopes of the token; at first it has chat:write.
func (s *Server) Grant(scopes string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scopes = scopes
}

// Forget deletes every message.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = nil
}

// Messages are all messages in the order in which they were posted, as they stand now.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Message
	for _, m := range s.messages {
		all = append(all, *m)
	}
	return all
}

// Shown is everything that the channel's readers see. Characters that look like markup and are none are shown as entities,
// so that they cannot be confused with markup.
func (s *Server) Shown() string {
	var b strings.Builder
	for _, m := range s.Messages() {
		fmt.Fprintln(&b, m.Text)
		for _, block := range m.Blocks {
			fmt.Fprintln(&b, block.shown())
		}
	}
	return b.String()
}

// call does what every method of the Web API does first: fault, token, channel.
func (s *Server) call(method func(http.ResponseWriter, *http.Request) (map[string]any, string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		fault := s.fault
		s.mu.Unlock()
		if fault != nil && fault(w, r) {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if r.FormValue("token") != s.token {
			answer(w, nil, "invalid_auth")
			return
		}
		body, refusal := method(w, r)
		if refusal == "ratelimited" {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		}
		answer(w, body, refusal)
	}
}

func answer(w http.ResponseWriter, body map[string]any, refusal string) {
	if body == nil {
		body = map[string]any{}
	}
	body["ok"] = refusal == ""
	if refusal != "" {
		body["error"] = refusal
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(body)
}

func (s *Server) auth(w http.ResponseWriter, _ *http.Request) (map[string]any, string) {
	w.Header().Set("X-OAuth-Scopes", s.scopes)
	return map[string]any{"url": "https://example.slack.com/", "user": "stanch", "team_id": "T0"}, ""
}

func (s *Server) post(_ http.ResponseWriter, r *http.Request) (map[string]any, string) {
	m, refusal := s.read(r)
	thread := r.FormValue("thread_ts")
	switch {
	case refusal != "":
		return nil, refusal
	case !s.limit.Allow():
		return nil, "ratelimited"
	case thread != "" && s.find(thread) == nil:
		return nil, "thread_not_found"
	}
	m.Thread, m.Broadcast = thread, r.FormValue("reply_broadcast") == "true"
	m.TS = fmt.Sprintf("1795269785.%06d", len(s.messages)+1)
	s.messages = append(s.messages, m)
	return map[string]any{"channel": s.channel, "ts": m.TS}, ""
}

func (s *Server) update(_ http.ResponseWriter, r *http.Request) (map[string]any, string) {
	m, refusal := s.read(r)
	old := s.find(r.FormValue("ts"))
	switch {
	case refusal != "":
		return nil, refusal
	case old == nil:
		return nil, "message_not_found"
	}
	old.Text, old.Blocks = m.Text, m.Blocks
	old.Edits++
	return map[string]any{"channel": s.channel, "ts": old.TS, "text": old.Text}, ""
}

func (s *Server) find(ts string) *Message {
	i := slices.IndexFunc(s.messages, func(m *Message) bool { return m.TS == ts })
	if i < 0 {
		return nil
	}
	return s.messages[i]
}

// read takes a message out of a call, or says what Slack would answer.
func (s *Server) read(r *http.Request) (*Message, string) {
	m := &Message{Text: r.FormValue("text")}
	switch {
	case r.FormValue("channel") != s.channel:
		return nil, "channel_not_found"
	case json.Unmarshal([]byte(r.FormValue("blocks")), &m.Blocks) != nil:
		return nil, "invalid_blocks_format"
	case m.Text == "" && len(m.Blocks) == 0:
		return nil, "no_text"
	case utf8.RuneCountInString(m.Text) > maxText:
		return nil, "msg_too_long"
	}
	return m, check(m.Blocks)
}
