// Package githubfake is a fake of GitHub's side of secret scanning that keeps state and speaks real HTTP: the REST API
// for alerts, locations, hooks and their deliveries, tokens and Apps, and the sender of webhooks. It behaves as
// GitHub documents; where GitHub is silent and the answer matters to us, [Switches] has its positions; any call can meet a
// [Fault]. URLs inside bodies name hosts that do not exist, so that following one fails.
package githubfake

import (
	"net/http"
	"sync"
	"time"

	"stanch/receiver/outbound/vendorfake"
)

// Admin is the login of the user who acts for tests, and who owns the tokens that name nobody else.
const Admin = "acme-admin"

// Options configure a fake; the zero value works.
type Options struct {
	// Switches are the positions to start with; the zero value is the default of each.
	Switches Switches
	// Now tells the time; nil: time.Now.
	Now func() time.Time
	// Enterprise plays an Enterprise Server: the API is below /api/v3/, there is no rate limit unless RateLimit sets
	// one, deliveries stay listed for 7 days instead of 3, and a receiver has 30 seconds to answer instead of 10.
	Enterprise bool
	// RateLimit is how many requests an hour a user or an installation has; 0: 5,000.
	RateLimit int
	// TokenLife is how long the token of an installation works; 0: an hour.
	TokenLife time.Duration
	// HookTimeout is how long a receiver may take to answer a delivery; 0: 10 seconds, or 30.
	HookTimeout time.Duration
	// Senders is how many deliveries are sent at the same time; 0: one, so that they arrive in the order of events.
	Senders int
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.RateLimit == 0 && !o.Enterprise {
		o.RateLimit = 5000
	}
	if o.TokenLife == 0 {
		o.TokenLife = time.Hour
	}
	if o.HookTimeout == 0 {
		o.HookTimeout = 10 * time.Second
		if o.Enterprise {
			o.HookTimeout = 30 * time.Second
		}
	}
	o.Senders = max(o.Senders, 1)
	return o
}

// Fault is something that goes wrong with a call.
type Fault = vendorfake.Fault

// Event is one call. Its Target is the owner/name of the repository, or the organisation, as the request had it; its Number
// that of the alert, delivery, hook or installation.
type Event = vendorfake.Event

// Fake is GitHub as an [http.Handler]. It starts without any repository, hook or token. Methods are safe for concurrent
// use. Names of organisations and repositories compare without regard to case, as GitHub's do.
type Fake struct {
	vendorfake.Faults
	vendorfake.Calls
	*vendorfake.Sender // of webhooks
	*vendorfake.Switchboard[Switches]

	options Options
	routes  http.Handler

	mu     sync.Mutex
	lastID int64

	accounts   map[string]*account // by login in lower case
	repos      map[string]*repo    // by owner/name in lower case
	lists      map[string][]*alert // what a listing found, until something changes
	tokens     map[string]*token   // by value
	windows    vendorfake.Windows  // of the rate limit
	apps       []*app
	hooks      map[int64]*hook
	deliveries []*delivery // oldest first
}

// New makes a fake that holds nothing. Close ends its deliveries.
func New(o Options) *Fake {
	f := &Fake{
		options: o.withDefaults(), lastID: firstID,
		accounts: map[string]*account{}, repos: map[string]*repo{}, lists: map[string][]*alert{},
		tokens: map[string]*token{}, windows: vendorfake.Windows{}, hooks: map[int64]*hook{},
	}
	f.Switchboard = vendorfake.NewSwitchboard(o.Switches, Switches.withDefaults)
	f.Sender = vendorfake.NewSender(f.options.Senders, f.options.HookTimeout)
	f.routes = f.newRoutes()
	return f
}

// ServeHTTP answers as GitHub's API does, or as the first fault that matches says.
func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) { f.routes.ServeHTTP(w, r) }

// Server is a fake that listens.
type Server struct {
	*Fake
	server *vendorfake.Server
}

// Start serves a new fake on a free port of the loopback interface, until Close.
func Start(o Options) (*Server, error) {
	fake := New(o)
	server, err := vendorfake.Serve(fake)
	if err != nil {
		return nil, err
	}
	return &Server{Fake: fake, server: server}, nil
}

// URL is the base URL of the API, with the slash at its end that go-github's BaseURL needs.
func (s *Server) URL() string { return s.server.Origin() + s.prefix() + "/" }

// Close stops at once and cuts calls and deliveries that are in progress.
func (s *Server) Close() {
	s.server.Close()
	s.Fake.Close()
}

// prefix is what the paths of the API start with.
func (f *Fake) prefix() string {
	if f.options.Enterprise {
		return "/api/v3"
	}
	return ""
}
