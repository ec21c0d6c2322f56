package vendorfake_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"stanch/receiver/outbound/vendorfake"
)

func TestOrder(t *testing.T) {
	s := vendorfake.NewSender(1, time.Minute)
	defer s.Close()
	var sent []string
	s.Hold()
	for _, name := range []string{"a", "b", "c"} {
		s.Enqueue(name == "c", func() { sent = append(sent, name) })
	}
	s.Release()
	s.Wait()
	if want := []string{"c", "a", "b"}; !slices.Equal(sent, want) {
		t.Errorf("got %q sent, want %q", sent, want)
	}
}

// Two deliveries at a time: each meets another one on its way, and never two.
func TestMost(t *testing.T) {
	s := vendorfake.NewSender(2, time.Minute)
	defer s.Close()
	var under, most atomic.Int32
	met := make(chan struct{})
	for range 100 {
		s.Enqueue(false, func() {
			if now := under.Add(1); now > 2 {
				most.Store(now)
			}
			select {
			case met <- struct{}{}:
			case <-met:
			}
			under.Add(-1)
		})
	}
	s.Wait()
	if got := most.Load(); got != 0 {
		t.Errorf("got %d deliveries under way, want 2 at most", got)
	}
}

func TestPost(t *testing.T) {
	s := vendorfake.NewSender(1, time.Minute)
	asked := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		case "/slow":
			_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the client goes
			close(asked)
			<-r.Context().Done()
		}
	}))
	defer server.Close()
	if got := s.Post(s.NewPost(server.URL+"/moved", nil)); got.Code != http.StatusFound || got.Err != nil {
		t.Errorf("got %d and %v, want the redirect", got.Code, got.Err)
	}
	if got := s.Post(s.NewPost("\x00", nil)); got.Code != 0 || got.Err == nil {
		t.Errorf("got %d and %v from a URL that is none, want an error", got.Code, got.Err)
	}
	go func() {
		<-asked
		s.Close()
	}()
	if got := s.Post(s.NewPost(server.URL+"/slow", []byte("{}"))); got.Code != 0 || got.Err == nil {
		t.Errorf("got %d and %v after Close, want an error", got.Code, got.Err)
	}
}
