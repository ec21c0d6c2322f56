package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
)

// DefaultReplicas is on how many nodes of a cluster each stream is kept when nothing else is configured: one may be lost
// without a pause, and none of what was acknowledged with it.
const DefaultReplicas = 3

// clusterAttempt is how long one attempt may wait for a cluster's answer. One that was asked while a node died never
// answers, and a new leader is elected within that time.
const clusterAttempt = 5 * time.Second

// ClusterConfig says where an external NATS server or cluster is, and who we are to it.
type ClusterConfig struct {
	// URL names one or several servers, separated by commas. The others of their cluster are found by themselves. A URL
	// with a user or a password is refused: what is secret belongs in a file.
	URL string
	// CredsFile holds a user's JWT and seed, NKeyFile an nkey's seed alone; at most one of them. They are read again at
	// each connection, so that a credential can be changed while we run.
	CredsFile, NKeyFile string
	// CAFile, CertFile and KeyFile, in PEM, are whom we trust and who we are in TLS; empty: whom the system trusts, and
	// no certificate. They are read again at each connection. A URL that begins with tls:// wants TLS.
	CAFile, CertFile, KeyFile string
	// Role is what the process does: the server shows its connection as stanch/ROLE, and what it is answered goes to
	// _INBOX_ROLE.>, which no other role may read. Lower-case letters, and hyphens; empty: neither.
	Role string
	// Replicas is on how many nodes each stream is kept; 0: DefaultReplicas.
	Replicas int
	// MaxStore is the size of the store in bytes, which its streams divide; 0: DefaultMaxStore. Every node has that much.
	MaxStore int64
	// Keys is the id of the fingerprint key, as in [Config].
	Keys string
	// Log is where the connection and the consumers log to; nil: slog.Default.
	Log *slog.Logger
}

// Cluster is a [Store] on an external NATS server or cluster. What Append acknowledges is stored by a majority of the
// nodes of its stream; whether it is on their disks is up to their sync_interval, for which deploy/nats says always.
type Cluster struct {
	*JetStream
	conn *nats.Conn
}

// OpenCluster connects to a cluster. It looks whether every stream is there and as it should be, and makes those that are
// missing where our credential may, which an operator's may: a role's gets an error that says so. A store that belongs to
// other keys, or whose streams somebody changed, is refused, and nothing of it is changed. A lost connection is made
// again for as long as it takes. The caller must Close what it gets.
func OpenCluster(ctx context.Context, c ClusterConfig) (*Cluster, error) {
	cluster, err := openCluster(ctx, c.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("opening the store on NATS: %w", err)
	}
	return cluster, nil
}

func (c ClusterConfig) withDefaults() ClusterConfig {
	if c.Replicas == 0 {
		c.Replicas = DefaultReplicas
	}
	if c.MaxStore == 0 {
		c.MaxStore = DefaultMaxStore
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c
}

func openCluster(ctx context.Context, c ClusterConfig) (*Cluster, error) {
	conn, err := c.connect()
	if err != nil {
		return nil, err
	}
	j, err := newJetStream(conn, c.layout(), c.Log)
	if err != nil {
		conn.Close()
		return nil, err
	}
	j.attempt = clusterAttempt
	if err := j.lay(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return &Cluster{JetStream: j, conn: conn}, nil
}

func (c ClusterConfig) layout() layout {
	return layout{
		maxStore: c.MaxStore, replicas: c.Replicas, keys: c.Keys, vacant: func(string) error { return nil },
		shared: true,
	}
}

// Close ends the connection. Everything that uses the store must have returned.
func (c *Cluster) Close() error {
	defer c.conn.Close()
	if !c.conn.IsConnected() {
		return nil
	}
	if err := c.conn.FlushTimeout(closeTimeout / 3); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		return fmt.Errorf("closing the connection to NATS: %w", err)
	}
	return nil
}
