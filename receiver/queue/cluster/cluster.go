// Package cluster keeps the queue on a NATS server or cluster outside the process.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"stanch/receiver/queue/jetstore"
)

// DefaultReplicas is on how many nodes of a cluster each stream is kept when nothing else is configured. One of three may be
// lost without a pause, and without losing anything acknowledged.
const DefaultReplicas = 3

const (
	// attempt is how long one attempt may wait for the answer. A cluster that was asked while a node died never answers, and
	// elects a new leader within that time.
	attempt = 5 * time.Second
	// closeTimeout is how long Close waits for what is on its way to the server.
	closeTimeout = 5 * time.Second
)

// Store is a queue.Store on a NATS server or cluster. What Append acknowledges is stored by a majority of the nodes of its
// stream. Whether it is on their disks depends on their sync_interval, which deploy/nats sets to always.
type Store struct {
	*jetstore.Store
	conn *nats.Conn
}

// Open connects to a cluster and checks that every stream exists and is as it should be. It creates missing ones if our
// credential may: an operator's may, and a role's gets an error that says so. It refuses a store that belongs to other keys,
// or whose streams somebody changed, and changes nothing in it. A lost connection is made again for as long as it takes. The
// caller must Close the store.
func Open(ctx context.Context, c Config) (*Store, error) {
	s, err := open(ctx, c.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("opening the store on NATS: %w", err)
	}
	return s, nil
}

func open(ctx context.Context, c Config) (*Store, error) {
	client, err := c.Connect()
	if err != nil {
		return nil, err
	}
	j, err := jetstore.Open(ctx, client, c.Layout())
	if err != nil {
		client.Conn().Close()
		return nil, err
	}
	return &Store{Store: j, conn: client.Conn()}, nil
}

// Close ends the connection. Everything that uses the store must have returned.
func (s *Store) Close() error {
	defer s.conn.Close()
	if !s.conn.IsConnected() {
		return nil
	}
	if err := s.conn.FlushTimeout(closeTimeout); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		return fmt.Errorf("closing the connection to NATS: %w", err)
	}
	return nil
}
