package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"regexp"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/prometheus/common/version"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"stanch/dispositions"
	"stanch/dispositions/ledger"
	"stanch/dispositions/policy"
	"stanch/notify"
	"stanch/receiver"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
	"stanch/receiver/seal"
)

// gcPercent is how much garbage the service lets pile up, unless GOGC says otherwise. What it holds is small and what it
// throws away is much: under load this takes a sixth off its memory, and a few per cent off its throughput.
const gcPercent = 50

func newServe() *cobra.Command {
	command := &cobra.Command{
		Use:     "serve",
		Short:   "Run the service",
		Long:    "Serve runs the receiver, the engine and the notifiers, with the store inside the process, until SIGINT or SIGTERM.",
		Example: "  stanch serve --config.file stanch.yaml",
		Args:    cobra.NoArgs,
	}
	file := command.Flags().String("config.file", defaultConfig, "the configuration file")
	command.RunE = func(command *cobra.Command, _ []string) error {
		config, faults := Load(*file)
		if len(faults) > 0 {
			return faulty(command.ErrOrStderr(), faults)
		}
		if os.Getenv("GOGC") == "" {
			debug.SetGCPercent(gcPercent)
		}
		log := newLog(command.ErrOrStderr())
		return serve(command.Context(), config, log, func(public, private net.Addr) {
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

// serve runs the service until ctx ends. It calls started when both listeners take connections.
func serve(ctx context.Context, c *Config, log *slog.Logger, started func(public, private net.Addr)) (err error) {
	s, err := assemble(ctx, c, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.store.Close()) }()
	return s.run(ctx, started)
}

// service is everything that runs, put together and not started.
type service struct {
	config    *Config
	log       *slog.Logger
	store     *queue.Embedded
	probe     *queue.Probe
	index     *ledger.Index
	sightings *ledger.Sightings
	engine    *dispositions.Engine
	notices   *notify.Dispatcher
	deliver   http.Handler      // the public listener
	api       http.Handler      // the private listener and the socket
	runners   []receiver.Runner // sources with work of their own
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
	registry := newRegistry()
	s = &service{config: c, log: log, store: store, probe: queue.NewProbe(store)}

	feeds, err := s.openSources(registry)
	if err != nil {
		return nil, err
	}
	s.deliver = receiver.New(receiver.Config{
		Sources: feeds, Seal: keys.recipient, Store: store, Log: log, Metrics: registry,
		Limits: receiver.Limits{
			Body: int64(c.Limits.Body), AlertsPerDelivery: c.Limits.AlertsPerDelivery,
			InFlightBytes: int64(c.Limits.InFlightBytes),
		},
	})

	journal := ledger.New(store)
	s.index = ledger.NewIndex(journal)
	s.sightings = ledger.NewSightings(store, keys.days)
	credentials, err := s.openIssuers()
	if err != nil {
		return nil, err
	}
	decides, faults := policy.New(c.Policy.config())
	if len(faults) > 0 {
		return nil, fmt.Errorf("the policy has faults: %s", faults[0].Text) // which Load has reported
	}
	s.engine = dispositions.New(dispositions.Config{
		Store: store, Ledger: journal, Sightings: s.sightings, Identities: keys.identities,
		Mandate: dispositions.Mandate{
			Issuers: credentials, Policy: decides, Sources: c.sourceTypes(),
			Fuse: dispositions.Fuse{Max: c.Policy.Fuse.Max, Per: c.Policy.Fuse.Per},
		},
		Log: log, Registerer: registry,
	})

	routes, err := s.openNotifiers()
	if err != nil {
		return nil, err
	}
	s.notices = notify.NewDispatcher(notify.Config{
		Store: store, Routes: routes, ExternalURL: c.Web.ExternalURL, Log: log, Registerer: registry,
		Sightings: func(ctx context.Context, i leak.Incident) ([]leak.Sighting, error) { return s.sightings.Of(ctx, i.ID) },
	})

	registry.MustRegister(newState(store, s.index, log))
	reading := &api{
		ledger: journal, index: s.index, sightings: s.sightings, gatherer: registry, ready: s.probe.Ready, log: log,
	}
	mux := reading.handler()
	(&orders{
		api: reading, engine: s.engine, actors: actors{c.Web.Private.ConfigFile}, fingerprints: keys.fingerprints,
	}).register(mux)
	s.api = mux
	return s, nil
}

// sourceTypes are the types of the configured sources, by name.
func (c *Config) sourceTypes() map[string]string {
	types := map[string]string{}
	for _, s := range c.Sources {
		types[s.Name] = s.Type
	}
	return types
}

// config is the policy as the engine decides by it.
func (p Policy) config() policy.Config {
	return policy.Config{Default: p.Default, KeyNone: p.KeyNone, DryRun: p.DryRun, Unlock: p.Unlock, Protect: p.Protect}
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
	days         *seal.Days
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
	if err := k.identities.Matches(k.recipient); err != nil {
		return k, err
	}
	k.days, err = seal.OpenDays(dir)
	return k, err
}

func (s *service) openSources(r prometheus.Registerer) (map[string]receiver.Source, error) {
	feeds := map[string]receiver.Source{}
	for _, entry := range s.config.Sources {
		source, err := entry.Adapter.Open(entry.Name, s.log, r)
		if err != nil {
			return nil, fmt.Errorf("opening source %s: %w", entry.Name, err)
		}
		feeds[entry.Name] = source
		if runner, ok := source.(receiver.Runner); ok {
			s.runners = append(s.runners, runner)
		}
	}
	return feeds, nil
}

func (s *service) openIssuers() ([]dispositions.Configured, error) {
	var opened []dispositions.Configured
	for _, entry := range s.config.Issuers {
		issuer, err := entry.Adapter.Open(entry.Name, s.log)
		if err != nil {
			return nil, fmt.Errorf("opening issuer %s: %w", entry.Name, err)
		}
		configured := dispositions.Configured{
			Name: entry.Name, Issuer: issuer, TokenTypes: entry.TokenTypes, Accounts: entry.Accounts,
		}
		if entry.Pattern != "" {
			if configured.Pattern, err = regexp.Compile(entry.Pattern); err != nil {
				return nil, fmt.Errorf("opening issuer %s: its pattern is not a regular expression", entry.Name)
			}
		}
		opened = append(opened, configured)
	}
	return opened, nil
}

func (s *service) openNotifiers() (map[string]notify.Route, error) {
	routes := map[string]notify.Route{}
	for _, entry := range s.config.Notifiers {
		channel, err := entry.Adapter.Open(entry.Name, s.log)
		if err != nil {
			return nil, fmt.Errorf("opening notifier %s: %w", entry.Name, err)
		}
		routes[entry.Name] = notify.Route{Notifier: channel}
	}
	return routes, nil
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
	group.Go(func() error { return s.sightings.Run(ctx, s.config.Retention) })
	for _, runner := range s.runners {
		group.Go(func() error { return runner.Run(ctx) })
	}
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
