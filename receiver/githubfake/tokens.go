package githubfake

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"stanch/receiver/leak"
	"stanch/receiver/outbound/vendorfake"
)

// The permissions that fine-grained tokens and Apps have.
const (
	AlertsPermission    = "secret_scanning_alerts"
	OrgHooksPermission  = "organization_hooks"
	RepoHooksPermission = "repository_hooks"
)

// Token is a user's personal access token, as a test adds it. The zero Token is a classic one that may everything.
type Token struct {
	Name  string // what the journal calls it; empty: its user's login
	Login string // whose it is; empty: Admin
	// Scopes are what a classic token may, such as repo, security_events, admin:org_hook; nil: everything, unless
	// Permissions are given.
	Scopes []string
	// Permissions make it a fine-grained token: AlertsPermission, OrgHooksPermission or RepoHooksPermission, each read
	// or write.
	Permissions map[string]string
	// Organisations and Repositories (owner/name) are all that it sees; nil: no limit.
	Organisations []string
	Repositories  []string
	ExpiresAt     time.Time // zero: never
}

// token is whoever sends a request: a user's token, an installation's, or an App itself with a signed claim.
type token struct {
	Token
	app          *app
	installation *installation // nil: a user's token, or the App itself
}

// AddToken adds a personal access token and returns its value.
func (f *Fake) AddToken(t Token) leak.Secret {
	f.mu.Lock()
	defer f.mu.Unlock()
	t.Login = cmp.Or(t.Login, Admin)
	t.Name = cmp.Or(t.Name, t.Login)
	prefix := "github_pat_"
	if t.Permissions == nil {
		prefix = "ghp_"
		if t.Scopes == nil {
			t.Scopes = []string{"repo", "security_events", "admin:org_hook", "admin:repo_hook"}
		}
	}
	value := prefix + vendorfake.Random(18)
	f.tokens[value] = &token{Token: t}
	return leak.NewSecret(value)
}

// RevokeTokens makes every token unknown, those of installations too: calls with them are answered 401.
func (f *Fake) RevokeTokens() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.tokens)
	f.changed()
}

// identify finds out whose request it is, or what to answer instead.
func (c *call) identify() {
	c.fake.mu.Lock()
	defer c.fake.mu.Unlock()
	c.refused = c.authenticate()
}

// authenticate finds out whose request it is, or answers 401.
func (c *call) authenticate() *answer {
	scheme, value, _ := strings.Cut(c.request.Header.Get("Authorization"), " ")
	if value == "" || scheme != "Bearer" && scheme != "token" {
		return refuse(http.StatusUnauthorized, "Requires authentication")
	}
	var no *answer
	switch signed := strings.Count(value, ".") == 2; {
	case signed && !c.route.needs.app:
		no = refuse(http.StatusForbidden, "Resource not accessible by integration")
	case c.route.needs.app:
		c.token, no = c.fake.verifyApp(value)
	default:
		c.token, no = c.fake.known(value)
	}
	if no == nil {
		c.event.By = c.token.Name
	}
	return no
}

func (f *Fake) known(value string) (*token, *answer) {
	t, ok := f.tokens[value]
	if !ok || !t.ExpiresAt.IsZero() && !f.options.Now().Before(t.ExpiresAt) {
		return nil, refuse(http.StatusUnauthorized, "Bad credentials")
	}
	return t, nil
}

// permission is what a token must have for an operation; the zero permission is any token.
type permission struct {
	scopes []string // one of them, of a classic token
	name   string   // of a fine-grained token or an installation
	write  bool
	app    bool // only the App itself
}

var (
	readAlerts  = permission{scopes: []string{"repo", "security_events"}, name: AlertsPermission}
	writeAlerts = permission{scopes: readAlerts.scopes, name: readAlerts.name, write: true}
	asApp       = permission{app: true}
)

// hookPermissions is what the hooks of an "org" or a "repo" need.
func hookPermissions(owner string) (read, write permission) {
	read = permission{scopes: []string{"admin:" + owner + "_hook"}, name: OrgHooksPermission}
	if owner == "repo" {
		read.name = RepoHooksPermission
	}
	write = read
	write.write = true
	return read, write
}

// permit answers 403 when the token may not do this.
func (c *call) permit() *answer {
	t, needs := c.token, c.route.needs
	switch {
	case needs.app || needs.name == "":
		return nil
	case t.Permissions == nil && slices.ContainsFunc(t.Scopes, c.accepts):
		return nil
	case t.Permissions == nil:
		return refuse(http.StatusForbidden, "Resource not accessible: the token lacks a scope")
	case t.Permissions[needs.name] == "write" || !needs.write && t.Permissions[needs.name] == "read":
		return nil
	case t.app != nil:
		return refuse(http.StatusForbidden, "Resource not accessible by integration")
	}
	return refuse(http.StatusForbidden, "Resource not accessible by personal access token")
}

// accepts reports whether one scope is enough for the operation.
func (c *call) accepts(scope string) bool {
	public := c.repo != nil && c.repo.Public && c.route.needs.name == AlertsPermission
	return slices.Contains(c.route.needs.scopes, scope) || public && scope == "public_repo"
}

// scopeHeaders say what the token may and what the operation accepts, as far as GitHub tells.
func (c *call) scopeHeaders() map[string]string {
	header := map[string]string{}
	needs := c.route.needs
	if c.token.Scopes != nil {
		header["X-OAuth-Scopes"] = strings.Join(c.token.Scopes, ", ")
		header["X-Accepted-OAuth-Scopes"] = strings.Join(needs.scopes, ", ")
	} else if needs.name != "" {
		level := map[bool]string{false: "read", true: "write"}[needs.write]
		header["X-Accepted-GitHub-Permissions"] = needs.name + "=" + level
	}
	if !c.token.ExpiresAt.IsZero() && c.token.installation == nil {
		header["GitHub-Authentication-Token-Expiration"] = c.token.ExpiresAt.UTC().Format("2006-01-02 15:04:05 MST")
	}
	return header
}

// member reports whether a token sees an organisation.
func (t *token) member(a *account) bool {
	if a.kind != organisation {
		return false
	}
	return t.Organisations == nil || vendorfake.ContainsFold(t.Organisations, a.login)
}

// sees reports whether a token sees a repository.
func (t *token) sees(r *repo) bool {
	return t.member(r.owner) && (t.Repositories == nil || vendorfake.ContainsFold(t.Repositories, r.Name))
}

// sender is who does what is done with the token.
func (t *token) sender(f *Fake) object {
	if t.app != nil {
		return f.account(t.app.Slug+"[bot]", "Bot").show()
	}
	return f.account(t.Login, "User").show()
}
