package pull_test

import (
	"log/slog"
	"testing"
	"time"

	"stanch/receiver/queue"
	"stanch/receiver/queue/consume"
	"stanch/receiver/queue/layout"
	"stanch/receiver/queue/natsclient"
	"stanch/receiver/queue/natstest"
	"stanch/receiver/queue/publish"
	"stanch/receiver/queue/pull"
	"stanch/receiver/queue/streams"
)

// TestExtend: a message whose lease is extended is not delivered again, and one whose lease ends is. The lease is made short
// on the server; TestEmbeddedLongHandlers has it as it is.
func TestExtend(t *testing.T) {
	const lease = 400 * time.Millisecond
	c := queue.Consumer{Stream: queue.Alerts, Name: "engine"}
	client := laid(t)
	if err := pull.Prepare(t.Context(), client, c); err != nil {
		t.Fatal(err)
	}
	shorten(t, client, c, lease)
	message := queue.Message{Subject: queue.AlertSubject("gh"), Data: []byte("1")}
	if err := publish.New(client).Append(t.Context(), message); err != nil {
		t.Fatal(err)
	}
	held := next(t, client, c)
	again := make(chan consume.Delivery, 1)
	go func() { again <- next(t, client, c) }()
	for range 10 {
		select {
		case <-again:
			t.Fatal("delivered again although its lease was extended")
		case <-time.After(lease / 4):
		}
		if err := held.Extend(); err != nil {
			t.Fatal(err)
		}
	}
	if d := <-again; d.Delivered != 2 || d.Seq != held.Seq {
		t.Errorf("got message %d for the time %d, want %d for the second", d.Seq, d.Delivered, held.Seq)
	}
}

// laid is a client of a server with all streams.
func laid(t *testing.T) *natsclient.Client {
	t.Helper()
	conn := natstest.Connect(t, natstest.Alone(t, nil).URLs()).Conn()
	client, err := natsclient.New(conn, natsclient.AnswerTimeout, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (layout.Layout{MaxStore: queue.MinMaxStore, Replicas: 1}).Lay(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	return client
}

// shorten makes the leases of a consumer shorter than Prepare does.
func shorten(t *testing.T, client *natsclient.Client, c queue.Consumer, lease time.Duration) {
	t.Helper()
	there, err := client.JS.Consumer(t.Context(), c.Stream, c.Name)
	if err != nil {
		t.Fatal(err)
	}
	config := there.CachedInfo().Config
	if config.AckWait != consume.AckWait {
		t.Errorf("a lease lasts %v, want %v", config.AckWait, consume.AckWait)
	}
	config.AckWait = lease
	if _, err := client.JS.UpdateConsumer(t.Context(), c.Stream, config); err != nil {
		t.Fatal(err)
	}
}

// next takes the next message of a consumer.
func next(t *testing.T, client *natsclient.Client, c queue.Consumer) (d consume.Delivery) {
	s, err := streams.Consumed(c)
	if err != nil {
		t.Error(err)
		return d
	}
	fetch, err := pull.Fetch(t.Context(), client, s, c)
	if err != nil {
		t.Error(err)
		return d
	}
	if d, err = fetch(t.Context()); err != nil {
		t.Error(err)
	}
	return d
}
