// Package settings opens what a configuration names: the keys and the store once, when a process starts, and everything else as
// [Settings], which a reload swaps as a whole.
package settings

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"slices"

	"stanch/cmd/stanch/config"
	"stanch/cmd/stanch/role"
	"stanch/dispositions"
	"stanch/dispositions/admit"
	"stanch/dispositions/policy"
	"stanch/notify/deliver"
	"stanch/receiver"
	"stanch/receiver/batch"
	"stanch/receiver/collect"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
)

// Settings are the configuration in force: everything that one reading of the file opened, by the names of the entries. They never
// change once they are open; the next Settings take over the entries that are the same. The zero value is empty.
type Settings struct {
	Config *config.Config // from which they were opened

	sources   map[string]opened[*Feed]
	vendors   map[string]opened[collect.Vendor] // of the sources that have one
	issuers   map[string]opened[dispositions.Issuer]
	notifiers map[string]opened[deliver.Route]
	policy    *policy.Policy
}

// opened is what an entry opened, and the digest by which an unchanged entry is recognised.
type opened[T any] struct {
	it     T
	digest digest
}

// Feed is an opened source, with what belongs to it alone.
type Feed struct {
	receiver.Source
	metrics *prometheus.Registry
	stop    context.CancelFunc // of its Runner; nil: it has none, or was not started
}

// Open opens what a configuration names and its roles need. Entries that are the same as before are taken over from the earlier
// settings, which may be nil. Opening makes no request to anybody. The settings are only usable when there is no error.
func Open(c *config.Config, before *Settings, log *slog.Logger) (s *Settings, bad []error) {
	if before == nil {
		before = &Settings{}
	}
	sources, badSources := openAll("source", forRole(c, role.Receiver, c.Sources), before.sources, func(s config.Source) (*Feed, error) {
		f := &Feed{metrics: prometheus.NewRegistry()}
		var err error
		f.Source, err = s.Adapter.Open(s.Name, log, f.metrics)
		return f, err
	})
	vendors, badVendors := openAll("the API of source", forRole(c, role.Collector, c.Collected()), before.vendors, func(s config.Source) (collect.Vendor, error) {
		return s.Adapter.(config.VendorAdapter).OpenVendor(s.Name, log)
	})
	issuers, badIssuers := openAll("issuer", forRole(c, role.Engine, c.Issuers), before.issuers, func(i config.Issuer) (dispositions.Issuer, error) {
		return i.Adapter.Open(i.Name, log)
	})
	notifiers, badNotifiers := openAll("notifier", forRole(c, role.Notifier, c.Notifiers), before.notifiers, func(n config.Notifier) (deliver.Route, error) {
		return openRoute(n, log)
	})
	bad = slices.Concat(badSources, badVendors, badIssuers, badNotifiers)
	decides, faults := c.NewPolicy()
	for _, fault := range faults {
		bad = append(bad, fmt.Errorf("the policy has a fault: %s", fault.Text)) // which Load has reported
	}
	return &Settings{c, sources, vendors, issuers, notifiers, decides}, bad
}

// forRole returns the entries that a role needs: none when the process does not have the role.
func forRole[E any](c *config.Config, name string, entries []E) []E {
	if !c.Roles().Have(name) {
		return nil
	}
	return entries
}

// entry is an entry of one of the lists.
type entry interface {
	config.Source | config.Issuer | config.Notifier
}

func nameOf[E entry](e E) string {
	switch e := any(e).(type) {
	case config.Source:
		return e.Name
	case config.Issuer:
		return e.Name
	case config.Notifier:
		return e.Name
	}
	return "" // there is no other
}

// openRoute opens a notifier, with its templates and its limit.
func openRoute(n config.Notifier, log *slog.Logger) (route deliver.Route, err error) {
	if route.Notifier, err = n.Adapter.Open(n.Name, log); err != nil {
		return route, err
	}
	route.Words, err = n.Templates.Words()
	route.Burst = n.GatherAfter
	return route, err
}

// openAll opens the entries of one list.
func openAll[E entry, T any](
	kind string, entries []E, before map[string]opened[T], open func(E) (T, error),
) (all map[string]opened[T], bad []error) {
	all = map[string]opened[T]{}
	for _, entry := range entries {
		it, err := openOne(entry, before, open)
		if err != nil {
			bad = append(bad, fmt.Errorf("opening %s %s: %w", kind, nameOf(entry), err))
		}
		all[nameOf(entry)] = it
	}
	return all, bad
}

// openOne takes the digest first, so that a file which changes meanwhile makes the next reload open the entry again.
func openOne[E entry, T any](entry E, before map[string]opened[T], open func(E) (T, error)) (o opened[T], err error) {
	if o.digest, err = digestOf(entry); err != nil {
		return o, err
	}
	if same, ok := before[nameOf(entry)]; ok && same.digest == o.digest {
		return same, nil
	}
	o.it, err = open(entry)
	return o, err
}

// Receiver returns the sources as the receiver takes them.
func (s *Settings) Receiver() map[string]receiver.Source {
	feeds := map[string]receiver.Source{}
	for name, o := range s.sources {
		feeds[name] = o.it.Source
	}
	return feeds
}

// Collector returns the sources as the collector takes them.
func (s *Settings) Collector() map[string]collect.Source {
	sources := map[string]collect.Source{}
	for _, entry := range forRole(s.Config, role.Collector, s.Config.Collected()) {
		sources[entry.Name] = collect.Source{
			Vendor: s.vendors[entry.Name].it, Sweep: entry.Adapter.(config.VendorAdapter).SweepEvery(),
		}
	}
	return sources
}

// Notifier returns the settings of the notifier.
func (s *Settings) Notifier() deliver.Settings {
	types := s.Config.SourceTypes()
	told := deliver.Settings{
		Routes: map[string]deliver.Route{}, ExternalURL: s.Config.Web.ExternalURL,
		Partner: func(source string) bool { return slices.Contains(partnerTypes, types[source]) },
	}
	for _, n := range forRole(s.Config, role.Notifier, s.Config.Notifiers) {
		route := s.notifiers[n.Name].it
		route.When = n.Condition(types)
		told.Routes[n.Name] = route
	}
	return told
}

// partnerTypes are the types of sources whose alerts a partner agreement forbids to share onward.
var partnerTypes = []string{"github_partner", "gitlab_partner"}

// Engine returns the settings of the engine.
func (s *Settings) Engine() dispositions.Settings {
	m := dispositions.Settings{
		Policy: s.policy, Sources: s.Config.SourceTypes(),
		Fuse: admit.FuseLimit{Max: s.Config.Policy.Fuse.Max, Per: s.Config.Policy.Fuse.Per},
	}
	for _, entry := range forRole(s.Config, role.Engine, s.Config.Issuers) {
		configured := dispositions.Configured{
			Name: entry.Name, Issuer: s.issuers[entry.Name].it, TokenTypes: entry.TokenTypes, Accounts: entry.Accounts,
			Rate: entry.Rate, InFlight: entry.InFlight,
		}
		if entry.Pattern != "" {
			configured.Pattern = regexp.MustCompile(entry.Pattern) // Load has compiled it
		}
		m.Issuers = append(m.Issuers, configured)
	}
	return m
}

// Metrics returns the metrics of the sources, one registry a source.
func (s *Settings) Metrics() []prometheus.Gatherer {
	var all []prometheus.Gatherer
	for _, o := range s.sources {
		all = append(all, o.it.metrics)
	}
	return all
}

// Without returns the feeds that the other settings do not have, by name.
func (s *Settings) Without(other *Settings) map[string]*Feed {
	feeds := map[string]*Feed{}
	for name, o := range s.sources {
		if other.sources[name].it != o.it {
			feeds[name] = o.it
		}
	}
	return feeds
}

// Run starts the source's background work, if it has any, in a group.
func (f *Feed) Run(ctx context.Context, group *errgroup.Group) {
	runner, ok := f.Source.(receiver.Runner)
	if !ok {
		return
	}
	ctx, f.stop = context.WithCancel(ctx)
	group.Go(func() error { return runner.Run(ctx) })
}

// Ready waits until the source can verify deliveries or ctx ends, and reports whether it can.
func (f *Feed) Ready(ctx context.Context) bool {
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

// End stops the source's background work.
func (f *Feed) End() {
	if f.stop != nil {
		f.stop()
	}
}

// Follows reports whether the collector follows pointers of a source, in this process or another.
func (s *Settings) Follows(source string) bool {
	return slices.ContainsFunc(s.Config.Collected(), func(entry config.Source) bool { return entry.Name == source })
}

// recorded is the adapter of a source whose deliveries are records, each with a secret.
type recorded interface{ Records() batch.Fields }

// Records returns the fields of a source's records; ok is false when its deliveries hold none.
func (s *Settings) Records(source string) (batch.Fields, bool) {
	for _, entry := range s.Config.Sources {
		if adapter, ok := entry.Adapter.(recorded); ok && entry.Name == source {
			return adapter.Records(), true
		}
	}
	return batch.Fields{}, false
}

// Limits returns the limits as the receiver takes them.
func (s *Settings) Limits() receiver.Limits {
	c := s.Config
	return receiver.Limits{
		Body: int64(c.Limits.Body), AlertsPerDelivery: c.Limits.AlertsPerDelivery,
		InFlightBytes: int64(c.Limits.InFlightBytes),
	}
}
