package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/prometheus/common/version"
	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"stanch/cmd/stanch/api"
	"stanch/cmd/stanch/config"
	"stanch/cmd/stanch/role"
	"stanch/cmd/stanch/settings"
	"stanch/cmd/stanch/web"
	"stanch/dispositions"
	"stanch/dispositions/ledger"
	"stanch/notify/deliver"
	"stanch/receiver"
	"stanch/receiver/collect"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
)

// gcPercent is how much garbage the service lets pile up, unless GOGC says otherwise. What it holds is small and what it
// throws away is much: under load this takes a sixth off its memory, and a few per cent off its throughput.
const gcPercent = 50

func newServe() *cobra.Command {
	command := &cobra.Command{
		Use:   "serve",
		Short: "Run the service",
		Long: `Serve runs the receiver, the collector, the engine and the notifier, with the store inside the process, until SIGINT or
SIGTERM. With store.nats each role can run in processes of its own (--role), any number of each; only the receiver has a
public listener, and only the engine answers for incidents. SIGHUP reads the configuration file again, and the secret files that it names. When it has a fault, or changes what
needs a restart (store, keys_dir, web.public, web.private), the old configuration stays in force and the log says why.`,
		Example: "  stanch serve --config.file stanch.yaml\n" +
			"  stanch serve --config.file stanch.yaml --role engine,notifier",
		Args: cobra.NoArgs,
	}
	file := command.Flags().String("config.file", config.DefaultFile, "the configuration file")
	var roles role.Roles
	roles.Flag(command.Flags())
	command.RunE = func(command *cobra.Command, _ []string) error {
		reloads := hangups()
		c, faults := config.Load(*file, adapters, roles...)
		if len(faults) > 0 {
			return faulty(command.ErrOrStderr(), faults)
		}
		if !roles.All() && c.Store.NATS == nil {
			return errOneProcess
		}
		if os.Getenv("GOGC") == "" {
			debug.SetGCPercent(gcPercent)
		}
		log := newLog(command.ErrOrStderr())
		return serve(command.Context(), c, log, reloads, func(public, private net.Addr) {
			log.Info("serving", "public", addressOf(public), "private", addressOf(private), "roles", roles.String())
		})
	}
	return command
}

// addressOf is where is listened; empty: nowhere.
func addressOf(a net.Addr) string {
	if a == nil {
		return ""
	}
	return a.String()
}

var errOneProcess = errors.New("--role needs store.nats: the embedded store is in one process, which has every role")

// serve runs the service until ctx ends, and reads its configuration file again at each of the hangups; nil: there are
// none. It calls started when its listeners take connections; public is nil without the receiver's role.
func serve(
	ctx context.Context, c *config.Config, log *slog.Logger, hangups <-chan os.Signal, started func(public, private net.Addr),
) (err error) {
	traces := startTracing(ctx, c.Roles(), log)
	defer traces.end()
	s, err := assemble(ctx, c, traces.tracer(), log)
	if err != nil {
		return err
	}
	s.hangups = hangups
	defer func() { err = errors.Join(err, s.store.Close()) }()
	return s.run(ctx, started)
}

// service is everything that runs, put together and not started. What belongs to a role that the process does not have is
// nil.
type service struct {
	log      *slog.Logger
	tracer   trace.Tracer // nil: nothing is traced
	registry *prometheus.Registry
	keys     settings.Keys
	store    settings.Store
	probe    *queue.Probe
	api      *http.ServeMux // the private listener and the socket

	receiver  *receiver.Handler // the public listener
	collector *collect.Collector

	engine      *dispositions.Engine
	index       *ledger.Index
	sightings   *ledger.Sightings
	checkpoints *ledger.Checkpoints

	notices *deliver.Dispatcher

	current        atomic.Pointer[settings.Settings]
	hangups        <-chan os.Signal
	reloads        chan chan<- error
	reloaded       *reloaded
	stopForgetting context.CancelFunc
}

// assemble wires the service, in the order in which an alert travels. Nothing runs yet but the store.
func assemble(ctx context.Context, c *config.Config, tracer trace.Tracer, log *slog.Logger) (s *service, err error) {
	keys, err := settings.OpenKeys(c)
	if err != nil {
		return nil, err
	}
	store, err := settings.OpenStore(ctx, c, keys, log)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, store.Close())
		}
	}()
	g, bad := settings.Open(c, nil, log)
	if len(bad) > 0 {
		return nil, errors.Join(bad...)
	}
	registry := newRegistry()
	exportRoles(registry, c.Roles())
	s = &service{
		log: log, tracer: tracer, registry: registry, keys: keys, store: store, probe: queue.NewProbe(store, c.Store.NATS != nil),
		reloads: make(chan chan<- error), reloaded: newReloaded(registry),
	}
	s.current.Store(g)
	s.addRoles(g)
	s.addAPI(c)
	return s, nil
}

// addRoles makes what the roles of the process need.
func (s *service) addRoles(g *settings.Settings) {
	c := g.Config
	if c.Roles().Have(role.Receiver) {
		s.receiver = receiver.New(receiver.Config{
			Sources: g.Receiver(), Limits: g.Limits(), Seal: s.keys.Recipient, Store: s.store, Requests: s.store, Log: s.log,
			Metrics: s.registry, Tracer: s.tracer,
		})
	}
	if c.Roles().Have(role.Collector) {
		s.collector = collect.New(collect.Config{
			Store: s.store, Seal: s.keys.Recipient, Sources: g.Collector(), ExternalURL: c.Web.ExternalURL, Log: s.log,
			Registerer: s.registry, Tracer: s.tracer,
		})
	}
	if c.Roles().Have(role.Engine) {
		s.addEngine(g)
	}
	if c.Roles().Have(role.Notifier) {
		s.notices = deliver.New(deliver.Config{
			Store: s.store, Settings: g.Notifier(), Log: s.log, Registerer: s.registry, Tracer: s.tracer,
			Sightings: s.seen, Shared: c.Store.NATS != nil,
		})
	}
}

func (s *service) addEngine(g *settings.Settings) {
	journal := ledger.New(s.store)
	s.index = ledger.NewIndex(journal)
	s.sightings = ledger.NewSightings(s.store, s.keys.Recipient, s.keys.Identities)
	s.checkpoints = ledger.NewCheckpoints(s.store, s.log)
	s.engine = dispositions.New(dispositions.Config{
		Store: s.store, Ledger: journal, Sightings: s.sightings, Identities: s.keys.Identities, Mandate: g.Engine(),
		Requests: s.store, Log: s.log, Registerer: s.registry, Tracer: s.tracer,
	})
	s.registry.MustRegister(newState(s.store, s.index, s.log))
}

// seen is where an incident's key was seen: the notifier's role alone cannot open that, and asks an engine.
func (s *service) seen(ctx context.Context, i leak.Incident) ([]leak.Sighting, error) {
	if s.sightings != nil {
		return s.sightings.Of(ctx, i.ID)
	}
	return ledger.RequestSightings(ctx, s.store, i.ID)
}

// addAPI makes what operators are answered: every role has health, metrics and reload.
func (s *service) addAPI(c *config.Config) {
	operators := &api.API{
		Index: s.index, Sightings: s.sightings, Engine: s.engine, Collector: s.collector, Store: s.store,
		Dead: &dispositions.DeadLetters{
			Store: s.store, Identities: s.keys.Identities, Follows: s.follows, Reread: s.reread,
		},
		Fingerprints: s.keys.Fingerprints, WebConfig: c.Web.Private.ConfigFile, Reload: s.reload, Ready: s.probe.Ready,
		Gatherer: scrape{s}, Log: s.log,
	}
	if s.engine == nil {
		s.api = operators.Handler()
		return
	}
	operators.Ledger = s.engine.Ledger
	s.api = operators.Handler()
	web.Register(s.api, web.Config{
		Ledger: operators.Ledger, Index: s.index, Sightings: s.sightings, Dead: operators.Dead, Orders: operators,
		Settings: func() deliver.Settings { return s.current.Load().Notifier() }, Reach: api.Reach, Gatherer: operators.Gatherer,
		Log: s.log,
	})
}

// follows reports whether pointers of a source are followed, here or elsewhere.
func (s *service) follows(source string) bool { return s.current.Load().Follows(source) }

// reread makes the messages of a record that could not be read when it came.
func (s *service) reread(ctx context.Context, source string, at time.Time, record leak.Secret) ([]queue.Message, error) {
	names, ok := s.current.Load().Records(source)
	if !ok {
		return nil, errNoRecords
	}
	content, err := names.Reread(record)
	if err != nil {
		return nil, err
	}
	message, err := receiver.AlertMessage(s.keys.Recipient, source, at, content)
	if err != nil {
		return nil, err
	}
	return []queue.Message{message}, nil
}

// errNoRecords means that a record is of a source that is not configured any more, or has no records now.
var errNoRecords = errors.New("its source is not configured, or has no records")

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
	start := func(run func(context.Context) error) { group.Go(func() error { return run(ctx) }) }
	start(s.probe.Run)
	group.Go(func() error { return s.tend(ctx, group) })
	if s.collector != nil {
		start(s.collector.Run)
	}
	if s.notices != nil {
		start(s.notices.Run)
	}
	if s.engine != nil {
		start(s.index.Run)
		start(s.checkpoints.Run)
		start(func(ctx context.Context) error { return s.sightings.Reply(ctx, s.store) })
		start(s.decide)
	}
}

// decide runs the engine, when the notifiers of this process are there.
func (s *service) decide(ctx context.Context) error {
	if s.notices != nil {
		select {
		case <-ctx.Done():
			return nil
		case <-s.notices.Ready():
		}
	}
	return s.engine.Run(ctx)
}
