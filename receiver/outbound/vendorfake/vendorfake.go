// Package vendorfake is what the fakes of vendors have in common: calls that are answered and written down, faults in front
// of them, switches, webhooks that are sent, and a port to listen on. What a vendor does with them stays in its fake. It
// needs no testing.T, because the demo and child processes of tests run the fakes too.
package vendorfake

import (
	"crypto/rand"
	"encoding/hex"
	"net"
	"net/http"
	"time"
)

// Server serves a fake on a free port of the loopback interface.
type Server struct {
	listener net.Listener
	server   *http.Server
}

// Serve starts a server of a fake; it ends with Close.
func Serve(fake http.Handler) (*Server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{listener: listener, server: &http.Server{Handler: fake, ReadHeaderTimeout: time.Minute}}
	go func() { _ = s.server.Serve(listener) }()
	return s, nil
}

// Origin is the scheme, the host and the port, without a slash at its end.
func (s *Server) Origin() string { return "http://" + s.listener.Addr().String() }

// Close stops at once; calls under way are cut.
func (s *Server) Close() { _ = s.server.Close() }

// Positions returns the default position of every switch in S, and then each other position of each switch with the rest at
// their defaults: every answer occurs, in as few runs as possible. Choices are the positions of each switch, the default
// first.
func Positions[S any](defaults S, choices [][]func(*S)) []S {
	positions := []S{defaults}
	for _, others := range choices {
		for _, choose := range others[1:] {
			s := defaults
			choose(&s)
			positions = append(positions, s)
		}
	}
	return positions
}

// Random is a number of random bytes, in lower-case hex.
func Random(bytes int) string {
	data := make([]byte, bytes)
	_, _ = rand.Read(data) // it never fails
	return hex.EncodeToString(data)
}
