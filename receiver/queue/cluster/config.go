package cluster

import (
	"log/slog"

	"stanch/receiver/queue"
	"stanch/receiver/queue/layout"
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

// Layout is what the streams of the cluster must look like.
func (c Config) Layout() layout.Layout {
	c = c.withDefaults()
	return layout.Layout{MaxStore: c.MaxStore, Replicas: c.Replicas, Keys: c.Keys, Shared: true}
}
