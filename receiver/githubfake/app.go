package githubfake

import (
	"cmp"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"stanch/receiver/leak"
	"stanch/receiver/outbound/vendorfake"
)

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

// Suspend suspends every installation in an organisation, or takes that back: they get no token, and no hook.
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
