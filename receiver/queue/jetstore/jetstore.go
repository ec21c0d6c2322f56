// Package jetstore is a queue.Store over a connection to a NATS server, embedded or not.
package jetstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"stanch/receiver/queue"
	"stanch/receiver/queue/consume"
	"stanch/receiver/queue/layout"
	"stanch/receiver/queue/natsclient"
	"stanch/receiver/queue/publish"
	"stanch/receiver/queue/pull"
	"stanch/receiver/queue/read"
	"stanch/receiver/queue/streams"
)

// Store is a queue.Store, with its queue.Requests. Methods are safe for concurrent use.
type Store struct {
	*publish.Publisher
	*read.Reader
	client  *natsclient.Client
	streams map[string]jetstream.Stream // by name
}

// Open lays out the streams of a server and returns a store on them.
func Open(ctx context.Context, client *natsclient.Client, l layout.Layout) (*Store, error) {
	laid, err := l.Lay(ctx, client)
	if err != nil {
		return nil, err
	}
	return &Store{
		Publisher: publish.New(client), Reader: read.New(client, l, laid), client: client, streams: laid,
	}, nil
}

// Adopt makes messages that a dead process left unsettled come back at once, as layout.Adopt does.
func (s *Store) Adopt(ctx context.Context) error { return layout.Adopt(ctx, s.streams) }

// Remove implements [queue.Store].
func (s *Store) Remove(ctx context.Context, subject string) error {
	stream, err := streams.Of(subject)
	if err != nil {
		return err
	}
	err = s.client.Do(ctx, natsclient.Unanswered, func(ctx context.Context) error {
		return s.streams[stream.Name].Purge(ctx, jetstream.WithPurgeSubject(subject))
	}, natsclient.APIPurge+stream.Name)
	if err != nil {
		return fmt.Errorf("removing from %s: %w", stream.Name, err)
	}
	return nil
}

// Discard implements [queue.Store]. What is deleted is overwritten as well.
func (s *Store) Discard(ctx context.Context, name string, seq uint64) error {
	stream, err := streams.Discardable(name)
	if err != nil {
		return err
	}
	err = s.client.Do(ctx, natsclient.Unanswered, func(ctx context.Context) error {
		err := s.streams[stream.Name].SecureDeleteMsg(ctx, seq)
		if err == nil {
			return nil
		}
		if _, gone := s.streams[stream.Name].GetMsg(ctx, seq); errors.Is(gone, jetstream.ErrMsgNotFound) {
			return nil
		}
		return err
	}, natsclient.APIMessageDelete+stream.Name, natsclient.APIMessageGet+stream.Name)
	if err != nil {
		return fmt.Errorf("deleting message %d of %s: %w", seq, stream.Name, err)
	}
	return nil
}

// Work implements [queue.Store].
func (s *Store) Work(ctx context.Context, c queue.Consumer, handle func(context.Context, queue.Message) error) error {
	stream, err := streams.Consumed(c)
	if err != nil {
		return err
	}
	err = pull.Prepare(ctx, s.client, c)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("opening consumer %s of %s: %w", c.Name, c.Stream, err)
	}
	pool := consume.Pool{Consumer: c, Handle: handle, Log: s.client.Log}
	err = pool.Run(ctx, func(ctx context.Context) (consume.Fetch, error) { return pull.Fetch(ctx, s.client, stream, c) })
	if err != nil {
		return fmt.Errorf("consuming %s as %s: %w", c.Stream, c.Name, err)
	}
	return nil
}

// Prepare implements [queue.Store].
func (s *Store) Prepare(ctx context.Context, c queue.Consumer) error {
	if _, err := streams.Consumed(c); err != nil {
		return err
	}
	if err := pull.Prepare(ctx, s.client, c); err != nil {
		return fmt.Errorf("making consumer %s of %s: %w", c.Name, c.Stream, err)
	}
	return nil
}

// askAgain is the pause before a request that reached nobody is sent again.
const askAgain = 50 * time.Millisecond

// Request implements [queue.Requests].
func (s *Store) Request(ctx context.Context, subject string, data []byte) ([]byte, error) {
	ctx, done := s.client.Watch(ctx, subject)
	for {
		reply, err := s.client.JS.Conn().RequestWithContext(ctx, subject, data)
		if err == nil {
			return reply.Data, done(nil)
		}
		if !natsclient.Unsent(err) || !natsclient.Waited(ctx, askAgain) {
			return nil, fmt.Errorf("requesting %s: %w", subject, done(err))
		}
	}
}

// Reply implements [queue.Requests].
func (s *Store) Reply(ctx context.Context, subject string, reply func(context.Context, []byte) []byte) error {
	var group sync.WaitGroup
	defer group.Wait()
	watched, done := s.client.Watch(ctx, subject)
	subscription, err := s.client.JS.Conn().QueueSubscribe(subject, subject, func(m *nats.Msg) {
		group.Go(func() {
			_ = m.Respond(reply(ctx, m.Data)) // an error means that the requester is gone
		})
	})
	if err != nil {
		return fmt.Errorf("replying on %s: %w", subject, done(err))
	}
	<-watched.Done()
	err = subscription.Unsubscribe()
	if err := done(watched.Err()); errors.Is(err, queue.ErrForbidden) {
		return fmt.Errorf("replying on %s: %w", subject, err)
	}
	if err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		return fmt.Errorf("unsubscribing from %s: %w", subject, err)
	}
	return nil
}
