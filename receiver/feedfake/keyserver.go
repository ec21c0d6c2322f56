package feedfake

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"sync"
)

// KeyServer plays the server that publishes public keys: it answers every GET with its document, with an ETag, and
// honours If-None-Match. Serve it with httptest.NewServer in tests, with http.Server elsewhere. The zero KeyServer
// answers 404. It is safe for concurrent use.
type KeyServer struct {
	mu       sync.Mutex
	document []byte
	status   int
	requests []*http.Request
	gate     chan struct{}
}

// NewKeyServer makes a KeyServer that publishes the keys of signers.
func NewKeyServer(signers ...*Signer) *KeyServer {
	return &KeyServer{document: Document(signers...)}
}

// Publish replaces the document; [Document] makes valid ones.
func (s *KeyServer) Publish(document []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.document = document
}

// Fail makes every answer this status from now on; 0: the document again.
func (s *KeyServer) Fail(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = status
}

// Hold keeps requests waiting until the returned func is called.
func (s *KeyServer) Hold() (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gate := make(chan struct{})
	s.gate = gate
	return sync.OnceFunc(func() { close(gate) })
}

// Requests returns the requests so far, oldest first.
func (s *KeyServer) Requests() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*http.Request(nil), s.requests...)
}

// ServeHTTP answers with the document.
func (s *KeyServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	gate := s.note(r)
	if gate != nil {
		select {
		case <-gate:
		case <-r.Context().Done():
			return
		}
	}
	s.mu.Lock()
	document, status := s.document, s.status
	s.mu.Unlock()
	switch {
	case status != 0:
		w.WriteHeader(status)
	case document == nil:
		w.WriteHeader(http.StatusNotFound)
	default:
		publish(w, r, document)
	}
}

func (s *KeyServer) note(r *http.Request) (gate chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r)
	return s.gate
}

func publish(w http.ResponseWriter, r *http.Request, document []byte) {
	sum := sha256.Sum256(document)
	etag := `W/"` + hex.EncodeToString(sum[:8]) + `"`
	w.Header().Set("ETag", etag)
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = w.Write(document) // a client that went away is its own loss
}
