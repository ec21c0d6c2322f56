package main

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"slices"

	"stanch/dispositions"
	"stanch/dispositions/admit"
	"stanch/dispositions/policy"
	"stanch/notify/deliver"
	"stanch/receiver"
	"stanch/receiver/collect"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
)

// generation is what one reading of the configuration file opened, by the names of the entries. The next one takes over
// what has not changed.
type generation struct {
	config    *Config
	sources   map[string]opened[*feed]
	vendors   map[string]opened[collect.Vendor] // of the sources that have one
	issuers   map[string]opened[dispositions.Issuer]
	notifiers map[string]opened[deliver.Route]
	policy    *policy.Policy
}

// opened is what an entry opened, and the digest by which the entry is known again.
type opened[T any] struct {
	it     T
	digest digest
}

// feed is an opened source, with what belongs to it alone.
type feed struct {
	receiver.Source
	metrics *prometheus.Registry
	stop    context.CancelFunc // of its Runner; nil: it has none, or was not started
}

// open opens what a configuration names and its roles need, and takes over from the generation before it what is the same.
// It asks nobody for anything. The generation is of use only when nothing is bad.
func open(c *Config, before *generation, log *slog.Logger) (g *generation, bad []error) {
	sources, badSources := openAll("source", forRole(c, receiving, c.Sources), before.sources, func(s Source) (*feed, error) {
		f := &feed{metrics: prometheus.NewRegistry()}
		var err error
		f.Source, err = s.Adapter.Open(s.Name, log, f.metrics)
		return f, err
	})
	vendors, badVendors := openAll("the API of source", forRole(c, collecting, c.collected()), before.vendors, func(s Source) (collect.Vendor, error) {
		return s.Adapter.(vendorConfig).OpenVendor(s.Name, log)
	})
	issuers, badIssuers := openAll("issuer", forRole(c, deciding, c.Issuers), before.issuers, func(i Issuer) (dispositions.Issuer, error) {
		return i.Adapter.Open(i.Name, log)
	})
	notifiers, badNotifiers := openAll("notifier", forRole(c, notifying, c.Notifiers), before.notifiers, func(n Notifier) (deliver.Route, error) {
		return n.open(log)
	})
	bad = slices.Concat(badSources, badVendors, badIssuers, badNotifiers)
	decides, faults := policy.New(c.policy())
	for _, fault := range faults {
		bad = append(bad, fmt.Errorf("the policy has a fault: %s", fault.Text)) // which Load has reported
	}
	return &generation{c, sources, vendors, issuers, notifiers, decides}, bad
}

// forRole are the entries of a list that a role needs, if it is among those of the process.
func forRole[E any](c *Config, role string, entries []E) []E {
	if !c.roles.have(role) {
		return nil
	}
	return entries
}

// openAll opens the entries of one list.
func openAll[E named, T any](
	kind string, entries []E, before map[string]opened[T], open func(E) (T, error),
) (all map[string]opened[T], bad []error) {
	all = map[string]opened[T]{}
	for _, entry := range entries {
		it, err := openOne(entry, before, open)
		if err != nil {
			bad = append(bad, fmt.Errorf("opening %s %s: %w", kind, entry.name(), err))
		}
		all[entry.name()] = it
	}
	return all, bad
}

// openOne takes the digest first: when a file changes meanwhile the entry is opened again the next time, not too seldom.
func openOne[E named, T any](entry E, before map[string]opened[T], open func(E) (T, error)) (o opened[T], err error) {
	if o.digest, err = digestOf(entry); err != nil {
		return o, err
	}
	if same, ok := before[entry.name()]; ok && same.digest == o.digest {
		return same, nil
	}
	o.it, err = open(entry)
	return o, err
}

// feeds are the sources as the receiver takes them.
func (g *generation) feeds() map[string]receiver.Source {
	feeds := map[string]receiver.Source{}
	for name, o := range g.sources {
		feeds[name] = o.it.Source
	}
	return feeds
}

// collected are the sources that the collector works for.
func (c *Config) collected() []Source {
	return slices.DeleteFunc(slices.Clone(c.Sources), func(s Source) bool {
		_, ok := s.Adapter.(vendorConfig)
		return !ok
	})
}

// collected are the sources as the collector takes them.
func (g *generation) collected() map[string]collect.Source {
	sources := map[string]collect.Source{}
	for _, entry := range forRole(g.config, collecting, g.config.collected()) {
		sources[entry.Name] = collect.Source{
			Vendor: g.vendors[entry.Name].it, Sweep: entry.Adapter.(vendorConfig).SweepEvery(),
		}
	}
	return sources
}

// settings are what the dispatcher works by.
func (g *generation) settings() deliver.Settings {
	types := g.config.sourceTypes()
	settings := deliver.Settings{
		Routes: map[string]deliver.Route{}, ExternalURL: g.config.Web.ExternalURL,
		Partner: func(source string) bool { return slices.Contains(partnerTypes, types[source]) },
	}
	for _, n := range forRole(g.config, notifying, g.config.Notifiers) {
		route := g.notifiers[n.Name].it
		route.When = n.condition(types)
		settings.Routes[n.Name] = route
	}
	return settings
}

// partnerTypes are the types of sources whose alerts a partner agreement forbids to share onward.
var partnerTypes = []string{"github_partner", "gitlab_partner"}

// mandate is what the engine is told to do.
func (g *generation) mandate() dispositions.Mandate {
	m := dispositions.Mandate{
		Policy: g.policy, Sources: g.config.sourceTypes(),
		Fuse: admit.FuseLimit{Max: g.config.Policy.Fuse.Max, Per: g.config.Policy.Fuse.Per},
	}
	for _, entry := range forRole(g.config, deciding, g.config.Issuers) {
		configured := dispositions.Configured{
			Name: entry.Name, Issuer: g.issuers[entry.Name].it, TokenTypes: entry.TokenTypes, Accounts: entry.Accounts,
			Rate: float64(entry.Rate), InFlight: entry.InFlight,
		}
		if entry.Pattern != "" {
			configured.Pattern = regexp.MustCompile(entry.Pattern) // Load has compiled it
		}
		m.Issuers = append(m.Issuers, configured)
	}
	return m
}

// without are the feeds of a generation that another one does not have, by name.
func (g *generation) without(other *generation) map[string]*feed {
	feeds := map[string]*feed{}
	for name, o := range g.sources {
		if other.sources[name].it != o.it {
			feeds[name] = o.it
		}
	}
	return feeds
}

// run starts the work that a source has of its own.
func (f *feed) run(ctx context.Context, group *errgroup.Group) {
	runner, ok := f.Source.(receiver.Runner)
	if !ok {
		return
	}
	ctx, f.stop = context.WithCancel(ctx)
	group.Go(func() error { return runner.Run(ctx) })
}

// ready waits for a source to be able to verify deliveries, as long as ctx allows, and reports whether it is.
func (f *feed) ready(ctx context.Context) bool {
	starter, ok := f.Source.(receiver.Starter)
	if !ok {
		return true
	}
	select {
	case <-starter.Ready():
		return true
	case <-ctx.Done():
	}
	select {
	case <-starter.Ready(): // both were so
		return true
	default:
		return false
	}
}

// end stops that work.
func (f *feed) end() {
	if f.stop != nil {
		f.stop()
	}
}

// sourceTypes are the types of the configured sources, by name.
func (c *Config) sourceTypes() map[string]string {
	types := map[string]string{}
	for _, s := range c.Sources {
		types[s.Name] = s.Type
	}
	return types
}

// follows reports whether pointers of a source are followed.
func (g *generation) follows(source string) bool {
	return slices.ContainsFunc(g.config.collected(), func(s Source) bool { return s.Name == source })
}

// records are the fields of a source's records, if its deliveries hold some.
func (g *generation) records(source string) (receiver.Fields, bool) {
	for _, s := range g.config.Sources {
		if adapter, ok := s.Adapter.(recordsConfig); ok && s.Name == source {
			return adapter.Records(), true
		}
	}
	return receiver.Fields{}, false
}

// limits are the limits as the receiver takes them.
func (c *Config) limits() receiver.Limits {
	return receiver.Limits{
		Body: int64(c.Limits.Body), AlertsPerDelivery: c.Limits.AlertsPerDelivery,
		InFlightBytes: int64(c.Limits.InFlightBytes),
	}
}
