package githubfake_test

import (
	"strings"
	"testing"
	"time"

	"stanch/receiver/githubfake"
	"stanch/receiver/leak"
)

func TestAccess(t *testing.T) {
	server, _ := start(t, githubfake.Options{})
	server.AddAlert(githubfake.Alert{})
	server.AddAlert(githubfake.Alert{Repository: "acme/other"})
	server.AddRepository(githubfake.Repository{Name: "acme/open", Public: true})
	server.AddHook(githubfake.Hook{URL: "http://127.0.0.1:1/"})
	fine := func(permission, level string) githubfake.Token {
		return githubfake.Token{Permissions: map[string]string{permission: level}}
	}
	const other, list, hooks = "repos/acme/other/secret-scanning/alerts/1", "orgs/acme/secret-scanning/alerts", "orgs/acme/hooks"
	for _, row := range []struct {
		name   string
		token  githubfake.Token
		method string
		path   string
		status int
	}{
		{"everything", githubfake.Token{}, "GET", firstAlert, 200},
		{"nothing", githubfake.Token{Scopes: []string{}}, "GET", firstAlert, 403},
		{"nothing, who am I", githubfake.Token{Scopes: []string{}}, "GET", "user", 200},
		{"one scope", githubfake.Token{Scopes: []string{"security_events"}}, "GET", list, 200},
		{"other scope", githubfake.Token{Scopes: []string{"admin:org_hook"}}, "GET", list, 403},
		{"public scope", githubfake.Token{Scopes: []string{"public_repo"}}, "GET", firstAlert, 403},
		{"public scope, public", githubfake.Token{Scopes: []string{"public_repo"}}, "GET", "repos/acme/open/secret-scanning/alerts", 200},
		{"the organisation", githubfake.Token{Scopes: []string{}}, "GET", "orgs/acme", 200},
		{"a user is none", githubfake.Token{}, "GET", "orgs/" + githubfake.Admin, 404},
		{"hooks", githubfake.Token{Scopes: []string{"admin:org_hook"}}, "GET", hooks, 200},
		{"not hooks", githubfake.Token{Scopes: []string{"repo"}}, "GET", hooks, 403},
		{"fine, read", fine(githubfake.AlertsPermission, "read"), "GET", firstAlert, 200},
		{"fine, no write", fine(githubfake.AlertsPermission, "read"), "PATCH", firstAlert, 403},
		{"fine, write", fine(githubfake.AlertsPermission, "write"), "PATCH", firstAlert, 422},
		{"fine, hooks", fine(githubfake.OrgHooksPermission, "read"), "GET", hooks, 200},
		{"fine, not hooks", fine(githubfake.AlertsPermission, "write"), "GET", hooks, 403},
		{"another organisation", githubfake.Token{Organisations: []string{"rival"}}, "GET", firstAlert, 404},
		{"another organisation's list", githubfake.Token{Organisations: []string{"rival"}}, "GET", list, 404},
		{"another repository", githubfake.Token{Repositories: []string{"Acme/Shop"}}, "GET", other, 404},
		{"the repository", githubfake.Token{Repositories: []string{"Acme/Shop"}}, "GET", firstAlert, 200},
		{"expired", githubfake.Token{ExpiresAt: epoch}, "GET", firstAlert, 401},
		{"no such route", githubfake.Token{}, "GET", "repos/acme/shop/pulls", 404},
		{"no App", githubfake.Token{}, "GET", "app", 401},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := client(t, server, server.AddToken(row.token))
			request, err := c.NewRequest(row.method, row.path, map[string]any{})
			if err != nil {
				t.Fatal(err)
			}
			response, err := c.Do(t.Context(), request, nil)
			expect(t, row.name, response, err, row.status)
		})
	}
}

func TestTokens(t *testing.T) {
	server, c := start(t, githubfake.Options{})
	server.AddAlert(githubfake.Alert{})
	me, response, err := c.Users.Get(t.Context(), "")
	expect(t, "user", response, err, 200)
	if got := response.Header.Get("X-OAuth-Scopes"); me.GetLogin() != githubfake.Admin || !strings.Contains(got, "security_events") {
		t.Errorf("got the user %q with the scopes %q", me.GetLogin(), got)
	}
	expires := time.Now().Add(48 * time.Hour).UTC().Truncate(time.Second)
	fine := client(t, server, server.AddToken(githubfake.Token{
		Permissions: map[string]string{githubfake.AlertsPermission: "read"}, ExpiresAt: expires,
	}))
	response, err = get(t, fine, firstAlert, nil)
	expect(t, "fine-grained", response, err, 200)
	got := response.Header.Get("X-Accepted-GitHub-Permissions")
	if !response.TokenExpiration.Time.Equal(expires) || got != "secret_scanning_alerts=read" || response.Header.Get("X-OAuth-Scopes") != "" {
		t.Errorf("got the expiry %v, permissions %q", response.TokenExpiration, got)
	}
	unknown := client(t, server, leak.NewSecret("ghp_unknown"))
	response, err = get(t, unknown, firstAlert, nil)
	expect(t, "unknown", response, err, 401)
	if e := server.Journal()[2]; e.By != "" || e.Op != githubfake.GetAlert || e.Target != "acme/shop" || e.Number != 1 {
		t.Errorf("got the event %+v", e)
	}
	server.RevokeTokens()
	response, err = get(t, c, firstAlert, nil)
	expect(t, "revoked", response, err, 401)
}

func TestEnterprise(t *testing.T) {
	server, c := start(t, githubfake.Options{Enterprise: true})
	server.AddAlert(githubfake.Alert{})
	if !strings.HasSuffix(server.URL(), "/api/v3/") {
		t.Errorf("got the URL %s", server.URL())
	}
	enterprise, err := c.WithEnterpriseURLs(strings.TrimSuffix(server.URL(), "api/v3/"), server.URL())
	if err != nil {
		t.Fatal(err)
	}
	_, response, err := enterprise.SecretScanning.GetAlert(t.Context(), "acme", "shop", 1)
	expect(t, "get", response, err, 200)
	if response.Rate.Limit != 0 || response.Header.Get("X-GitHub-Enterprise-Version") == "" {
		t.Errorf("got the header %v", response.Header)
	}
	response, err = get(t, c, "../../"+firstAlert, nil)
	expect(t, "without the prefix", response, err, 404)
}
