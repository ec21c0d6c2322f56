package notifytest

import (
	"io"
	"net/http"
	"testing"

	"stanch/notify"
)

// Tell sends notices one after the other, and ends the test when one fails.
func Tell(t *testing.T, n notify.Notifier, notices ...notify.Notice) {
	t.Helper()
	for _, sent := range notices {
		if err := n.Notify(t.Context(), sent); err != nil {
			t.Fatalf("got %v, want no error", err)
		}
	}
}

// Repeat is a fault of a channel: it answers with a status, a Retry-After if that is not empty, a Location elsewhere, and a
// body that repeats what it was sent.
func Repeat(status int, retryAfter string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		w.Header().Set("Location", "/planted-elsewhere")
		w.WriteHeader(status)
		_, _ = io.Copy(w, r.Body)
		return true
	}
}

// Stall is a fault of a channel: it says that it was reached, and does not answer before the test is over.
func Stall(t *testing.T) (fault func(http.ResponseWriter, *http.Request) bool, reached <-chan struct{}) {
	told, over := make(chan struct{}, 1), make(chan struct{})
	t.Cleanup(func() { close(over) })
	return func(http.ResponseWriter, *http.Request) bool {
		told <- struct{}{}
		<-over
		return true
	}, told
}
