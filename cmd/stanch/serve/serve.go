// Package serve runs the service: it assembles what the roles of the process need, starts it, swaps its settings at a reload, and
// stops it in order.
package serve

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"stanch/cmd/stanch/config"
	"stanch/cmd/stanch/settings"
	"stanch/cmd/stanch/telemetry"
	"stanch/dispositions"
	"stanch/dispositions/ledger"
	"stanch/notify/deliver"
	"stanch/receiver"
	"stanch/receiver/collect"
	"stanch/receiver/queue"
)

// Run runs the service until ctx ends, and reloads its configuration file at each of the hangups, which may be nil. It calls started
// when its listeners accept connections; public is nil without the receiver's role.
func Run(
	ctx context.Context, c *config.Config, log *slog.Logger, hangups <-chan os.Signal, started func(public, private net.Addr),
) (err error) {
	traces := telemetry.StartTracing(ctx, c.Roles(), log)
	defer traces.End()
	s, err := assemble(ctx, c, traces.Tracer(), log)
	if err != nil {
		return err
	}
	s.hangups = hangups
	defer func() { err = errors.Join(err, s.store.Close()) }()
	return s.run(ctx, started)
}

// service is everything that runs. Fields of roles that the process does not have are nil.
type service struct {
	log      *slog.Logger
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
