package gitlabfake

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"stanch/receiver/leak"
	"stanch/receiver/outbound/vendorfake"
)

// Role is what a user is in the groups and projects that it sees, as GitLab numbers access levels.
type Role int

// The roles. Vulnerabilities are for developers to see and for maintainers to change; hooks of projects are for
// maintainers, those of groups for owners.
const (
	Reporter   Role = 20
	Developer  Role = 30
	Maintainer Role = 40
	Owner      Role = 50
)

// Token is an access token of a user, a project or a group, as a test adds it. The zero Token may do everything.
type Token struct {
	Name   string   // what the journal calls it; empty: its user's login
	Login  string   // its owner; empty: Admin
	Scopes []string // such as api, read_api, read_repository; nil: api
	Role   Role     // 0: Owner
	// Groups and Projects are the paths of all that it sees, projects below a group included; both nil: everything.
	Groups   []string
	Projects []string
	// ExpiresAt is the day at whose start, in UTC, the token expires; zero: never.
	ExpiresAt time.Time
}

type token struct {
	Token
	id      int64
	revoked bool
}

// AddToken adds an access token and returns its value.
func (f *Fake) AddToken(t Token) leak.Secret {
	f.mu.Lock()
	defer f.mu.Unlock()
	t.Login = cmp.Or(t.Login, Admin)
	t.Name = cmp.Or(t.Name, t.Login)
	t.Role = cmp.Or(t.Role, Owner)
	if t.Scopes == nil {
		t.Scopes = []string{"api"}
	}
	value := "glpat-" + vendorfake.Random(10)
	f.tokens[value] = &token{Token: t, id: f.nextID()}
	return leak.NewSecret(value)
}

// RevokeTokens revokes every token: calls with them are answered 401.
func (f *Fake) RevokeTokens() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range f.tokens {
		t.revoked = true
	}
}

// Revoked reports whether a token is revoked, by its own call or by RevokeTokens; false for an unknown token.
func (f *Fake) Revoked(value leak.Secret) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	t, ok := f.tokens[value.Reveal()]
	return ok && t.revoked
}

// identify finds out who sent a request, or what to answer instead.
func (c *call) identify() {
	c.fake.mu.Lock()
	defer c.fake.mu.Unlock()
	c.refused = c.authenticate()
}

// authenticate finds out who sent a request, or answers 401.
func (c *call) authenticate() *answer {
	value := c.request.Header.Get("PRIVATE-TOKEN")
	if bearer, ok := strings.CutPrefix(c.request.Header.Get("Authorization"), "Bearer "); ok && value == "" {
		value = bearer
	}
	t, ok := c.fake.tokens[value]
	switch {
	case !ok && c.route.op == GraphQL:
		return &answer{Status: http.StatusUnauthorized, Body: object{"errors": []object{{"message": "Invalid token"}}}}
	case !ok:
		return refuse(http.StatusUnauthorized, "401 Unauthorized") //nolint:misspell // GitLab's word
	}
	c.token, c.event.By = t, t.Name
	switch {
	case t.revoked:
		return unusable("Token was revoked. You have to re-authorize from the user.")
	case !t.ExpiresAt.IsZero() && !c.fake.options.Now().Before(t.ExpiresAt):
		return unusable("Token is expired. You can either do re-authorization or token refresh.")
	}
	return nil
}

func unusable(why string) *answer {
	return &answer{
		Status: http.StatusUnauthorized, Body: object{"error": "invalid_token", "error_description": why},
	}
}

// permission is what a token must have for an operation.
type permission struct {
	scopes []string // one of them; nil: any
	role   Role     // at least; 0: any
}

var (
	anybody  = permission{}
	read     = permission{scopes: []string{"api", "read_api"}}
	readFile = permission{scopes: []string{"api", "read_api", "read_repository"}, role: Reporter}
)

// reading and writing are permissions for a role.
func reading(role Role) permission { return permission{scopes: read.scopes, role: role} }
func writing(role Role) permission { return permission{scopes: []string{"api"}, role: role} }

// permit answers 403 when the token has no scope for this. Roles are checked later, after what the token cannot see.
func (c *call) permit() *answer {
	if c.token.scoped(c.route.needs) {
		return nil
	}
	return &answer{Status: http.StatusForbidden, Body: object{
		"error": "insufficient_scope", "scope": strings.Join(c.route.needs.scopes, " "),
		"error_description": "The request requires higher privileges than provided by the access token.",
	}}
}

func (t *token) scoped(needs permission) bool {
	return needs.scopes == nil || slices.ContainsFunc(needs.scopes, func(s string) bool { return slices.Contains(t.Scopes, s) })
}

// may reports whether a token has both the scope and the role.
func (t *token) may(needs permission) bool { return t.scoped(needs) && t.Role >= needs.role }

// sees reports whether a token sees a project.
func (t *token) sees(p *project) bool {
	return t.everywhere() || vendorfake.ContainsFold(t.Projects, p.path) || slices.ContainsFunc(t.Groups, func(path string) bool {
		return (&group{path: path}).holds(p.path)
	})
}

// member reports whether a token sees a group: its own, one below it, or one that a group or project of its is in.
func (t *token) member(g *group) bool {
	return t.everywhere() || slices.ContainsFunc(slices.Concat(t.Groups, t.Projects), func(path string) bool {
		return strings.EqualFold(path, g.path) || g.holds(path) || (&group{path: path}).holds(g.path)
	})
}

func (t *token) everywhere() bool { return t.Groups == nil && t.Projects == nil }

func (c *call) getUser() *answer {
	login := c.token.Login
	return ok(object{"id": c.fake.user(login), "username": login, "name": login, "state": "active", "bot": false})
}

func (c *call) getVersion() *answer {
	return ok(object{"version": c.fake.version.String(), "revision": "0f1e2d3", "enterprise": true})
}

func (c *call) getToken() *answer {
	t := c.token
	shown := object{
		"id": t.id, "name": t.Name, "revoked": t.revoked, "active": !t.revoked, "scopes": t.Scopes,
		"user_id": c.fake.user(t.Login), "expires_at": nil,
	}
	if !t.ExpiresAt.IsZero() {
		shown["expires_at"] = t.ExpiresAt.UTC().Format(time.DateOnly)
	}
	return ok(shown)
}

// revokeToken is DELETE of the token that the request comes with.
func (c *call) revokeToken() *answer {
	c.token.revoked = true
	return noContent()
}
