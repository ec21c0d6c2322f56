package githubfake_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-github/v60/github"

	"stanch/receiver/githubfake"
	"stanch/receiver/leak"
)

// appKey is made once, because that takes a moment.
var appKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// sign makes a JSON web token, as an App does.
func sign(t *testing.T, key *rsa.PrivateKey, algorithm string, claims map[string]any) leak.Secret {
	t.Helper()
	part := func(value any) string {
		data, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(data)
	}
	text := part(map[string]string{"alg": algorithm, "typ": "JWT"}) + "." + part(claims)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return leak.NewSecret(text + "." + base64.RawURLEncoding.EncodeToString(signature))
}

// goodClaims are an App's claims, issued a minute ago for five minutes.
func goodClaims(issuer any) map[string]any {
	now := time.Now()
	return map[string]any{"iss": issuer, "iat": now.Add(-time.Minute).Unix(), "exp": now.Add(5 * time.Minute).Unix()}
}

func TestApp(t *testing.T) {
	var clock clock
	server, _ := start(t, githubfake.Options{Now: clock.now})
	server.AddAlert(githubfake.Alert{})
	server.AddAlert(githubfake.Alert{Repository: "rival/shop"})
	id, _ := server.AddApp(githubfake.App{Key: appKey(), Slug: "stancher", Organisations: []string{"acme", "beta"}})
	asApp := client(t, server, sign(t, appKey(), "RS256", goodClaims(id)))
	app, response, err := asApp.Apps.Get(t.Context(), "")
	expect(t, "app", response, err, 200)
	if app.GetSlug() != "stancher" || app.GetPermissions().GetSecretScanningAlerts() != "write" {
		t.Errorf("got the App %v", app)
	}
	installation, response, err := asApp.Apps.FindOrganizationInstallation(t.Context(), "ACME")
	expect(t, "installation", response, err, 200)
	_, response, err = asApp.Apps.FindOrganizationInstallation(t.Context(), "rival")
	expect(t, "not installed", response, err, 404)
	made, response, err := asApp.Apps.CreateInstallationToken(t.Context(), installation.GetID(), nil)
	expect(t, "token", response, err, 201)
	asInstallation := client(t, server, leak.NewSecret(made.GetToken()))
	_, response, err = asInstallation.SecretScanning.GetAlert(t.Context(), "acme", "shop", 1)
	expect(t, "get", response, err, 200)
	_, response, err = asInstallation.SecretScanning.GetAlert(t.Context(), "rival", "shop", 1)
	expect(t, "get elsewhere", response, err, 404)
	_, response, err = asInstallation.Users.Get(t.Context(), "")
	expect(t, "user", response, err, 403)
	_, response, err = asApp.SecretScanning.GetAlert(t.Context(), "acme", "shop", 1)
	expect(t, "get as the App itself", response, err, 403)
	response, err = patch(t, asInstallation, firstAlert, map[string]any{"state": "resolved", "resolution": "revoked"})
	expect(t, "resolve", response, err, 200)
	if a, _ := server.Alert("acme/shop", 1); a.ResolvedBy != "stancher[bot]" {
		t.Errorf("got it resolved by %q", a.ResolvedBy)
	}
	clock.advance(time.Hour)
	_, response, err = asInstallation.SecretScanning.GetAlert(t.Context(), "acme", "shop", 1)
	expect(t, "get an hour later", response, err, 401)
}

func TestNarrowedToken(t *testing.T) {
	server, _ := start(t, githubfake.Options{})
	server.AddAlert(githubfake.Alert{})
	server.AddAlert(githubfake.Alert{Repository: "acme/other"})
	r := newReceiver(t)
	id, _ := server.AddApp(githubfake.App{Key: appKey(), Hook: githubfake.Hook{URL: r.URL}})
	asApp := client(t, server, sign(t, appKey(), "RS256", goodClaims(id)))
	installation, response, err := asApp.Apps.FindOrganizationInstallation(t.Context(), "acme")
	expect(t, "installation", response, err, 200)
	read, admin := "read", "write"
	ask := func(o *github.InstallationTokenOptions, status int) string {
		t.Helper()
		made, response, err := asApp.Apps.CreateInstallationToken(t.Context(), installation.GetID(), o)
		expect(t, "token", response, err, status)
		return made.GetToken()
	}
	narrow := client(t, server, leak.NewSecret(ask(&github.InstallationTokenOptions{
		Repositories: []string{"shop"}, Permissions: &github.InstallationPermissions{SecretScanningAlerts: &read},
	}, 201)))
	_, response, err = narrow.SecretScanning.GetAlert(t.Context(), "acme", "other", 1)
	expect(t, "another repository", response, err, 404)
	response, err = patch(t, narrow, firstAlert, map[string]any{"state": "resolved", "resolution": "revoked"})
	expect(t, "write", response, err, 403)
	ask(&github.InstallationTokenOptions{Repositories: []string{"none"}}, 422)
	ask(&github.InstallationTokenOptions{Permissions: &github.InstallationPermissions{OrganizationHooks: &admin}}, 422)
	server.Suspend("acme", true)
	ask(nil, 403)
	server.Raise(githubfake.Alert{})
	if got := r.take(server); len(got) != 0 {
		t.Errorf("got %d deliveries while suspended", len(got))
	}
	server.Suspend("acme", false)
	ask(nil, 201)
	_, response, err = asApp.Apps.CreateInstallationToken(t.Context(), 1, nil)
	expect(t, "no such installation", response, err, 404)
}

// Each installation has its own limit, and the App itself another.
func TestLimitsOfAnApp(t *testing.T) {
	server, c := start(t, githubfake.Options{RateLimit: 100})
	server.AddAlert(githubfake.Alert{})
	server.AddAlert(githubfake.Alert{Repository: "beta/shop"})
	id, _ := server.AddApp(githubfake.App{Key: appKey(), Organisations: []string{"acme", "beta"}})
	asApp := client(t, server, sign(t, appKey(), "RS256", goodClaims(id)))
	for i, name := range []string{"acme", "beta"} {
		installation, response, err := asApp.Apps.FindOrganizationInstallation(t.Context(), name)
		expect(t, "installation", response, err, 200)
		made, response, err := asApp.Apps.CreateInstallationToken(t.Context(), installation.GetID(), nil)
		expect(t, "token", response, err, 201)
		if response.Rate.Remaining != 98-2*i {
			t.Errorf("got the App's rate %v", response.Rate)
		}
		asInstallation := client(t, server, leak.NewSecret(made.GetToken()))
		_, response, err = asInstallation.SecretScanning.GetAlert(t.Context(), name, "shop", 1)
		expect(t, "get", response, err, 200)
		if response.Rate.Remaining != 99 {
			t.Errorf("%s: got the rate %v", name, response.Rate)
		}
	}
	response, err := get(t, c, firstAlert, nil)
	expect(t, "as a user", response, err, 200)
	if response.Rate.Remaining != 99 {
		t.Errorf("got the user's rate %v", response.Rate)
	}
}

func TestClaims(t *testing.T) {
	server, _ := start(t, githubfake.Options{})
	id, _ := server.AddApp(githubfake.App{Key: appKey(), ClientID: "Iv23client"})
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	with := func(name string, value any) map[string]any {
		claims := goodClaims(id)
		claims[name] = value
		return claims
	}
	now := time.Now()
	for name, row := range map[string]struct {
		token  leak.Secret
		status int
	}{
		"good":           {sign(t, appKey(), "RS256", goodClaims(id)), 200},
		"client id":      {sign(t, appKey(), "RS256", goodClaims("Iv23client")), 200},
		"another's key":  {sign(t, other, "RS256", goodClaims(id)), 401},
		"algorithm":      {sign(t, appKey(), "none", goodClaims(id)), 401},
		"unknown App":    {sign(t, appKey(), "RS256", goodClaims(5)), 404},
		"no expiry":      {sign(t, appKey(), "RS256", with("exp", nil)), 401},
		"no issue":       {sign(t, appKey(), "RS256", with("iat", nil)), 401},
		"expired":        {sign(t, appKey(), "RS256", with("exp", now.Unix()-1)), 401},
		"too long":       {sign(t, appKey(), "RS256", with("exp", now.Unix()+700)), 401},
		"from tomorrow":  {sign(t, appKey(), "RS256", with("iat", now.Unix()+3600)), 401},
		"no claim":       {leak.NewSecret("a.b.c"), 401},
		"a user's token": {server.AddToken(githubfake.Token{}), 401},
	} {
		_, response, err := client(t, server, row.token).Apps.Get(t.Context(), "")
		expect(t, name, response, err, row.status)
	}
}

func TestAppKey(t *testing.T) {
	server, _ := start(t, githubfake.Options{})
	_, key := server.AddApp(githubfake.App{})
	block, _ := pem.Decode([]byte(key.Reveal()))
	if block == nil || !strings.Contains(block.Type, "RSA") {
		t.Fatal("got a key that is no PEM")
	}
	if _, err := x509.ParsePKCS1PrivateKey(block.Bytes); err != nil {
		t.Errorf("parsing the key: %v", err)
	}
}
