package main

import (
	"context"
	"log/slog"

	"stanch/receiver/queue"
)

// store is an opened store, with the request-reply that goes through the same server.
type store interface {
	queue.Store
	queue.Requests
	Close() error
}

// openStore opens the store that the configuration names.
func (c *Config) openStore(ctx context.Context, keys keyring, log *slog.Logger) (store, error) {
	if n := c.Store.NATS; n != nil {
		return queue.OpenCluster(ctx, n.cluster(c.roles, keys, log))
	}
	return queue.OpenEmbedded(ctx, queue.Config{
		Dir: c.Store.Embedded.Dir, MaxStore: int64(c.Store.Embedded.MaxBytes), Keys: keys.id(), Log: log,
	})
}

// cluster is the cluster as the roles of a process connect to it.
func (n NATS) cluster(roles roles, keys keyring, log *slog.Logger) queue.ClusterConfig {
	return queue.ClusterConfig{
		URL: n.URL, CredsFile: n.CredsFile, NKeyFile: n.NKeyFile, CAFile: n.CAFile, CertFile: n.CertFile, KeyFile: n.KeyFile,
		Role: roles.user(), Replicas: n.Replicas, MaxStore: int64(n.MaxBytes), Keys: keys.id(), Log: log,
	}
}
