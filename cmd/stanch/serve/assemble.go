package serve

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/trace"

	"stanch/cmd/stanch/api"
	"stanch/cmd/stanch/config"
	"stanch/cmd/stanch/role"
	"stanch/cmd/stanch/settings"
	"stanch/cmd/stanch/web"
	"stanch/dispositions"
	"stanch/dispositions/deadletter"
	"stanch/dispositions/ledger"
	"stanch/notify/deliver"
	"stanch/receiver"
	"stanch/receiver/collect"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
)

// assemble wires the service in the order in which an alert travels: store, receiver, collector, engine, notifier; the API and the
// page come last. Only the store runs yet.
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
	now, bad := settings.Open(c, nil, log)
	if len(bad) > 0 {
		return nil, errors.Join(bad...)
	}
	registry := newRegistry()
	exportRoles(registry, c.Roles())
	s = &service{
		log: log, registry: registry, keys: keys, store: store, probe: queue.NewProbe(store, c.Store.NATS != nil),
		reloads: make(chan chan<- error), reloaded: newReloaded(registry),
	}
	s.current.Store(now)

	if c.Roles().Have(role.Receiver) {
		s.receiver = receiver.New(receiver.Config{
			Sources: now.Receiver(), Limits: now.Limits(), Seal: keys.Recipient, Store: store, Requests: store, Log: log,
			Metrics: registry, Tracer: tracer,
		})
	}
	if c.Roles().Have(role.Collector) {
		s.collector = collect.New(collect.Config{
			Store: store, Seal: keys.Recipient, Sources: now.Collector(), ExternalURL: c.Web.ExternalURL, Log: log,
			Registerer: registry, Tracer: tracer,
		})
	}
	if c.Roles().Have(role.Engine) {
		journal := ledger.New(store)
		s.index = ledger.NewIndex(journal)
		s.sightings = ledger.NewSightings(store, keys.Recipient, keys.Identities)
		s.checkpoints = ledger.NewCheckpoints(store, log)
		s.engine = dispositions.New(dispositions.Config{
			Store: store, Ledger: journal, Sightings: s.sightings, Identities: keys.Identities, Settings: now.Engine(),
			Requests: store, Log: log, Registerer: registry, Tracer: tracer,
		})
		registry.MustRegister(newState(store, s.index, log))
	}
	if c.Roles().Have(role.Notifier) {
		s.notices = deliver.New(deliver.Config{
			Store: store, Settings: now.Notifier(), Log: log, Registerer: registry, Tracer: tracer,
			Sightings: s.seen, Shared: c.Store.NATS != nil,
		})
	}

	operators := &api.API{
		Index: s.index, Sightings: s.sightings, Engine: s.engine, Collector: s.collector, Store: store,
		Dead:         &deadletter.Letters{Store: store, Identities: keys.Identities, Follows: s.follows, Reread: s.reread},
		Fingerprints: keys.Fingerprints, WebConfig: c.Web.Private.ConfigFile, Reload: s.reload, Ready: s.probe.Ready,
		Gatherer: scrape{s}, Log: log,
	}
	if s.engine == nil {
		s.api = operators.Handler()
		return s, nil
	}
	operators.Ledger = ledger.New(s.store)
	s.api = operators.Handler()
	web.Register(s.api, web.Config{
		Ledger: operators.Ledger, Index: s.index, Sightings: s.sightings, Dead: operators.Dead, Orders: operators,
		Settings: func() deliver.Settings { return s.current.Load().Notifier() }, Reach: api.Reach, Gatherer: operators.Gatherer,
		Log: log,
	})
	return s, nil
}

// seen returns where an incident's key was seen. A process with the notifier's role alone cannot open that, so it asks an engine.
func (s *service) seen(ctx context.Context, i leak.Incident) ([]leak.Sighting, error) {
	if s.sightings != nil {
		return s.sightings.Of(ctx, i.ID)
	}
	return ledger.RequestSightings(ctx, s.store, i.ID)
}

// follows reports whether the collector follows pointers of a source, in this process or another.
func (s *service) follows(source string) bool { return s.current.Load().Follows(source) }

// reread returns the messages of a record that could not be read when it was delivered.
func (s *service) reread(_ context.Context, source string, at time.Time, record leak.Secret) ([]queue.Message, error) {
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

// errNoRecords means that the source of a record is no longer configured, or no longer has records.
var errNoRecords = errors.New("its source is not configured, or has no records")
