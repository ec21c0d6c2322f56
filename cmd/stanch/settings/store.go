package settings

import (
	"context"
	"log/slog"

	"stanch/cmd/stanch/config"
	"stanch/receiver/queue"
	"stanch/receiver/queue/cluster"
	"stanch/receiver/queue/embedded"
)

// Store is an open store, and the request-reply that goes through the same server.
type Store interface {
	queue.Store
	queue.Requests
	Close() error
}

// OpenStore opens the store that a configuration names.
func OpenStore(ctx context.Context, c *config.Config, keys Keys, log *slog.Logger) (Store, error) {
	if c.Store.NATS != nil {
		return cluster.Open(ctx, Cluster(c, keys, log))
	}
	return embedded.Open(ctx, embedded.Config{
		Dir: c.Store.Embedded.Dir, MaxStore: int64(c.Store.Embedded.MaxBytes), Keys: keys.id(), Log: log,
	})
}

// Cluster returns how the roles of a process connect to the cluster of store.nats.
func Cluster(c *config.Config, keys Keys, log *slog.Logger) cluster.Config {
	n := c.Store.NATS
	return cluster.Config{
		URL: n.URL, CredsFile: n.CredsFile, NKeyFile: n.NKeyFile, CAFile: n.CAFile, CertFile: n.CertFile, KeyFile: n.KeyFile,
		Role: c.Roles().User(), Replicas: n.Replicas, MaxStore: int64(n.MaxBytes), Keys: keys.id(), Log: log,
	}
}
