package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	"stanch/cmd/stanch/config"
	"stanch/cmd/stanch/listen"

	"github.com/prometheus/exporter-toolkit/web"
	"golang.org/x/sync/errgroup"
)

// hangUpTimeout is how long requests under way have when the service is told to stop. It is longer than a delivery may
// take, so that a sender who is being served gets an answer.
const hangUpTimeout = 16 * time.Second

// Timeouts of the listeners. The receiver has a shorter one for bodies that it reads; publicTimeout ends requests that
// were refused unread, whose sender could otherwise hold the connection for ever. answerTimeout ends those whose sender
// does not take the answer, from the end of the header on; it is longer than a delivery may take. An operator may wait
// longer for a list.
const (
	headerTimeout  = 10 * time.Second
	publicTimeout  = 10 * time.Second
	answerTimeout  = 20 * time.Second
	privateTimeout = time.Minute
	idleTimeout    = 2 * time.Minute
	maxHeader      = 64 << 10
)

// listen opens the socket and the listeners and serves them; what it could open is closed when it cannot open the rest.
func (s *service) listen(ctx context.Context, group *errgroup.Group, started func(public, private net.Addr)) error {
	c := s.current.Load().Config
	socket, err := listen.Socket(c.Store.Dir())
	if err != nil {
		return err
	}
	private, err := net.Listen("tcp", c.Web.Private.Address)
	if err != nil {
		return errors.Join(fmt.Errorf("listening privately: %w", err), socket.Close())
	}
	public, err := s.listenPublicly(c)
	if err != nil {
		return errors.Join(err, private.Close(), socket.Close())
	}
	checked := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		listen.CheckHost(s.api, s.hostNames()...).ServeHTTP(w, r)
	})
	s.serveOn(ctx, group, socket, "", &http.Server{
		Handler: s.api, ReadTimeout: privateTimeout, ConnContext: listen.WithPeer,
	})
	s.serveOn(ctx, group, private, c.Web.Private.ConfigFile, &http.Server{Handler: checked, ReadTimeout: privateTimeout})
	if public == nil {
		started(nil, private.Addr())
		return nil
	}
	gate := newGate(public, s.connections, s.registry)
	s.serveOn(ctx, group, gate, c.Web.Public.ConfigFile, &http.Server{
		Handler: s.receiver, ReadTimeout: publicTimeout, WriteTimeout: answerTimeout, ConnState: gate.noted,
	})
	started(public.Addr(), private.Addr())
	return nil
}

// listenPublicly opens the public listener, which the receiver's role alone has; otherwise it is nil.
func (s *service) listenPublicly(c *config.Config) (net.Listener, error) {
	if s.receiver == nil {
		return nil, nil
	}
	public, err := net.Listen("tcp", c.Web.Public.Address)
	if err != nil {
		return nil, fmt.Errorf("listening publicly: %w", err)
	}
	return public, nil
}

// otherFiles is how many files the process needs besides the connections of the public listener: those of the store, and of what
// it asks others.
const otherFiles = 1000

// connections is how many connections the public listener may have: as many as are configured, if there are files for them.
func (s *service) connections() int {
	files := maxFiles()
	return min(s.current.Load().Config.Limits.Connections, max(files-otherFiles, files/2))
}

// hostNames are the names that the private listener goes by.
func (s *service) hostNames() []string {
	c := s.current.Load().Config
	host, _, _ := net.SplitHostPort(c.Web.Private.Address)
	names := []string{host}
	if u, err := url.Parse(c.Web.ExternalURL); err == nil {
		names = append(names, u.Hostname())
	}
	return names
}

// serveOn serves on a listener until ctx ends, and then lets what is under way end. Who does not end in time is cut off.
func (s *service) serveOn(ctx context.Context, group *errgroup.Group, l net.Listener, configFile string, server *http.Server) {
	server.ReadHeaderTimeout, server.IdleTimeout, server.MaxHeaderBytes = headerTimeout, idleTimeout, maxHeader
	server.ErrorLog = slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)
	group.Go(func() error {
		if err := serveWith(configFile, server, l, s.log); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serving: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), hangUpTimeout)
		defer cancel()
		if err := server.Shutdown(last); err != nil {
			s.log.Warn("cutting off requests that do not end", "err", err)
			return server.Close()
		}
		return nil
	})
}

// serveWith serves plainly, or with TLS and sign-in as a web configuration file says.
func serveWith(configFile string, server *http.Server, l net.Listener, log *slog.Logger) error {
	if configFile == "" {
		return server.Serve(l)
	}
	return web.Serve(l, server, &web.FlagConfig{WebConfigFile: &configFile}, log)
}
