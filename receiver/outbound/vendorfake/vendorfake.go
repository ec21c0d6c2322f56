// Package vendorfake is what the fakes of vendors share: it answers calls and records them, injects faults, holds switches,
// sends webhooks and listens on a port. What a vendor does with these is in its own fake. It imports the standard library
// only, and no testing, because the demo and child processes of tests run the fakes too.
package vendorfake

import (
	"crypto/rand"
	"encoding/hex"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Server serves a fake on a free port of the loopback interface.
type Server struct {
	listener net.Listener
	server   *http.Server
}

// Serve starts to serve a fake, until Close.
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

// Close stops at once and cuts calls that are in progress.
func (s *Server) Close() { _ = s.server.Close() }

// Random returns this many random bytes in lower-case hex.
func Random(bytes int) string {
	data := make([]byte, bytes)
	_, _ = rand.Read(data) // it never fails
	return hex.EncodeToString(data)
}

// UUID is a random UUID of version 4.
func UUID() string {
	h := Random(16)
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:]
}

// ContainsFold reports whether a list contains a text, in capital or small letters.
func ContainsFold(list []string, s string) bool {
	return slices.ContainsFunc(list, func(e string) bool { return strings.EqualFold(e, s) })
}

// Window is a stretch of time in which something is counted, such as the requests of a user.
type Window struct {
	Used  int
	Reset time.Time // when it is over
}

// Windows are the current windows, by what is counted in them. They must not be used concurrently.
type Windows map[string]*Window

// At returns the window of something at a time; a new one of this length when the last is over.
func (w Windows) At(what string, now time.Time, length time.Duration) *Window {
	current, ok := w[what]
	if !ok || !now.Before(current.Reset) {
		current = &Window{Reset: now.Add(length)}
		w[what] = current
	}
	return current
}
