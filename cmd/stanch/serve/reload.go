package serve

import (
	"context"
	"errors"
	"fmt"
	"time"

	"stanch/cmd/stanch/settings"

	"golang.org/x/sync/errgroup"
)

// readyTimeout is how long a reload waits for the public keys of new sources, and for the consumers of new notifiers. The old
// settings stay in force until then; after it, the new ones come into force with what there is.
const readyTimeout = 10 * time.Second

// reload reads the configuration file again and puts it in force, without dropping anything in progress. If the file has a fault,
// cannot be opened, or changes what needs a restart, everything stays as it was, and the error lists all that is wrong; the log
// has it too. If ctx ends first, the reload still goes on.
func (s *service) reload(ctx context.Context) error {
	answer := make(chan error, 1)
	select {
	case s.reloads <- answer:
	case <-ctx.Done():
		return fmt.Errorf("waiting for a reload to begin: %w", ctx.Err())
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return fmt.Errorf("waiting for a reload to end: %w", ctx.Err())
	}
}

// tend runs what depends on the settings, and swaps them on demand, one reload at a time.
func (s *service) tend(ctx context.Context, group *errgroup.Group) error {
	for _, f := range s.current.Load().Without(&settings.Settings{}) {
		f.Run(ctx, group)
	}
	if s.sightings != nil {
		s.forget(ctx, group)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.hangups:
			_ = s.renew(ctx, group) // the log has it, and nobody waits for an answer
		case answer := <-s.reloads:
			answer <- s.renew(ctx, group)
		}
	}
}

// forget starts the forgetting of sightings anew, with the retention in force.
func (s *service) forget(ctx context.Context, group *errgroup.Group) {
	if s.stopForgetting != nil {
		s.stopForgetting()
	}
	retention := s.current.Load().Config.Retention
	ctx, s.stopForgetting = context.WithCancel(ctx)
	group.Go(func() error { return s.sightings.Run(ctx, retention, s.log) })
}

// renew does a reload, and records in log and metrics how it went.
func (s *service) renew(ctx context.Context, group *errgroup.Group) error {
	bad := s.replace(ctx, group)
	s.reloaded.record(len(bad) == 0)
	for _, err := range bad {
		s.log.Error("configuration file has a fault", "err", err)
	}
	if len(bad) > 0 {
		s.log.Error("configuration not reloaded, the old one stays in force", "faults", len(bad))
		return errors.Join(bad...)
	}
	s.log.Info("configuration reloaded")
	return nil
}

// replace opens what the file says now, and puts it in force if nothing is wrong.
func (s *service) replace(ctx context.Context, group *errgroup.Group) (bad []error) {
	before := s.current.Load()
	c, faults := before.Config.Reload()
	for _, fault := range faults {
		bad = append(bad, errors.New(fault.String()))
	}
	if len(bad) > 0 {
		return bad
	}
	next, bad := settings.Open(c, before, s.log)
	if len(bad) > 0 {
		return bad
	}
	if err := s.exchange(ctx, group, before, next); err != nil {
		return []error{err}
	}
	return nil
}

// exchange swaps the settings, from the end of an alert's way to its beginning, so that what a new source reports is decided by
// the new policy and told to the new notifiers. After an error nothing has changed.
func (s *service) exchange(ctx context.Context, group *errgroup.Group, before, next *settings.Settings) error {
	fresh := next.Without(before)
	for _, f := range fresh {
		f.Run(ctx, group)
	}
	s.await(ctx, fresh)
	if err := s.exchangeNotifiers(ctx, next); err != nil {
		endAll(fresh)
		return err
	}
	if s.engine != nil {
		s.engine.Use(next.Engine())
	}
	if s.collector != nil {
		s.collector.Use(next.Collector(), next.Config.Web.ExternalURL)
	}
	if s.receiver != nil {
		s.receiver.Use(next.Receiver(), next.Limits())
	}
	s.current.Store(next)
	if s.sightings != nil && next.Config.Retention != before.Config.Retention {
		s.forget(ctx, group)
	}
	endAll(before.Without(next))
	return nil
}

// await waits until sources can verify deliveries. One that still cannot is served all the same: it answers 503, and its sender
// tries again.
func (s *service) await(ctx context.Context, feeds map[string]*settings.Feed) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for name, f := range feeds {
		if !f.Ready(ctx) {
			s.log.Warn("source has no public keys yet", "source", name)
		}
	}
}

func (s *service) exchangeNotifiers(ctx context.Context, next *settings.Settings) error {
	if s.notices == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	return s.notices.Use(ctx, next.Notifier())
}

func endAll(feeds map[string]*settings.Feed) {
	for _, f := range feeds {
		f.End()
	}
}
