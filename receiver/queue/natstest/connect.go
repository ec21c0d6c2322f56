package natstest

import (
	"context"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Connect connects to a cluster beside the store, until the test ends.
func Connect(t testing.TB, url string, options ...nats.Option) jetstream.JetStream {
	t.Helper()
	conn, err := nats.Connect(url, options...)
	if err != nil {
		t.Fatalf("connecting: %v", err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// Change changes a stream beside the store.
func Change(t testing.TB, url, stream string, how func(*jetstream.StreamConfig)) {
	t.Helper()
	js := Connect(t, url)
	s, err := js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	config := s.CachedInfo().Config
	how(&config)
	if _, err := js.UpdateStream(context.WithoutCancel(t.Context()), config); err != nil {
		t.Fatal(err)
	}
}
