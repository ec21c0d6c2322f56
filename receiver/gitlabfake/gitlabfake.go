// Package gitlabfake is a fake of GitLab's side of secret detection that keeps state and speaks real HTTP: the REST and
// GraphQL APIs for vulnerabilities, files, jobs and hooks, and the sender of webhooks, which switches off a hook that fails.
// It behaves as GitLab's documentation or source says; where neither does and an answer matters to us, [Switches] has its
// positions; any call can meet a [Fault]. URLs inside bodies name a host that does not exist, so that following one fails.
package gitlabfake

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

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
	// Version is the release whose behaviour is played, such as 17.3; empty: 19.0. Before 19.0 no delivery is signed, before 17.7
	// vulnerabilities have no hooks, before 17.4 no event can be sent again and no delivery has an Idempotency-Key, and
	// before 17.3 there is no list of events.
	Version string
	// RateLimit is how many requests a user may send in a minute; 0: any number. Note that go-gitlab slows itself down to
	// two thirds of a limit that it is told.
	RateLimit int
	// HookTimeout is how long a receiver may take to answer a delivery; 0: 10 seconds.
	HookTimeout time.Duration
	// Senders is how many deliveries are sent at the same time; 0: one, so that they arrive in the order of events.
	Senders int
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Version = cmp.Or(o.Version, "19.0")
	o.HookTimeout = cmp.Or(o.HookTimeout, 10*time.Second)
	o.Senders = max(o.Senders, 1)
	return o
}

// Fault is something that goes wrong with a call.
type Fault = vendorfake.Fault

// Event is one call. Its Target is the path of the project or group, as the request had it, or its id; its Number that of the
// vulnerability, job, event or hook; its Cause the X-Gitlab-Event-UUID.
type Event = vendorfake.Event

// Fake is GitLab as an [http.Handler]. It starts without any project, hook or token. Methods are safe for concurrent use.
// Paths of groups and projects compare without regard to case, as GitLab's do.
// Hold does not hold back tests of hooks and resent events.
type Fake struct {
	vendorfake.Faults
	vendorfake.Calls
	*vendorfake.Sender // of webhooks
	*vendorfake.Switchboard[Switches]

	options Options
	version version
	routes  http.Handler

	mu     sync.Mutex
	lastID int64

	users           map[string]int64  // ids by login
	groups          map[string]*group // by path in lower case
	projects        map[string]*project
	jobs            map[int64]*job
	vulnerabilities map[int64]*vulnerability
	lists           map[string][]*vulnerability // what a listing found, until something changes
	tokens          map[string]*token           // by value
	windows         vendorfake.Windows
	hooks           map[int64]*hook
	deliveries      []*delivery // oldest first
	chains          map[string]*chain
	schemas         map[bool]*ast.Schema // of GraphQL, by whether comments are missing; see schema
}

// New makes a fake that holds nothing. Close ends its deliveries.
func New(o Options) *Fake {
	f := &Fake{
		options: o.withDefaults(), lastID: firstID,
		users: map[string]int64{}, groups: map[string]*group{}, projects: map[string]*project{},
		jobs: map[int64]*job{}, vulnerabilities: map[int64]*vulnerability{}, lists: map[string][]*vulnerability{},
		tokens: map[string]*token{}, windows: vendorfake.Windows{}, hooks: map[int64]*hook{}, chains: map[string]*chain{},
		schemas: map[bool]*ast.Schema{},
	}
	f.version = parseVersion(f.options.Version)
	f.Switchboard = vendorfake.NewSwitchboard(o.Switches, Switches.withDefaults)
	f.Sender = vendorfake.NewSender(f.options.Senders, f.options.HookTimeout)
	f.routes = f.newRoutes()
	return f
}

// ServeHTTP answers as GitLab does, or as the first fault that matches says.
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

// URL is the base URL of the instance, without a slash at its end: the APIs are below /api/v4 and /api/graphql.
func (s *Server) URL() string { return s.server.Origin() }

// Close stops at once and cuts calls and deliveries that are in progress.
func (s *Server) Close() {
	s.server.Close()
	s.Fake.Close()
}

// version is a release of GitLab, as far as behaviour depends on it.
type version struct{ major, minor int }

// The releases that changed something.
var (
	hookEvents         = version{17, 3}
	hookResend         = version{17, 4}
	vulnerabilityHooks = version{17, 7}
	jobProjects        = version{17, 7} // the events of jobs name their project; since when exactly is inferred
	signedHooks        = version{19, 0}
)

// parseVersion reads a version such as 17.3 or 18.5.1-ee; what is not a number counts as 0.
func parseVersion(text string) version {
	major, rest, _ := strings.Cut(text, ".")
	minor, _, _ := strings.Cut(rest, ".")
	var v version
	v.major, _ = strconv.Atoi(major)
	v.minor, _ = strconv.Atoi(minor)
	return v
}

// since reports whether the fake plays this release or a later one.
func (f *Fake) since(v version) bool {
	return cmp.Or(cmp.Compare(f.version.major, v.major), cmp.Compare(f.version.minor, v.minor)) >= 0
}

// String is the version as the API tells it.
func (v version) String() string {
	return strconv.Itoa(v.major) + "." + strconv.Itoa(v.minor) + ".0-ee"
}
