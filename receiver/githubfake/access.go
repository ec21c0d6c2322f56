package githubfake

import (
	"cmp"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"stanch/receiver/leak"
	"stanch/receiver/outbound/vendorfake"
)

// The permissions that fine-grained tokens and Apps have.
const (
	AlertsPermission    = "secret_scanning_alerts"
	OrgHooksPermission  = "organization_hooks"
	RepoHooksPermission = "repository_hooks"
)

// Token is a user's personal access token, as a test adds it. The zero Token is a classic one that may do everything.
type Token struct {
	Name  string // what the journal calls it; empty: its user's login
	Login string // its owner; empty: Admin
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

// identify finds out who sent a request, or what to answer instead.
func (c *call) identify() {
	c.fake.mu.Lock()
	defer c.fake.mu.Unlock()
	c.refused = c.authenticate()
}

// authenticate finds out who sent a request, or answers 401.
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

// App is a GitHub App, as a test adds it.
type App struct {
	Slug     string            // empty: stanch
	ClientID string            // empty: made up; a claim may name it instead of the id
	Key      *rsa.PrivateKey   // empty: made up, which takes a moment
	Granted  map[string]string // empty: secret_scanning_alerts write
	// Organisations are where it is installed; empty: acme.
	Organisations []string
	// Hook is the App's own, for the organisations where it is installed; without URL: none.
	Hook Hook
}

type app struct {
	App
	id            int64
	hook          *hook // nil: none
	installations []*installation
}

// installation is an App in an organisation.
type installation struct {
	id        int64
	app       *app
	org       *account
	suspended bool
}

// AddApp adds an App and installs it. It returns its id and its private key, in PEM.
func (f *Fake) AddApp(a App) (id int64, key leak.Secret) {
	a.Slug = cmp.Or(a.Slug, "stanch")
	a.ClientID = cmp.Or(a.ClientID, "Iv23"+vendorfake.Random(8))
	if a.Key == nil {
		a.Key, _ = rsa.GenerateKey(rand.Reader, 2048) // it never fails
	}
	if a.Granted == nil {
		a.Granted = map[string]string{AlertsPermission: "write", "metadata": "read"}
	}
	if a.Organisations == nil {
		a.Organisations = []string{"acme"}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	added := &app{App: a, id: f.nextID()}
	for _, name := range a.Organisations {
		org := f.account(name, organisation)
		added.installations = append(added.installations, &installation{id: f.nextID(), app: added, org: org})
	}
	if a.Hook.URL != "" {
		added.hook = f.addHook(a.Hook)
		added.hook.app = added
	}
	f.apps = append(f.apps, added)
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(a.Key)}
	return added.id, leak.NewSecret(string(pem.EncodeToMemory(block)))
}

// Suspend suspends every installation in an organisation, or resumes it: a suspended one gets no token and no deliveries.
func (f *Fake) Suspend(organisation string, suspended bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.apps {
		if i := a.in(f.account(organisation, organisation)); i != nil {
			i.suspended = suspended
		}
	}
}

// in returns the App's installation in an organisation; nil: it has none.
func (a *app) in(org *account) *installation {
	for _, i := range a.installations {
		if i.org == org {
			return i
		}
	}
	return nil
}

func (c *call) getApp() *answer {
	a := c.token.app
	return ok(object{
		"id": a.id, "slug": a.Slug, "client_id": a.ClientID, "name": a.Slug, "permissions": a.Granted,
		"events": a.Hook.events(), "html_url": htmlURL + "/apps/" + a.Slug, "installations_count": len(a.installations),
	})
}

func (c *call) getInstallation() *answer {
	i := c.token.app.in(c.org)
	if i == nil {
		return notFound()
	}
	return ok(object{
		"id": i.id, "app_id": i.app.id, "app_slug": i.app.Slug, "account": i.org.show(), "target_type": organisation,
		"target_id": i.org.id, "permissions": i.app.Granted, "events": i.app.Hook.events(), "repository_selection": "all",
		"suspended_at": map[bool]any{true: stamp(c.fake.now())}[i.suspended],
	})
}

// tokenRequest is what a token may be narrowed to.
type tokenRequest struct {
	Repositories []string          `json:"repositories"` // names without the owner
	Permissions  map[string]string `json:"permissions"`
}

// createToken is POST /app/installations/{id}/access_tokens.
func (c *call) createToken() *answer {
	f, number := c.fake, c.request.PathValue("installation")
	at := slices.IndexFunc(c.token.app.installations, func(i *installation) bool {
		return strconv.FormatInt(i.id, 10) == number
	})
	if at < 0 {
		return notFound()
	}
	i, wanted := c.token.app.installations[at], tokenRequest{}
	if len(c.body) > 0 {
		if no := c.read(&wanted); no != nil {
			return no
		}
	}
	if i.suspended {
		return refuse(http.StatusForbidden, "This installation has been suspended")
	}
	t, no := f.narrow(i, wanted)
	if no != nil {
		return no
	}
	t.ExpiresAt = f.now().Add(f.options.TokenLife)
	value := "ghs_" + vendorfake.Random(18)
	f.tokens[value] = t
	return &answer{Status: http.StatusCreated, Body: object{
		"token": value, "expires_at": t.ExpiresAt.UTC().Format(time.RFC3339), "permissions": t.Permissions,
		"repository_selection": map[bool]string{true: "all", false: "selected"}[t.Repositories == nil],
	}}
}

// narrow makes the token of an installation, or refuses what the installation does not have itself.
func (f *Fake) narrow(i *installation, wanted tokenRequest) (*token, *answer) {
	t := &token{app: i.app, installation: i}
	t.Name, t.Organisations, t.Permissions = i.app.Slug, []string{i.org.login}, maps.Clone(i.app.Granted)
	for _, name := range wanted.Repositories {
		full := i.org.login + "/" + name
		if f.repos[strings.ToLower(full)] == nil {
			return nil, refuse(http.StatusUnprocessableEntity, "There is at least one repository that does not exist")
		}
		t.Repositories = append(t.Repositories, full)
	}
	if wanted.Permissions == nil {
		return t, nil
	}
	for name, level := range wanted.Permissions {
		if has := i.app.Granted[name]; has != level && has != "write" {
			return nil, refuse(http.StatusUnprocessableEntity, "The permissions requested are not granted to this installation.")
		}
	}
	t.Permissions = wanted.Permissions
	return t, nil
}

// maxClaim is how far ahead a claim may expire.
const maxClaim = 10 * time.Minute

// appTokens reads the JSON web tokens of Apps. Their times are checked apart, for GitHub's own words.
var appTokens = jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithoutClaimsValidation())

// errNoApp is a token of an App that does not exist.
var errNoApp = errors.New("there is no such App")

// verifyApp finds the App that signed a JSON web token, or answers 401.
func (f *Fake) verifyApp(text string) (*token, *answer) {
	said := jwt.MapClaims{}
	var a *app
	_, err := appTokens.ParseWithClaims(text, said, func(*jwt.Token) (any, error) {
		if a = f.issuer(said["iss"]); a == nil {
			return nil, errNoApp
		}
		return &a.Key.PublicKey, nil
	})
	switch {
	case errors.Is(err, errNoApp):
		return nil, refuse(http.StatusNotFound, "Integration not found")
	case err != nil:
		return nil, refuse(http.StatusUnauthorized, "A JSON web token could not be decoded")
	}
	return &token{Token: Token{Name: a.Slug, Permissions: a.Granted}, app: a}, checkTimes(said, f.options.Now())
}

// issuer finds an App by what a claim calls it.
func (f *Fake) issuer(issuer any) *app {
	name := fmt.Sprint(issuer)
	if number, ok := issuer.(float64); ok {
		name = fmt.Sprintf("%.0f", number)
	}
	for _, a := range f.apps {
		if name == fmt.Sprint(a.id) || name == a.ClientID {
			return a
		}
	}
	return nil
}

// checkTimes refuses times that GitHub's clock does not allow. It tolerates no skew.
func checkTimes(said jwt.MapClaims, now time.Time) *answer {
	expires, hasExpiry := said["exp"].(float64)
	issued, hasIssue := said["iat"].(float64)
	end := time.Unix(int64(expires), 0)
	var no string
	switch {
	case !hasExpiry:
		no = "'Expiration time' claim ('exp') must be a numeric value"
	case !hasIssue || issued != math.Trunc(issued):
		no = "'Issued at' claim ('iat') must be an Integer"
	case time.Unix(int64(issued), 0).After(now):
		no = "'Issued at' claim ('iat') is in the future"
	case !end.After(now):
		no = "'Expiration time' claim ('exp') must be in the future"
	case end.After(now.Add(maxClaim)):
		no = "'Expiration time' claim ('exp') is too far in the future"
	default:
		return nil
	}
	return refuse(http.StatusUnauthorized, no)
}
