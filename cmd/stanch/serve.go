package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/prometheus/common/version"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"stanch/dispositions"
	"stanch/dispositions/ledger"
	"stanch/notify"
	"stanch/receiver"
	"stanch/receiver/collect"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
	"stanch/receiver/seal"
)

// gcPercent is how much garbage the service lets pile up, unless GOGC says otherwise. What it holds is small and what it
// throws away is much: under load this takes a sixth off its memory, and a few per cent off its throughput.
const gcPercent = 50

func newServe() *cobra.Command {
	command := &cobra.Command{
		Use:   "serve",
		Short: "Run the service",
		Long: `Serve runs the receiver, the engine and the notifiers, with the store inside the process, until SIGINT or SIGTERM.
SIGHUP reads the configuration file again, and the secret files that it names. When it has a fault, or changes what
needs a restart (store, keys_dir, web.public, web.private), the old configuration stays in force and the log says why.`,
		Example: "  stanch serve --config.file stanch.yaml",
		Args:    cobra.NoArgs,
	}
	file := command.Flags().String("config.file", defaultConfig, "the configuration file")
	command.RunE = func(command *cobra.Command, _ []string) error {
		reloads := hangups()
		config, faults := Load(*file)
		if len(faults) > 0 {
			return faulty(command.ErrOrStderr(), faults)
		}
		if os.Getenv("GOGC") == "" {
			debug.SetGCPercent(gcPercent)
		}
		log := newLog(command.ErrOrStderr())
		return serve(command.Context(), config, log, reloads, func(public, private net.Addr) {
			log.Info("serving", "public", public.String(), "private", private.String())
		})
	}
	return command
}

// newLog logs one JSON object a line; a duration is in seconds.
func newLog(w io.Writer) *slog.Logger {
	inSeconds := func(_ []string, a slog.Attr) slog.Attr {
		if a.Value.Kind() == slog.KindDuration {
			a.Value = slog.Float64Value(a.Value.Duration().Seconds())
		}
		return a
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{ReplaceAttr: inSeconds}))
}

// serve runs the service until ctx ends, and reads its configuration file again at each of the hangups; nil: there are
// none. It calls started when both listeners take connections.
func serve(
	ctx context.Context, c *Config, log *slog.Logger, hangups <-chan os.Signal, started func(public, private net.Addr),
) (err error) {
	s, err := assemble(ctx, c, log)
	if err != nil {
		return err
	}
	s.hangups = hangups
	defer func() { err = errors.Join(err, s.store.Close()) }()
	return s.run(ctx, started)
}

// service is everything that runs, put together and not started.
type service struct {
	log         *slog.Logger
	registry    *prometheus.Registry
	store       *queue.Embedded
	probe       *queue.Probe
	index       *ledger.Index
	sightings   *ledger.Sightings
	engine      *dispositions.Engine
	checkpoints *ledger.Checkpoints
	collector   *collect.Collector
	notices     *notify.Dispatcher
	receiver    *receiver.Handler // the public listener
	api         http.Handler      // the private listener and the socket

	current        atomic.Pointer[generation]
	hangups        <-chan os.Signal
	reloads        chan chan<- error
	reloaded       *reloaded
	stopForgetting context.CancelFunc
}

// assemble wires the service, in the order in which an alert travels. Nothing runs yet but the store.
func assemble(ctx context.Context, c *Config, log *slog.Logger) (s *service, err error) {
	keys, err := openKeys(c.KeysDir, queue.Exists(c.Store.Embedded.Dir))
	if err != nil {
		return nil, err
	}
	store, err := queue.OpenEmbedded(ctx, queue.Config{
		Dir: c.Store.Embedded.Dir, MaxStore: int64(c.Store.Embedded.MaxBytes), Keys: keys.fingerprints.ID(), Log: log,
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, store.Close())
		}
	}()
	g, bad := open(c, &generation{}, log)
	if len(bad) > 0 {
		return nil, errors.Join(bad...)
	}
	registry := newRegistry()
	s = &service{
		log: log, registry: registry, store: store, probe: queue.NewProbe(store),
		reloads: make(chan chan<- error), reloaded: newReloaded(registry),
	}
	s.current.Store(g)

	s.receiver = receiver.New(receiver.Config{
		Sources: g.feeds(), Limits: c.limits(), Seal: keys.recipient, Store: store, Line: store, Log: log,
		Metrics: registry,
	})

	s.collector = collect.New(collect.Config{
		Store: store, Seal: keys.recipient, Sources: g.collected(), ExternalURL: c.Web.ExternalURL, Log: log, Registerer: registry,
	})

	journal := ledger.New(store)
	s.index = ledger.NewIndex(journal)
	s.sightings = ledger.NewSightings(store, keys.recipient, keys.identities)
	s.engine = dispositions.New(dispositions.Config{
		Store: store, Ledger: journal, Sightings: s.sightings, Identities: keys.identities, Mandate: g.mandate(),
		Line: store, Log: log, Registerer: registry,
	})

	s.notices = notify.NewDispatcher(notify.Config{
		Store: store, Terms: g.terms(), Log: log, Registerer: registry,
		Sightings: func(ctx context.Context, i leak.Incident) ([]leak.Sighting, error) { return s.sightings.Of(ctx, i.ID) },
	})

	s.checkpoints = ledger.NewCheckpoints(store, log)

	registry.MustRegister(newState(store, s.index, log))
	reading := &api{
		ledger: journal, index: s.index, sightings: s.sightings, gatherer: scrape{s}, ready: s.probe.Ready, log: log,
	}
	mux := reading.handler()
	(&orders{
		api: reading, engine: s.engine, actors: actors{c.Web.Private.ConfigFile}, fingerprints: keys.fingerprints,
		reload: s.reload, collector: s.collector, audit: &auditor{store: store},
		dead: &dispositions.DeadLetters{
			Store: store, Identities: keys.identities, Follows: s.collector.Has, Reread: s.receiver.Reread,
		},
	}).register(mux)
	s.api = mux
	return s, nil
}

func newRegistry() *prometheus.Registry {
	version.Version = buildVersion() // what stanch_build_info says; the Go tool stamps it, no linker flag sets it
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		versioncollector.NewCollector("stanch"),
	)
	return registry
}

// keyring is what keys_dir holds.
type keyring struct {
	fingerprints seal.FingerprintKey
	recipient    *seal.Recipient
	identities   *seal.Identities
}

// openKeys makes the keys at the first start, and reads them. New ones are of no use to a store that was made with others.
func openKeys(dir string, storeExists bool) (k keyring, err error) {
	if !storeExists {
		if err := seal.Ensure(dir); err != nil {
			return k, err
		}
	}
	if k.fingerprints, err = seal.LoadFingerprintKey(dir); err != nil {
		return k, err
	}
	if k.recipient, err = seal.LoadRecipient(dir); err != nil {
		return k, err
	}
	if k.identities, err = seal.LoadIdentities(dir); err != nil {
		return k, err
	}
	return k, k.identities.Matches(k.recipient)
}

// run starts everything and stops it in reverse order: first nothing more is taken in, then nothing more is done. The
// store is closed after that. What fails stops the rest.
func (s *service) run(ctx context.Context, started func(public, private net.Addr)) error {
	doing, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	workers, doing := errgroup.WithContext(doing)
	s.work(doing, workers)

	listeners, listening := errgroup.WithContext(ctx)
	listeners.Go(func() error {
		select {
		case <-listening.Done():
			return nil
		case <-doing.Done():
			return errWorker
		}
	})
	listeners.Go(func() error { return s.listen(listening, listeners, started) })
	err := listeners.Wait()
	stop()
	failure := workers.Wait()
	if errors.Is(err, errWorker) {
		return failure
	}
	return errors.Join(err, failure)
}

// errWorker stops the listeners when a worker has failed; the worker's own error is the one to tell.
var errWorker = errors.New("a worker has failed")

// work starts what needs no listener. Notifiers are there before the engine, so that they miss nothing.
func (s *service) work(ctx context.Context, group *errgroup.Group) {
	group.Go(func() error { return s.probe.Run(ctx) })
	group.Go(func() error { return s.index.Run(ctx) })
	group.Go(func() error { return s.checkpoints.Run(ctx) })
	group.Go(func() error { return s.tend(ctx, group) })
	group.Go(func() error { return s.collector.Run(ctx) })
	group.Go(func() error { return s.notices.Run(ctx) })
	group.Go(func() error {
		select {
		case <-ctx.Done():
			return nil
		case <-s.notices.Ready():
		}
		return s.engine.Run(ctx)
	})
}
