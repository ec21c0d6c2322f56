package queue

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
)

const (
	// startTimeout is how long the server may take to recover what is stored. A hundred thousand messages take 0.3 s.
	startTimeout = 2 * time.Minute
	// closeTimeout is how long Close takes at most.
	closeTimeout = 15 * time.Second
	// serverMaxStore is what the server may reserve, in bytes: more than anybody has. The streams' own limits, which add
	// up to MaxStore, bound the store; with MaxStore here too the server would refuse to make a store smaller.
	serverMaxStore = 1 << 60
	// subscriptionQueue is how many messages may wait in one subscription, far more than any of ours asks for ahead. Its
	// slots are allocated with the subscription, and each handler has one: the default of the client is 512 KiB apiece.
	subscriptionQueue = 4096
	// maxMemory bounds what the server keeps in memory for readers, in bytes.
	maxMemory = 64 << 20
)

// Config says where the embedded store is.
type Config struct {
	// Dir holds the store, and nothing else writes there. It is created with mode 0700.
	Dir string
	// MaxStore is the size of the store in bytes, which its streams divide; 0: DefaultMaxStore.
	MaxStore int64
	// Keys is the id of the fingerprint key. A store keeps the one that it was created with and refuses every other,
	// because a fingerprint under another key would not find its incident.
	Keys string
	// Log is where the server and the consumers log to; nil: slog.Default.
	Log *slog.Logger
}

// Embedded is a [Store] on the real NATS server, inside this process and without a port. What Append acknowledges is on
// the disk, flushed.
type Embedded struct {
	*JetStream
	server *server.Server
	conn   *nats.Conn
	lock   *flock.Flock
}

// OpenEmbedded opens the store, or creates it. A store that another process uses, that belongs to other keys, or whose
// streams somebody changed, is refused, and nothing of it is changed. The caller must Close what it gets.
func OpenEmbedded(ctx context.Context, c Config) (*Embedded, error) {
	c = c.withDefaults()
	e, err := openEmbedded(ctx, c, layout{maxStore: c.MaxStore, replicas: 1, keys: c.Keys, vacant: vacantIn(c.Dir)})
	if err != nil {
		return nil, fmt.Errorf("opening the store %s: %w", c.Dir, err)
	}
	return e, nil
}

// Exists reports whether a directory holds a store already.
func Exists(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "jetstream"))
	return err == nil
}

func (c Config) withDefaults() Config {
	if c.MaxStore == 0 {
		c.MaxStore = DefaultMaxStore
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c
}

func openEmbedded(ctx context.Context, c Config, l layout) (*Embedded, error) {
	lock, err := lockDir(c.Dir)
	if err != nil {
		return nil, err
	}
	e := &Embedded{lock: lock}
	if err := e.start(ctx, c, l); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// lockFile is what a process locks as long as it has the store open.
const lockFile = "lock"

// lockDir makes the directory ours: two servers on one directory lose acknowledged messages, and the server does not
// look.
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
func (e *Embedded) start(ctx context.Context, c Config, l layout) error {
	log := &serverLog{log: c.Log}
	s, err := server.NewServer(options(c))
	if err != nil {
		return fmt.Errorf("making the server: %w", err)
	}
	e.server = s
	s.SetLoggerV2(log, false, false, false)
	s.Start()
	if log.failed() || !s.ReadyForConnections(startTimeout) {
		return fmt.Errorf("starting the server: %s", log.cause())
	}
	e.conn, err = nats.Connect("", nats.InProcessServer(s), nats.MaxReconnects(-1), nats.SyncQueueLen(subscriptionQueue))
	if err != nil {
		return fmt.Errorf("connecting to the server: %w", err)
	}
	if e.JetStream, err = newJetStream(e.conn, l, c.Log); err != nil {
		return err
	}
	if err := e.lay(ctx); err != nil {
		return err
	}
	return e.adopt(ctx)
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

// vacantIn refuses a stream that is on disk although the server does not list it: the server could not read it (damaged,
// or encrypted), and to create it would delete it.
func vacantIn(dir string) func(string) error {
	return func(stream string) error {
		if _, err := os.Lstat(streamDir(dir, stream)); !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("stream %s is on disk, but the server cannot read it; nothing was changed", stream)
		}
		return nil
	}
}

// Close ends the server and gives the directory free, within a quarter of a minute. Everything that uses the store must
// have returned. What is not done by then is left to the end of the process, the lock included.
func (e *Embedded) Close() error {
	done := make(chan error, 1)
	go func() { done <- e.close() }()
	select {
	case err := <-done:
		return err
	case <-time.After(closeTimeout):
		return fmt.Errorf("closing the store: not done in %v", closeTimeout)
	}
}

func (e *Embedded) close() error {
	var errs []error
	if e.conn != nil {
		// Nobody publishes or consumes any more: when what was written has reached the server, nothing is left to drain.
		errs = append(errs, e.conn.FlushTimeout(closeTimeout/3))
		e.conn.Close()
	}
	if e.server != nil {
		e.server.Shutdown()
		e.server.WaitForShutdown()
	}
	errs = append(errs, e.lock.Close())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("closing the store: %w", err)
	}
	return nil
}
