// Package cluster keeps the queue on a NATS server or cluster outside the process.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"stanch/receiver/queue"
	"stanch/receiver/queue/jetstore"
	"stanch/receiver/queue/layout"
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

// Config says where an external NATS server or cluster is, and who we are to it.
type Config struct {
	// URL names one or several servers, separated by commas. They tell us the others of their cluster. A URL with a user or a
	// password is refused: secrets belong in a file.
	URL string
	// CredsFile holds a user's JWT and seed, NKeyFile only an nkey's seed; at most one of them is set. They are read again at
	// each connection, so that a credential can be changed while we run.
	CredsFile, NKeyFile string
	// CAFile, CertFile and KeyFile, in PEM, are the authorities that we trust in TLS, and our certificate and its key; empty:
	// those that the system trusts, and no certificate. They are read again at each connection. A URL that begins with tls://
	// demands TLS.
	CAFile, CertFile, KeyFile string
	// Role is what the process does, in lower-case letters and hyphens. The server shows its connection as stanch/ROLE, and
	// answers go to _INBOX_ROLE.>, which no other role may read. Empty: neither.
	Role string
	// Replicas is on how many nodes each stream is kept; 0: DefaultReplicas.
	Replicas int
	// MaxStore is the size of the store in bytes, which its streams divide; 0: queue.DefaultMaxStore. Every node has that much.
	MaxStore int64
	// Keys is the id of the fingerprint key, as in the embedded store.
	Keys string
	// Log is where the connection and the consumers log to; nil: slog.Default.
	Log *slog.Logger
}

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

func (c Config) withDefaults() Config {
	if c.Replicas == 0 {
		c.Replicas = DefaultReplicas
	}
	if c.MaxStore == 0 {
		c.MaxStore = queue.DefaultMaxStore
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c
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

// Layout is what the streams of the cluster must look like.
func (c Config) Layout() layout.Layout {
	c = c.withDefaults()
	return layout.Layout{MaxStore: c.MaxStore, Replicas: c.Replicas, Keys: c.Keys, Shared: true}
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
