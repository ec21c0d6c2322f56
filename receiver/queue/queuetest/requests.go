package queuetest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"stanch/receiver/queue"
)

// RunRequests tests the request-reply that open returns.
func RunRequests(t *testing.T, open func(t *testing.T) queue.Requests) {
	t.Run("Requests", func(t *testing.T) { testRequests(t, open(t)) })
	t.Run("SlowReply", func(t *testing.T) { testSlowReply(t, open(t)) })
}

// testRequests: a request waits for somebody to reply, and many at once get each its own reply.
func testRequests(t *testing.T, requests queue.Requests) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := requests.Request(ctx, queue.LabelRequests, []byte("nobody is there")); err == nil {
		t.Error("got a reply from nobody")
	}
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			got, err := requests.Request(t.Context(), queue.LabelRequests, []byte("request"))
			if err != nil || string(got) != "reply to request" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	time.Sleep(100 * time.Millisecond) // so that the requests are there first
	replying := start(t, func(ctx context.Context) error {
		return requests.Reply(ctx, queue.LabelRequests, func(_ context.Context, data []byte) []byte {
			return append([]byte("reply to "), data...)
		})
	})
	group.Wait()
	replying.stop(t)
}

// testSlowReply: a request gives up with its context.
func testSlowReply(t *testing.T, requests queue.Requests) {
	replying := start(t, func(ctx context.Context) error {
		return requests.Reply(ctx, queue.LabelRequests, func(ctx context.Context, _ []byte) []byte {
			<-ctx.Done()
			return nil
		})
	})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := requests.Request(ctx, queue.LabelRequests, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	replying.stop(t)
}
