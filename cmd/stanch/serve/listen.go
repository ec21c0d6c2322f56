package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"stanch/cmd/stanch/config"
	"stanch/cmd/stanch/listen"

	"golang.org/x/sync/errgroup"
)

// listen opens the socket and the listeners, and serves them. If it cannot open all of them, it closes the others.
func (s *service) listen(ctx context.Context, group *errgroup.Group, started func(public, private net.Addr)) error {
	c := s.current.Load().Config
	socket, err := listen.Socket(c.Store.Dir())
	if err != nil {
		return err
	}
	private, err := net.Listen("tcp", c.Web.Private.Address)
	if err != nil {
		return errors.Join(fmt.Errorf("opening the private listener: %w", err), socket.Close())
	}
	public, err := s.listenPublicly(c)
	if err != nil {
		return errors.Join(err, private.Close(), socket.Close())
	}
	checked := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		listen.CheckHost(s.api, s.hostNames()...).ServeHTTP(w, r)
	})
	local := listen.Private(s.api)
	local.ConnContext = listen.WithPeer
	listen.Serve(ctx, group, socket, "", local, s.log)
	listen.Serve(ctx, group, private, c.Web.Private.ConfigFile, listen.Private(checked), s.log)
	if public == nil {
		started(nil, private.Addr())
		return nil
	}
	gate := listen.NewGate(public, func() int { return listen.MaxConnections(s.current.Load().Config.Limits.Connections) }, s.registry)
	listen.Serve(ctx, group, gate, c.Web.Public.ConfigFile, listen.Public(s.receiver, gate), s.log)
	started(public.Addr(), private.Addr())
	return nil
}

// listenPublicly opens the public listener, which only the receiver's role has; otherwise it returns nil.
func (s *service) listenPublicly(c *config.Config) (net.Listener, error) {
	if s.receiver == nil {
		return nil, nil
	}
	public, err := net.Listen("tcp", c.Web.Public.Address)
	if err != nil {
		return nil, fmt.Errorf("opening the public listener: %w", err)
	}
	return public, nil
}

// hostNames returns the names of the private listener.
func (s *service) hostNames() []string {
	c := s.current.Load().Config
	host, _, _ := net.SplitHostPort(c.Web.Private.Address)
	names := []string{host}
	if u, err := url.Parse(c.Web.ExternalURL); err == nil {
		names = append(names, u.Hostname())
	}
	return names
}
