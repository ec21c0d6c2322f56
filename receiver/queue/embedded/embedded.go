// Package embedded runs a NATS server inside the process, without a port, and keeps the queue on its disk.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"stanch/receiver/queue"
	"stanch/receiver/queue/jetstore"
	"stanch/receiver/queue/layout"
	"stanch/receiver/queue/natsclient"
)

const (
	// startTimeout is how long the server may take to recover what is stored. A hundred thousand messages take 0.3 s.
	startTimeout = 2 * time.Minute
	// closeTimeout is how long Close takes at most.
	closeTimeout = 15 * time.Second
	// serverMaxStore is what the server may reserve, in bytes: more than anybody has. The limits of the streams, which add
	// up to MaxStore, bound the store. With MaxStore here too, the server would refuse to make a store smaller.
	serverMaxStore = 1 << 60
	// maxMemory bounds what the server keeps in memory for readers, in bytes.
	maxMemory = 64 << 20
)

// Config says where the embedded store is.
type Config struct {
	// Dir holds the store, and nothing else writes there. It is created with mode 0700.
	Dir string
	// MaxStore is the size of the store in bytes, which its streams divide; 0: queue.DefaultMaxStore.
	MaxStore int64
	// Keys is the id of the fingerprint key. A store keeps the one that it was created with and refuses any other, because a
	// fingerprint under another key would not find its incident.
	Keys string
	// Log is where the server and the consumers log to; nil: slog.Default.
	Log *slog.Logger
}

// Store is a queue.Store on a NATS server inside this process. What Append acknowledges is on the disk, flushed.
type Store struct {
	*jetstore.Store
	server *server.Server
	conn   *nats.Conn
	lock   *flock.Flock
}

// Open opens the store, or creates it. It refuses a store that another process uses (ErrInUse), that belongs to other keys,
// or whose streams somebody changed, and changes nothing in it. The caller must Close the store.
func Open(ctx context.Context, c Config) (*Store, error) {
	c = c.withDefaults()
	s, err := open(ctx, c, layout.Layout{MaxStore: c.MaxStore, Replicas: 1, Keys: c.Keys, Vacant: vacantIn(c.Dir)})
	if err != nil {
		return nil, fmt.Errorf("opening the store %s: %w", c.Dir, err)
	}
	return s, nil
}

// Exists reports whether a directory holds a store already.
func Exists(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "jetstream"))
	return err == nil
}

func (c Config) withDefaults() Config {
	if c.MaxStore == 0 {
		c.MaxStore = queue.DefaultMaxStore
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c
}

func open(ctx context.Context, c Config, l layout.Layout) (*Store, error) {
	lock, err := lockDir(c.Dir)
	if err != nil {
		return nil, err
	}
	s := &Store{lock: lock}
	if err := s.start(ctx, c, l); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// lockFile is the file that a process locks while it has the store open.
const lockFile = "lock"

// lockDir makes the directory ours. Two servers on one directory would lose acknowledged messages, and the server does not
// check.
func lockDir(dir string) (*flock.Flock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock := flock.New(filepath.Join(dir, lockFile), flock.SetPermissions(0o600))
	ours, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("locking: %w", err)
	}
	if !ours {
		return nil, errors.Join(ErrInUse, lock.Close())
	}
	return lock, nil
}

// start runs the server, connects to it and lays out its streams.
func (s *Store) start(ctx context.Context, c Config, l layout.Layout) error {
	log := &serverLog{log: c.Log}
	instance, err := server.NewServer(options(c))
	if err != nil {
		return fmt.Errorf("making the server: %w", err)
	}
	s.server = instance
	instance.SetLoggerV2(log, false, false, false)
	instance.Start()
	if log.failed() || !instance.ReadyForConnections(startTimeout) {
		return fmt.Errorf("starting the server: %s", log.cause())
	}
	return s.connect(ctx, c, l)
}

func (s *Store) connect(ctx context.Context, c Config, l layout.Layout) (err error) {
	s.conn, err = nats.Connect("", nats.InProcessServer(s.server), nats.MaxReconnects(-1),
		nats.SyncQueueLen(natsclient.SubscriptionQueue))
	if err != nil {
		return fmt.Errorf("connecting to the server: %w", err)
	}
	client, err := natsclient.New(s.conn, natsclient.AnswerTimeout, c.Log)
	if err != nil {
		return err
	}
	if s.Store, err = jetstore.Open(ctx, client, l); err != nil {
		return err
	}
	return s.Adopt(ctx)
}

func options(c Config) *server.Options {
	return &server.Options{
		ServerName:             "stanch",
		DontListen:             true,
		NoSigs:                 true,
		NoLog:                  true,
		DisableJetStreamBanner: true,
		JetStream:              true,
		StoreDir:               c.Dir,
		SyncAlways:             true,
		JetStreamMaxStore:      serverMaxStore,
		JetStreamMaxMemory:     maxMemory,
	}
}

// vacantIn refuses to create a stream that is on disk although the server does not list it. The server could not read it
// (damaged, or encrypted), and creating it would delete it.
func vacantIn(dir string) func(string) error {
	return func(stream string) error {
		if _, err := os.Lstat(streamDir(dir, stream)); !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("stream %s is on disk, but the server cannot read it; nothing was changed", stream)
		}
		return nil
	}
}

// streamDir is where the server keeps a stream.
func streamDir(dir, stream string) string {
	return filepath.Join(dir, server.JetStreamStoreDir, server.DEFAULT_GLOBAL_ACCOUNT, "streams", stream)
}

// Close ends the server and frees the directory, within 15 seconds. Everything that uses the store must have returned. What
// is not done in that time, the lock included, is left to the end of the process.
func (s *Store) Close() error {
	done := make(chan error, 1)
	go func() { done <- s.close() }()
	select {
	case err := <-done:
		return err
	case <-time.After(closeTimeout):
		return fmt.Errorf("closing the store: not done in %v", closeTimeout)
	}
}

func (s *Store) close() error {
	var errs []error
	if s.conn != nil {
		// Nobody publishes or consumes any more, so nothing is left to drain once the server has what was written.
		errs = append(errs, s.conn.FlushTimeout(closeTimeout/3))
		s.conn.Close()
	}
	if s.server != nil {
		s.server.Shutdown()
		s.server.WaitForShutdown()
	}
	errs = append(errs, s.lock.Close())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("closing the store: %w", err)
	}
	return nil
}
