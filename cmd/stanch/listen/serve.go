package listen

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/exporter-toolkit/web"
	"golang.org/x/sync/errgroup"
)

// shutdownTimeout is how long requests in progress may take when the service stops. It is longer than a delivery may take, so that
// a sender who is being served gets an answer.
const shutdownTimeout = 16 * time.Second

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

// Private returns a server for operators.
func Private(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadTimeout: privateTimeout}
}

// Public returns a server for strangers, who come through a gate.
func Public(h http.Handler, g *Gate) *http.Server {
	return &http.Server{Handler: h, ReadTimeout: publicTimeout, WriteTimeout: answerTimeout, ConnState: g.noted}
}

// otherFiles is how many files the process needs besides the connections of the public listener: those of the store, and of what
// it asks others.
const otherFiles = 1000

// MaxConnections returns how many connections a public listener may have: the configured number, or fewer when the process may not
// open enough files.
func MaxConnections(configured int) int {
	files := maxFiles()
	return min(configured, max(files-otherFiles, files/2))
}

// Serve serves on a listener until ctx ends, and then lets what is under way end; what does not end in time is cut off. A web
// configuration file of the Prometheus exporter toolkit puts TLS and sign-in before it; without one there is neither.
func Serve(ctx context.Context, group *errgroup.Group, l net.Listener, configFile string, server *http.Server, log *slog.Logger) {
	server.ReadHeaderTimeout, server.IdleTimeout, server.MaxHeaderBytes = headerTimeout, idleTimeout, maxHeader
	server.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelDebug)
	group.Go(func() error {
		if err := serveWith(configFile, server, l, log); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serving: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		if err := server.Shutdown(last); err != nil {
			log.Warn("cutting off requests that do not end", "err", err)
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
